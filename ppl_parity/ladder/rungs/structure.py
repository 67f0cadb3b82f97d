"""Rung 1: do both models have the same sites, shapes, supports, plates, observed values and dtypes?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.findings import Finding, Verdict
from ppl_parity.ladder.changes.change import compared_in_full, no_change
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.observed import observed
from ppl_parity.ladder.exact.params import told_of_params, told_of_plates
from ppl_parity.ladder.exact.renaming import advised_transpose, has_one_prior, proposed_rename
from ppl_parity.ladder.exact.supports import supports_differ
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.stacked_side import StackedProgram

NAME = "structure"
OBSERVED = "observed values"


def run(context: Context) -> Iterator[Finding]:
    """Compare the sites, by name and in any order."""
    for side in SIDES:
        for statement in context.programs[side].foreign_statements():
            other = SIDES[1 - SIDES.index(side)]
            yield Finding(
                "different",
                "statement",
                f"The {side} model calls {statement}, which belongs to {other} and does nothing there.",
                site=statement.partition("'")[2].rstrip("')") or None,
                hint=f"write {side}.{statement.partition('.')[2].partition('(')[0]} in its place",
            )
    yield from told_of_params(context)
    yield from told_of_plates(context)
    yield from _stacks(context)
    pyro, numpyro = (context.sites[side] for side in SIDES)
    for name in list(pyro) + [name for name in numpyro if name not in pyro]:
        if name in pyro and name in numpyro:
            yield from _compare(name, pyro[name], numpyro[name], context)
        else:
            yield from _one_sided(name, "pyro" if name in pyro else "numpyro", context)
    if not any(site.kind in ("observed", "factor") for found in (pyro, numpyro) for site in found.values()):
        yield Finding(
            "same",
            OBSERVED,
            "Nothing is observed in either model: only their priors are compared.",
            notable=True,
            hint="an argument of the data that is missing, so that obs is None",
        )
    shared = len(context.shared)
    yield Finding("same", "sites", f"{shared} latent {'site is' if shared == 1 else 'sites are'} shared.")


def _stacks(context: Context) -> Iterator[Finding]:
    for side in SIDES:
        program = context.programs[side]
        collected = program.collected() if isinstance(program, StackedProgram) else {}
        for stack in context.stacks.get(side, ()):
            (name,) = context.pair.from_side(side, {stack.name: None})
            if not collected.get(stack.name, True):
                yield Finding(
                    "different",
                    "deterministic",
                    f"{stack.name!r} is a deterministic site of {side} beside its steps ({stack}), and not these put "
                    f"together; the {stack.name!r} of the other side is.",
                    site=name,
                    hint="steps in another order or unit, or another name for what is computed of them",
                )
            other = SIDES[1 - SIDES.index(side)]
            yield Finding(
                "same",
                "stack",
                f"{stack} of {side} ({len(stack.members)}) are compared as the steps of {stack.name!r} in {other}.",
                site=name,
                notable=True,
            )


def _one_sided(name: str, side: str, context: Context) -> Iterator[Finding]:
    site = context.sites[side][name]
    other = SIDES[1 - SIDES.index(side)]
    if site.kind == "deterministic":
        yield Finding(
            "same",
            "site",
            f"The deterministic site {name!r} is in {side} only, so it is not compared.",
            site=name,
            hint="give rename where the port calls it otherwise",
            notable=True,
        )
    elif site.enumerated:
        yield Finding(
            "same",
            "site",
            f"The site {name!r} is in {side} only, which sums over it; the enumerated densities decide.",
            site=name,
            notable=True,
        )
    elif site.kind == "latent" and (change := compared_in_full(context)):
        yield Finding(
            "same",
            "site",
            f"The latent site {name!r} is in {side} only: {change.told()}, and the density rung changes variables.",
            site=name,
        )
    elif site.kind == "latent":
        yield Finding(
            "unresolved",
            "site",
            f"The latent site {name!r} is in {side} only; the pair is judged on the sites that are shared.",
            site=name,
            hint=_of_own(context, name),
            deferred=True,
        )
    elif context.reparameterised and not compared_in_full(context):
        found = _not_compared(name, f"The {site.kind} site {name!r} is in {side} and not in {other}")
        whole = name.removesuffix("_observed")
        if whole != name and f"{whole}_unobserved" in context.sites[side] and whole in context.sites[other]:
            found = replace(
                found, hint=f"obs_mask of {whole!r} in {side} only: the other side observes every row"
            )
        yield found
    else:
        yield Finding(
            "same",
            "site",
            f"The {site.kind} site {name!r} is in {side} and not in {other}; the density decides.",
            site=name,
            notable=True,
        )


def _of_own(context: Context, name: str) -> str:
    """What a latent site of one side alone may be, and what would let it be compared."""
    why = no_change(context)
    told = f"a re-parameterisation: {why.reason}" if why is not None and why.far < 9 else None
    if told is not None and why is not None and why.hint:
        told = f"{told}; {why.hint}"
    renamed = proposed_rename(context, name)
    if renamed is None:
        return (
            f"{told or 'a re-parameterisation'}. Or a renamed site (give rename), or one that the port lost"
        )
    if told is None:
        return renamed
    likely = (renamed, told) if has_one_prior(context, name) else (told, renamed)
    return ". Or ".join(likely)


def _not_compared(name: str, what: str) -> Finding:
    """A term of the likelihood that no rung would see: the density needs the same latent sites, and draws may not
    depend on it, or on sites of one side alone."""
    return Finding(
        "unresolved",
        "site",
        f"{what}, and the latent sites differ, so its log prob is compared nowhere.",
        site=name,
        hint="give rename, or write it as the same observed site in both",
    )


def _factor_unseen(context: Context) -> str:
    """Why a factor of other latent sites is not even compared by how it scatters; empty where it is."""
    if context.frozen:
        return f", of which {context.frozen}'s file knows nothing at its own draws"
    for side in SIDES:
        for site, described in context.sites[side].items():
            if described.kind == "latent" and is_discrete(described):
                return f" beside {site!r}, which is discrete in {side}"
    if context.rungs and "posterior" not in context.rungs:
        return ", which posterior draws alone would show (--rungs posterior)"
    return ""


def _compare(name: str, a: Site, b: Site, context: Context) -> Iterator[Finding]:
    both = {"pyro": a, "numpyro": b}

    def finding(
        verdict: Verdict, quantity: str, left: object, right: object, hint: str | None = None
    ) -> Finding:
        are = "are" if quantity.startswith("sizes") else "is"
        return Finding(
            verdict,
            quantity,
            f"The {quantity} of {name!r} {are} {left} in pyro and {right} in numpyro.",
            site=name,
            hint=hint,
            notable=verdict == "same",
        )

    change = compared_in_full(context)
    if {a.kind, b.kind} == {"latent", "deterministic"}:
        why = no_change(context)
        hint = "a re-parameterisation: one side computes the site"
        if why is not None and not change:
            hint = f"a re-parameterisation that was not followed: {why.reason}" + (
                f"; {why.hint}" if why.hint else ""
            )
        told = finding("unresolved", "kind", a.kind, b.kind, hint)
        shapes = [np.shape(np.asarray(site.value)) for site in (a, b)]
        if shapes[0] != shapes[1]:
            shaped = f"its shape is {shapes[0]} in pyro and {shapes[1]} in numpyro"
            told = replace(told, hint=f"{told.hint}, or another quantity of that name: {shaped}")
        yield replace(told, verdict="same") if change else replace(told, deferred=True)
        return
    apart = context.reparameterised and not change
    if a.kind != b.kind and "latent" not in (a.kind, b.kind) and apart:
        yield _not_compared(name, f"The kind of {name!r} is {a.kind} in pyro and {b.kind} in numpyro")
        return
    if a.kind != b.kind:
        verdict = "different" if "latent" in (a.kind, b.kind) else "same"
        hint = "an observation was forgotten on one side" if verdict == "different" else None
        yield finding(verdict, "kind", a.kind, b.kind, hint)
        return
    if a.kind == "factor" and apart and (reason := _factor_unseen(context)):
        yield replace(
            _not_compared(name, f"{name!r} is a factor{reason}"),
            hint="write it as an observed site, whose replicates are compared",
        )
    elif a.kind == "factor" and apart:
        yield Finding(
            "same",
            "factor",
            f"The latent sites differ, so the factor {name!r} is compared by how its posterior draws scatter, and not "
            "number by number: what leaves that as it is would not be seen.",
            site=name,
            hint="write it as an observed site, whose log probs are compared row by row",
            notable=True,
        )
    if a.kind == "deterministic":
        return
    shapes = {side: np.shape(np.asarray(site.value)) for side, site in both.items()}
    if a.kind != "factor" and shapes["pyro"] != shapes["numpyro"]:
        yield finding("different", "shape", shapes["pyro"], shapes["numpyro"], _shape_hint(context, a, b))
        return
    if (before := context.shapes.get(name)) is not None:
        told = finding("same", "shape", before["pyro"], before["numpyro"])
        shape = f"{before['numpyro']} in numpyro"
        yield replace(told, detail=told.detail.replace(shape, f"{shape}: {_otherwise(context, a, b)}"))
    apart = supports_differ(context, name, a, b) if a.kind == "latent" else None
    if apart is not None and apart[2]:
        told = finding("unresolved", "support", *apart[:2], "its bounds move with other sites")
        yield replace(told, deferred=True)
    elif apart is not None:
        yield finding("different", "support", *apart[:2], _support_hint(a, b))
    elif a.support != b.support and a.kind == "observed":
        yield finding("same", "support", a.support, b.support)
    if a.kind == "observed":
        yield from observed(context, name, a, b)
    if (a.batch_shape, a.event_shape) != (b.batch_shape, b.event_shape) and a.kind != "factor":
        left, right = (f"batch {s.batch_shape} event {s.event_shape}" for s in (a, b))
        yield finding("same", "split into batch and event", left, right)
    stacked = {stack.name for found in context.stacks.values() for stack in found}
    plates = [sorted((p.size, p.subsample_size) for p in site.plates) for site in (a, b)]
    if plates[0] != plates[1] and not {a.name, b.name} & stacked:
        yield finding("same", "sizes of the plates", plates[0], plates[1])
    if a.enumerated != b.enumerated:
        left, right = ("summed out" if site.enumerated else "not" for site in (a, b))
        yield finding("same", "enumeration", left, right)
    if a.dtype != b.dtype and not is_discrete(a) and "float" in a.dtype + b.dtype:
        hint = "parity is judged in float64; a constant made in float32 loses nine digits"
        yield finding("same", "dtype", a.dtype, b.dtype, hint)


def _otherwise(context: Context, a: Site, b: Site) -> str:
    """What of a site's axes is presented otherwise than the models have it."""
    views = [
        view
        for side, site in zip(SIDES, (a, b), strict=True)
        if (view := context.views[side].get(site.name)) is not None
    ]
    told = []
    if any(view.order != tuple(sorted(view.order)) for view in views):
        told.append("one is the other's transpose, as rename says")
    if any(view.dropped for view in views):
        told.append("an axis of length one, which is left out of what is compared")
    return ", and ".join(told)


