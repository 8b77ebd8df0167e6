"""Which latent vectors explain a measurement: a search in the latent space of a generator.

The measurement is y = A x + σn with an affine layer A (its map measures, its adjoint is Aᵀ) and normal noise n. For
x = G(z) and z ~ N(0, I), −2σ² log p(z | y) is up to a constant, with λ = σ², the first two terms of

    ‖A G(z) − y‖² + λ‖z‖² + μ log(1 − D(G(z)))

(Bora et al. 2017, section 3). The third is the loss of G in the minimax game (Yeh et al. 2017, section 3.3). With
r = A G(z) − y and the logit l = D(G(z)) its gradient is

    dx = 2 Aᵀr − μ σ(l) ∂l/∂x,      dz = (∂G/∂z)ᵀ dx + 2λz

    >>> import numpy as np
    >>> from tinygan import models
    >>> G, _ = models.mlp(rng=0, latent=5)
    >>> hole = np.ones((28, 28, 1), "float32")
    >>> hole[7:21, 7:21] = 0                                # 1: measured, 0: missing
    >>> y = hole * G.forward(np.ones((2, 5), "float32"), train=False)[0]
    >>> search(y, Mask(hole), G, lam=0.1, steps=20).shape
    (2, 5)
"""

from .backend import array_module, name_of, to
from .errors import ShapeError
from .layers.affine import Affine
from .ops.adam import adam
from .ops.pointwise import sigmoid, softplus
from .ops.random import source
from .optim import cosine


class Mask(Affine):
    """y = mask·x for samples x (N, *mask.shape). mask: an array of 0 and 1, such as (H, W, C); the map is its adjoint.

    Raises ShapeError for a mask with other numbers, and for x of another shape.
    """

    def __init__(self, mask):
        if getattr(mask, "ndim", 0) < 1 or not ((mask == 0) | (mask == 1)).all():
            raise ShapeError(f"expected a mask of 0 (missing) and 1 (measured), such as (H, W, C), got an array "
                             f"{getattr(mask, 'shape', mask)} with other numbers; compare pixels with a threshold")
        self.mask = mask
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", *self.mask.shape)

    def map(self, x, ctx):
        return x * to(self.mask, name_of(x)).astype(x.dtype)

    adjoint = map


def objective(z, y, A, G, lam, D=None, mu=0.0):
    """‖A G(z) − y‖² + λ‖z‖² + μ log(1 − D(G(z))) of each sample (N,), and its gradient (N, d) in z.

    z (N, d); y (N, …) as A gives it; A: a layer or network, affine; G, D: networks, run with their running statistics.
    Raises ShapeError for y of another shape.
    """
    x, g_cache = G.forward(z, train=False)
    ax, a_cache = A.forward(x, train=False)
    if ax.shape != y.shape:
        raise ShapeError(f"expected measurements of shape {ax.shape}, as A gives them, got {y.shape}; y and A differ")
    r = ax - y
    value, dx = (r * r).reshape(len(z), -1).sum(1) + lam * (z * z).sum(1), A.backward(2 * r, a_cache)
    if mu:
        logits, d_cache = D.forward(x, train=False)
        value, dx = value - mu * softplus(logits)[:, 0], dx + D.backward(-mu * sigmoid(logits), d_cache)
    return value, G.backward(dx, g_cache) + 2 * lam * z


def search(y, A, G, lam, D=None, mu=0.0, restarts=2, steps=100, lr=0.15, rng=0):
    """The z (N, d) of the least objective for each y (N, …): Adam on z from `restarts` random starts each.

    lr: Adam's learning rate at the first step; it falls to 0 along half a cosine. rng: seed of the starts. The other
    arguments are those of `objective`. The search is not convex: more restarts find lower values.
    """
    xp, n, rate = array_module(y), len(y), cosine(lr, steps)
    z = source(rng).normal((restarts * n, *G.input_shape), y)
    ys, m, v = xp.concatenate([y] * restarts), xp.zeros_like(z).reshape(-1), xp.zeros_like(z).reshape(-1)
    for t in range(steps):
        _, dz = objective(z, ys, A, G, lam, D, mu)
        adam(z.reshape(-1), dz.reshape(-1), m, v, rate(t), 1 - 0.9**(t + 1), 1 - 0.99**(t + 1), 0.9, 0.99, 1e-8)
    best = objective(z, ys, A, G, lam, D, mu)[0].reshape(restarts, n).argmin(0)
    return z.reshape(restarts, n, -1)[best, xp.arange(n)]
