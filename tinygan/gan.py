"""The alternating game of Goodfellow et al. 2014, Algorithm 1.

    for number of training iterations:
        for k steps:                                                            d_step
            sample noise z and data x; step D down  d_loss(D(x), D(G(z)))
        for m steps (the paper has m = 1):                                      g_step
            sample fresh noise z;      step G down  g_loss(D(G(z)))

G's gradient passes through D and adds to no gradient of D (derivation in `losses.py`): D.backward gets no `grads`.
"""

from itertools import islice
from numbers import Integral

from . import backend, losses, penalties
from .errors import check_all
from .layers.checks import check_parts
from .layers.labels import with_classes
from .losses import cotangent, logit
from .ops.pointwise import sigmoid
from .ops.random import latent as latent_rule, source
from .ops.registry import executors
from .optim import Adam, Average


class GAN:
    """Two networks and the rules of their game.

    >>> from tinygan import data, models
    >>> gan = GAN(*models.mlp(rng=0), rng=1)
    >>> metrics = gan.step(data.load("mnist5k")[0][:16])
    >>> sorted(metrics), gan.sample(3).shape
    (['d_fake', 'd_loss', 'd_real', 'g_loss'], (3, 28, 28, 1))

    G, D         networks: latent vectors (N, latent_dim) -> samples (N, …), samples -> logits (N, 1)
    loss         a name of `losses.names` or a losses.Loss;  g_opt, d_opt: optimisers, default Adam(2e-4, β₁ = 0.5)
    latent       "normal", "uniform", "truncated" or a rule (`ops.random.latent`);  latent_dim: by default G's input
    k, m         steps of D and of G in one `step`;  rng: seed, NumPy generator or `ops.random.Source`
    penalty      a name such as "r1+r2", or a penalties.Penalty, for D;  gamma: its weight, a number or a schedule
    g_penalty    λ of the generator's λ·E‖∇ₓ log D(x)‖² at x = G(z);  average: decay of an average of G, to sample from
    noise_std    standard deviation of Gaussian noise on all that D sees, a number or a schedule (Sønderby et al. 2017)
    clip         limit c of D's weights, clipped to [−c, c] after each update (Arjovsky et al. 2017)
    auxiliary    function (columns (N, q) of D's output on fakes after the first, the z (N, …) given to G) -> loss,
                 gradient; both players descend it (as in Chen et al. 2016)

    A conditional game: both networks begin with layers.WithLabels (`models` with classes=K); steps take labels (N,),
    and fakes are of the same classes. Metrics are a dict of 0-d arrays, not yet read from the device: d_loss, g_loss,
    d_real = mean σ(D(x)), d_fake = mean σ(D(G(z))) before D's update. A D that guesses has d_loss = 2 log 2 = 1.386.
    """

    def __init__(self, G, D, loss="non_saturating", g_opt=None, d_opt=None, latent="normal", latent_dim=None, k=1, m=1,
                 rng=None, penalty=None, gamma=None, g_penalty=0.0, average=0.0, noise_std=0.0, clip=None,
                 auxiliary=None):
        self.G, self.D, self.loss, self.auxiliary = G, D, losses.get(loss), auxiliary
        self.g_opt, self.d_opt, self.rng = g_opt or Adam(), d_opt or Adam(), source(rng)
        self.sample_rng = source(self.rng.generator.spawn(1)[0])    # so `sample` does not change the steps after it
        self.k, self.m, self.noise_std, self.clip, self.steps = k, m, noise_std, clip, 0     # steps: calls of `step`
        self.penalty = penalties.Penalty(penalty, gamma) if isinstance(penalty, str) else penalty
        self.g_penalty, self.average = float(g_penalty), Average(G, average) if average else None
        self.classes, classes = (getattr(net.layers[0], "classes", 0) for net in (G, D))
        given = (G.input_shape or [getattr(G.layers[0], "n_in", 0)])[0]
        self.latent, self.latent_dim = latent_rule(latent), latent_dim or given - self.classes
        check_all(
            (self.g_opt is not self.d_opt, "two optimisers, got the same one twice; each keeps one network's moments"),
            (all(isinstance(n, Integral) and n >= 1 for n in (k, m)), f"k and m as integers ≥ 1, got {k!r} and {m!r}"),
            (gamma is None or isinstance(penalty, str), f"gamma beside the name of a penalty, got {penalty!r}"),
            (0 <= g_penalty < float("inf") and (clip is None or clip > 0),
             f"g_penalty ≥ 0 and clip > 0, got {g_penalty!r} and {clip!r}"),
            (callable(noise_std) or noise_std >= 0, f"noise_std ≥ 0, or a schedule, got {noise_std!r}"),
            (self.latent_dim > 0, "latent_dim, the size of z, which G's first layer does not define; give latent_dim"),
            (self.classes == classes, f"WithLabels alike in both networks, got {self.classes} and {classes} classes"))
        check_parts(G), check_parts(D), self.noise(1, self.sample_rng)      # a rule that does not work fails here
        if self.penalty or g_penalty or isinstance(self.loss, losses.Loss):
            penalties.check(D)

    def now(self, value):
        """The present value of a number or of a schedule, a function of the steps done so far."""
        return float(value(self.steps)) if callable(value) else value

    def noise(self, n, rng=None):
        """n latent vectors (n, latent_dim) on G's backend, fresh at every call."""
        theta, rng = self.G.theta, self.rng if rng is None else source(rng)
        return rng.draw(lambda g, shape: self.latent(g, shape, theta.dtype), (n, self.latent_dim), theta)

    def input_of_d(self, x, labels):
        """What D sees of x: with instance noise, a constant to every gradient, and with the classes."""
        if callable(self.noise_std) or self.noise_std:
            x = x + self.now(self.noise_std) * self.rng.normal(x.shape, x)
        return with_classes(x, labels, self.classes)

    def d_step(self, x_real, labels=None):
        """One step of D on samples x_real (N, …) and N fakes. Returns d_loss, d_real, d_fake (and penalty)."""
        with executors(self.G, self.D) as (G, D):
            z = with_classes(self.noise(len(x_real)), labels, self.classes)
            x_fake, _ = G.forward(z, rng=self.rng)      # of G only running statistics move
            x_real, x_fake = self.input_of_d(x_real, labels), self.input_of_d(x_fake, labels)
            real, real_cache = D.forward(x_real, rng=self.rng)
            fake, fake_cache = D.forward(x_fake, rng=self.rng)
            loss, d_real, d_fake = self.loss.d_loss(logit(real), logit(fake))
            metrics = {"d_loss": loss, "d_real": sigmoid(logit(real)).mean(), "d_fake": sigmoid(logit(fake)).mean()}
            d_real, d_fake = cotangent(d_real, real), self._with_auxiliary(cotangent(d_fake, fake), fake, z, metrics)
            grads = D.zero_grads()
            if self.penalty is None:
                D.backward(d_real, real_cache, grads)
                D.backward(d_fake, fake_cache, grads)
            else:   # the same two passes, with the penalties' second order in them
                metrics["penalty"] = self.penalty.backward(
                    D, (x_real, d_real, real_cache), (x_fake, d_fake, fake_cache), grads, self.rng, self.now)
            self.d_opt.step(D, grads)
            if self.clip is not None:
                D.theta = D.theta.clip(-self.clip, self.clip)
        return metrics

    def g_step(self, n, x_real=None, labels=None):
        """One step of G on n fakes. x_real: only for a loss that compares with real samples. Returns g_loss."""
        with executors(self.G, self.D) as (G, D):
            z, real = with_classes(self.noise(n), labels, self.classes), None
            x_fake, g_cache = G.forward(z, rng=self.rng)
            fake, d_cache = D.forward(self.input_of_d(x_fake, labels), rng=self.rng)
            if getattr(self.loss, "needs_real", False) and x_real is not None:
                real = logit(D.forward(self.input_of_d(x_real, labels), rng=self.rng)[0])
            loss, d_fake = self.loss.g_loss(logit(fake), real)
            metrics = {"g_loss": loss}
            dx = D.backward(self._with_auxiliary(cotangent(d_fake, fake), fake, z, metrics), d_cache)
            if self.g_penalty:
                dx = dx + penalties.generator_penalty(D, d_cache, fake, self.g_penalty)[1]
            grads = G.zero_grads()
            G.backward(dx[..., :x_fake.shape[-1]], g_cache, grads)      # without the channels of classes
            self.g_opt.step(G, grads)
        if self.average:
            self.average.update(self.G)
        return metrics

    def _with_auxiliary(self, dy, y, z, metrics):
        """dy with the gradient of the auxiliary loss in the columns after the first."""
        if self.auxiliary:
            metrics["auxiliary"], dy[..., 1:] = self.auxiliary(y[..., 1:], z)
        return dy

    def step(self, x_real, labels=None):
        """k steps of D, then m of G. x_real: one batch (N, …) for all k, or a list of k batches; labels likewise."""
        several = isinstance(x_real, (list, tuple))
        batches, labels = (x_real, labels or [None] * self.k) if several else ([x_real] * self.k, [labels] * self.k)
        found = f"{len(batches)} and labels for {len(labels)}"
        check_all((len(batches) == len(labels) == self.k, f"k = {self.k} batches, and labels for each, got {found}"))
        with executors(self.G, self.D):
            for batch, label in zip(batches, labels):
                metrics = self.d_step(batch, label)
            for _ in range(self.m):
                metrics |= self.g_step(len(batch), batch, label)
        self.steps += 1
        return metrics

    def train(self, batches, steps, callbacks=()):
        """Steps on an iterator of host batches x or (x, labels), until a callback (gan, metrics) returns true."""
        batches, metrics = iter(batches), {}
        for _ in range(steps):
            drawn = [batch if isinstance(batch, tuple) else (batch, None) for batch in islice(batches, self.k)]
            metrics = self.step([backend.to(x, backend.name_of(self.G.theta)) for x, _ in drawn], [y for _, y in drawn])
            if any([callback(self, metrics) for callback in callbacks]):
                break
        return metrics

    def sample(self, n=None, z=None, labels=None):
        """G(z) with running statistics and averaged weights; z (n, latent_dim), or n new ones; labels (n,)."""
        check_all(((n is None) != (z is None), "either n, the number of samples, or z, got both or neither"))
        z, G = self.noise(n, self.sample_rng) if z is None else z, self.average.net if self.average else self.G
        labels = [i % max(self.classes, 1) for i in range(len(z))] if labels is None else labels
        return G.forward(with_classes(z, labels, self.classes), train=False)[0]
