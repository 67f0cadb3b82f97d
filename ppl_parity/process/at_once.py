"""Work on both sides at once: each is a process of its own, so threads that wait halve the wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

LOOK_EVERY = 0.05  # seconds, until what was interrupted has ended


def at_once(
    work: Callable[[str], Any], names: Collection[str], sides: Iterable[Any]
) -> dict[str, Future[Any]]:
    """name -> what ``work(name)`` returned or raised, all at once, once all have ended.

    What interrupts the wait (Ctrl-C, a test's time limit) ends the processes of ``sides``, all that the threads may
    wait for; each is opened again at its next call.
    """
    asked: dict[str, Future[Any]] = {}
    with ThreadPoolExecutor(len(names)) as pool:
        try:
            for name in names:
                asked[name] = pool.submit(work, name)
            wait(asked.values())
        except BaseException:
            _end(tuple(sides), asked.values())
            raise
    return asked


def _end(sides: Collection[Any], asked: Collection[Future[Any]]) -> None:
    """Kill the processes until no thread waits for one: a thread may be about to open another in its place."""
    while wait(asked, LOOK_EVERY).not_done:
        for side in sides:
            if hasattr(side, "kill"):  # a frozen one has no process
                side.kill()
