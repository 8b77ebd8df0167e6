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


def _axes(x):
    return tuple(range(x.ndim - 1))


def moments(x):
    """Mean and biased variance of x over all axes but the last: two arrays (C,)."""
    mean = x.mean(_axes(x))
    centred = x - mean
    return mean, (centred * centred).mean(_axes(x))


def project(t, xhat, s):
    """P(t) = (t − mean t − x̂·mean(x̂ t))/s.  t, xhat (…, C), s (C,)."""
    axes = _axes(t)
    return (t - t.mean(axes) - xhat * (xhat * t).mean(axes)) / s


def project_backward(c, t, xhat, s):
    """The gradient of ⟨c, P(t)⟩ with respect to x, through x̂ and s.  c, t, xhat (…, C) -> (…, C)."""
    axes = _axes(t)
    a, b = (xhat * t).mean(axes), (xhat * c).mean(axes)
    K = (c * t).mean(axes) - c.mean(axes) * t.mean(axes)
    return -xhat * ((K - a * b) / s**2) - (b * project(t, xhat, s) + a * project(c, xhat, s)) / s
