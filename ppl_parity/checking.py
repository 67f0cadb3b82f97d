"""Check a pair: open both sides, find what they share, climb the ladder, report."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ppl_parity.errors import InputError
from ppl_parity.findings import OF_GUIDES, Finding, Report, RungResult
from ppl_parity.frozen.file import load_frozen
from ppl_parity.frozen.side import MOVED_DATA, FrozenSide, answerable
from ppl_parity.ladder import choose, climb, pair_verdict
from ppl_parity.ladder.context import CheckSettings, Context
from ppl_parity.pair.loading import load_pair, split_data
from ppl_parity.pair.options import checked
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.preparing import Progress, guide_of, prepare
from ppl_parity.process.at_once import at_once
from ppl_parity.process.defaults import default_precision
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

if TYPE_CHECKING:
    from ppl_parity.report.posteriors import Posteriors


def check(
    pyro_model: Callable[..., Any] | str | Path,
    numpyro_model: Callable[..., Any] | str | Path,
    data: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *,
    level: str = "standard",
    rungs: Sequence[str] | None = None,
    settings: CheckSettings | None = None,
    seed: int | None = None,
    margin: float | None = None,
    budget: float | None = None,
    keep_going: bool | None = None,
    progress: Progress | None = None,
    sides: Mapping[str, Side] | None = None,
    guides: Mapping[str, Callable[..., Any]] | None = None,
    **options: Any,
) -> Report:
    """Say whether two models are the same, where they first differ, and how sure that is.

    Args:
        pyro_model, numpyro_model: called as ``model(**data)``, each with its own framework's arrays. One of them may
            be the path of a file that ``ppl-parity freeze`` wrote of that side; its framework is not needed then.
        data: keyword arguments of both, NumPy arrays or plain Python values; or a function that returns them;
            or ``{"pyro": {...}, "numpyro": {...}}`` where the two take different arguments.
        level: ``quick`` (deterministic rungs), ``standard`` (adds sampling) or ``full`` (adds calibration).
        rungs: these rungs in place of a level.
        settings: seed, false-alarm probability, margin, budget, and more.
        seed, margin, budget, keep_going: these of the settings alone.
        progress: told in words what is being done.
        sides: open processes to use, for many checks in a row; None opens two and closes them.
        guides: ``{"pyro": guide, "numpyro": guide}`` of variational inference, called as the models are: they are
            compared, too, and the evidence lower bounds.
        options: ``name``, ``rename``, ``max_plate_nesting``, ``points``, ``known_differences``,
            ``exchangeable``: see ``Pair``.

    Returns:
        a Report: its ``verdict`` is ``same``, ``different`` or ``unresolved``.

    Raises:
        InputError: a model that cannot be run, or data that it does not take.
    """
    given_alone = {"seed": seed, "margin": margin, "budget": budget, "keep_going": keep_going}
    settings = _settings(settings, {name: value for name, value in given_alone.items() if value is not None})
    models = {"pyro": pyro_model, "numpyro": numpyro_model}
    frozen = _frozen(models)
    functions = {side: model for side, model in models.items() if not isinstance(model, str | Path)}
    live = functions.get("numpyro") or functions["pyro"]
    name = options.pop("name", getattr(live, "__name__", "pair"))
    with default_precision("float64"):  # as in a side, where the data() of a file is run
        given = data() if callable(data) else data
    if not callable(data) and not isinstance(data, Mapping):
        raise InputError(
            f"data must be a dictionary of the models' arguments, or a function that returns one; got "
            f"{type(data).__name__}."
        )
    pair = Pair(
        name=name,
        # A frozen side's is not run.
        models={side: CallableReference.of(functions.get(side, live)) for side in SIDES},
        data=split_data(given, name),
        guides={side: CallableReference.of(guide) for side, guide in _guides(guides, functions).items()},
        **checked(
            options, name, ("name", "level", "rungs", "settings", *given_alone, "progress", "sides", "guides")
        ),
    )
    with _plainly(), _opened(sides, frozen) as opened:
        return check_pair(pair, level=level, rungs=rungs, settings=settings, progress=progress, sides=opened)


@contextmanager
def _plainly() -> Iterator[None]:
    """Of wrong input the sentence alone: a hundred lines of what a side's process was doing would hide it."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error)) from None


