"""One thread at a time in a framework, whose handlers and defaults belong to the whole process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any


class Alone:
    """A lock for what is global in one framework: the stack of its handlers, its precision, its random numbers.

    Two threads that run models at once would each see the other's sites ("Multiple sample sites named 'a'"), or its
    precision, which nobody would notice. The second one waits.
    """

    def __init__(self, name: str) -> None:
        self._lock = threading.Lock()
        self._held: ContextVar[bool] = ContextVar(f"{name} is held", default=False)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the others; a block within a block, and in what ``helping`` made of it, goes on."""
        if self._held.get():
            yield
            return
        with self._lock:
            token = self._held.set(True)
            try:
                yield
            finally:
                self._held.reset(token)


def helping(work: Callable[[], Any]) -> Callable[[], Any]:
    """``work`` for another thread that the caller waits for, and whose locks are the caller's."""
    context = copy_context()
    return lambda: context.run(work)
