"""The alternating game of Goodfellow et al. 2014, Algorithm 1.

    for number of training iterations:
        for k steps:                                                            d_step
            sample noise z and data x; step D down  d_loss(D(x), D(G(z)))
        for m steps (the paper has m = 1):                                      g_step
            sample fresh noise z;      step G down  g_loss(D(G(z)))

D's update comes from one backward pass per batch, real and fake, into one gradient: one update on their sum.
G's gradient passes through D without adding to any gradient of D (no `grads` is handed to D.backward).
Parameters change only after every backward pass that reads them.
"""

from contextlib import nullcontext
from itertools import count
from numbers import Integral

from numpy import arange, asarray   # labels live on the host

from . import backend, kernels, latent, losses, penalties
from .capture import Captured
from .errors import ConfigError, DataError
from .layers import Conv2D, ConvTranspose2D, WithLabels
from .layers.base import check_parts
from .ops.init import generator
from .optim import Adam, Average


class GAN:
    """Two networks and the rules of their game.

    >>> import numpy as np
    >>> from tinygan import GAN, models
    >>> G, D = models.mlp(rng=0)
    >>> gan = GAN(G, D, rng=1)
    >>> metrics = gan.step(np.zeros((16, 28, 28, 1), dtype="float32"))
    >>> sorted(metrics), gan.sample(3).shape
    (['d_fake', 'd_loss', 'd_real', 'g_loss'], (3, 28, 28, 1))

    G            latent vectors (N, latent_dim) -> samples (N, …)
    D            samples (N, …) -> logits (N, 1)
    loss         a name of `losses.names` or a losses.Loss
    g_opt, d_opt optimisers, one each; default Adam(2e-4, β₁ = 0.5)
    latent       "normal", "uniform" or "truncated"; latent_dim: found from G's first layer if not given
    k, m         discriminator steps and generator steps in one `step`
    rng          seed or NumPy generator of the latent noise and of dropout

    Against instability and collapse, each off by default:
    penalty      a name such as "r1+r2", or a penalties.Penalty, for D;  gamma: its weight, a number or a schedule
    g_penalty    λ of the generator's λ·E‖∇ₓ log D(x)‖² at x = G(z)
    average      decay of a moving average of G's weights, which `sample` then uses
    noise_std    instance noise: the standard deviation of Gaussian noise on all that D sees, a number or a schedule
                 (Arjovsky & Bottou 2017; Sønderby et al. 2017)
    clip         limit c of D's weights, clipped to [−c, c] after each update (Arjovsky et al. 2017)

    A conditional game: both networks begin with layers.WithLabels (`models` with classes=K). Then d_step, g_step and
    step take the labels of their batch, and fakes are asked to be of the same classes as the real samples beside them.

    processes    processes.Processes: this is one of several, each with its share of every batch (see `processes`)
    capture      on CuPy: record the step as a CUDA graph and replay it (see `capture`)

    `steps` counts the calls of `step`. Metrics are a dict of 0-d arrays, not yet read from the device:
    d_loss, g_loss, d_real = mean σ(D(x)), d_fake = mean σ(D(G(z))) before D's update.
    """

    def __init__(self, G, D, loss="non_saturating", g_opt=None, d_opt=None, latent="normal", latent_dim=None,
                 k=1, m=1, rng=None, penalty=None, gamma=None, g_penalty=0.0, average=0.0, noise_std=0.0, clip=None,
                 processes=None, capture=False):
        self.G, self.D, self.loss = G, D, losses.get(loss)
        self.g_opt, self.d_opt = g_opt or Adam(), d_opt or Adam()
        if self.g_opt is self.d_opt:
            raise ConfigError("expected two optimisers, got the same one twice; each keeps the moments of one network")
        for name, n in (("k", k), ("m", m)):
            if not (isinstance(n, Integral) and n >= 1):
                raise ConfigError(f"expected {name}, a number of steps, to be an integer ≥ 1, got {n!r}")
        self.latent, self.latent_dim, self.k, self.m = latent, latent_dim or _latent_dim(G), k, m
        from .run.processes import Alone
        self.processes = processes or Alone()
        self.rng = generator(rng)
        self.sample_rng, = self.rng.spawn(1)   # looking at samples does not change the training that follows
        if gamma is not None and not isinstance(penalty, str):
            raise ConfigError(f"expected gamma beside the name of a penalty, got {gamma!r} with penalty {penalty!r}; "
                              f"give penalty=\"r1\", say, or leave gamma out")
        for net in (G, D):
            check_parts(net)
        self.penalty = penalties.Penalty(penalty, gamma) if isinstance(penalty, str) else penalty
        if self.penalty or g_penalty or isinstance(self.loss, losses.Loss):
            penalties.check(D)
        for name, value, ok in (("g_penalty", g_penalty, 0 <= g_penalty < float("inf")),
                                ("clip", clip, clip is None or clip > 0),
                                ("noise_std", noise_std, callable(noise_std) or noise_std >= 0)):
            if not ok:
                raise ConfigError(f"expected {name} {'> 0' if name == 'clip' else '≥ 0'}, got {value!r}")
        self.g_penalty, self.noise_std, self.clip = float(g_penalty), noise_std, clip
        self.average = Average(G, average) if average else None
        self.backend, self.dtype = backend.name_of(G.theta), G.theta.dtype
        # Convolutions do much that is no product: kernels share it out. Dense layers alone are left to BLAS's threads.
        images = any(isinstance(layer, (Conv2D, ConvTranspose2D)) for net in (G, D) for layer in net.layers)
        self._threads = kernels.alone if images and self.backend == "numpy" else nullcontext
        self.classes = next((layer.classes for layer in _labelled(G)), 0)
        if bool(self.classes) != bool(_labelled(D)):
            raise ConfigError("expected WithLabels in both networks or in neither, got it in one; the other would not "
                              "know what is asked for")
        if capture and (self.processes.size > 1 or (self.classes and k > 1)):
            raise ConfigError("expected one process, and k = 1 in a game with classes, to capture the step; a graph "
                              "neither waits for other processes nor takes new labels half-way")
        self._captured = capture and Captured(lambda *batches: self._rounds(batches, self._labels), self.backend)
        self.steps = 0
        self.noise(1, self.sample_rng)         # a wrong name fails here, not in the middle of a run

    def noise(self, n, rng=None):
        """n latent vectors (n, latent_dim) on G's backend, fresh at every call."""
        if rng is not None:
            return backend.to(latent.draw(self.latent, (n, self.latent_dim), rng, self.dtype), self.backend)
        everybodys = (n * self.processes.size, self.latent_dim)
        return backend.fresh(lambda: self.processes.share(latent.draw(self.latent, everybodys, self.rng, self.dtype)),
                             self.backend)

    def seen(self, x):
        """x as D sees it: with instance noise, if there is any. The noise is a constant to every gradient."""
        if not callable(self.noise_std) and not self.noise_std:
            return x
        everybodys = (len(x) * self.processes.size, *x.shape[1:])

        def draw():
            std = float(self.noise_std(self.steps) if callable(self.noise_std) else self.noise_std)
            return self.processes.share(std * self.rng.standard_normal(everybodys, x.dtype))
        return x + backend.fresh(draw, self.backend)

    def tell(self, labels, *nets):
        """Give labels (N,) to both networks, or to these; does nothing in a game without classes."""
        if self.classes:
            if labels is None:
                raise ConfigError(f"this game has {self.classes} classes, expected the labels of the batch, got none; "
                                  f"give labels")
            for net in nets or (self.G, self.D):
                for layer in _labelled(net):
                    layer.labels = asarray(labels) if isinstance(labels, (list, tuple)) else labels

    def d_step(self, x_real, labels=None):
        """One step of D on samples x_real (N, …) and N fakes. Returns d_loss, d_real, d_fake (and penalty)."""
        G, D = self.G, self.D
        self.tell(labels)
        x_fake = G.forward(self.noise(len(x_real)), rng=self.rng)[0]    # no cache: of G only running statistics move
        x_real, x_fake = self.seen(x_real), self.seen(x_fake)
        real, real_cache = D.forward(x_real, rng=self.rng)
        fake, fake_cache = D.forward(x_fake, rng=self.rng)
        loss, d_real, d_fake = self.loss.d_loss(real, fake)
        grads = D.zero_grads()
        metrics = {"d_loss": loss, "d_real": kernels.sigmoid(real).mean(), "d_fake": kernels.sigmoid(fake).mean()}
        if self.penalty is None:
            D.backward_params(d_real, real_cache, grads)
            D.backward_params(d_fake, fake_cache, grads)
        else:   # the same two passes, with the penalties' second order in them
            metrics["penalty"] = self.penalty.backward(D, (x_real, d_real, real_cache), (x_fake, d_fake, fake_cache),
                                                       grads, self.rng, lambda: self.steps)
        self.processes.average(grads.vector)
        self.d_opt.step(D, grads)
        kernels.changed(D.theta)
        if self.clip is not None:
            D.theta = backend.array_module(D.theta).clip(D.theta, -self.clip, self.clip)
        return metrics

    def g_step(self, n, x_real=None, labels=None):
        """One step of G on n fakes. x_real: only for a loss that compares with real samples. Returns g_loss."""
        G, D = self.G, self.D
        self.tell(labels)
        x_fake, g_cache = G.forward(self.noise(n), rng=self.rng)
        fake, d_cache = D.forward(self.seen(x_fake), rng=self.rng)
        real = None
        if getattr(self.loss, "needs_real", False):
            if x_real is None:
                raise ConfigError(f"the loss {self.loss} expected real samples for G's step too, got none; "
                                  f"call g_step(n, x_real)")
            real, _ = D.forward(self.seen(x_real), rng=self.rng)
        loss, d_fake = self.loss.g_loss(fake, real)
        dx = D.backward(d_fake, d_cache)
        if self.g_penalty:
            dx = dx + penalties.generator_penalty(D, d_cache, fake, self.g_penalty)[1]
        grads = G.zero_grads()
        G.backward_params(dx, g_cache, grads)
        self.processes.average(grads.vector)
        self.g_opt.step(G, grads)
        kernels.changed(G.theta)
        if self.average:
            self.average.update(G)
        return {"g_loss": loss}

    def step(self, x_real, labels=None):
        """k steps of D, then m of G. x_real: one batch (N, …) for all k, or a list of k batches; labels likewise."""
        batches = x_real if isinstance(x_real, (list, tuple)) else [x_real] * self.k
        several = isinstance(labels, (list, tuple)) and not all(isinstance(label, Integral) for label in labels)
        labels = labels if several else [labels] * self.k
        for what, given in (("batch", batches), ("batch of labels", labels)):
            if len(given) != self.k:
                raise ConfigError(f"expected one {what} or k = {self.k} of them, got {len(given)}")
        if self._captured:
            self.tell(labels[0])
            self._labels = labels
            metrics = self._captured(*batches)
        else:
            metrics = self._rounds(batches, labels)
        self.steps += 1
        return metrics

    def _rounds(self, batches, labels):
        metrics = {}
        with self._threads(), kernels.steady(self.G.theta, self.D.theta):
            for batch, told in zip(batches, labels):
                metrics.update(self.d_step(batch, told))
            for _ in range(self.m):
                metrics.update(self.g_step(len(batches[-1]), batches[-1], labels[-1]))
        return metrics

    def train(self, batches, steps=None, epochs=None, stop=None, callbacks=()):
        """Steps until one of the given ends is reached; returns the last metrics.

        batches    endless iterator of real minibatches on the host, such as data.Batches
        steps      how many more steps; epochs: how many passes over the data (needs batches.steps_per_epoch)
        stop       function (gan, metrics) -> true to end after this step
        callbacks  functions (gan, metrics), called after each step; `every(n, f)` calls f at intervals
        """
        if epochs is not None:
            per_epoch = getattr(batches, "steps_per_epoch", None)
            if not per_epoch:
                raise ConfigError("epochs need data that ends, got an endless stream; give steps instead")
            whole = steps_of(epochs, per_epoch, self.k)
            steps = whole if steps is None else min(steps, whole)
        if steps is None and stop is None:
            raise ConfigError("expected steps, epochs or a stop condition, got none; training would never end")
        if not hasattr(batches, "__next__"):
            raise DataError(f"expected an iterator of batches, got {type(batches).__name__}; use data.Batches(images, "
                            f"64), say")
        metrics = {}
        for i in count():
            if steps is not None and i >= steps:
                break
            try:
                drawn = [next(batches) for _ in range(self.k)]
            except StopIteration:
                raise DataError(f"expected batches without end, got no more after {i} steps; use data.Batches, say"
                                ) from None
            pairs = [pair if isinstance(pair, tuple) else (pair, None) for pair in drawn]
            metrics = self.step([backend.to(self.processes.share(x), self.backend) for x, _ in pairs],
                                [y if y is None else self.processes.share(y) for _, y in pairs])
            for callback in callbacks:
                callback(self, metrics)
            if stop is not None and stop(self, metrics):
                break
        return metrics

    def sample(self, n=None, z=None, labels=None):
        """Samples G(z) with running statistics, (n, …) on G's backend; z (n, latent_dim), or n fresh ones.

        labels (n,): of which classes, in a conditional game; by default each class in turn.

        With `average`, G's averaged weights draw them.
        """
        G = self.average.net if self.average else self.G
        if (n is None) == (z is None):
            raise ConfigError("expected either n, how many samples, or z, their latents, got " +
                              ("neither" if n is None else "both"))
        z = self.noise(n, self.sample_rng) if z is None else z
        if self.classes:
            self.tell(arange(len(z)) % self.classes if labels is None else asarray(labels), G)
        return G.forward(z, train=False)[0]


def steps_of(epochs, per_epoch, k=1):
    """How many steps, each of k batches, come nearest to so many epochs of `per_epoch` batches; at least one."""
    return max(1, round(epochs * per_epoch / k))


def every(n, callback):
    """A callback that calls `callback` after each n-th step."""
    return lambda gan, metrics: callback(gan, metrics) if gan.steps % n == 0 else None


def _latent_dim(G):
    for dim in [*(G.input_shape or ()), getattr(G.layers[0], "n_in", None)]:
        if dim:
            return dim
    raise ConfigError("cannot tell the latent dimension from G; give latent_dim")


def _labelled(net):
    return [layer for layer in net.layers if isinstance(layer, WithLabels)]
