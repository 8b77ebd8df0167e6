"""Fill in the backward pass of batch normalisation.

    μ = mean x,   s = √(mean (x − μ)² + ε),   x̂ = (x − μ)/s,   y = γ·x̂ + β

Means run over the N samples, separately in each of the c channels. One x acts on the x̂ of all samples of its channel,
on three paths: directly, through μ and through s.
"""

import numpy as np

from tinygan.layers import Layer


class BatchNorm(Layer):
    """x (N, c) -> y (N, c). Parameters gamma (c,) = 1 and beta (c,) = 0. (Without running statistics.)"""

    def __init__(self, c, eps=1e-5):
        self.c, self.eps = c, eps
        super().__init__(gamma=(c,), beta=(c,))

    def draw(self, rng):
        return {"gamma": np.ones(self.c)}

    def forward(self, x, train=True, rng=None):
        mu = x.mean(0)
        s = (((x - mu)**2).mean(0) + self.eps)**0.5
        xhat = (x - mu) / s
        return self.param("gamma", x) * xhat + self.param("beta", x), (xhat, s)

    def backward(self, dy, cache, grads=None):
        xhat, s = cache
        if grads is not None:
            grads["gamma"] += (xhat * dy).sum(0)
            grads["beta"] += dy.sum(0)
        return project(self.param("gamma", dy) * dy, xhat, s)


def project(g, xhat, s):
    """dx from g = ∂loss/∂x̂ (N, c): the sum of the three paths. xhat (N, c), s (c,)."""
    raise NotImplementedError("write project: what g gives directly, through μ and through s")
