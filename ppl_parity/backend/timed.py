"""What a backend offers to be timed: a potential and its gradient, or steps of learning, ready to run again and again.

Each backend's ``timing.py`` has ``prepare(spec, formulation, x, *, precision, device, num_chains)``, which
returns a ``Timed``. What is evaluated for the identity check is the very function that is timed.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ppl_parity.backend.contract import Arrays, Values

LEARNING_RATE = 0.01  # of Adam


class Learns(Protocol):
    """Steps of variational inference as the framework's own SVI takes them, with Adam, from the initial params.

    ``timing.learning(model, guide, data, *, precision, device, max_plate_nesting)`` returns one.

    Attributes:
        compiled_loop: whether ``many`` is one compiled program; else it is a loop in Python.
        learned: param -> its value after the last ``many``, in constrained space.
    """

    compiled_loop: bool
    learned: Arrays

    def many(self, count: int) -> None:
        """``count`` steps from the initial params, and wait."""
        ...


class Timed(Protocol):
    """U(u) and dU/du of the mixture's posterior, for ``num_chains`` points at a time.

    Attributes:
        compiled_loop: whether ``many`` is one compiled program; else it is a loop in Python.
        potential: how the potential is computed here, in words, where the backend has a choice.
    """

    compiled_loop: bool
    potential: str

    def evaluate(self, points: Values) -> tuple[np.ndarray, Arrays]:
        """Values (P,) and gradients, site -> (P, ...), at P unconstrained points; P a multiple of the chains.

        The last point of each chain is where ``once`` and ``many`` start.
        """
        ...

    def once(self) -> None:
        """One value and gradient a chain, asked for from Python, and wait for it."""
        ...

    def many(self, count: int) -> None:
        """``count`` values and gradients a chain, each at another point than the one before it, and wait.

        Where a compiler could hoist them out of the loop, each point is moved by the gradient before it.
        """
        ...
