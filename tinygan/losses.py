"""GAN objectives: logits in, loss and ∂loss/∂logits out, for both players.

Networks give logits l; D(x) = σ(l). With a(l) = log(1 + eˡ) (softplus):  −log D = a(−l),  −log(1 − D) = a(l), and
a′ = σ. All losses are means over the batch, to be minimised, 0-d arrays of the logits' dtype on their backend (reading
one waits for a device). Each class below states losses and gradients for N real logits r and M fake logits f.

To θ_G. The loss depends on θ_G through x = G(z) and f = D(x) only, so the chain rule is two calls of backward:

    ∂g_loss/∂θ_G = (∂x/∂θ_G)ᵀ (∂f/∂x)ᵀ d_fake        G.backward(D.backward(d_fake, d_cache), g_cache, grads)

The optimal D. Let p, q be the densities of real and generated samples. In cross-entropy D lowers p·a(−l) + q·a(l) at
each x; the derivative q·σ(l) − p·σ(−l) is 0 where D*(x) = σ(l) = p/(p + q). Likewise in other objectives:

    cross-entropy    σ(l) = p/(p + q)           d_loss = 2 log 2 − 2·JSD(p, q)     JSD: Jensen–Shannon divergence
    least_squares    l = p/(p + q)              d_loss = ¼ − ⅛ ∫(p − q)²/(p + q)
    hinge            l = sign(p − q)            d_loss = 2 − 2·TV(p, q)            TV: total variation, ½∫|p − q|
    wasserstein      l of slope up to 1         d_loss = −W₁(p, q)
    relativistic     l = log(p/q) + constant    d_loss = log 2 − JSD(p×q, q×p)     p×q: density of pairs

So minimax's G descends 2·JSD: at D* the derivative in l is 0, and D*'s own dependence on q adds nothing. The gradient
of non_saturating's G is at D* that of KL(q‖p) − 2·JSD(p, q) (Arjovsky & Bottou 2017, Theorem 2.5).

    >>> import numpy as np
    >>> loss, d_real, d_fake = get("non_saturating").d_loss(np.zeros((2, 1)), np.zeros((2, 1)))
    >>> round(float(loss), 4), d_real.tolist(), d_fake.tolist()   # D = ½ everywhere: 2 log 2
    (1.3863, [[-0.25], [-0.25]], [[0.25], [0.25]])
"""

from .backend import array_module
from .errors import ConfigError, choose
from .ops.losses import bce, bce_with_logits, check, check_both, paired
from .ops.pointwise import sigmoid, softplus

__all__ = ["Loss", "bce", "bce_with_logits", "cotangent", "get", "logit", "names"]


def logit(y):
    """The logits (N, …, 1) in D's output y (N, …, 1 + q): its first column. The others are for heads of your own."""
    return y if y.ndim < 2 or y.shape[-1] == 1 else y[..., :1]


def cotangent(dlogits, y):
    """The gradient with respect to D's whole output y, from that with respect to `logit(y)`: 0 in other columns."""
    if dlogits.shape == y.shape:
        return dlogits
    d = array_module(y).zeros_like(y)
    d[..., :1] = dlogits
    return d


class Loss:
    """One objective: d_loss and g_loss with closed-form gradients.

    d_loss(real_logits, fake_logits) -> loss, d_real, d_fake
    g_loss(fake_logits, real_logits=None) -> loss, d_fake

    Logits (N, 1) or any shape; gradients have the same. `needs_real`: g_loss takes the real logits too. `GAN` takes any
    object with these two maps; one that derives from Loss is refused for a D that ends in Sigmoid.
    """

    needs_real = False
    smoothing = 0.0

    def __repr__(self):
        return type(self).__name__


class NonSaturating(Loss):
    """D: cross-entropy of real against 1 (or 1 − smoothing) and of fake against 0. G: of fake against 1.

        d_loss = mean a(−r) + mean a(f)             d_real = −σ(−r)/N       d_fake = σ(f)/M
        g_loss = mean a(−f)                         d_fake = −σ(−f)/M

    (derivation in `ops/losses.py`). G's gradient is largest where σ(f) is near 0. With smoothing the target is t and
    d_real = (σ(r) − t)/N. Goodfellow et al. 2014, section 3; smoothing: Salimans et al. 2016, section 3.4.
    """

    def __init__(self, smoothing=0.0):
        if not 0 <= smoothing < 1:
            raise ConfigError(f"expected label smoothing of at least 0 and below 1, got {smoothing!r}")
        self.smoothing = float(smoothing)

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        real, d_real = bce_with_logits(real_logits, 1.0 - self.smoothing)
        fake, d_fake = bce_with_logits(fake_logits, 0.0)
        return real + fake, d_real, d_fake

    def g_loss(self, fake_logits, real_logits=None):
        return bce_with_logits(fake_logits, 1.0)


class Minimax(NonSaturating):
    """The zero-sum game: G minimises mean log(1 − D(G(z))).  Goodfellow et al. 2014, eq. 1.

        d_loss = mean a(−r) + mean a(f)             d_real = −σ(−r)/N       d_fake = σ(f)/M
        g_loss = −mean a(f)                         d_fake = −σ(f)/M
    """

    def g_loss(self, fake_logits, real_logits=None):
        loss, d_fake = bce_with_logits(fake_logits, 0.0)
        return -loss, -d_fake


