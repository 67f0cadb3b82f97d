"""The step size for a posterior that its mass matrix makes round: trajectories that end well around it.

Under a mass matrix that makes the posterior a standard normal one, every trajectory is an orbit of period 2 pi,
and the farthest point from where it began is half of it away. NUTS doubles: it takes 1, 3, 7, ... leapfrogs, and
stops where the ends of a doubling turn back. At a step size of 1.05 three leapfrogs are half an orbit, and NUTS
stops there. A little below, from 0.85, three fall short, NUTS doubles once more, and seven are a whole orbit: the
draw returns to where it began, at more than twice the cost. At 0.7 seven leapfrogs are three quarters of one.
Measured on standard normals, 8 x 1000 draws, ESS a leapfrog, of the mean / of the tails (5 % and 95 % quantiles):

    dimensions      8           24          40          71          271
    step 0.5                    .25 / .11   .24 / .10   .23 / .10   .19 / .09
    step 0.6        .31 / .11   .38 / .10   .36 / .10   .36 / .10   .33 / .08
    step 0.7                    .40 / .11   .43 / .10   .46 / .10   .56 / .07
    step 0.8        .26 / .15   .31 / .11   .33 / .10   .39 / .09   .55 / .05
    step 0.9        .20 / .12                           .05 / .03
    step 1.05       .64 / .27   .54 / .21   .46 / .16   .36 / .11   .15 / .02

So in up to some 40 dimensions the step size is adapted to the acceptance that a normal posterior has at 1.05, and
where warmup leaves it within reach below, it is set to that. In more dimensions it is adapted to that of 0.8, and
where warmup leaves it above 0.7, it is set to 0.7. A posterior that is less normal gets a shorter step from the
same adaptation, and keeps it.
"""

from __future__ import annotations

import math

HALF = 1.05
WHOLE = 0.85
"""From here to ``HALF`` seven leapfrogs come back to where they began."""
THREE_QUARTERS = 0.7

ORBITS = {
    "any": (0.0, 0.0, 0.0),
    "half": (WHOLE, HALF, HALF),
    "three quarters": (THREE_QUARTERS, math.inf, THREE_QUARTERS),
}
"""Orbit -> (low, high, to): a step size that warmup leaves between ``low`` and ``high`` is set to ``to``."""

LEAST_ACCEPTED = 0.45  # at ``HALF``: below, in some 40 dimensions and more, the longer step no longer pays
LEAST_AIMED_AT = 0.6  # of three quarters: in hundreds of dimensions the tails pay for what the mean gains
BEYOND = 0.8  # adaptation ends short of where it aims


def acceptance(num_dims: int, step_size: float = HALF) -> float:
    """Mean acceptance probability of a half-orbit trajectory on a standard normal in ``num_dims`` dimensions.

    A leapfrog of step h keeps q^2 (1 - h^2/4) + p^2, so the energy moves by h^2/8 times the change of q^2. For
    independent ends its variance is P h^4/16; the points of one trajectory are not independent, and 0.7 of that
    gives the measured acceptance within 0.02 at P = 4, 8, 19 and 71 (0.815, 0.741, 0.610, 0.341).

        E[min(1, exp(-dH))] = 2 Phi(-sd/2) = erfc(sd / sqrt(8)),   dH ~ Normal(sd^2/2, sd^2)
    """
    sd = math.sqrt(0.7 * num_dims) * step_size**2 / 4
    return math.erfc(sd / math.sqrt(8))


def aim(num_dims: int) -> tuple[str, float]:
    """The orbit that pays in ``num_dims`` dimensions, and the acceptance to adapt the step size to."""
    if acceptance(num_dims) >= LEAST_ACCEPTED:
        return "half", acceptance(num_dims)
    return "three quarters", max(LEAST_AIMED_AT, acceptance(num_dims, BEYOND))
