"""A peer and the fit in turn, so that their ratio is of one and the same quarter of an hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.explained import rates
from benchmarks.sampler import SEEDS, Pair, Sampler, length, resolved, seconds_of
from benchmarks.session import Session
from ppl_parity.errors import InputError

RIVAL: dict[str, Any] = {  # what a peer takes turns with
    "backend": "fit",
    "formulation": "numpyro",
    "dtype": "float32",
    "environment": (),
    "options": (("num_warmup", 100),),
}


def in_turn(
    session: Session, case: Case, peer: Sampler, own: Pair, seeds: Sequence[int]
) -> tuple[list[Pair], dict[str, Any]]:
    """A peer's runs, one a seed, and between them the fit's: a minute that is slow for one is slow for both."""
    rival = replace(case, **RIVAL)
    with session.fresh(rival.backend, {}) as child:
        try:
            fit = Sampler(session, rival, child)
        except InputError as error:  # NumPyro is not installed: the peer is measured all the same
            return alone(peer, own, seeds), {"case": rival.as_dict(), "why": str(error)}
        identity = fit.identity()
        # As many draws as the peer's at least: a smallest ESS a leapfrog rises with them.
        num_draws = length(own[0])
        full, one = resolved(fit.sample, fit.sample(num_draws), num_draws)
        theirs, ours = [own], [(full, one)]
        for seed in SEEDS:  # of the fit all, for its ESS: it takes little time
            if seed != SEEDS[0] and seed in seeds:
                theirs.append(peer.pair(length(own[0]), seed))
            ours.append(fit.pair(length(full), seed))
    ours = ours[1:]  # what took part in finding the number of draws is not timed beside anything
    times = seconds_of(ours)
    found = rates([run for run, _ in ours], times)
    del found["posterior"]
    return theirs, {"case": rival.as_dict(), "identity": [identity.as_dict()], "raw": times, **found}


def alone(sampler: Sampler, own: Pair, seeds: Sequence[int]) -> list[Pair]:
    """Its runs, one a seed, of which the first, ``own``, has been."""
    return [own, *(sampler.pair(length(own[0]), seed) for seed in seeds[1:])]


def ratio(fit: Mapping[str, Any], peer: Mapping[str, Any]) -> float | None:
    """ESS/s of the fit over the peer's: of ESS a leapfrog the means, of times the median of what was in turn."""
    if fit.get("seconds_per_leapfrog") is None or peer["seconds_per_leapfrog"] is None:
        return None
    if not all(one["same"] for one in fit["identity"]):
        return None
    theirs, ours = (one["seconds_per_leapfrog_of_seeds"] for one in (peer, fit))
    if len(theirs) == len(ours):
        slower = float(np.median(np.divide(theirs, ours)))
    else:  # one run of minutes beside several of seconds
        slower = float(np.median(theirs) / np.median(ours))
    return slower * fit["ess_per_leapfrog"] / peer["ess_per_leapfrog"]
