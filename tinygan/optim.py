"""Optimisers, each a few lines on the vector θ, and learning-rate schedules.

With g = ∂loss/∂θ (+ weight_decay·θ, the gradient of the L2 penalty ½·weight_decay·‖θ‖²) and t = 1, 2, …:

    SGD       u ← μ·u + g                                   θ ← θ − lr·u                    Polyak 1964
    RMSprop   v ← ρ·v + (1−ρ)g²                             θ ← θ − lr·g/(√v + ε)           Hinton 2012
    Adam      m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²        θ ← θ − lr·m̂/(√v̂ + ε)           Kingma & Ba 2015, Alg. 1
              m̂ = m/(1−β₁ᵗ),      v̂ = v/(1−β₂ᵗ)

An optimiser belongs to one network: its slots (u, v, m) are vectors beside θ, on θ's backend and of its
dtype. They persist from step to step, as does t.
"""

from functools import partial
from math import cos, pi

from .backend import array_module
from .errors import ConfigError, ShapeError, choose
from .layers.params import Params
from .ops.adam import adam


class Optimizer:
    """lr: a number > 0, or a schedule, a function of the number of steps done so far (0, 1, …) -> number.

    state: the slots by name, t: how many steps were taken; both are all that a checkpoint needs.
    """

    slots = ()

    def __init__(self, lr, weight_decay=0.0):
        if not callable(lr) and not lr > 0:
            raise ConfigError(f"expected a learning rate above 0, got {lr!r}")
        _check("weight_decay", weight_decay, float("inf"))
        self.lr, self.weight_decay, self.t, self.state = lr, weight_decay, 0, {}

    def step(self, net, grads):
        """Update net.params in place from grads, a mapping of the same names (as net.zero_grads() makes)."""
        theta, g = net.params.vector, _vector(grads, net)
        self.prepare(net)
        if any(array.shape != theta.shape or array.dtype != theta.dtype for array in self.state.values()):
            raise ConfigError(f"expected the network that this optimiser began with, got one of {theta.size} "
                              f"{theta.dtype} parameters; make one optimiser for each network")
        if self.weight_decay:
            g = g + self.weight_decay * theta
        self.update(theta, g, *self.rates())

    def rates(self):
        """What `update` needs of this step's number: the learning rate, first. Counts the step."""
        lr = float(self.lr(self.t) if callable(self.lr) else self.lr)
        self.t += 1
        return (lr,)

    def prepare(self, net):
        """Make the slots for this network, all zero, unless they are there."""
        theta = net.params.vector
        if not self.state:
            self.state = {slot: array_module(theta).zeros_like(theta) for slot in self.slots}

    def update(self, theta, g, lr):
        """Move θ in place."""
        theta -= lr * self.direction(g)

    def direction(self, g):
        """Update the slots with g; return what θ moves against, per unit of learning rate."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent with momentum μ (0: without).

        u ← μ·u + g                             θ ← θ − lr·u

    Unrolled from u₀ = 0, uₜ = gₜ + μgₜ₋₁ + μ²gₜ₋₂ + …: with a constant g it tends to g/(1−μ), a longer step; gradients
    that change their sign cancel.  Source: Polyak 1964.
    """

    def __init__(self, lr=1e-2, momentum=0.0, weight_decay=0.0):
        super().__init__(lr, weight_decay)
        _check("momentum", momentum)
        self.momentum, self.slots = momentum, ("u",) if momentum else ()

    def direction(self, g):
        if not self.momentum:
            return g
        u = self.state["u"]
        u *= self.momentum
        u += g
        return u


class RMSprop(Optimizer):
    """Each coordinate divided by a running root mean square of its gradient.

        v ← ρ·v + (1−ρ)g²                       θ ← θ − lr·g/(√v + ε)

    v is a weighted mean of the squares so far, so g/√v is of order 1 however g is scaled. There is no bias correction:
    v begins at 0, and the first step is 1/√(1−ρ) times lr.  Source: Hinton 2012.
    """

    slots = ("v",)

    def __init__(self, lr=1e-3, rho=0.9, eps=1e-8, weight_decay=0.0):
        super().__init__(lr, weight_decay)
        _check("rho", rho)
        self.rho, self.eps = rho, eps

    def direction(self, g):
        v = self.state["v"]
        v *= self.rho
        v += (1 - self.rho) * (g * g)
        return g / (v**0.5 + self.eps)


