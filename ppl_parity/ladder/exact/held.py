"""The pair with its params held at other values: all that is asked of a pair can be asked of it there."""

from __future__ import annotations

from dataclasses import replace

from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.references import HeldReference


def held_at(context: Context, learned: Arrays) -> Context:
    """The same climb, of models whose params have these values.

    Args:
        learned: param (Pyro's names) -> value, in constrained space.
    """
    models = {
        side: HeldReference.of(context.pair.models[side], context.pair.to_side(side, learned))
        for side in SIDES
    }
    pair = replace(context.pair, models=models)
    programs = {
        side: context.sides[side].program(
            models[side], pair.data[side], max_plate_nesting=pair.max_plate_nesting
        )
        for side in SIDES
    }
    sites = {side: pair.from_side(side, {s.name: s for s in programs[side].sites()}) for side in SIDES}
    return replace(context, pair=pair, programs=programs, sites=sites, results={"params": []})
