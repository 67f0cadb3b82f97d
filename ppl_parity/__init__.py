"""Prove that a NumPyro port is the same model as its Pyro original; see the README.

Importing this package loads neither torch nor jax: each backend works in a process of its own.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl_parity.checking import assert_same_model, check

__all__ = ["assert_same_model", "check"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ppl_parity import checking  # the statistics take a second to import

        return getattr(checking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
