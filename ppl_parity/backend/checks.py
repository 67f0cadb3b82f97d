"""What every backend checks of the values it is given, and how it reports what a user's model raised."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Site, Values
from ppl_parity.backend.lines import innermost, other_framework, own_line, site_at_work
from ppl_parity.errors import InputError, ModelError, nearest
from ppl_parity.spec import PRECISIONS, MixtureSpec, SamplerSettings


def check_model(side: str, model: object, data: object) -> None:
    """Refuse what is no model, or no data for one; a framework would say it in words of its own."""
    if not callable(model):
        raise InputError(f"{side}: a model must be a function; got {type(model).__name__}.")
    if isinstance(model, type):
        raise InputError(
            f"{side}: a model must be a function, or an instance that can be called; got the class {model.__name__}: "
            f"make one, {model.__name__}()."
        )
    if type(model).__name__ == "PjitFunction":
        raise InputError(
            f"{side}: a model must be the function itself, and not what jax.jit made of it, where no handler sees its "
            "sites: leave the decorator out. It is compiled here."
        )
    if not (isinstance(data, Mapping) and all(isinstance(name, str) for name in data)):
        raise InputError(
            f"{side}: data must be a mapping from the names of the model's arguments to their values; got "
            f"{type(data).__name__ if not isinstance(data, Mapping) else f'the keys {list(data)}'}."
        )


def check_settings(side: str, settings: object) -> None:
    """Refuse settings that nothing has validated."""
    if not isinstance(settings, SamplerSettings):
        raise InputError(
            f"{side}: settings must be a SamplerSettings, of ppl_parity.spec; got {type(settings).__name__}."
        )


def check_spec(side: str, spec: object) -> None:
    """Refuse hyperparameters that nothing has validated."""
    if not isinstance(spec, MixtureSpec):
        raise InputError(
            f"{side}: the mixture's spec must be a MixtureSpec, of ppl_parity.spec; got {type(spec).__name__}."
        )


def check_values(
    side: str,
    values: Values,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    required: Collection[str],
    batch_ndim: int = 0,
) -> None:
    """Refuse missing or unknown sites, and shapes that a framework would broadcast in silence.

    Args:
        shapes: site -> the shape of its value.
        required: the sites that must be there.
        batch_ndim: leading axes of ``values`` before a site's own shape.
    """
    for name in required:
        if name not in values:
            raise InputError(f"{side}: a value for the site {name!r} is needed; got {sorted(values)}.")
    for name, value in values.items():
        if name not in shapes:
            hint = nearest(name, list(shapes))
            raise InputError(f"{side}: the model has no latent site {name!r}; it has {sorted(shapes)}.{hint}")
        got = np.shape(value)[batch_ndim:]
        if got != tuple(shapes[name]):
            raise InputError(
                f"{side}: the site {name!r} has shape {tuple(shapes[name])}; got a value of shape {got}."
            )


def check_params(side: str, params: Sequence[Values], learned: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse values of what is no param, which a framework would take no notice of, and values of another shape.

    Args:
        params: settings, of the same names each.
        learned: param -> its shape.
    """
    for name, value in ((name, value) for values in params for name, value in values.items()):
        if name not in learned:
            raise InputError(
                f"{side}: a param must be one of {', '.join(learned) or 'none'}; got {name!r}."
                f"{nearest(name, [*learned])}"
            )
        if np.shape(value) != tuple(learned[name]):
            raise InputError(
                f"{side}: the param {name!r} must have shape {tuple(learned[name])}; got {np.shape(value)}."
            )


def check_computed(
    side: str,
    computed: Collection[str],
    deterministic: Collection[str],
    by: Collection[str],
    continuous: Collection[str],
) -> None:
    """Refuse a derivative of what the model does not compute, or by what it does not draw from a density."""
    for names, known, what in (
        (computed, deterministic, "deterministic"),
        (by, continuous, "continuous latent"),
    ):
        for name in names:
            if name not in known:
                hint = nearest(name, list(known))
                raise InputError(
                    f"{side}: the model has no {what} site {name!r}; it has {sorted(known)}.{hint}"
                )


def mixture_data(side: str, spec: MixtureSpec, data: Mapping[str, Any]) -> dict[str, Any]:
    """The mixture's arguments; an x of whole numbers is one of floating-point numbers, like any other."""
    x = data.get("x")
    if x is None:
        return dict(data)
    check_rows(side, spec, x)
    whole = isinstance(x, np.ndarray) and x.dtype.kind in "iub"
    return {**data, "x": x.astype(np.float64) if whole else x}


def check_rows(side: str, spec: MixtureSpec, x: Any) -> None:
    """Refuse an x without the mixture's columns: a framework would broadcast it, and a kernel read beyond it."""
    shape = tuple(np.shape(x))
    if shape[1:] != (spec.dim,):
        raise InputError(
            f"{side}: the mixture's x must have shape (N, D), with D = {spec.dim}, the dim of its spec; got shape "
            f"{shape}."
        )


def check_draws(side: str, spec: MixtureSpec, theta: Any, beta: Any, x: Any) -> None:
    """Refuse draws of theta (S, K) and beta (S, K, D), or rows x (N, D), that are not of the spec."""
    check_rows(side, spec, x)
    K, D, weights, means = spec.num_components, spec.dim, tuple(np.shape(theta)), tuple(np.shape(beta))
    if weights[1:] != (K,) or means != (*weights, D):
        raise InputError(
            f"{side}: theta must have shape (S, K) and beta (S, K, D), of as many draws S, with K = {K} and D = {D}, "
            f"those of the spec; got shapes {weights} and {means}."
        )