def _settings(settings: CheckSettings | None, alone: Mapping[str, Any]) -> CheckSettings | None:
    if settings is not None and alone:
        raise InputError(f"A setting must be given once: {', '.join(alone)}, or settings.")
    return CheckSettings(**alone) if alone else settings


def _guides(guides: object, sides: Collection[str]) -> dict[str, Callable[..., Any]]:
    """What was given as guides, checked: one of each side that is run."""
    if guides is None:
        return {}
    rule = f"guides must be {{{', '.join(f'{side!r}: function' for side in SIDES if side in sides)}}}"
    if not isinstance(guides, Mapping) or set(guides) != set(sides):
        raise InputError(
            f"{rule}; got {list(guides) if isinstance(guides, Mapping) else type(guides).__name__}."
        )
    for guide in guides.values():
        if not callable(guide):
            raise InputError(f"{rule}; got {type(guide).__name__}.")
    return dict(guides)


def _frozen(models: Mapping[str, Any]) -> FrozenSide | None:
    """The side whose model is a file."""
    found = {side: Path(model) for side, model in models.items() if isinstance(model, str | Path)}
    if not found:
        return None
    if len(found) > 1:
        raise InputError("One model must be a function, to be held to the other's file; got two files.")
    ((side, path),) = found.items()
    frozen = FrozenSide(load_frozen(path))
    if frozen.name != side:
        raise InputError(f"The {side} model must be a file of {side}'s; {path} was frozen of {frozen.name}.")
    return frozen


class Unresolved(AssertionError):
    """A check that could not show either, as on a machine that is too slow: a test may want to tell that apart."""


def assert_same_model(
    pyro_model: Callable[..., Any] | str | Path,
    numpyro_model: Callable[..., Any] | str | Path,
    data: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    **options: Any,
) -> Report:
    """``check``, for a test, with the same arguments: raise unless the verdict is ``same``.

    Raises:
        AssertionError: where, how much and probably why the models differ.
        Unresolved: why that is not resolved; an AssertionError, too.
        InputError: as ``check`` does.
    """
    __tracebackhide__ = True  # pytest shows the test's own line, and no more of ours
    report = check(pyro_model, numpyro_model, data, **options)
    if report.verdict != "same":
        from ppl_parity.report.terminal import three_lines

        raise (Unresolved if report.verdict == "unresolved" else AssertionError)(three_lines(report))
    return report


def check_file(path: str, *, sides: Mapping[str, Side] | None = None, **options: Any) -> Report:
    """``check`` of a pair file, or of an importable module; see ``loading.load_pair``."""
    with _plainly(), _opened(sides) as opened:
        return check_pair(load_pair(path, opened), sides=opened, **options)


def check_pair(
    pair: Pair,
    *,
    level: str = "standard",
    rungs: Sequence[str] | None = None,
    settings: CheckSettings | None = None,
    progress: Progress | None = None,
    sides: Mapping[str, Side] | None = None,
) -> Report:
    """``check`` of a pair that is described already."""
    with _opened(sides) as opened:
        return climb_pair(pair, opened, level=level, rungs=rungs, settings=settings, progress=progress)[0]


def climb_pair(
    pair: Pair,
    sides: Mapping[str, Side],
    *,
    level: str = "standard",
    rungs: Sequence[str] | None = None,
    settings: CheckSettings | None = None,
    progress: Progress | None = None,
    finished: Callable[[RungResult], None] = lambda _: None,
) -> tuple[Report, Context]:
    """``check_pair``, and what the rungs left behind, such as the posterior draws; ``finished`` is told each rung's
    result as it comes.
    """
    settings = CheckSettings() if settings is None else settings
    if not isinstance(settings, CheckSettings):
        raise InputError(f"settings of a check must be CheckSettings; got {type(settings).__name__}.")
    chosen = with_guides(choose(level, rungs), pair, asked=rungs is not None)
    frozen = next((side for side in sides.values() if isinstance(side, FrozenSide)), None)
    if frozen is not None and pair.guides:  # a file's is not run
        pair = replace(
            pair, guides=dict.fromkeys(SIDES, next(iter(pair.guides.values()))) | dict(pair.guides)
        )
    climbed, told = (chosen, ()) if frozen is None else answerable(frozen, pair, chosen, rungs is not None)
    tell = progress or (lambda _: None)
    tell("running both models")
    environment = _environment(sides)
    context = prepare(pair, settings, sides, climbed, tell)
    if set(climbed) & set(OF_GUIDES):
        context.guide = guide_of(context, sides, pair.rename)
    context.finished = finished
    results = climb(context, climbed)
    if told:
        results = _with_frozen(results, told)
    report = Report(
        pair=pair.name,
        verdict=pair_verdict(results),
        rungs=results,
        settings=asdict(settings)
        | {"budget": settings.seconds(climbed), "level": level, "rungs": list(chosen)},
        environment=environment | {"warnings": {name: list(side.warnings) for name, side in sides.items()}},
        posteriors=_posteriors(context),
    )
    return report, context


