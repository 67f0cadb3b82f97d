"""What a GPU does with rows, in Triton, whichever program they belong to. Importing this file imports Triton."""
# Triton reads this source as a language of its own, so annotations are left to it, and so are types.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl


@triton.jit
def times(product, power, factor):
    """product 2^power times a factor of at least 1, as another such pair with 1 <= product < 2.

    The sum of logarithms is the logarithm of a product, which costs a few operations a row where a logarithm costs
    twenty, and loses less; product is in float64, factor in float32.
    """
    bits = (product * factor.to(tl.float64)).to(tl.int64, bitcast=True)
    power += (bits >> 52).to(tl.int32) - 1023
    product = ((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).to(tl.float64, bitcast=True)
    return product, power


@triton.jit
def log_of(product, power):
    """log2 of product 2^power."""
    return tl.log2(product) + power.to(tl.float64)


@triton.jit
def value_of(top, squares, H: tl.constexpr):
    """A row's value without the logarithm of its sum; in float64 first, or it would lose what the logits know."""
    return top.to(tl.float64) - H * squares.to(tl.float64)
