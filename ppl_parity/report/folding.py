"""One line for a remark that is made of several sites, or by several rungs.

Thirty lines that say the same hide the one that does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ppl_parity.findings import Finding
from ppl_parity.listing import listed


def fold(notes: Iterable[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    """Findings that differ in their site or rung alone, as the first of them, with the others' names.

    Args:
        notes: findings with their rung's name.

    Returns:
        in the order of the first ones; a finding that stands alone, as it is.
    """
    groups: dict[tuple, list[Finding]] = {}
    for rung, finding in notes:
        said = finding.detail if finding.site is None else finding.detail.replace(repr(finding.site), "\0")
        alike = rung, finding.quantity, finding.verdict, said, finding.site is None, finding.index
        groups.setdefault(alike, []).append(finding)
    rungs: dict[tuple, list[str]] = {}
    said_of: dict[tuple, Finding] = {}
    for alike, members in groups.items():
        told = _together(members)
        # What several rungs say of the whole model is one line, too.
        key = (told.detail, told.verdict) if told.site is None else (alike,)
        rungs.setdefault(key, []).append(str(alike[0]))
        said_of.setdefault(key, told)
    return [(", ".join(dict.fromkeys(rungs[key])), told) for key, told in said_of.items()]


def _together(members: Sequence[Finding]) -> Finding:
    first = members[0]
    sites = dict.fromkeys(each.site for each in members if each.site is not None)
    others = [site for site in sites if site != first.site]
    if not others:
        return first
    return replace(first, detail=f"{first.detail} The same holds of {listed(others)}.")
