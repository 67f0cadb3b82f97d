"""A posterior survives the disk, its numbers are ArviZ's, and trouble is said in words."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from ppl_parity.cli import console
from ppl_parity.draws import arviz_compat
from ppl_parity.draws.posterior import MIXTURE_DIMS, attribute, group, load, save, to_datatree, to_groups
from ppl_parity.errors import InputError
from ppl_parity.report.posteriors import compare
from ppl_parity.report.tables import comparison_table, summary_table
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.summary import diagnose, summarize

SETTINGS = {"target_accept": 0.8, "max_tree_depth": 10}


def mixture(chains=4, num_draws=500, num_components=3, switch=False, seed=0, **stats):
    rng = np.random.default_rng(seed)
    shape = (chains, num_draws, num_components)
    places = 4.0 * np.arange(num_components)[:, None] * np.array([1.0, -1.0])
    theta = rng.dirichlet(np.full(num_components, 50.0), size=shape[:2])
    beta = places + 0.1 * rng.normal(size=(*shape, 2))
    if switch:
        order = np.argsort(rng.random(shape), axis=-1)
        theta = np.take_along_axis(theta, order, 2)
        beta = np.take_along_axis(beta, order[..., None], 2)
    every = {"lp": rng.normal(size=shape[:2]), "diverging": np.zeros(shape[:2], bool), **stats}
    groups = {
        "posterior": {"theta": theta, "beta": beta},
        "sample_stats": every,
        "observed_data": {"x": rng.normal(size=(9, 2))},
        "assignments": {"responsibilities": rng.dirichlet(np.ones(num_components), size=9)},
    }
    spec = MixtureSpec(num_components, 2)
    attrs = {"seed": seed, "version": "1.10", "spec": spec.as_dict(), "settings": SETTINGS, "jit": True}
    return to_datatree(groups, attrs, MIXTURE_DIMS)


def rendered(table, width=100):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_saved_tree_comes_back_whole(tmp_path):
    tree = mixture()
    path = save(tree, tmp_path / "fit.nc")
    back = load(path)
    before, after = to_groups(tree), to_groups(back)
    assert {name: set(variables) for name, variables in before.items()} == {
        name: set(variables) for name, variables in after.items()
    }
    for name, variables in before.items():
        for variable, (dims, values) in variables.items():
            assert after[name][variable][0] == dims
            assert after[name][variable][1].dtype == values.dtype
            np.testing.assert_array_equal(after[name][variable][1], values)
    assert before["posterior"]["beta"][0] == ("chain", "draw", "component", "dim")
    assert before["observed_data"]["x"][0] == ("row", "dim")
    assert attribute(back, "settings") == SETTINGS
    assert attribute(back, "seed") == 0
    assert attribute(back, "jit") is True
    assert attribute(back, "version") == "1.10"
    assert attribute(back, "absent", 7) == 7
    assert MixtureSpec(**attribute(back, "spec")) == MixtureSpec(3, 2)
    assert save(back, path, overwrite=True) == path  # the file that it came from is not held open
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]


def test_the_same_fit_gives_the_same_file(tmp_path):
    one, two = save(mixture(), tmp_path / "one.nc"), save(mixture(), tmp_path / "two.nc")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_plain_arviz_opens_the_file(tmp_path):
    import arviz

    tree = mixture()
    opened = arviz.from_netcdf(save(tree, tmp_path / "fit.nc"))
    np.testing.assert_array_equal(opened["posterior"]["beta"].values, tree["posterior"]["beta"].values)
    assert opened["posterior"]["theta"].dims == ("chain", "draw", "component")
    assert json.loads(opened.attrs["settings"]) == SETTINGS
    assert len(arviz.summary(opened)) == 9


def test_files_are_not_lost_or_half_written(tmp_path, monkeypatch):
    tree = mixture(num_draws=10)
    path = save(tree, tmp_path / "fit.nc")
    content = path.read_bytes()
    with pytest.raises(InputError, match="already exists"):
        save(tree, path)

    def crash(self, target, **options):
        target.write_bytes(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(type(tree), "to_netcdf", crash)
    with pytest.raises(OSError, match="cannot be written: disk full"):
        save(tree, path, overwrite=True)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.parametrize(("given", "kept"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("g", "f8")])
def test_precisions_that_no_file_holds_are_widened_or_rounded(tmp_path, given, kept):
    mu = np.linspace(0, 1, 10).reshape(1, 10).astype(given)
    read = load(save(to_datatree({"posterior": {"mu": mu}}, {}), tmp_path / "fit.nc"))["posterior"]["mu"]
    assert read.dtype == np.dtype(kept)
    assert np.array_equal(read.values, mu.astype(kept))


def test_what_no_file_can_hold_is_told(tmp_path):
    tree = to_datatree({"posterior": {"x": np.zeros((1, 5))}}, {})
    tree["posterior"] = tree["posterior"].to_dataset().rename(x="$x")  # by another hand than ours
    with pytest.raises(OSError, match="cannot be written"):
        save(tree, tmp_path / "fit.nc")
    assert not list(tmp_path.iterdir())


def test_bad_files_and_arrays_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"folder .* must exist"):
        save(mixture(num_draws=10), tmp_path / "nowhere" / "fit.nc")
    with pytest.raises(InputError, match="is not a file"):
        load(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not a netCDF file")
    with pytest.raises(InputError, match="is not one"):
        load(tmp_path / "text.nc")
    with pytest.raises(InputError, match=r"must have shape \(chain, draw"):
        to_datatree({"posterior": {"mu": np.zeros(3)}}, {})
    with pytest.raises(InputError, match=r"axes \(chain, draw, component\)"):
        to_datatree({"posterior": {"theta": np.zeros((2, 3))}}, {}, MIXTURE_DIMS)
    with pytest.raises(InputError, match="one length each"):
        to_datatree(
            {"posterior": {"theta": np.ones((1, 5, 3)), "beta": np.ones((1, 5, 2, 2))}}, {}, MIXTURE_DIMS
        )
    with pytest.raises(InputError, match="must fit its axes"):
        to_datatree({"posterior": {"w": np.ones((1, 5, 3))}}, {}, {"w": ["k"]}, {"k": ["a", "b"]})
    with pytest.raises(InputError, match="5 entries along draw; got 4"):
        to_datatree({"posterior": {"mu": np.zeros((1, 5))}, "sample_stats": {"lp": np.zeros((1, 4))}}, {})
    with pytest.raises(InputError, match="Attribute model"):
        to_datatree({"posterior": {"mu": np.zeros((1, 5))}}, {"model": object()})
    with pytest.raises(InputError, match="a group named posterior"):
        summarize(to_datatree({"observed_data": {"x": np.zeros(3)}}, {}))


def test_a_long_axis_gets_no_index():
    tree = to_datatree({"observed_data": {"x": np.zeros((20_000, 2))}}, {}, MIXTURE_DIMS)
    assert set(group(tree, "observed_data").coords) == {"dim"}


def test_numbers_are_those_of_arviz():
    tree = mixture()
    table = arviz_compat.summary(tree)
    summary = summarize(tree)
    assert [row.name for row in summary] == list(table.index)
    for row in summary:
        for mine, theirs in (("mean", "mean"), ("ess_bulk", "ess_bulk"), ("r_hat", "r_hat")):
            np.testing.assert_allclose(getattr(row, mine), table.loc[row.name, theirs], rtol=1e-8)
        np.testing.assert_allclose(row.mcse_mean, table.loc[row.name, "mcse_mean"], rtol=1e-3)  # ddof
    assert len(summary.as_dicts()) == len(summary) == 9


def test_switched_labels_are_mended_and_it_is_said():
    plain, mended = summarize(mixture()), summarize(mixture(switch=True))
    for one, two in zip(plain, mended, strict=True):
        assert one.name == two.name
        np.testing.assert_allclose((two.mean, two.sd), (one.mean, one.sd), rtol=1e-10)
    assert "relabelled" in " ".join(mended.notes)
    assert diagnose(mixture(switch=True)) == []


def test_any_model_is_summarised():
    rng = np.random.default_rng(1)
    posterior = {"tau": rng.gamma(2.0, size=(4, 300)), "w": rng.normal(size=(4, 300, 2, 2))}
    posterior |= {"count": rng.poisson(3.0, size=(4, 300)), "big": rng.normal(size=(4, 300, 1001))}
    summary = summarize(to_datatree({"posterior": posterior}, {}))
    assert [row.name for row in summary] == ["tau", "w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]", "count"]
    assert summary.omitted == {"big": 1001}
    assert "big is left out: it has 1001 scalars." in summary.notes
    named = to_datatree(
        {"posterior": {"w": rng.normal(size=(4, 10, 2))}}, {}, {"w": ["k"]}, {"k": ["a", "b"]}
    )
    assert [row.name for row in summarize(named)] == ["w[a]", "w[b]"]


@pytest.mark.parametrize("num_components", [1, 3])
def test_assignments_are_no_parameters(num_components):
    draws = to_groups(mixture(num_components=num_components, num_draws=20))["posterior"]
    posterior = {name: values for name, (_, values) in draws.items()}
    posterior["z"] = np.zeros((4, 20, 9), np.int16)
    summary = summarize(to_datatree({"posterior": posterior}, {}, MIXTURE_DIMS))
    assert len(summary) == 3 * num_components
    assert summary.omitted == {}


@pytest.mark.filterwarnings("error")
def test_a_single_component_is_no_trouble():
    tree = mixture(num_components=1)
    weight = next(iter(summarize(tree)))
    assert weight.constant
    assert weight.sd == weight.mcse_mean == 0
    assert diagnose(tree) == []
    assert "nan" not in rendered(summary_table(summarize(tree)))


def test_every_trouble_is_told_apart():
    good = mixture()
    assert diagnose(good) == []

    diverging = np.zeros((4, 500), bool)
    diverging[0, :12] = True
    [told] = diagnose(mixture(diverging=diverging))
    assert told.startswith("12 of 2000 draws")
    assert "now 0.8" in told

    [told] = diagnose(mixture(tree_depth=np.full((4, 500), 10)))
    assert "100.0% of the trajectories" in told

    told = diagnose(mixture(num_draws=50))
    assert any("A chain has 50 draws" in line for line in told)
    assert any("effective sample size is below 400" in line for line in told)

    [told] = diagnose(mixture(chains=1))
    assert "one chain only" in told


def test_chains_in_different_modes_are_told_with_their_densities():
    rng = np.random.default_rng(2)
    mu = 0.1 * rng.normal(size=(4, 500)) + np.array([0.0, 0.0, 5.0, 0.0])[:, None]
    lp = np.zeros((4, 500)) - np.array([1.0, 1.0, 90.0, 1.0])[:, None]
    told = diagnose(to_datatree({"posterior": {"mu": mu}, "sample_stats": {"lp": lp}}, {}))
    assert told[0].startswith("The chains are in different modes")
    assert "-1.0, -1.0, -90.0, -1.0" in told[0]
    assert any("R-hat is above 1.01 for 1 of 1 scalars: mu" in line for line in told)


def test_broken_and_frozen_draws_are_told():
    tree = mixture()
    tree["posterior"]["beta"][0, :3, 0, 0] = np.nan
    told = diagnose(tree)
    assert told[0].startswith("Some draws are not finite: beta (3 of 12000)")
    frozen = to_datatree({"posterior": {"mu": np.full((4, 500), 3.0)}}, {})
    assert any("No parameter ever moved" in line for line in diagnose(frozen))
    stuck = np.random.default_rng(3).normal(size=(4, 500))
    stuck[1] = 0.5
    assert any("R-hat" in line for line in diagnose(to_datatree({"posterior": {"mu": stuck}}, {})))


def test_chains_that_stand_still_are_in_no_modes_of_their_own():
    moving = np.random.default_rng(4).normal(size=(4, 500))
    still = np.repeat([[0.0], [3.0], [5.0], [9.0]], 500, axis=1)
    tree = to_datatree({"posterior": {"mu": still}}, {})
    told = diagnose(tree)
    assert told[0].startswith("No parameter ever moved: ")
    assert not any("modes" in line for line in told)
    assert any("mu (> 1000)" in line for line in told)
    assert "> 1000" in rendered(summary_table(summarize(tree)))
    moving[[1, 3]] = still[[1, 3]]
    told = diagnose(to_datatree({"posterior": {"mu": moving}}, {}))
    assert told[0].startswith("In chains 1, 3 no parameter ever moved: ")


def test_three_draws_show_no_modes():
    mu = np.array([[0.0, 0.01, 0.02], [1.0, 1.01, 1.02]])
    told = diagnose(to_datatree({"posterior": {"mu": mu}}, {}))
    assert not any("modes" in line for line in told)
    assert any(line.startswith("A chain has 3 draws; ") for line in told)


def test_a_large_mean_keeps_the_digits_that_its_sd_gives_it():
    rng = np.random.default_rng(5)
    shown = rendered(
        summary_table(summarize(to_datatree({"posterior": {"mu": 2.95e6 + rng.normal(size=(4, 500))}}, {})))
    )
    assert "29500" in shown or "29499" in shown
    vast = rendered(
        summary_table(
            summarize(to_datatree({"posterior": {"mu": 1e21 * rng.normal(1.0, 1e-6, (4, 500))}}, {}))
        )
    )
    assert "1e+21" in vast


def test_two_large_means_do_not_look_the_same():
    """Times since an epoch, an hour apart."""
    times = np.array([1.7e9, 1.7e9 + 3600]) + 5 * np.random.default_rng(5).normal(size=(4, 500, 2))
    shown = rendered(summary_table(summarize(to_datatree({"posterior": {"t": times}}, {}))))
    assert len({word for line in shown.splitlines() for word in line.split() if word.startswith("1700")}) == 2


def test_two_posteriors_side_by_side():
    first = summarize(mixture(switch=True, seed=1))
    assert first.relabelling is not None
    second = summarize(mixture(switch=True, seed=2), pivot=first.relabelling.pivot)
    rows = compare(first, second)
    assert len(rows) == 9
    for row in rows:
        gap = row.b.mean - row.a.mean
        np.testing.assert_allclose(row.z, gap / np.hypot(row.a.mcse_mean, row.b.mcse_mean))
        np.testing.assert_allclose(row.difference_sd / row.mcse_sd, row.z)
        assert abs(row.z) < 4.5  # 9 scalars at a fixed seed


def test_constants_compare_without_a_nan():
    one, two = (
        summarize(to_datatree({"posterior": {"c": np.full((2, 9), value)}}, {})) for value in (1.0, 2.0)
    )
    assert compare(one, one)[0].z == 0
    assert compare(one, two)[0].z == np.inf
    few = summarize(to_datatree({"posterior": {"c": np.arange(3.0)[None]}}, {}))  # too few for an MCSE
    assert np.isnan(compare(few, few)[0].z)
    assert "nan" not in rendered(comparison_table(few, few)) + rendered(summary_table(few))


def test_tables_fit_the_terminal_and_name_every_row():
    first = summarize(mixture(switch=True, num_components=12, num_draws=200))
    assert first.relabelling is not None
    second = summarize(mixture(num_components=12, num_draws=200), pivot=first.relabelling.pivot)
    for text in (rendered(summary_table(first)), rendered(comparison_table(first, second))):
        lines = text.splitlines()
        assert max(map(len, lines)) <= 100
        assert "beta[11, 1]" in text
        assert "…" not in text
    short = rendered(comparison_table(first, second, names=("old", "new"), max_rows=5))
    assert "The worst 5 of 36 scalars." in short
    assert "old" in short
    assert len(short.splitlines()) < 16


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_name_is_whole_at_every_width(width):
    name = "hierarchical_intercept_of_the_third_group"
    one = summarize(to_datatree({"posterior": {name: np.random.default_rng(0).normal(size=(4, 400))}}, {}))
    for whole in (summary_table(one), comparison_table(one, one)):
        screen = Console(file=io.StringIO(), width=width, highlight=False)
        console.table(screen, whole)
        lines = screen.file.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        start = next(i for i, line in enumerate(lines) if "hierarchical" in line)
        assert "".join(line.split()[0] for line in lines[start : start + 2] if line.strip()) == name
        if width == 120:
            assert name in lines[start]