def _shape_hint(context: Context, a: Site, b: Site) -> str:
    """What a shape that differs may come from; of a loop held to a scan it is mostly their lengths."""
    steps = {
        side: len(stack.members)
        for side, found in context.stacks.items()
        for stack in found
        if stack.name in (a.name, b.name)
    }
    if not steps:
        return _one_hot_hint(a, b) or _length_hint(a, b)
    ((side, count),) = steps.items()
    whole = np.asarray((b if side == "pyro" else a).value)
    other = SIDES[1 - SIDES.index(side)]
    if whole.ndim < np.ndim(np.asarray((a if side == "pyro" else b).value)):
        return f"{other} has one value where the loop in {side} has one for each of {count} steps: a missing plate"
    return (
        f"the loop in {side} has {count} steps and {other}'s site {len(whole) if whole.ndim else 1}: one is lost or "
        "too many, at the start or the end, or has a name of its own there (give rename)"
    )


def _one_hot_hint(a: Site, b: Site) -> str | None:
    """The same data as numbers and as vectors of one 1 each, where they are."""
    both = {site.family: np.asarray(site.value) for site in (a, b)}
    if set(both) != {"Categorical", "OneHotCategorical"}:
        return None
    vectors, whole = both["OneHotCategorical"], both["Categorical"]
    if not np.array_equal(np.argmax(vectors, axis=-1), whole):
        return "numbers on one side, and on the other vectors of one 1 each, of other data"
    return "the same data as numbers and as vectors of one 1 each: give both a Categorical, or a OneHotCategorical"