def check_pass(log_theta: Any, beta: Any, x: Any, *, chains: bool = False) -> None:
    """Refuse what a kernel, which knows addresses alone, would read or write beyond.

    Args:
        log_theta, beta, x: (K,), (K, D) and (N, D), arrays of any framework.
        chains: whether the first two have one more axis, of C chains, in front.
    """
    given = {"log_theta": log_theta, "beta": beta, "x": x}
    weights, means, rows = (tuple(array.shape) for array in given.values())
    if len(means) != 2 + chains or weights != means[:-1] or rows[1:] != means[-1:]:
        C = "C, " if chains else ""
        raise InputError(
            f"The kernel takes log_theta ({C}K{'' if chains else ','}), beta ({C}K, D) and x (N, D); got "
            f"{weights}, {means} and {rows}."
        )
    for name, array in given.items():
        dtype = str(array.dtype).removeprefix("torch.")
        if dtype not in PRECISIONS:
            raise InputError(f"{name} must be float32 or float64; got {dtype}.")


@contextmanager
def explain(side: str, what: str) -> Iterator[None]:
    """Turn what a user's model raises into one sentence that names the side and the line; ours pass as they are."""
    try:
        yield
    except ModelError as error:  # from within the model, where a handler of ours saw no line of the user's
        raise error.original().at(own_line(error)) from error.original().__cause__
    except InputError:
        raise
    except Exception as error:
        reason = _reason(str(error).strip() or _without_message(error))
        site = site_at_work(error)
        place = own_line(error) or (f"the site {site!r}" if site else None)
        raise ModelError(
            side, what, f"{type(error).__name__}: {reason}{_clash(reason)}{_left_over(side, error)}", place
        ) from error


def _reason(message: str) -> str:
    """The first line, and the one that it announces: of what a loop of JAX must carry on unchanged, the types."""
    first, *others = message.splitlines()
    named = next((line for line in others if " has type " in line), None) if "differ" in first else None
    if named is None and first.endswith(":") and others and others[0].count("(") == others[0].count(")"):
        named = others[0].strip()
    return first if named is None else f"{first.rstrip(':.')}: {named}"


def _without_message(error: BaseException) -> str:
    """Of a bare assertion of a library's, what it asserts."""
    statement = innermost(error)
    return f"no message, from `{statement}`" if statement else "no message"


def _left_over(side: str, error: BaseException) -> str:
    """What to do where a model called the framework that it was ported from; empty where it did not."""
    other = other_framework(side, error)
    if other is None:
        return ""
    return (
        f" (raised by a library of {other}, which a model of {side} does not call: is it the other side's model, or "
        "was a statement left as it was?)"
    )


def _clash(reason: str) -> str:
    """What to do where arrays of two kinds met that a framework does not mix; empty where none did."""
    if "bool tensor" in reason:
        return " (booleans met numbers: let data() give this side 0.0 and 1.0)"
    if "Abstract tracer value" in reason:
        return (
            " (while JAX compiles, a draw has no value: write jnp.where for an if, and a mask for a length)"
        )
    words = set(re.findall(r"\w+", reason))  # as the frameworks spell them: "long" and "float" are words, too
    narrow, wide = words & {"Float", "FloatTensor", "float32", "f32"}, words & {"Double", "float64", "f64"}
    of_torch = bool(words & {"Float", "FloatTensor"} or re.search(r"float != double|double != float", reason))
    if (narrow and wide) or (of_torch and not words & {"Long", "LongTensor"}):
        other = "; for .float() write .to(torch.get_default_dtype())" if of_torch else ""
        return (
            " (float32 met float64, in which models are compared: drop the dtype that makes a constant of the model "
            f"float32, or convert it{other})"
        )
    if {"int32", "int64"} <= words:
        return (
            " (models are compared in float64, where whole numbers are int64: drop the dtype that makes one int32, or "
            "write dtype=int)"
        )
    if words & {"Long", "LongTensor", "int64", "i64"} and narrow | wide:
        return " (integers met floats: let data() give this side floats there, or convert them in the model)"
    return ""


def refuse_varying(
    side: str, first: Mapping[str, tuple[int, ...]], second: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a model whose sites, or their shapes, change from run to run.

    Args:
        side: which side's model it is.
        first, second: site -> shape, of two runs.

    Raises:
        InputError: they are not the same.
    """
    what_to_do = (
        "A model must draw the same sites, of the same shapes, in every run: draw as many as there can be, and "
        "mask those that are not used."
    )
    for name in sorted(set(first) ^ set(second)):
        raise InputError(f"{side}: the site {name!r} is drawn in one run and not in the next. {what_to_do}")
    for name, shape in first.items():
        if second[name] != shape:
            raise InputError(
                f"{side}: the site {name!r} has shape {shape} in one run and {second[name]} in the next. "
                f"{what_to_do}"
            )


def refuse_subsampling(
    side: str,
    sites: Iterable[Site],
    doing: str = "while it is checked",
    cure: str = ", and let data() give None for it",
    held: Collection[str] = (),
) -> None:
    """Refuse a plate that takes some of its rows: each side would draw its own, and neither gives it a potential.

    Args:
        side: which side's model it is.
        sites: of the model.
        doing, cure: when that is refused, and what is then to be done.
        held: plates that take the same rows in every run.

    Raises:
        InputError: naming the plate.
    """
    for plate in (plate for site in sites for plate in site.plates):
        if plate.subsample_size < plate.size and plate.name not in held:
            raise InputError(
                f"{side}: a plate must take all of its rows {doing}; {plate.name!r} takes "
                f"{plate.subsample_size} of {plate.size} at random. Make subsample_size an argument of the "
                f"model{cure}."
            )
