"""The worked example of the game: one step of D and one of G, with every array."""

import numpy as np

from .. import losses
from ..gan import GAN
from ..gradcheck import Report, check_loss
from ..inspect import layers as records
from ..layers import Dense, LeakyReLU, Sequential
from ..optim import SGD
from .formulas import EXACT, renamed
from .numbers import number
from .sums import Part, gradient_as_sum, jacobian

RATE = 0.5      # the learning rate
SEED = 9        # of z


class _Kept(SGD):
    """An optimiser that keeps the gradient and moves nothing."""

    def update(self, theta, g, lr):
        self.g = g.copy()


def _game(optimiser):
    """G(z) = zW + b on numbers, D with a hidden layer of two, and a rule for z that gives small integers."""
    G = Sequential([Dense(1, 1)], dtype="float64")
    D = Sequential([Dense(1, 2), LeakyReLU(0.5), Dense(2, 1)], dtype="float64")
    G.theta, D.theta = np.array([1.0, -1.0]), np.array([1.0, -1.0, -0.5, 1.5, 2.0, -1.0, 0.0])
    latent = lambda rng, shape, dtype: rng.choice([-1.0, 1.0, 2.0], shape).astype(dtype)
    return GAN(G, D, "non_saturating", optimiser(RATE), optimiser(RATE), latent=latent, rng=SEED)


def example():
    """Parts and report: the two steps written out by forward and backward, which `GAN.step` must repeat."""
    gan, report, x_real = _game(SGD), Report("one step of D, one step of G"), np.array([[2.0], [3.0]])
    loss = losses.get("non_saturating")
    parts = [*_d_step(gan, loss, x_real, report), *_g_step(gan, loss, report)]
    played = _game(SGD)
    played.step(x_real)
    for name in "DG":
        here, there = (getattr(one, name).theta for one in (gan, played))
        report.add(f"θ_{name}, of GAN.step", there, here, EXACT, {}, words=("GAN.step", "here"))
        report.merge(renamed(check_loss(_objective(_game(_Kept), name, x_real), here.copy()),
                             {"d0": f"{name.lower()}_loss: dθ_{name}"}))
    return parts, report


def _d_step(gan, loss, x_real, report):
    G, D, z = gan.G, gan.D, gan.noise(2)
    x_fake, _ = G.forward(z)
    (real, real_cache), (fake, fake_cache) = D.forward(x_real), D.forward(x_fake)
    d_loss, d_real, d_fake = loss.d_loss(real, fake)
    grads = D.zero_grads()
    D.backward(d_real, real_cache, grads)
    D.backward(d_fake, fake_cache, grads)
    outputs = lambda: np.concatenate([D.forward(x)[0].reshape(-1) for x in (x_real, x_fake)])
    line = gradient_as_sum(report, "D.0.W", grads["0.W"], jacobian(outputs, D.params["0.W"]),
                           {"real": ("d_real", d_real), "fake": ("d_fake", d_fake)})
    return [_part("D's step: fakes from G", {"z": z, **_named("G", G.params), "x_fake": x_fake}),
            _part("D's parameters", _named("D", D.params)),
            _part("D on real samples: each layer's output, and the gradient of d_loss in it", _pass(D, x_real, d_real)),
            _part("D on fakes, likewise", _pass(D, x_fake, d_fake)),
            _part(f"d_loss = {number(d_loss)}, and its gradients: those of both backward passes add up",
                  _named("dD", grads), line),
            *_update("D", D, gan.d_opt, grads)]


def _g_step(gan, loss, report):
    G, D, z = gan.G, gan.D, gan.noise(2)
    x_fake, g_cache = G.forward(z)
    fake, fake_cache = D.forward(x_fake)
    g_loss, d_fake = loss.g_loss(fake)
    grads = G.zero_grads()
    G.backward(D.backward(d_fake, fake_cache), g_cache, grads)
    outputs = lambda: D.forward(G.forward(z)[0])[0].reshape(-1)
    line = gradient_as_sum(report, "G.0.W", grads["0.W"], jacobian(outputs, G.params["0.W"]),
                           {"fake": ("d_fake", d_fake)})
    return [_part("G's step: fakes from new z", {"z": z, "x_fake": x_fake}),
            _part("the new D on these fakes; G.backward is given d(input)", _pass(D, x_fake, d_fake)),
            _part(f"g_loss = {number(g_loss)}, and its gradients", _named("dG", grads), line),
            *_update("G", G, gan.g_opt, grads)]


def _update(name, net, optimiser, grads):
    optimiser.step(net, grads)
    return [_part(f"{name}'s parameters after θ ← θ − {number(RATE)}·dθ", _named(name, net.params))]


def _part(title, arrays, *lines):
    return Part(title, arrays, tuple(name for name in arrays if "." in name), lines)


def _named(name, params):
    return {f"{name}.{key}": array.copy() for key, array in params.items()}


def _pass(net, x, dy):
    """Each layer's output and the gradient of the loss in it, by name."""
    return {name: array for record in records(net, x, dy)
            for name, array in ((record.name, record.output), (f"d({record.name})", record.gradient))}


def _objective(gan, name, x_real):
    """θ of D or G -> the loss of this player's step and its gradient, by `gan.d_step` or `gan.g_step`."""
    def objective(theta):
        getattr(gan, name).theta, gan.rng.generator = theta, np.random.default_rng(SEED)
        metrics = gan.d_step(x_real) if name == "D" else gan.g_step(len(x_real))
        return metrics[f"{name.lower()}_loss"], getattr(gan, f"{name.lower()}_opt").g
    return objective