class LeastSquares(Loss):
    """Mean squared errors: targets are 1 for real and 0 for fake; G wants 1.  Mao et al. 2017, eq. 9.

        d_loss = ½ mean (r − 1)² + ½ mean f²        d_real = (r − 1)/N      d_fake = f/M
        g_loss = ½ mean (f − 1)²                    d_fake = (f − 1)/M
    """

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        real, d_real = _squares(real_logits, 1.0)
        fake, d_fake = _squares(fake_logits, 0.0)
        return real + fake, d_real, d_fake

    def g_loss(self, fake_logits, real_logits=None):
        check(fake_logits)
        return _squares(fake_logits, 1.0)


class Hinge(Loss):
    """D is pushed until real > 1 and fake < −1; G moves the mean logit up.  Lim & Ye 2017.  [c] is 1 if c, else 0.

        d_loss = mean max(0, 1 − r) + mean max(0, 1 + f)        d_real = −[r < 1]/N     d_fake = [f > −1]/M
        g_loss = −mean f                                        d_fake = −1/M
    """

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        xp = array_module(real_logits)
        real, fake = xp.maximum(1 - real_logits, 0), xp.maximum(1 + fake_logits, 0)
        return (real.mean() + fake.mean(), (real > 0) * _over_n(real, -1.0), (fake > 0) * _over_n(fake, 1.0))

    def g_loss(self, fake_logits, real_logits=None):
        check(fake_logits)
        return -fake_logits.mean(), _over_n(fake_logits, -1.0)


class Wasserstein(Loss):
    """−d_loss ≤ W₁(p, q) if D's slope is at most 1, as a penalty or clipping keeps it.  Arjovsky et al. 2017, eq. 2.

        d_loss = mean f − mean r                    d_real = −1/N           d_fake = 1/M
        g_loss = −mean f                            d_fake = −1/M
    """

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        return (fake_logits.mean() - real_logits.mean(), _over_n(real_logits, -1.0), _over_n(fake_logits, 1.0))

    def g_loss(self, fake_logits, real_logits=None):
        check(fake_logits)
        return -fake_logits.mean(), _over_n(fake_logits, -1.0)


class Relativistic(Loss):
    """Each fake sample is judged against one real sample: with δ = f − r, D lowers a(δ), G lowers a(−δ).

        d_loss = mean a(f − r)                      d_real = −σ(f − r)/N    d_fake = σ(f − r)/N
        g_loss = mean a(r − f)                      d_fake = −σ(r − f)/N

    as ∂a(δ)/∂f = σ(δ) = −∂a(δ)/∂r.  Both batches must have the same size N.  Jolicoeur-Martineau 2018.
    """

    needs_real = True

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        delta = paired(fake_logits, real_logits)
        d_fake = sigmoid(delta) / delta.size
        return softplus(delta).mean(), -d_fake, d_fake

    def g_loss(self, fake_logits, real_logits=None):
        check_both(fake_logits, real_logits)
        delta = paired(fake_logits, real_logits)
        return softplus(-delta).mean(), -sigmoid(-delta) / delta.size


class RelativisticAverage(Loss):
    """Each sample is judged against the mean logit of the other kind.  Jolicoeur-Martineau 2018.

        p = r − mean f                              q = f − mean r
        d_loss = mean a(−p) + mean a(q)             d_real = −σ(−p)/N − mean(σ(q))/N     d_fake = σ(q)/M + mean(σ(−p))/M
        g_loss = mean a(p) + mean a(−q)             d_fake = −σ(−q)/M − mean(σ(p))/M

    as the means carry gradient too: ∂/∂rᵢ = ∂L/∂pᵢ − (1/N) Σⱼ ∂L/∂qⱼ and ∂/∂fⱼ = ∂L/∂qⱼ − (1/M) Σᵢ ∂L/∂pᵢ.
    """

    needs_real = True

    def d_loss(self, real_logits, fake_logits):
        check(real_logits, fake_logits)
        return self._play(real_logits, fake_logits, 1.0)

    def g_loss(self, fake_logits, real_logits=None):
        check_both(fake_logits, real_logits)
        loss, _, d_fake = self._play(real_logits, fake_logits, -1.0)
        return loss, d_fake

    @staticmethod
    def _play(r, f, sign):
        p, q = r - f.mean(), f - r.mean()
        dp, dq = -sign * sigmoid(-sign * p) / p.size, sign * sigmoid(sign * q) / q.size
        loss = softplus(-sign * p).mean() + softplus(sign * q).mean()
        return loss, dp - dq.sum() / r.size, dq - dp.sum() / f.size


def _squares(logits, target):
    error = logits - target
    return 0.5 * (error * error).mean(), error / error.size


def _over_n(logits, value):
    return array_module(logits).full_like(logits, value / logits.size)


_LOSSES = {"minimax": Minimax, "non_saturating": NonSaturating, "least_squares": LeastSquares, "hinge": Hinge,
           "wasserstein": Wasserstein, "relativistic": Relativistic, "relativistic_average": RelativisticAverage}
names = tuple(_LOSSES)


def get(name, smoothing=0.0):
    """The objective of this name; a Loss, or whatever has its two maps, as it is. ConfigError lists the names."""
    if isinstance(name, type):
        raise ConfigError(f"expected a loss, got the class {name.__name__}; write {name.__name__}()")
    if hasattr(name, "d_loss") and hasattr(name, "g_loss"):
        if smoothing and smoothing != getattr(name, "smoothing", None):
            raise ConfigError(f"expected the name of a loss beside smoothing, got {name!r}; give it there")
        return name
    loss = choose("loss", name.replace("-", "_") if isinstance(name, str) else name, _LOSSES)
    if smoothing and not issubclass(loss, NonSaturating):
        raise ConfigError(f"label smoothing needs a cross-entropy loss (minimax, non_saturating), got {name!r}")
    return loss(smoothing) if smoothing else loss()
