"""Gradient penalties, exact to second order by the two-stream protocol.

A penalty is a function φ of v = ∇ₓ Σₙ D(xₙ), D giving logits. With u = ∂φ/∂v held constant,

    ∂φ/∂θ = ∂/∂θ ⟨u, ∇ₓ ΣD⟩ = ∂/∂θ Σₙ (the derivative of D along u)

so, after a forward pass:  v = backward(1);  u from φ;  push u forward with jvp;  then reverse mode through the push,
jvp_backward(dy = 0, dty = 1). If dy is the loss's gradient instead of 0, the same pass does the loss's backward too:
the two are fused, exactly. A check at no cost: the dtx which jvp_backward returns equals v. For ty = J·tx is linear in
tx, so dtx = Jᵀ·dty, and with dty = 1 that is Jᵀ·1 = v, what backward(1) gave, whatever u is. So it tests the pass
through ty and its caches, but not the second-order terms, which are in dx and in the gradients of θ.

    zero-centred   φ = (γ/2)·meanₙ‖vₙ‖²              u = (γ/N)·v
    one-centred    φ = λ·meanₙ(‖vₙ‖ − 1)²            u = (2λ/N)·(1 − 1/‖vₙ‖)·vₙ, and 0 where ‖vₙ‖ = 0
    one-sided      φ = λ·meanₙ max(0, ‖vₙ‖ − 1)²     u = (2λ/N)·max(0, 1 − 1/‖vₙ‖)·vₙ, and 0 where ‖vₙ‖ = 0

Norms sum over everything but the batch. Where v is taken:

    r1           zero-centred, at real samples                         Mescheder et al. 2018, eq. 9
    r2           zero-centred, at generated samples (constants: nothing reaches G)   Mescheder et al. 2018, eq. 10
    wgan_gp      one-centred, at x̂ = εx + (1 − ε)x̃, one ε ~ U(0, 1) a sample       Gulrajani et al. 2017, Alg. 1
    wgan_lp      one-sided, at x̂ = εx + (1 − ε)x̃ likewise              Petzka et al. 2018
    dragan       one-centred, at x + α·δ, δ = ½·std(x)·U(0, 1), one α ~ U(0, 1) a sample   Kodali et al. 2017
    zero_gp      zero-centred, at x̂ = εx + (1 − ε)x̃ likewise           Thanh-Tung et al. 2019 (there without the ½)
    generator_penalty   of log D instead of D, at generated samples, and for G (see the function)

D(x) is the first column of D's output (`losses.logit`). A D that judges packs of samples (layers.Pack) is penalised as
any other: a norm and an ε for each sample. vₙ is ∇D(xₙ) where D(xₙ) depends on xₙ alone: with BatchNorm or
MinibatchStd in D it is the gradient of all logits with respect to xₙ (Gulrajani et al. 2017 advise against BatchNorm
there).
"""

import numpy as np      # its scalars, which are not to promote anything

from .backend import array_module
from .errors import ConfigError, ShapeError, choose
from .layers import Sigmoid
from .losses import cotangent, logit
from .ops.pointwise import sigmoid
from .ops.random import source


def zero_centred(v, gamma):
    """φ = (γ/2)·meanₙ‖vₙ‖² and u = ∂φ/∂v.  v (N, …) -> value (0-d), u (N, …)."""
    n = len(v)
    return (0.5 * gamma / n) * (v * v).sum(), (gamma / n) * v


def one_centred(v, lam, one_sided=False):
    """φ = λ·meanₙ(‖vₙ‖ − 1)² and u = ∂φ/∂v; one_sided: only norms above 1 count.  v (N, …) -> value, u."""
    xp, n = array_module(v), len(v)
    norm = xp.sqrt((v * v).sum(tuple(range(1, v.ndim)), keepdims=True))
    excess = norm - 1
    if one_sided:
        excess = xp.maximum(excess, 0)
    safe = xp.where(norm > 0, norm, xp.ones_like(norm))   # v = 0 has no direction: u = 0 there
    return (lam / n) * (excess * excess).sum(), (2 * lam / n) * (excess / safe) * v


