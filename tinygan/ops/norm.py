"""Batch normalisation, to second order.

With mean μ and biased variance over all axes but the last (m samples a channel), s = √(var + ε), x̂ = (x − μ)/s:

    forward    y = γ·x̂ + β

x reaches x̂ on three paths: directly, through μ and through s. Let
∂f·t be the derivative of f along a direction t. With s² = mean((x − μ)²) + ε

    ∂μ·t = mean t          2s·(∂s·t) = 2·mean((x − μ)(t − mean t)), and as mean(x − μ) = 0:  ∂s·t = mean(x̂ t)
    P(t)  =  ∂x̂·t  =  (t − ∂μ·t)/s − (x − μ)/s²·(∂s·t)  =  (t − mean t − x̂·mean(x̂ t))/s

In reverse mode g = ∂loss/∂x̂ = γ·dy runs back along the same paths, where ∂μ/∂xᵢ = 1/m and ∂s/∂xᵢ = x̂ᵢ/m:

    directly     gᵢ/s
    through μ    Σⱼ gⱼ·(−1/s)·(1/m)        =  −mean g/s              (∂s/∂μ = −mean(x − μ)/s = 0)
    through s    Σⱼ gⱼ·(−x̂ⱼ/s)·(x̂ᵢ/m)      =  −x̂ᵢ·mean(x̂ g)/s

The sum is P(g): P is symmetric (each of its three terms is), so the same P serves forward and reverse mode:

    jvp        ty = γ·P(tx)             backward   dx = P(γ dy),  dγ = Σ x̂ dy,  dβ = Σ dy

Reverse mode through ty: with c = γ·dty the scalar to differentiate is ⟨c, P(tx)⟩ = ⟨P(c), tx⟩, which is
(m/s)·(mean(c tx) − mean c·mean tx − mean(x̂ c)·mean(x̂ tx)). Let p = P(tx), q = P(c). By the product rule, through s
(⟨c, P(tx)⟩ is m·mean(c p), so 1/s gives −mean(c p)/s times ∂s = x̂) and through x̂ twice (∂x̂·t = P(t) once more):

    dtx = q          dx  =  − (x̂·mean(c p) + mean(x̂ c)·p + mean(x̂ tx)·q)/s          dγ gains Σ p·dty

With running statistics μ and s are constants, P(t) = t/s, and the second-order part of dx vanishes.

Source: Ioffe & Szegedy 2015, Algorithm 1; the second-order part derived here.
"""

from .registry import op


def _axes(x):
    return tuple(range(x.ndim - 1))


@op
def moments(x):
    """Mean and biased variance of x over all axes but the last: two arrays (C,)."""
    mean = x.mean(_axes(x))
    centred = x - mean
    return mean, (centred * centred).mean(_axes(x))


@op
def update_running(running, batch, momentum, factor):
    """running ← momentum·running + (1 − momentum)·factor·batch, in place."""
    running *= momentum
    running += (1 - momentum) * factor * batch


@op
def normalize(x, mean, s, gamma, beta):
    """y = γ·x̂ + β and x̂ = (x − mean)/s.  x (…, C), others (C,) -> two arrays like x."""
    xhat = (x - mean) / s
    return gamma * xhat + beta, xhat


@op
def project(t, xhat, s):
    """P(t) = (t − mean t − x̂·mean(x̂ t))/s.  t, xhat (…, C), s (C,) -> (…, C)."""
    return (t - t.mean(_axes(t)) - xhat * (xhat * t).mean(_axes(t))) / s


@op
def normalize_backward(dy, xhat, s, gamma):
    """dx = P(γ dy), dγ = Σ x̂ dy, dβ = Σ dy.  dy, xhat (…, C), others (C,) -> (…, C), (C,), (C,)."""
    return project.formula(gamma * dy, xhat, s), (xhat * dy).sum(_axes(dy)), dy.sum(_axes(dy))


def project_backward(c, t, p, q, xhat, s):
    """The gradient of ⟨c, P(t)⟩ with respect to x, through x̂ and s; p = P(t), q = P(c), all (…, C) but s (C,)."""
    mean = lambda a: a.mean(_axes(a))
    return -(xhat * mean(c * p) + mean(xhat * c) * p + mean(xhat * t) * q) / s
