"""Batch normalisation, to second order.

With mean and variance over all axes but the last (m samples a channel), s = √(var + ε), x̂ = (x − μ)/s:

    forward    y = γ·x̂ + β
    P(t)  =  ∂x̂/∂x · t  =  (t − mean t − x̂·mean(x̂ t)) / s

P comes from  ∂μ·t = mean t  and  ∂s·t = mean(x̂ t):  ∂x̂·t = (t − mean t)/s − x̂·mean(x̂ t)/s.
It is symmetric (each term is), so the same P serves forward and reverse mode:

    jvp        ty = γ·P(tx)             backward   dx = P(γ dy),  dγ = Σ x̂ dy,  dβ = Σ dy

Reverse mode through ty: with c = γ·dty the scalar to differentiate is ⟨c, P(tx)⟩, which is
(m/s)·(mean(c tx) − mean c·mean tx − mean(x̂ tx)·mean(x̂ c)). Let a = mean(x̂ tx), b = mean(x̂ c),
K = mean(c tx) − mean c·mean tx. Then by the product rule, and ∂x̂·t = P(t) once more,

    dtx = P(c)          dx  =  − x̂(K − ab)/s²  −  (b·P(tx) + a·P(c))/s          dγ gains Σ P(tx)·dty

With running statistics μ and s are constants, P(t) = t/s, and the second-order part of dx vanishes.

Source: Ioffe & Szegedy 2015, Algorithm 1; the second-order part derived here.
"""

from .pointwise import leaky_relu


def _axes(x):
    return tuple(range(x.ndim - 1))


def moments(x):
    """Mean and biased variance of x over all axes but the last: two arrays (C,)."""
    mean = x.mean(_axes(x))
    centred = x - mean
    return mean, (centred * centred).mean(_axes(x))


def follow(running, batch, momentum, factor=1.0):
    """running ← momentum·running + (1 − momentum)·factor·batch, in place."""
    running *= momentum
    running += (1 - momentum) * factor * batch


def normalize(x, mean, s, gamma, beta, slope=1):
    """y = γ·x̂ + β, then LeakyReLU of this slope, and x̂ = (x − mean)/s.  x (…, C), others (C,) -> two like x."""
    xhat = (x - mean) / s
    y = gamma * xhat + beta
    return y if slope == 1 else leaky_relu(y, slope), xhat


def sums(t, xhat):
    """Σ t and Σ x̂t over all axes but the last: all that P needs to know of t as a whole. Two arrays (C,)."""
    axes = _axes(t)
    return t.sum(axes), (xhat * t).sum(axes)


def project(t, xhat, scale, totals):
    """scale·(t − mean t − x̂·mean(x̂ t)), that is P(t) for scale = 1/s.  t, xhat (…, C), scale (C,), totals: sums."""
    m = t.size // t.shape[-1]
    return (t - totals[0] / m - xhat * (totals[1] / m)) * scale


def project_backward(c, t, xhat, s):
    """The gradient of ⟨c, P(t)⟩ with respect to x, through x̂ and s.  c, t, xhat (…, C) -> (…, C)."""
    m, r = t.size // t.shape[-1], 1 / s
    of_t, of_c = sums(t, xhat), sums(c, xhat)
    a, b = of_t[1] / m, of_c[1] / m
    K = (c * t).mean(_axes(t)) - of_c[0] * of_t[0] / m**2
    return -xhat * ((K - a * b) * r**2) - (b * project(t, xhat, r, of_t) + a * project(c, xhat, r, of_c)) * r