def _reverse(D, cache, dy, phi, grads):
    """The reverse pass of loss and penalty in one; returns φ's value. dy: the loss's gradient in D's output, or 0s."""
    ones = cotangent(array_module(dy).ones_like(logit(dy)), dy)
    value, u = phi(D.backward(ones, cache))
    _, tcache = D.jvp(u, cache)
    D.jvp_backward(dy, ones, cache, tcache, grads)
    return value


def _penalise(D, x, phi, grads, rng):
    check(D)
    y, cache = D.forward(x, rng=rng)
    return _reverse(D, cache, array_module(y).zeros_like(y), phi, grads)


def r1(D, x, gamma, grads, rng=None):
    """(γ/2)·meanₙ‖∇ₓD(xₙ)‖² at real x (N, …): adds ∂/∂θ into grads, returns the value (0-d).

    Raises ConfigError for γ < 0 or a D that ends in Sigmoid.
    """
    gamma = _weight("gamma", gamma)
    return _penalise(D, x, lambda v: zero_centred(v, gamma), grads, rng)


def r2(D, x_fake, gamma, grads, rng=None):
    """As r1, at generated samples, which are constants here: nothing reaches G."""
    return r1(D, x_fake, gamma, grads, rng)


def wgan_gp(D, x_real, x_fake, lam, grads, eps=None, rng=None, one_sided=False):
    """λ·meanₙ(‖∇D(x̂ₙ)‖ − 1)² at x̂ = εx + (1 − ε)x̃: adds ∂/∂θ into grads, returns the value.

    x_real, x_fake (N, …) of one shape; eps (N,) or (N, 1, …) in [0, 1], default drawn from rng, one a sample.
    """
    lam = _weight("lam", lam)
    x = between(x_real, x_fake, eps, rng)
    return _penalise(D, x, lambda v: one_centred(v, lam, one_sided), grads, rng)


def dragan(D, x, lam, grads, rng=None):
    """λ·meanₙ(‖∇D(xₙ + αₙδ)‖ − 1)² near real x: adds ∂/∂θ into grads, returns the value."""
    lam, rng = _weight("lam", lam), source(rng)
    return _penalise(D, around(x, rng), lambda v: one_centred(v, lam), grads, rng)


def zero_gp(D, x_real, x_fake, gamma, grads, eps=None, rng=None):
    """(γ/2)·meanₙ‖∇D(x̂ₙ)‖² between real and generated: adds ∂/∂θ into grads, returns the value."""
    gamma = _weight("gamma", gamma)
    return _penalise(D, between(x_real, x_fake, eps, rng), lambda v: zero_centred(v, gamma), grads, rng)


def between(x_real, x_fake, eps=None, rng=None):
    """x̂ = εx + (1 − ε)x̃ with one ε a sample."""
    if x_real.shape != x_fake.shape:
        raise ShapeError(f"expected as many real as generated samples, got {x_real.shape} and {x_fake.shape}; "
                         f"use batches of one size")
    if eps is None:
        eps = source(rng).uniform((len(x_real),), x_real)
    if getattr(eps, "size", None) != len(x_real):
        raise ShapeError(f"expected an array of one eps a sample, {len(x_real)} of them, got "
                         f"{getattr(eps, 'shape', type(eps).__name__)}; leave eps out to have it drawn")
    eps = eps.reshape(-1, *[1] * (x_real.ndim - 1)).astype(x_real.dtype)
    return eps * x_real + (1 - eps) * x_fake


def around(x, rng=None):
    """x + α·δ with δ = ½·std(x)·U(0, 1) for each number and one α ~ U(0, 1) a sample."""
    rng = source(rng)
    alpha = rng.uniform((len(x), *[1] * (x.ndim - 1)), x)
    return x + alpha * (0.5 * x.std()) * rng.uniform(x.shape, x)