class Adam(Optimizer):
    """Adam with the bias corrections of the true step count. β₁ = 0.5 as Radford et al. 2016 advise for GANs.

        m ← β₁m + (1−β₁)g                       m̂ = m/(1−β₁ᵗ)
        v ← β₂v + (1−β₂)g²                      v̂ = v/(1−β₂ᵗ)
        θ ← θ − lr·m̂/(√v̂ + ε)

    Why it divides: unrolled from m₀ = 0, mₜ = (1−β₁)(gₜ + β₁gₜ₋₁ + … + β₁ᵗ⁻¹g₁). If all g have one distribution, the
    geometric series (1−β₁)(1 + β₁ + … + β₁ᵗ⁻¹) = 1−β₁ᵗ gives E[mₜ] = (1−β₁ᵗ) E[g]. With g² in the place of g,
    E[vₜ] = (1−β₂ᵗ) E[g²]. So E[m̂] = E[g] and E[v̂] = E[g²]. The first step is lr·sign(g); undivided, it would be
    (1−β₁)/√(1−β₂) times as long.
    Source: Kingma & Ba 2015, Algorithm 1 and section 3.
    """

    slots = ("m", "v")

    def __init__(self, lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(lr, weight_decay)
        _check("beta1", beta1)
        _check("beta2", beta2)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def rates(self):
        """The learning rate and both bias corrections, 1 − β₁ᵗ and 1 − β₂ᵗ."""
        lr, = super().rates()
        return lr, 1 - self.beta1**self.t, 1 - self.beta2**self.t

    def update(self, theta, g, lr, c1, c2):
        adam(theta, g, self.state["m"], self.state["v"], lr, c1, c2, self.beta1, self.beta2, self.eps)


class Average:
    """An exponential moving average of a network's weights, to sample from:  a ← d·a + (1 − d)·θ.

    `net` is a copy of the network with the averaged weights. Its running statistics, noisy as each follows a few
    batches only, are averaged likewise; other state (SpectralNorm's unit vectors) is that of the latest network.
    decay d in [0, 1); in the first steps min(d, (1 + t)/(10 + t)), so that the start is soon forgotten.
    Source: Yazıcı et al. 2019.
    """

    def __init__(self, net, decay):
        if not 0 <= decay < 1:
            raise ConfigError(f"expected an averaging decay of at least 0 and below 1, got {decay!r}")
        self.net, self.decay, self.t = net.copy(), decay, 0

    def update(self, net):
        """Move the average towards the network as it is now."""
        keep, add = self.rates()
        average, latest = ({"theta": n.theta, **n.state} for n in (self.net, net))
        for name, array in average.items():
            if name == "theta" or name in net.statistics:
                array *= keep
                array += add * latest[name]
            else:
                array[...] = latest[name]

    def rates(self):
        """The shares d of the average and 1 − d of the latest weights in this step. Counts the step."""
        self.t += 1
        d = min(self.decay, (1 + self.t) / (10 + self.t))
        return d, 1 - d


def _check(name, value, end=1):
    if not 0 <= value < end:
        raise ConfigError(f"expected {name} ≥ 0 and below {end}, got {value!r}")


def _vector(grads, net):
    wanted = net.params.shapes
    found = {name: getattr(g, "shape", None) for name, g in grads.items()} if hasattr(grads, "items") else {}
    for name in [*wanted, *found]:
        if name not in wanted or found.get(name) != wanted[name]:
            raise ShapeError(f"expected gradients of this network's parameters, {name!r} of shape {wanted.get(name)}, "
                             f"got {found.get(name)}; begin with net.zero_grads()")
    if isinstance(grads, Params):
        return grads.vector
    return array_module(net.params.vector).concatenate([grads[name].reshape(-1) for name in wanted])


# Schedules: functions of the steps done so far, t = 0, 1, …; partial functions, so that they can be pickled.

def constant(lr):
    """lr at every step."""
    return partial(_exponential, lr, 1, 1.0)


def step_decay(lr, every, factor=0.1):
    """lr·factor^⌊t/every⌋: a drop after each `every` steps."""
    return partial(_step_decay, lr, every, factor)


def exponential(lr, every, factor=0.1):
    """lr·factor^(t/every): the same decay, smoothly."""
    return partial(_exponential, lr, every, factor)


def cosine(lr, steps, end=0.0):
    """From lr to end·lr along half a cosine over `steps`, then constant. Loshchilov & Hutter 2017, no restarts."""
    return partial(_cosine, lr, steps, end)


def anneal(start, end, steps, share=1.0):
    """From start to end over the first `share` of `steps`, then constant: geometrically, or linearly if one is 0."""
    if min(start, end) < 0:
        raise ConfigError(f"expected to anneal between numbers ≥ 0, got {start!r} and {end!r}")
    return partial(_anneal, start, end, max(share * steps, 1))


def _step_decay(lr, every, factor, t):
    return lr * factor ** (t // every)


def _exponential(lr, every, factor, t):
    return lr * factor ** (t / every)


def _cosine(lr, steps, end, t):
    return lr * (end + (1 - end) * (1 + cos(pi * min(t / steps, 1))) / 2)


def _anneal(start, end, steps, t):
    done = min(t / steps, 1)
    return start * (end / start)**done if start and end else start + (end - start) * done


_SCHEDULES = {
    "constant": lambda lr, steps: constant(lr),
    "step": lambda lr, steps: step_decay(lr, max(-(-steps // 3), 1)),
    "exponential": lambda lr, steps: exponential(lr, steps),
    "cosine": lambda lr, steps: cosine(lr, steps),
}
schedules = tuple(_SCHEDULES)


def schedule(name, lr, steps):
    """A schedule by name for a run of `steps` steps.

    constant; step: a tenth after each third of the run; exponential: down to a tenth at the end; cosine: to 0.
    """
    return choose("learning-rate schedule", name, _SCHEDULES)(lr, steps)
