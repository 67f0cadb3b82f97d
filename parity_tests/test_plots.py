"""Pictures get written for every shape of fit, need no display, and drag in no backend."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.errors import InputError
from ppl_parity.report import mixture_plots, plots
from ppl_parity.report.canvas import save_figure
from ppl_parity.report.forest import draw_forest
from ppl_parity.report.mixture_plots import mixture_plot, plot_samples
from ppl_parity.report.plots import write_plots
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import relabelled_posterior

PNG = b"\x89PNG\r\n\x1a\n"


def fit(num_components, dim, chains=2, num_draws=60, num_rows=80, transform=None, names=None):
    rng = np.random.default_rng(0)
    places = 5 * rng.normal(size=(num_components, dim))
    z = rng.integers(0, num_components, size=num_rows)
    x = places[z] + rng.normal(size=(num_rows, dim))
    theta = rng.dirichlet(np.full(num_components, 30.0), size=(chains, num_draws))
    beta = places + 0.2 * rng.normal(size=(chains, num_draws, num_components, dim))
    spec = MixtureSpec(num_components, dim, prior_cov=25.0)
    groups = {
        "posterior": {"theta": theta, "beta": beta},
        "sample_stats": {"diverging": rng.random((chains, num_draws)) < 0.05},
        "observed_data": {"x": x},
    }
    attributes = {"spec": spec.as_dict(), "data": {"transform": transform}}
    columns = {} if names is None else {"dim": names}
    return to_datatree(groups, attributes, MIXTURE_DIMS, coords=columns), spec, (x, z, places)


def check(paths, names):
    assert [path.name for path in paths] == names
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(PNG)
        assert len(content) > 5000  # an empty page is smaller


def test_two_dimensions(tmp_path):
    tree, spec, _ = fit(2, 2)
    names = ["trace.png", "rank.png", "forest_theta.png", "forest_beta.png", "mixture.png"]
    check(write_plots(tree, spec, tmp_path / "new", "Two clusters"), names)


def test_one_dimension_and_the_spec_from_the_file(tmp_path):
    tree, _, _ = fit(2, 1)
    check(write_plots(tree, None, tmp_path), ["trace.png", "rank.png", "pair.png", "mixture.png"])


def test_one_chain_of_one_component(tmp_path):
    tree, spec, _ = fit(1, 3, chains=1)
    check(write_plots(tree, spec, tmp_path), ["trace.png", "pair.png", "mixture.png"])


def test_any_model_and_constants(tmp_path):
    rng = np.random.default_rng(1)
    posterior = {"mu": rng.normal(size=(1, 50)), "fixed": np.ones((1, 50))}
    check(write_plots(to_datatree({"posterior": posterior}, {}), None, tmp_path), ["trace.png"])
    frozen = to_datatree({"posterior": {"fixed": np.ones((2, 50))}}, {})
    assert write_plots(frozen, None, tmp_path) == []


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written from here on."""
    kept = []

    def keep(figure, path):
        kept.append(figure)
        return save_figure(figure, path)

    for module in (mixture_plots, plots):
        monkeypatch.setattr(module, "save_figure", keep)
    return kept


def words_outside(figure):
    """What the page cuts off; words of the axes' ticks, which are made for values beyond them too, left out."""
    figure.canvas.draw()  # the places of what was saved are in the dots of another resolution
    page, renderer = figure.bbox.padded(1), figure.canvas.get_renderer()
    words = [*figure.texts, *([] if figure._supxlabel is None else [figure._supxlabel])]
    for axes in figure.axes:
        legend = [] if axes.get_legend() is None else axes.get_legend().get_texts()
        words += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *legend]
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in words if text.get_text()}
    assert boxes
    return [word for word, box in boxes.items() if not (page.contains(*box.min) and page.contains(*box.max))]


@pytest.mark.long
@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_page_holds_every_word(tmp_path, figures, dim):
    tree, spec, _ = fit(3, dim)
    write_plots(tree, spec, tmp_path)
    assert [words_outside(figure) for figure in figures] == [[]] * len(figures)
    assert ("furthest apart" in figures[-1].get_supxlabel()) == (dim > 2)
    assert figures[-1].axes[0].get_position().width > 0.6  # a footnote does not push the axes together


