"""Layers that let the discriminator see several samples at once: against collapse."""

from numbers import Integral

from ..backend import array_module
from ..errors import ConfigError, ShapeError
from .affine import Affine
from .base import Layer


class Pack(Affine):
    """m samples side by side in the last axis: (N, …, C) -> (N/m, …, m·C). The first layer of a packed D.

    A rearrangement, so the adjoint puts everything back. Samples 0 … m−1 are the first pack.
    Raises ShapeError when N is not a multiple of m.  Source: Lin et al. 2018 (PacGAN), section 3.
    """

    def __init__(self, m):
        if not (isinstance(m, Integral) and m >= 1):
            raise ConfigError(f"expected a pack of at least 1 sample, got {m!r}")
        self.m = m
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", ...)
        if len(x) % self.m:
            raise ShapeError(f"{self} expected a batch that is a multiple of {self.m}, got {len(x)}; "
                             f"choose another batch size")

    def map(self, x, ctx):
        packs = x.reshape(len(x) // self.m, self.m, *x.shape[1:])
        order = (0, *range(2, x.ndim), 1, x.ndim)
        return packs.transpose(order).reshape(len(packs), *x.shape[1:-1], self.m * x.shape[-1])

    def adjoint(self, dy, ctx):
        c, last = dy.shape[-1] // self.m, dy.ndim - 1
        packs = dy.reshape(*dy.shape[:-1], self.m, c)
        order = (0, last, *range(1, last), last + 1)
        return packs.transpose(order).reshape(len(dy) * self.m, *dy.shape[1:-1], c)

    def __repr__(self):
        return f"Pack({self.m})"


class MinibatchStd(Layer):
    """One more channel that holds, everywhere, how much the samples of the batch differ.

    Per feature j (pixel and channel; J of them), with c = x − mean over the batch and σ_j = √(meanₙ c²ₙⱼ + ε):

        s = (1/J) Σ_j σ_j                            y = [x, s in a channel of its own]
        ∂s/∂xₙⱼ = cₙⱼ/(J·N·σ_j)                      ts = Σ_{n,j} cₙⱼ txₙⱼ/(J·N·σ_j)

    Let S and T be the sums of dy and dty over the new channel. Then dx = dy + S·∂s/∂x plus, of second order,

        T·∂ts/∂xₙⱼ = T/(J·N)·[ (txₙⱼ − mean tx_j)/σ_j − cₙⱼ·(Σₘ cₘⱼ txₘⱼ)/(N·σ_j³) ]

    and dtx = dty + T·∂s/∂x.   x (N, …, C) -> y (N, …, C + 1).  Source: Karras et al. 2018, section 3.
    """

    eps = 1e-8

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ..., "C")
        xp = array_module(x)
        c = x - x.mean(0)
        sigma = xp.sqrt((c * c).mean(0) + self.eps)
        return self._beside(x, sigma.mean()), (c, sigma, c / (c.size * sigma))

    def backward(self, dy, cache, grads=None):
        _, _, ds = cache
        return dy[..., :-1] + dy[..., -1].sum() * ds

    def jvp(self, tx, cache):
        _, _, ds = cache
        return self._beside(tx, (ds * tx).sum()), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        c, sigma, ds = cache
        tx, T, n = tcache, dty[..., -1].sum(), len(c)
        bend = ((tx - tx.mean(0)) / sigma - c * (c * tx).sum(0) / (n * sigma**3)) / c.size
        return self.backward(dy, cache) + T * bend, dty[..., :-1] + T * ds

    @staticmethod
    def _beside(x, s):
        xp = array_module(x)
        return xp.concatenate([x, s * xp.ones_like(x[..., :1])], axis=-1)
