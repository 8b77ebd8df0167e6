"""Numerical derivatives of f: float -> array at 0, with what is known about their error.

Five points give f′ with an error of h⁴:

    E(h) = (8(f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h  =  f′ − h⁴ f⁽⁵⁾/30 + …                    (truncation)

Each computed f(·) is off by up to ρ, its rounding error: ρ ≥ u|f| with u = 2⁻⁵³, and more where intermediate results
are larger than f. The weights 8 + 8 + 1 + 1 give E(h) an error of up to

    18ρ / 12h = 1.5 ρ/h                                                                          (rounding)

Truncation falls and rounding rises as h falls; the sum is smallest near h⁵ ≈ u, at h ≈ 2⁻¹⁰, where it is about 10⁻¹³.
Below a kink of f (ReLU near 0) truncation disappears only once h is smaller than the distance to the kink.
So `difference` tries h = 2⁻⁷, 2⁻⁹, …, 2⁻²³ and keeps the estimate that differs least from that of the step before,
1.5 u|f|/h added (two steps too small to change f agree on 0); it needs no look at the value under test. That
difference, the gap, bounds truncation (E(4h) has 256 times that of E(h)). It bounds rounding only on average, as two
errors may agree by chance, so `rounding` measures ρ.

Differences are taken element by element before anything is summed: what does not change cancels to exactly 0.

Source: Abramowitz & Stegun 1964, 25.3.6 (the five-point rule).
"""

from typing import NamedTuple

import numpy as np   # errstate

from ..backend import array_module
from .report import FLOOR, TOLERANCE

UNIT = 2.0**-53     # u, the largest relative rounding error of one operation in float64


class Estimate(NamedTuple):
    """A derivative; gap: how far the neighbouring estimate is, relative to the largest element, and in each; h."""

    value: object
    gap: float
    gaps: object
    h: float

    @property
    def settled(self):
        """Whether two neighbouring steps agree much better than the check demands."""
        return self.gap <= 0.1 * TOLERANCE


def difference(f, contract=lambda y: y):
    """contract(∂f(h)/∂h at h = 0) as an Estimate. f: float -> array; contract: a linear map of such arrays."""
    def at(h):
        y = f(h)
        return contract((8 * (y - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)), 1.5 * UNIT * float(abs(y).max()) / h

    with np.errstate(all="ignore"):     # a large step may leave where f is defined, as that of log is
        best, least, (previous, _) = None, None, at(2.0**-7)
        for exponent in range(-9, -25, -2):
            current, rounded = at(2.0**exponent)
            gaps, scale = abs(current - previous), max(float(abs(current).max()), FLOOR)
            gap = float(gaps.max()) / scale
            error = gap + rounded / scale
            if best is None or not least <= error:      # anything is better than NaN
                best, least = Estimate(current, gap, gaps, 2.0**exponent), error
            if gap <= 0.01 * TOLERANCE:
                break
            previous = current
    return best


def derivative(f, contract=lambda y: y):
    """contract(∂f(h)/∂h at h = 0) by five-point differences, and how well it is known.

    f: float -> array; contract: a linear map of such arrays. Returns the estimate and its relative gap to the
    neighbouring one.
    """
    return difference(f, contract)[:2]


def rounding(f, h):
    """The rounding error of E(h) in each element of f, measured.

    At δ = 2⁻³⁰ … 2⁻²⁷ the second difference f(δ) − 2f(0) + f(−δ) = δ²f″ + … is below u, so that what is computed for
    it is rounding alone: up to 4ρ, and rarely much below ρ in the largest of eight. Returned is 4/h times that
    largest one, more than the 1.5 ρ/h that E(h) may be off; 0 where f does not change.
    """
    with np.errstate(all="ignore"):
        y = f(0.0)
        rho = UNIT * abs(y)
        xp = array_module(y)
        for j in range(1, 9):
            delta = j * 2.0**-30
            rho = xp.maximum(rho, abs(f(delta) - 2 * y + f(-delta)))
        return xp.where((f(h) == f(-h)) & (f(2 * h) == f(-2 * h)), 0.0, 4 * rho / h)


def kinks(f):
    """Where f has no derivative at 0: a mask of its elements, and the slopes to the left and to the right.

    One-sided slopes, (4(f(h) − f(0)) − (f(2h) − f(0))) / 2h and its mirror image, differ by O(h²) where f is smooth.
    At a kink they differ by the same amount at every h, at a jump by 1/h. Hence: a difference beyond 10⁻⁴ (and
    beyond rounding) at each of h = 2⁻¹¹, 2⁻¹⁷, 2⁻²².
    """
    with np.errstate(all="ignore"):
        y = f(0.0)
        xp, found, slopes = array_module(y), True, None
        for h in (2.0**-11, 2.0**-22, 2.0**-17):
            right = (4 * (f(h) - y) - (f(2 * h) - y)) / (2 * h)
            left = (4 * (y - f(-h)) - (y - f(-2 * h))) / (2 * h)
            scale = xp.maximum(xp.maximum(abs(left), abs(right)), FLOOR)
            found = found & (abs(right - left) > 1e-4 * scale + 100 * UNIT * abs(y) / h)
            slopes = left, right
    return found, *slopes
