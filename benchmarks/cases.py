"""Cases as data: a TOML table whose lists are multiplied out, and the sizes that have a letter."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ppl_parity.errors import InputError, one_of

FOLDER = Path(__file__).resolve().parent / "cases"

SIZES = {  # letter -> N, D, K
    "S": (300, 2, 3),
    "M": (10_000, 4, 4),
    "L": (100_000, 8, 8),
    "XL": (1_000_000, 8, 8),
    "W": (131_072, 64, 32),
    "H": (2_000, 2, 3),  # hard: see ``problems``
}

KERNELS = ("gradient", "sampler", "command")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        kernel: ``gradient`` (one value and gradient of the potential), ``sampler`` (NUTS), or ``command``
            (``ppl-parity fit`` as a whole).
        backend: numpyro, pyro, or an outside program by its name.
        formulation: how the density is written there.
        N, D, K: rows, columns, components.
        dtype: of the data and the arithmetic over them.
        device: cpu, gpu, gpu:1.
        chains: points evaluated together, or chains of a sampler.
        environment: environment variables of the process, as (name, value).
        options: of a sampler, num_warmup, num_draws and what the system takes besides; of a command, its own:
            as (name, value).
    """

    kernel: str
    backend: str
    formulation: str
    N: int
    D: int
    K: int
    dtype: str = "float32"
    device: str = "cpu"
    chains: int = 1
    environment: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        one_of("kernel of a case", self.kernel, KERNELS)
        one_of("dtype of a case", self.dtype, DTYPES)
        for name in ("N", "D", "K", "chains"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} of a case must be an integer of at least 1; got {value!r}.")

    @property
    def size(self) -> str:
        """The size's letter, or its numbers."""
        for letter, numbers in SIZES.items():
            if numbers == (self.N, self.D, self.K):
                return letter
        return f"{self.N:,} x {self.D}, K={self.K}"

    @property
    def system(self) -> str:
        """What is measured, in words: the same at every size."""
        more = [f"{name}={value}" for name, value in self.environment]
        more += [] if self.chains == 1 else [f"{self.chains} chains"]
        return " ".join([self.backend, self.formulation, *more])

    @property
    def key(self) -> str:
        """The same text for the same case in any run."""
        return " | ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``of_dict`` gives it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {"environment": dict(self.environment), "options": dict(self.options)}

    @classmethod
    def of_dict(cls, row: dict[str, Any]) -> Case:
        """A case from one row of plain values, the size by letter or by numbers.

        Raises:
            InputError: a field is unknown, missing or out of range.
        """
        row = dict(row)
        if "size" in row:
            row |= dict(
                zip("NDK", SIZES[one_of("size of a case", row.pop("size"), list(SIZES))], strict=True)
            )
        for name in ("environment", "options"):
            row[name] = tuple(sorted(dict(row.get(name, {})).items()))
        unknown = sorted(set(row) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError(f"A case has no field {unknown[0]!r}; it has {', '.join(_names(cls))}.")
        try:
            return cls(**row)
        except TypeError as error:
            raise InputError(f"A case is not complete: {error}; got {sorted(row)}.") from None


@dataclass(frozen=True)
class Selection:
    """Which of the cases are wanted; an empty choice is all of them."""

    sizes: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    formulations: tuple[str, ...] = ()

    def wants(self, case: Case) -> bool:
        """Whether a case is among them."""
        pairs = (
            (self.sizes, case.size),
            (self.backends, case.backend),
            (self.formulations, case.formulation),
        )
        return all(not chosen or value in chosen for chosen, value in pairs)


def load(path: str | Path) -> list[Case]:
    """The cases of a file, by path or by the name of one that ships, each once, in order.

    Raises:
        InputError: there is no such file, it is not TOML, or a case in it breaks a rule.
    """
    shipped = sorted(file.stem for file in FOLDER.glob("*.toml"))
    file = FOLDER / f"{path}.toml" if str(path) in shipped else Path(path)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("case", [])
    except OSError:
        raise InputError(
            f"Cases must be a TOML file or one of {', '.join(shipped)}; there is no {path}."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"Cases must be a TOML file; {file} is not: {error}.") from None
    return list(dict.fromkeys(case for table in tables for case in expand(table)))


def expand(table: dict[str, Any]) -> Iterator[Case]:
    """The cases of one table: every combination of the entries of its lists."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    for combination in itertools.product(*lists.values()):
        yield Case.of_dict(dict(zip(lists, combination, strict=True)))


def on_device(case: Case, device: str) -> Case:
    """The same case on another device."""
    return replace(case, device=device)


def by_size(cases: Iterable[Case]) -> list[Case]:
    """Cases of one size side by side, so that what is compared is measured close in time."""
    return sorted(cases, key=lambda case: (case.N * case.D * case.K, case.N, case.D, case.K))


def _names(cls: type) -> list[str]:
    return [f.name for f in fields(cls)]
