"""Operators on what a distribution is given, and on arithmetic: the wrong number in the right place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from parity_tests.mutation.syntax import statement

Ancestors = tuple[ast.AST, ...]
Operator = Callable[[ast.AST, Ancestors], Iterator[ast.AST]]
"""(node, its ancestors) -> what may stand in its place."""

SCALE_AT = {"Normal": 1, "StudentT": 2, "LogNormal": 1, "HalfNormal": 0, "HalfCauchy": 0, "Laplace": 1}
RATE_AT = {"Gamma": 1, "Exponential": 0, "InverseGamma": 1, "GammaPoisson": 1}
SWAPPABLE = (
    "Beta",
    "Gamma",
    "InverseGamma",
    "BetaBinomial",
    "ZeroInflatedPoisson",
    "GammaPoisson",
    "Weibull",
)
FAMILIES: dict[str, str] = {
    "HalfCauchy": "ndist.HalfNormal({0})",
    "HalfNormal": "ndist.Exponential({0})",
    "Gamma": "ndist.InverseGamma({0}, {1})",
    "InverseGamma": "ndist.Gamma({0}, {1})",
    "Normal": "ndist.StudentT(4.0, {0}, {1})",
    "StudentT": "ndist.Normal({1}, {2})",
    "LogNormal": "ndist.Gamma(2.0, 2.0)",
    "Exponential": "ndist.HalfNormal({0})",
    "Laplace": "ndist.Cauchy({0}, {1})",
    "Logistic": "ndist.Normal({0}, {1})",
    "Beta": "ndist.Kumaraswamy({0}, {1})",
    "Weibull": "ndist.Gamma({1}, {0})",
    "Poisson": "ndist.NegativeBinomial2({0}, 20.0)",
    "ZeroInflatedPoisson": "ndist.Poisson({1})",
    "GammaPoisson": "ndist.Poisson({0} / ({1}))",
    "BetaBinomial": "ndist.Binomial({2}, probs={0} / ({0} + {1}))",
}
WHOLE_LINE = {"HalfCauchy": "ndist.Cauchy(0.0, {0})", "HalfNormal": "ndist.Normal(0.0, {0})"}
LINKS = {"exp": "jax.nn.softplus", "log": "jnp.log1p", "sigmoid": "ndist.Normal(0.0, 1.0).cdf"}


def expression(text: str) -> ast.expr:
    """Source to tree."""
    return ast.parse(text, mode="eval").body


def family(node: ast.AST) -> str | None:
    """The distribution's name, if the node makes one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "ndist":
            return node.func.attr
    return None


def _with_argument(node: ast.Call, at: int, text: str) -> ast.expr:
    args = [ast.unparse(arg) for arg in node.args]
    args[at] = text.format(args[at])
    keywords = [f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords]
    return expression(f"{ast.unparse(node.func)}({', '.join(args + keywords)})")


def _is_number(node: ast.AST, *but: float) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in but


def square_scale(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A variance where a scale belongs."""
    at = SCALE_AT.get(family(node) or "")
    if at is not None and isinstance(node, ast.Call) and not _is_one(node.args[at]):
        yield _with_argument(node, at, "({}) ** 2")


def invert_rate(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A scale where a rate belongs."""
    at = RATE_AT.get(family(node) or "")
    if at is not None and isinstance(node, ast.Call) and not _is_one(node.args[at]):
        yield _with_argument(node, at, "1 / ({})")


def five_times(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A hyperparameter five times too large."""
    if family(node) and isinstance(node, ast.Call) and not family(node) == "Uniform":
        for at, arg in enumerate(node.args):
            if _is_number(arg, 0) and isinstance(arg, ast.Constant) and isinstance(arg.value, float):
                yield _with_argument(node, at, "5 * {}")
                return


def swap_arguments(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """The first two arguments in the other order."""
    if family(node) in SWAPPABLE and isinstance(node, ast.Call):
        first, second = (ast.unparse(arg) for arg in node.args[:2])
        if first != second:
            rest = [ast.unparse(arg) for arg in node.args[2:]]
            yield expression(f"{ast.unparse(node.func)}({', '.join([second, first, *rest])})")


def swap_family(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Another distribution with the same kind of arguments."""
    template = FAMILIES.get(family(node) or "")
    if template and isinstance(node, ast.Call):
        yield expression(template.format(*(ast.unparse(arg) for arg in node.args)))


def whole_line(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A half distribution that has become a whole one."""
    template = WHOLE_LINE.get(family(node) or "")
    if template and isinstance(node, ast.Call):
        yield expression(template.format(*(ast.unparse(arg) for arg in node.args)))


def change_link(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Softplus for exp, log1p for log, probit for logit."""
    if isinstance(node, ast.Attribute) and ast.unparse(node) in ("jnp.exp", "jnp.log", "jax.nn.sigmoid"):
        yield expression(LINKS[node.attr])
    if isinstance(node, ast.keyword) and node.arg == "logits":
        yield ast.keyword("probs", expression(f"{LINKS['sigmoid']}({ast.unparse(node.value)})"))


def flip_sign(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A minus where a plus belongs."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield ast.BinOp(node.left, ast.Sub(), node.right)


def mean_for_sum(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A mean over rows where their sum belongs."""
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "jnp.sum":
        yield expression("jnp.mean")


def other_ddof(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A standard deviation by n - 1 where n belongs."""
    if isinstance(node, ast.keyword) and node.arg == "ddof":
        yield ast.keyword("ddof", ast.Constant(1))


def shift_index(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """An index that is off by one; JAX wraps it or clamps it, and says nothing."""
    if not isinstance(node, ast.Subscript) or any(
        isinstance(a, ast.keyword) and a.arg == "obs" for a in ancestors
    ):
        return
    first, *rest = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if isinstance(first, ast.Name):
        index = ", ".join([f"{first.id} - 1", *(ast.unparse(part) for part in rest)])
        yield expression(f"{ast.unparse(node.value)}[{index}]")


def detach(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A likelihood whose gradient does not reach the parameters."""
    if family(node) and isinstance(node, ast.Call) and any(_observes(a) for a in ancestors):
        for at, arg in enumerate(node.args):
            if not isinstance(arg, ast.Constant):
                yield _with_argument(node, at, "jax.lax.stop_gradient({})")
                return


def _observes(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and statement(node) == "sample"
        and any(k.arg == "obs" for k in node.keywords)
    )


def _is_one(node: ast.AST) -> bool:
    """Whether an argument is 1, or ones: its square and its inverse are what it is."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "jnp.ones"
    return isinstance(node, ast.Constant) and node.value == 1.0