def _posteriors(context: Context) -> Posteriors | None:
    if "posterior draws" not in context.results:
        return None
    from ppl_parity.report.posteriors import side_by_side  # xarray is slow to import

    return side_by_side(context)


def _with_frozen(results: tuple[RungResult, ...], told: Sequence[Finding]) -> tuple[RungResult, ...]:
    """What is to be known of a frozen file goes to the first rung; other data than its own are the likeliest cause."""
    moved = next((one.detail.rstrip(".") for one in told if one.quantity == MOVED_DATA), None)

    def hinted(finding: Finding) -> Finding:
        if moved is None or finding.verdict != "different" or "was frozen with" in (finding.hint or ""):
            return finding
        rest = f"; if that is meant, {finding.hint}" if finding.hint else ""
        return replace(finding, hint=f"{moved[0].lower()}{moved[1:]}{rest}")

    first, *others = [replace(rung, findings=tuple(map(hinted, rung.findings))) for rung in results]
    return (replace(first, findings=(*first.findings, *told)), *others)


def with_guides(rungs: tuple[str, ...], pair: Pair, *, asked: bool) -> tuple[str, ...]:
    """The rungs that can be climbed: those of guides where there are some.

    Raises:
        InputError: such a rung was asked for by name.
    """
    without = tuple(name for name in rungs if name not in OF_GUIDES)
    if pair.guides or without == rungs:
        return rungs
    if asked:
        named = [name for name in rungs if name in OF_GUIDES]
        needs = "needs" if len(named) == 1 else "need"
        raise InputError(f"{' and '.join(named)} {needs} pyro_guide and numpyro_guide; {pair.name} has none.")
    return without


@contextmanager
def _opened(
    sides: Mapping[str, Side] | None, frozen: FrozenSide | None = None
) -> Iterator[Mapping[str, Side]]:
    """Both sides: processes that are open, or new ones for the length of the block; a frozen one has none."""
    if frozen is not None:
        held = {frozen.name: cast(Side, frozen)}
        if sides is not None:
            yield {**sides, **held}
            return
        live = next(name for name in SIDES if name != frozen.name)
        with Side(live) as side:
            yield {live: side, **held}
        return
    if sides is not None:
        _check_sides(sides)
        for side in sides.values():
            if isinstance(side, Side):
                side.refresh()
        yield sides
        return
    with ExitStack() as stack:
        yield {name: stack.enter_context(Side(name)) for name in SIDES}


def _check_sides(sides: object) -> None:
    """Refuse what is not both sides, each by its name."""
    rule = "sides must be {'pyro': Side('pyro'), 'numpyro': Side('numpyro')}, open processes"
    if not isinstance(sides, Mapping):
        raise InputError(f"{rule}; got {type(sides).__name__}.")
    if set(sides) != set(SIDES):
        raise InputError(f"{rule}; got {', '.join(map(repr, sides)) or 'none'}.")
    for name in SIDES:
        if not isinstance(sides[name], Side | FrozenSide):
            raise InputError(f"{rule}; got {type(sides[name]).__name__} as {name!r}.")
        if sides[name].name != name:
            raise InputError(f"{rule}; got the side of {sides[name].name!r} as {name!r}.")


def _environment(sides: Mapping[str, Side]) -> dict[str, Any]:
    versions = at_once(
        lambda name: sides[name].versions(), sides, sides.values()
    )  # which waits for a framework's import
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: answer.result() for name, answer in versions.items()},
    }