@pytest.mark.long
@pytest.mark.parametrize("transform", [None, {"method": "standardize"}])
def test_places_of_standardised_columns_are_not_shown_in_their_units(
    tmp_path, figures, monkeypatch, transform
):
    headings = {}
    monkeypatch.setattr(plots, "_finish", lambda grid, path, heading: headings.setdefault(path.name, heading))
    for names in (["bill_mm", "mass_g"], ["bill_mm"]):
        tree, spec, _ = fit(2, len(names), transform=transform, names=names)
        write_plots(tree, spec, tmp_path)
    theta, beta, mixture, one = (figure.axes[0] for figure in figures)
    assert theta.get_xlabel() == "theta"
    told = (beta.get_xlabel(), mixture.get_xlabel(), mixture.get_ylabel(), one.get_xlabel())
    if transform is None:
        assert told == ("beta", "bill_mm", "mass_g", "bill_mm")
    else:
        columns = "bill_mm (standardised)", "mass_g (standardised)"
        assert told == ("beta (columns standardised)", *columns, columns[0])
    assert ["columns standardised" in headings[name] for name in ("trace.png", "pair.png")] == [
        transform is not None
    ] * 2


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.long
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_legend_names_no_more_components_than_there_is_room_for(tmp_path, figures, dim):
    places = np.random.default_rng(0).normal(size=(200, dim))
    x, z = places + 0.1, np.arange(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_samples(x, z, places, tmp_path / "many.png")
        plot_samples(x[:20], z[:20], places[:20], tmp_path / "few.png")
        tree, spec, (rows, _, _) = fit(21, dim)
        posterior, _ = relabelled_posterior(tree, None)
        truth = np.zeros((21, dim))
        mixture_plot(rows, posterior, spec, tmp_path / "fit.png", "Title", truth, ["x"] * dim)
    many, few, fitted = figures
    assert legend_of(many)[-2].startswith("component 19 (")
    assert legend_of(many)[-1] == "and 180 more"
    assert len(legend_of(few)) == 20
    assert "and 1 more" in legend_of(fitted)
    assert "true beta" in legend_of(fitted)
    assert [words_outside(figure) for figure in figures] == [[], [], []]
    assert all(figure.axes[0].get_position().height > 0.7 for figure in figures)


def test_many_points_are_thinned_and_the_same_every_time(tmp_path):
    _, _, (x, z, places) = fit(4, 3, num_rows=6000)
    one, two = (plot_samples(x, z, places, tmp_path / name) for name in ("one.png", "two.png"))
    assert one.read_bytes() == two.read_bytes()
    check([one], ["one.png"])


def test_samples_of_one_dimension_and_more_components_than_colours(tmp_path):
    _, _, (x, z, places) = fit(25, 1, num_rows=500)
    check([plot_samples(x, z, places, tmp_path / "samples.png")], ["samples.png"])


def test_bad_input_is_refused_in_a_sentence(tmp_path):
    tree, spec, (x, z, places) = fit(2, 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a folder"):
        write_plots(tree, spec, tmp_path / "file")
    with pytest.raises(InputError, match=r"x \(N, D\), z \(N,\)"):
        plot_samples(x, z[:-1], places, tmp_path / "samples.png")


def test_no_backend_and_nothing_slow_is_loaded_by_importing():
    modules = "draws.arviz_compat, draws.posterior, report.plots, report.tables, statistics.labels, statistics.summary"
    code = "import sys\n" + "".join(f"import ppl_parity.{name}\n" for name in modules.split(", "))
    slow = "torch jax arviz arviz_base arviz_stats arviz_plots matplotlib xarray"
    code += f"print([name for name in {slow.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_forest_tells_its_numbers_and_marks_the_truth() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draws = {name: at + 0.01 * np.linspace(-1, 1, 201) for name, at in (("a", -4.0), ("b", 5.0))}
    draw_forest(axes, ["a", "b"], draws, {"b": 5.5})
    assert [text.get_text() for text in axes.texts] == [
        "-4.0000  [-4.0090, -3.9910]",
        "5.0000  [4.9910, 5.0090]",
    ]
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "D"] == [[5.5]]


@pytest.mark.long
def test_the_truth_is_marked_in_every_picture(tmp_path, monkeypatch) -> None:
    marked: list[object] = []
    monkeypatch.setattr(
        mixture_plots, "_true_places", lambda axes, truth, plane: marked.append((truth.shape, plane))
    )
    monkeypatch.setattr(plots, "draw_forest", lambda axes, names, draws, truth: marked.append(sorted(truth)))
    tree, spec, (_, _, places) = fit(2, 2)
    write_plots(tree, spec, tmp_path, truth={"theta": np.array([0.5, 0.5]), "beta": places})
    every = ["beta[0, 0]", "beta[0, 1]", "beta[1, 0]", "beta[1, 1]", "theta[0]", "theta[1]"]
    assert marked == [every, every, ((2, 2), (0, 1))]
