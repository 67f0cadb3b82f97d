"""Are the guides of variational inference the same, and do they draw what their models draw?

A guide is a model of its own, whose params are what is learned: its densities are compared like any others, with the
params at their initial and at other values. Model and guide of one density have one evidence lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ppl_parity.backend.contract import Site
from ppl_parity.findings import Finding
from ppl_parity.ladder import findings_of
from ppl_parity.ladder.context import Context, subsampled
from ppl_parity.ladder.rungs import density, structure
from ppl_parity.listing import listed
from ppl_parity.pair.holding import plates_apart, released
from ppl_parity.pair.pairs import SIDES

NAME = "guide"


def run(context: Context) -> Iterator[Finding]:
    """The guides' sites beside the models', and then the first two rungs with the guides as models."""
    if context.guide is None:
        return
    context.progress("running both guides")
    if any(automatic(context).values()):
        yield from _made_by_libraries(context)
        return
    guide = context.guide()
    yield from _covering(context, guide)
    yield from _rows_of(context)
    for rung in (structure.NAME, density.NAME):
        for finding in findings_of(guide, rung):
            if finding.quantity == structure.OBSERVED and finding.site is None:
                continue  # a guide observes nothing
            yield (
                _of_what_is_learned(finding)
                if finding.numbers.get("unmoved")
                else replace(finding, deferred=False)
            )


def automatic(context: Context) -> dict[str, dict[str, Any]]:
    """Side -> what its guide is, where the library makes it of the model; empty for one that is written out."""
    if "automatic guides" not in context.results:
        pair = context.pair
        context.results["automatic guides"] = {
            side: context.sides[side].automatic(pair.guides[side], pair.data[side]) for side in SIDES
        }
    return context.results["automatic guides"]


def _made_by_libraries(context: Context) -> Iterator[Finding]:
    """Guides that follow from the models, which were compared: of one family, of all of the model, as wide at first?"""
    found = automatic(context)
    families = {side: made.get("family", "written out") for side, made in found.items()}
    if not all(found.values()):
        yield Finding(
            "unresolved",
            "family of the guide",
            f"The guide is {families['pyro']} in pyro and {families['numpyro']} in numpyro, so their sites are not the "
            "same, and they were not compared.",
            hint="write both out, or give both the library's own",
        )
        return
    known = all("sites" in made for made in found.values())
    drawn = {
        side: context.pair.from_side(side, dict.fromkeys(made["sites"] if known else ()))
        for side, made in found.items()
    }
    told = {
        "family": (families, "another family of approximations: it ends at another bound"),
        "sites": (
            {side: ", ".join(sorted(names)) for side, names in drawn.items()},
            "a site that one side hides from its guide, or a guide that was made of another model",
        ),
        "initial scale": (
            {side: made.get("scale") for side, made in found.items()},
            "where learning starts: give both the same init_scale",
        ),
        "rank": (
            {side: made.get("rank") for side, made in found.items()},
            "more of the posterior's correlations on one side: give both the same rank",
        ),
    }
    for what, (each, hint) in told.items():
        if each["pyro"] != each["numpyro"]:
            yield Finding(
                "different",
                f"{what} of the guide",
                f"The {what} of the guide, which the library makes of its model, {'are' if what == 'sites' else 'is'} "
                f"{each['pyro']} in pyro and {each['numpyro']} in numpyro.",
                hint=hint,
            )
    yield Finding(
        "same",
        "family of the guide",
        f"Both guides are {families['pyro']}, which each library makes of its model: "
        f"{'their sites were compared, and not ' if known else 'not compared was of which sites, '}"
        f"{'where each starts, nor what else it was given' if known else 'nor where each starts'}.",
        notable=True,
        numbers={"summary": f"both are {families['pyro']}, made of the models"},
    )


def _of_what_is_learned(finding: Finding) -> Finding:
    """A guide is what it learns: one that is compared where it starts alone is not shown to be the same."""
    hint = finding.hint or (
        "a param that one side lost, or has under another name (rename), or whose initial value is no array of the "
        "default precision"
    )
    return replace(finding, verdict="unresolved", hint=hint)


def _covering(context: Context, guide: Context) -> Iterator[Finding]:
    """Which latent sites of the models the guides draw; the others variational inference draws from the prior."""
    models = {side: _latent(context.sites[side]) for side in SIDES}
    guides = {side: _latent(guide.sites[side]) for side in SIDES}
    left = []
    for name in models["pyro"]:
        if name not in models["numpyro"]:
            continue
        drawn = [side for side in SIDES if name in guides[side]]
        if len(drawn) == 1:
            (other,) = (side for side in SIDES if side not in drawn)
            yield Finding(
                "different",
                "site",
                f"The guide of {drawn[0]} draws {name!r}, and {other}'s does not: there it is drawn from the prior.",
                site=name,
                hint="a site that the port of the guide lost, or gave another name (rename)",
            )
        elif not drawn:
            left.append(name)
    if left:
        yield Finding(
            "same",
            "site",
            f"Neither guide draws {listed(left)}, which variational inference then draws from the prior.",
            site=left[0],
            notable=True,
        )
    extra = [name for name in guides["pyro"] if name in guides["numpyro"] and name not in models["pyro"]]
    if extra:
        yield Finding(
            "same",
            "site",
            f"Both guides draw {listed(extra)}, which their models do not have.",
            site=extra[0],
            notable=True,
            hint="a site of the model under another name, or an auxiliary one",
        )


def _rows_of(context: Context) -> Iterator[Finding]:
    """Plates of which the guides take another number of rows, as they were handed over: here they are given some."""
    if context.frozen or not subsampled(context):
        return
    pair, sites = context.pair, {}
    for side in SIDES:
        program = context.sides[side].program(
            released(pair.guides[side]), pair.data[side], max_plate_nesting=pair.max_plate_nesting
        )
        sites[side] = {site.name: site for site in program.sites()}
    for a, b in plates_apart(sites):
        yield Finding(
            "different",
            "plate",
            f"The plate {a.name!r} of the guide takes {a.subsample_size} of {a.size} rows in pyro and "
            f"{b.subsample_size} of {b.size} in numpyro.",
            hint="another subsample_size: the model is given the rows that its guide takes, and weighs them by its own",
        )


def _latent(sites: dict[str, Site]) -> dict[str, Site]:
    return {name: site for name, site in sites.items() if site.kind == "latent" and not site.enumerated}
