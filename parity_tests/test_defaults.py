"""Constants of a user's file: made in the precision of the check in either process, and nothing stays set."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

import jax
import torch

from parity_tests.files import write
from ppl_parity import check
from ppl_parity.checking import check_file
from ppl_parity.errors import InputError
from ppl_parity.process.defaults import X64, default_precision
from ppl_parity.process.references import FileReference
from ppl_parity.process.sides import Side
from ppl_parity.spec import SamplerSettings

pytestmark = pytest.mark.pyro

CONSTANTS = """
import numpy as np, torch, jax.numpy as jnp
torch.manual_seed(0)
W = torch.randn(40)
net = torch.nn.Linear(40, 1)
T = jnp.linspace(0.0, 0.3, 40)
"""

PAIR = """
from constants import *
import pyro, pyro.distributions as pd, numpyro, numpyro.distributions as nd
PRIOR = pd.Normal(0.0, 1.0).expand([40]).to_event(1)

def pyro_model(x, y):
    w = pyro.sample("w", PRIOR)
    pyro.sample("y", pd.Normal(net(x + w + W + torch.tensor(np.asarray(T)))[0], 1.0), obs=y)

def numpyro_model(x, y):
    w = numpyro.sample("w", nd.Normal(0.0, 1.0).expand([40]).to_event(1))
    A, b = (jnp.asarray(p.detach().numpy()) for p in (net.weight, net.bias))
    numpyro.sample("y", nd.Normal((A @ (x + w + jnp.asarray(W.numpy()) + T) + b)[0], 1.0), obs=y)

def data():
    return {"x": (W + torch.ones(40)).numpy(), "y": np.array(0.3)}
"""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    write(tmp_path / "constants.py", CONSTANTS)
    return write(tmp_path / "pair.py", PAIR)


def test_constants_of_a_file_are_made_in_float64_and_alike_on_both_sides(
    sides: dict[str, Side], pair: Path
) -> None:
    report = check_file(str(pair), level="quick", sides=sides)
    assert report.verdict == "same"
    assert not [f.detail for rung in report.rungs for f in rung.findings if "float32" in f.detail]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_fit_makes_them_in_its_own_precision_in_every_process(
    pair: Path, precision: str, sides: dict[str, Side]
) -> None:
    """One side makes both fits, and its chains' processes, which import the constants themselves, serve again."""
    settings = SamplerSettings(
        num_draws=8, num_warmup=8, num_chains=2, init="prior", precision=precision, chain_method="parallel"
    )
    data = {"x": np.ones(40), "y": np.array(0.3)}
    groups, _ = sides["pyro"].sample_posterior(FileReference(str(pair), "pyro_model"), data, settings)
    assert groups["posterior"]["w"].dtype == precision


@pytest.mark.parametrize("how", ["product", "layer"])
def test_a_clash_of_precisions_is_told_with_what_to_do(how: str, sides: dict[str, Side]) -> None:
    def model(y):
        import pyro
        import pyro.distributions as dist

        w = pyro.sample("w", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        loc = (
            w @ torch.ones(3, dtype=torch.float32)
            if how == "product"
            else torch.nn.Linear(3, 1)(w.float())[0]
        )
        pyro.sample("y", dist.Normal(loc, 1.0), obs=y)

    told = r"test_defaults.py:\d+: RuntimeError: .*\(float32 met float64, .*\.to\(torch.get_default_dtype\(\)\)\)$"
    with pytest.raises(InputError, match=told):
        check(model, model, {"y": np.array(0.3)}, level="quick", sides=sides)


def test_a_carry_of_narrow_integers_is_told_with_what_to_do(sides: dict[str, Side]) -> None:
    """JAX names the types in its third line; the first says only that they differ."""

    def original(y):
        import pyro
        import pyro.distributions as dist

        pyro.sample("y", dist.Normal(pyro.sample("a", dist.Normal(0.0, 1.0)), 1.0), obs=y)

    def port(y):
        import numpyro
        import numpyro.distributions as dist

        a = numpyro.sample("a", dist.Normal(0.0, 1.0))
        jax.lax.scan(
            lambda n, _: (jax.numpy.arange(2)[n], None), jax.numpy.array(1, dtype="int32"), jax.numpy.ones(3)
        )
        numpyro.sample("y", dist.Normal(a, 1.0), obs=y)

    with pytest.raises(
        InputError, match=r"has type int32\[\] but .* int64\[\].*\(models are .* or write dtype=int\)$"
    ):
        check(original, port, {"y": np.array(0.3)}, level="quick", sides=sides)


@pytest.mark.long
@pytest.mark.parametrize("enumerated", [False, True])
def test_a_scan_carries_what_numpyro_s_examples_begin_with(enumerated: bool, sides: dict[str, Side]) -> None:
    """``jnp.zeros(N, dtype=jnp.int32)``, before draws that are int64 where models are compared in float64."""

    def original(y):
        import pyro
        import pyro.distributions as dist
        import torch

        p = pyro.sample("p", dist.Beta(2.0, 2.0))
        z: Any = torch.tensor(0)
        for t in pyro.markov(range(len(y))):
            how = {"enumerate": "parallel"} if enumerated else {}
            z = pyro.sample(f"z_{t}", dist.Categorical(torch.stack([p, 1 - p], -1)), infer=how)
            pyro.sample(f"y_{t}", dist.Normal(z.to(y.dtype), 1.0), obs=y[t])

    def port(y):
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist
        from numpyro.contrib.control_flow import scan

        p = numpyro.sample("p", dist.Beta(2.0, 2.0))

        def step(z, seen):
            how = {"enumerate": "parallel"} if enumerated else {}
            z = numpyro.sample("z", dist.Categorical(jnp.stack([p, 1 - p], -1)), infer=how)
            numpyro.sample("y", dist.Normal(z, 1.0), obs=seen)
            return z, None

        scan(step, jnp.array(0, dtype=jnp.int32), y)

    data = {"y": np.array([0.3, 1.2, -0.4])}
    assert check(original, port, data, level="quick", sides=sides).verdict == "same"


def test_what_was_set_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_default_dtype(), jax.config.read("jax_enable_x64")
    for precision in ("float64", "float32"):
        with suppress(ZeroDivisionError), default_precision(precision):
            made = str(torch.zeros(1).dtype), str(jax.numpy.zeros(1).dtype)
            raise ZeroDivisionError
        assert made == (f"torch.{precision}", precision)
        assert (torch.get_default_dtype(), jax.config.read("jax_enable_x64")) == before
    monkeypatch.delitem(sys.modules, "jax")
    monkeypatch.setenv(X64, "0")
    finders = list(sys.meta_path)
    with default_precision("float64"):
        assert os.environ[X64] == "1"
    assert os.environ[X64] == "0"
    assert sys.meta_path == finders
