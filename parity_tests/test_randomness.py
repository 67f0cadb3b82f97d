"""Random bits of the native library: JAX's own numbers, wherever a sampler may ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.native_cases import needs_kernel

pytestmark = needs_kernel

SIZES = (1, 3, 4, 31, 32, 33, 100)  # around what the library makes at once


def words(keys: Any) -> Any:
    from numpyro_impl.randomness import to_words

    return to_words(keys)


def demands() -> dict[str, Callable[[Any], Any]]:
    import jax
    import jax.numpy as jnp

    random = jax.random
    found: dict[str, Callable[[Any], Any]] = {
        f"{size} of {width} bits": lambda key, size=size, width=width: random.bits(
            key, (size,), f"uint{width}"
        )
        for size in SIZES
        for width in (8, 16, 32, 64)
    }
    return found | {
        "one of 64 bits": lambda key: random.bits(key, (), "uint64"),
        "none": lambda key: random.bits(key, (0,), "uint32"),
        "split": lambda key: words(random.split(key, (3, 2))),
        "fold in": lambda key: words(random.fold_in(key, 2**32 - 1)),
        "normal": lambda key: random.normal(key, (5, 3)),
        "bernoulli": lambda key: random.bernoulli(key, 0.3, (100,)),
        "categorical": lambda key: random.categorical(key, jnp.zeros(4), shape=(9,)),
        "permutation": lambda key: random.permutation(key, 10),
        "a batch": lambda key: jax.vmap(lambda one: random.normal(one, (3,)))(random.split(key, 4)),
        "a batch of batches": lambda key: jax.vmap(jax.vmap(lambda one: words(random.split(one))))(
            random.split(key, (4, 2))
        ),
        "a batch of numbers": lambda key: jax.vmap(lambda i: words(random.fold_in(key, i)))(jnp.arange(5)),
        "a loop": lambda key: jax.lax.map(lambda one: random.uniform(one, (2,)), random.split(key, 3)),
    }


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_numbers_are_those_of_jax(precision: str) -> None:
    import jax

    from numpyro_impl.randomness import fast_key
    from numpyro_impl.runtime import seed_to_rng, session

    asked = {name: ask for name, ask in demands().items() if precision == "float64" or "64" not in name}
    every = jax.jit(lambda key: {name: ask(key) for name, ask in asked.items()})
    with session(precision):
        for seed in (0, 2**32 - 1):
            own, theirs = fast_key(seed, "cpu"), seed_to_rng(seed)
            assert own.dtype != theirs.dtype
            expected = every(theirs)
            for name, got in every(own).items():
                assert got.dtype == expected[name].dtype, name
                assert np.array_equal(got, expected[name]), name


def test_it_is_the_library_that_makes_them() -> None:
    import jax

    from numpyro_impl.randomness import fast_key

    text = jax.jit(lambda: jax.random.normal(fast_key(0, "cpu"), (3,))).lower().as_text()
    assert "@ppl_parity_random_bits(" in text
    assert "threefry" not in text


def test_elsewhere_they_are_made_by_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    from numpyro_impl import randomness

    def is_typed(device: str = "cpu") -> bool:
        return jax.dtypes.issubdtype(randomness.fast_key(0, device).dtype, jax.dtypes.prng_key)

    assert is_typed()
    assert not is_typed("gpu")
    with jax.threefry_partitionable(False):  # whose numbers are others
        assert not is_typed()
    monkeypatch.setattr(randomness.cpu, "is_native", lambda: False)
    assert not is_typed()


@pytest.mark.long
def test_a_long_run_has_the_draws_of_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpyro_impl
    from numpyro_impl import nuts
    from ppl_parity.spec import MixtureSpec, SamplerSettings

    spec, x = MixtureSpec(2, 2), np.random.default_rng(0).standard_normal((20, 2))
    settings = SamplerSettings(num_draws=20, num_warmup=20, num_chains=2, seed=3, init="prior")
    betas = []
    for long in (nuts.LONG, 39):
        monkeypatch.setattr(nuts, "LONG", long)
        model = numpyro_impl.mixture(spec, "fused")  # a new one: nothing compiled is found again
        groups, _ = numpyro_impl.sample_posterior(model, {"x": x}, settings)
        betas.append(groups["posterior"]["beta"])
    np.testing.assert_allclose(betas[0], betas[1], rtol=1e-6)


def test_a_key_crosses_as_words() -> None:
    import jax

    from numpyro_impl.randomness import fast_key, from_words, to_words
    from numpyro_impl.runtime import seed_to_rng

    for key in (fast_key(7, "cpu"), seed_to_rng(7)):
        back = from_words(to_words(key), key)
        assert to_words(key).dtype == np.uint32
        assert back.dtype == key.dtype
        assert np.array_equal(jax.random.bits(back), jax.random.bits(key))
