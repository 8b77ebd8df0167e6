"""Batch normalisation."""

import numpy as np   # the host-side statistics of a layer that no network owns yet

from ..errors import ConfigError
from ..ops.norm import moments, normalize, normalize_backward, project, project_backward, update_running
from ..ops.products import sum_rows
from .base import Layer


class BatchNorm(Layer):
    """y = γ·(x − μ)/√(σ² + ε) + β, per channel: over all axes but the last (derivation in `ops/norm.py`).

    train=True: μ, σ² are the batch's mean and biased variance, and running statistics move towards the
    batch's: running ← momentum·running + (1 − momentum)·batch, the variance there unbiased (m/(m−1)).
    train=False: μ, σ² are the running statistics, held constant.

    x (N, c) or (N, H, W, c) -> y of x's shape. Parameters gamma (c,) = 1, beta (c,) = 0; state mean (c,) = 0,
    var (c,) = 1. A batch with a single value per channel has σ² = 0 and gives y = β.
    Raises ShapeError for another c. Source: Ioffe & Szegedy 2015, Algorithms 1 and 2.
    """

    statistics = ("mean", "var")

    def __init__(self, c, momentum=0.9, eps=1e-5):
        if not (0 <= momentum <= 1 and eps > 0):
            raise ConfigError(f"expected momentum in [0, 1] and eps > 0, got {momentum!r} and {eps!r}")
        self.c, self.momentum, self.eps = c, float(momentum), float(eps)
        super().__init__(gamma=(c,), beta=(c,))
        self.state = {"mean": np.zeros(c), "var": np.ones(c)}

    def draw(self, rng):
        return {"gamma": np.ones(self.c), "beta": np.zeros(self.c)}

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ..., self.c)
        if train:
            mean, var = moments(x)
            m = x.size // self.c
            update_running(self.state["mean"], mean, self.momentum, 1.0)
            update_running(self.state["var"], var, self.momentum, m / max(m - 1, 1))
        else:
            mean, var = (self.state[name].astype(x.dtype, copy=False) for name in ("mean", "var"))
        s = (var + self.eps)**0.5
        y, xhat = normalize(x, mean, s, self.param("gamma", x), self.param("beta", x))
        return y, (xhat, s, train)

    def backward(self, dy, cache, grads=None):
        (xhat, s, train), gamma = cache, self.param("gamma", dy)
        if train:
            dx, dgamma, dbeta = normalize_backward(dy, xhat, s, gamma)          # P(γ dy), Σ x̂ dy, Σ dy
        else:
            dx, dgamma, dbeta = gamma * dy / s, sum_rows(xhat * dy), sum_rows(dy)
        if grads is not None:
            grads["gamma"] += dgamma
            grads["beta"] += dbeta
        return dx

    def jvp(self, tx, cache):
        xhat, s, train = cache
        p = project(tx, xhat, s) if train else tx / s
        return self.param("gamma", tx) * p, (tx, p)

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        (xhat, s, train), (tx, p) = cache, tcache
        if grads is not None:
            grads["gamma"] += sum_rows(p * dty)
        dx, c = self.backward(dy, cache, grads), self.param("gamma", dty) * dty
        if not train:
            return dx, c / s
        q = project(c, xhat, s)
        return dx + project_backward(c, tx, p, q, xhat, s), q

    def __repr__(self):
        return f"BatchNorm({self.c})"
