"""A frozen side keeps its guide, and the rows and initial values that its runs would draw anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.pairs.guides import fairness, latent_factors, mean_field_regression
from parity_tests.written import libraries, told
from ppl_parity import check
from ppl_parity.errors import InputError
from ppl_parity.frozen.file import Frozen, load_frozen
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.freezing import told as in_words
from ppl_parity.pair.loading import load_pair
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


def frozen(path: str, sides: dict[str, Side], file: Path) -> Frozen:
    """The Pyro side of a pair file, as it is read again."""
    pair = load_pair(path, {"pyro": sides["pyro"]})
    freeze(pair, "pyro", sides["pyro"], settings=None).save(file)
    return load_frozen(file)


def against(file: Path, pair: Any, sides: dict[str, Side], guide: Any = None, **options: Any) -> Any:
    guides = {"numpyro": pair.numpyro_guide if guide is None else guide}
    return check(file, pair.numpyro_model, pair.data(), guides=guides, sides=sides, level="quick", **options)


@pytest.mark.long
@pytest.mark.parametrize("pair", [latent_factors, mean_field_regression])
def test_a_guide_is_held_to_its_file(pair: Any, sides: dict[str, Side], tmp_path: Path) -> None:
    kept = frozen(pair.__file__, sides, tmp_path / "f.npz")
    assert kept.guide is not None
    assert in_words(kept)["Guide"].endswith("at 24 points, 2,000 estimates of the bound")
    report = against(tmp_path / "f.npz", pair, sides)
    assert report.verdict == "same"
    assert any("at 6 other values the log densities agree" in each.detail for each in told(report, "guide"))


@pytest.mark.long
def test_the_bound_is_held_to_its_file(sides: dict[str, Side], tmp_path: Path) -> None:
    file = tmp_path / "f.npz"
    kept = frozen(fairness.__file__, sides, file)
    assert kept.guide is not None
    (key,) = (key for key in kept.guide.answers if key.startswith("elbo "))
    assert kept.guide.answers[key]["bounds"].shape == (3, 2000)
    assert set(kept.guide.answers[key]["gradients"]) == {"a", "b"}

    def detached(heads):
        numpyro, dist = libraries("numpyro")
        import jax

        a = numpyro.param("a", 15.0, constraint=dist.constraints.positive)
        b = numpyro.param("b", 12.0, constraint=dist.constraints.positive)
        numpyro.sample("fairness", dist.Beta(jax.lax.stop_gradient(a), b))

    def checked(guide: Any) -> Any:
        guides = {"numpyro": guide}
        rungs = ("density", "guide", "elbo")
        model = fairness.numpyro_model
        return check(file, model, fairness.data(), guides=guides, sides=sides, rungs=rungs, margin=0.2)

    assert checked(fairness.numpyro_guide).verdict == "same"
    first = checked(detached).first_difference
    assert (first["rung"], first["site"]) == ("elbo", "a")

    del kept.guide.answers[key]  # as in a file of before
    kept.save(file)
    with pytest.raises(InputError, match="elbo: it holds no estimates of the bound"):
        checked(fairness.numpyro_guide)


@pytest.mark.long
def test_a_wrong_guide_differs_from_the_file(sides: dict[str, Side], tmp_path: Path) -> None:
    frozen(fairness.__file__, sides, tmp_path / "f.npz")

    def exchanged(heads):
        numpyro, dist = libraries("numpyro")
        a = numpyro.param("a", 15.0, constraint=dist.constraints.positive)
        b = numpyro.param("b", 12.0, constraint=dist.constraints.positive)
        numpyro.sample("fairness", dist.Beta(b, a))

    first = against(tmp_path / "f.npz", fairness, sides, exchanged).first_difference
    assert (first["rung"], first["site"]) == ("guide", "fairness")
    assert "have changed places" in first["hint"]


@pytest.mark.long
def test_what_one_side_lacks_of_guides_is_told(sides: dict[str, Side], tmp_path: Path) -> None:
    frozen(fairness.__file__, sides, tmp_path / "f.npz")
    data: Any = fairness.data()
    without = check(tmp_path / "f.npz", fairness.numpyro_model, data, level="quick", sides=sides)
    assert without.verdict == "same"
    assert any("holds a guide, too" in each.detail for each in told(without, "structure"))
    with pytest.raises(InputError, match=r"guides must be \{'numpyro': function\}; got \['pyro'\]"):
        check(
            tmp_path / "f.npz",
            fairness.numpyro_model,
            data,
            guides={"pyro": fairness.pyro_guide},
            sides=sides,
        )
    plain = Path(__file__).parent / "pairs" / "linear_regression.py"
    file = tmp_path / "plain.npz"
    frozen(str(plain), sides, file)
    from parity_tests.pairs import linear_regression

    with pytest.raises(InputError, match="guide: it holds no guide"):
        check(
            file,
            linear_regression.numpyro_model,
            linear_regression.data(),
            guides={"numpyro": fairness.numpyro_guide},
            rungs=("density", "guide"),
            sides=sides,
        )


@pytest.mark.long
def test_a_library_s_own_guide_is_kept_by_its_kind(sides: dict[str, Side], tmp_path: Path) -> None:
    from numpyro.infer.autoguide import AutoDelta, AutoNormal

    path = tmp_path / "made.py"
    text = Path(fairness.__file__).read_text().partition("def pyro_guide")[0]
    path.write_text(
        f"{text}\nfrom pyro.infer.autoguide import AutoNormal\n"
        "pyro_guide = AutoNormal(pyro_model)\n\n"
        f"def data():\n    return {{'heads': np.array({list(fairness.data()['heads'])})}}\n"
    )
    kept = frozen(str(path), sides, tmp_path / "f.npz")
    assert (kept.guide, kept.automatic) == (
        None,
        {"family": "AutoNormal", "sites": ("fairness",), "scale": 0.1},
    )
    model = fairness.numpyro_model
    assert against(tmp_path / "f.npz", fairness, sides, AutoNormal(model)).verdict == "same"
    first = against(tmp_path / "f.npz", fairness, sides, AutoDelta(model)).first_difference
    assert "AutoNormal in pyro and AutoDelta in numpyro" in first["detail"]


@pytest.mark.long
def test_the_rows_that_a_plate_took_are_in_the_file(sides: dict[str, Side], tmp_path: Path) -> None:
    kept = frozen(latent_factors.__file__, sides, tmp_path / "f.npz")
    assert kept.held["N"].shape == (8,)
    assert len(np.unique(kept.held["N"])) == 8
    assert "there is no posterior" in kept.posterior_refused