def _length_hint(a: Site, b: Site) -> str:
    """Which rows a side has more, where the values show it."""
    left, right = (np.asarray(site.value) for site in (a, b))
    if (turned := advised_transpose(a, b)) is not None:
        return turned
    if left.ndim != right.ndim or not left.ndim:
        return "a missing expand, plate or axis"
    for more, fewer, whose in ((left, right, "numpyro"), (right, left, "pyro")):
        rows = len(more) - len(fewer)
        if rows > 0 and more.shape[1:] == fewer.shape[1:]:
            for kept, where in ((more[rows:], "first"), (more[:-rows], "last")):
                if np.array_equal(kept, fewer):
                    return f"{whose} lacks the {where}{f' {rows}' if rows > 1 else ''}: a slice, or a start of its own"
    return "an axis of another length: a slice, a transpose, or a missing expand"


def _support_hint(a: Site, b: Site) -> str:
    if a.family == b.family == "VonMises":
        return (
            "the libraries' own: a VonMises lives on the circle in numpyro and on the line in pyro, whose NUTS leaves "
            "(-pi, pi); write it as a Uniform(-pi, pi) with a factor"
        )
    for side, site in zip(SIDES, (a, b), strict=True):
        if site.family.startswith("Uniform under"):
            return (
                f"a Uniform that is transformed ends at its own bounds, and {side} declares what the last transform "
                "leads to: NUTS walks on where the density is zero. Draw the Uniform, and compute the site of it "
                "(deterministic)"
            )
    if "real" in (a.support, b.support):
        other = b.support if a.support == "real" else a.support
        if other.startswith(("positive", "greater_than", "less_than")):
            return "a half distribution whose port lives on the whole line, or the reverse"
        return f"a transform to {other} that one side has lost, or another distribution"
    same_kind = a.support.partition("(")[0] == b.support.partition("(")[0]
    return "its bounds are others" if same_kind else "another distribution"
