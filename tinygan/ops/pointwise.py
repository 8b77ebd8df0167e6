"""Pointwise functions y = f(x), each with f′ and f″ by hand.

The derivatives are given as what they do to an array t:  d1(t, x, y) = f′(x)·t  and
d2(t, x, y) = f″(x)·t. Both x and y = f(x) are at hand, since one of them often gives the shorter formula.
No formula overflows for any finite x.
"""

from ..backend import array_module
from .registry import op


@op
def leaky_relu(x, slope):
    """f = x where x > 0, else slope·x (Maas et al. 2013)."""
    xp = array_module(x)
    return (xp.maximum if slope <= 1 else xp.minimum)(x, slope * x)   # faster than where; the same


@op
def leaky_relu_d1(t, x, slope):
    """f′·t = t where x > 0, else slope·t; at the kink x = 0 the left derivative. f″ = 0."""
    above = (x > 0).astype(t.dtype)
    return (above + slope * (1 - above)) * t      # exactly 1 or slope; many times faster than where


def tanh(x):
    """f = (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ)."""
    return array_module(x).tanh(x)


def tanh_d1(t, x, y):
    """f′ = 1 − y²."""
    return (1 - y * y) * t


def tanh_d2(t, x, y):
    """f″ = −2y(1 − y²)."""
    return -2 * y * (1 - y * y) * t


@op
def sigmoid(x):
    """f = 1/(1 + e⁻ˣ), written with e^−|x| ≤ 1 so that nothing overflows and small values keep their digits."""
    xp = array_module(x)
    e = xp.exp(-abs(x))
    return xp.where(x >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_d1(t, x, y):
    """f′ = y(1 − y)."""
    return y * (1 - y) * t


def sigmoid_d2(t, x, y):
    """f″ = y(1 − y)(1 − 2y)."""
    return y * (1 - y) * (1 - 2 * y) * t


def softplus(x):
    """f = log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))


def softplus_d1(t, x, y):
    """f′ = σ(x)."""
    return sigmoid(x) * t


def softplus_d2(t, x, y):
    """f″ = σ(x)(1 − σ(x)) = σ(x)σ(−x)."""
    return sigmoid(x) * sigmoid(-x) * t