def generator_penalty(D, cache, y, lam):
    """λ·meanₙ‖∇ₓ log D(xₙ)‖² at x = G(z), as a penalty on the generator: its value and gradient with respect to x.

    With l the logit, ∇ₓ log σ(l) = σ(−l)·∇ₓl. Let s = σ(−l), s′ = −s(1 − s). The penalty φ depends on v and on l:

        φ = λ·mean(s²‖v‖²)              u = ∂φ/∂v = (2λ/N)·s²·v
        dl = ∂φ/∂l = (2λ/N)·s·s′·‖v‖² = −(2λ/N)·s²(1 − s)·‖v‖²

    and the gradient with respect to x is the dx of jvp_backward(dl, 1). Hand it to G.backward.

    cache, y (N, …): of D.forward(x) -> value (0-d), dx (N, …). D's own gradients are not touched.
    A packed D has a logit for each m samples: then n counts the packs, and vₙ is the gradient in all of a pack.
    Raises ConfigError for λ < 0 or a D that ends in Sigmoid.
    """
    check(D)
    lam = _weight("lam", lam)
    l, n = logit(y), len(y)
    ones = cotangent(array_module(l).ones_like(l), y)
    v, s = D.backward(ones, cache), sigmoid(-l)
    rows = v.reshape(n, -1)
    square = (rows * rows).sum(1).reshape(l.shape)
    _, tcache = D.jvp(((2 * lam / n) * (s * s).reshape(n, 1) * rows).reshape(v.shape), cache)
    dl = (-2 * lam / n) * s * s * (1 - s) * square
    dx, _ = D.jvp_backward(cotangent(dl, y), ones, cache, tcache)
    return (lam / n) * (s * s * square).sum(), dx


class Penalty:
    """One or several penalties for the discriminator's step, fused with the loss where they share its points.

    names   as in "r1+r2": joined by "+"; of those in `penalties.names`
    weight  γ or λ, a number ≥ 0 or a schedule: a function of the steps done so far -> number. None: 1 for r1 and r2,
            10 for the others
    """

    def __init__(self, names, weight=None):
        self.names = tuple(name.strip().replace("-", "_") for name in names.split("+"))
        for name in self.names:
            choose("penalty", name, _DEFAULTS)
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"expected each penalty once, got {names!r}")
        if weight is not None and not callable(weight):
            _weight("gamma", weight)
        self.weight = weight

    def backward(self, D, real, fake, grads, rng, now=lambda weight: weight):
        """The whole reverse pass of D's step: loss and penalties; returns the sum of the penalties' values.

        real, fake: (x, dy, cache) of the two batches, dy the loss's gradient in D's output; now: function that gives
        the present value of a number or a schedule (`GAN.now`).
        """
        value, fused = 0.0, {"r1": real, "r2": fake}
        for name, (_, dy, cache) in fused.items():
            if name in self.names:
                gamma = self._weight(name, now)
                value = value + _reverse(D, cache, dy, lambda v: zero_centred(v, gamma), grads)
            else:
                D.backward(dy, cache, grads)
        for name in self.names:
            if name not in fused:
                value = value + _ELSEWHERE[name](D, real[0], fake[0], self._weight(name, now), grads, rng)
        return value

    def _weight(self, name, now):
        return _weight("gamma", now(_DEFAULTS[name] if self.weight is None else self.weight))


_DEFAULTS = {"r1": 1.0, "r2": 1.0, "wgan_gp": 10.0, "wgan_lp": 10.0, "dragan": 10.0, "zero_gp": 10.0}
_ELSEWHERE = {
    "wgan_gp": lambda D, x, x_fake, lam, grads, rng: wgan_gp(D, x, x_fake, lam, grads, rng=rng),
    "wgan_lp": lambda D, x, x_fake, lam, grads, rng: wgan_gp(D, x, x_fake, lam, grads, rng=rng, one_sided=True),
    "dragan": lambda D, x, x_fake, lam, grads, rng: dragan(D, x, lam, grads, rng),
    "zero_gp": lambda D, x, x_fake, gamma, grads, rng: zero_gp(D, x, x_fake, gamma, grads, rng=rng),
}
names = tuple(_DEFAULTS)


def _weight(name, value):
    """The value, if it can be a weight. One on a device is not read."""
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return value
    if not 0 <= value < float("inf"):
        raise ConfigError(f"expected the penalty's {name} to be ≥ 0, got {value!r}")
    return float(value)     # a NumPy float64 would promote float32


def check(D):
    """Raise ConfigError if D ends in a Sigmoid: losses, penalties and the reported D(x) are of logits."""
    last = D
    while getattr(last, "layers", None):
        last = last.layers[-1]
    if isinstance(last, Sigmoid):
        raise ConfigError("expected a D that gives logits, got one that ends in Sigmoid; leave that out: losses, "
                          "penalties and the reported D(x) = σ(logit) are of logits")
