"""Scale and shift each channel.

    y = γ·x + β                    dx = γ·dy,   dγ = Σ x·dy,   dβ = Σ dy        sums over all axes but the last

The loop owns grads and calls backward once for each batch; the gradients of all batches add up there.
"""

import numpy as np

from tinygan.layers import Layer
from tinygan.ops.products import sum_rows       # the sum over all axes but the last


class Scale(Layer):
    """x (N, …, c) -> y of x's shape. Parameters gamma (c,) = 1 and beta (c,) = 0."""

    def __init__(self, c):
        self.c = c
        super().__init__(gamma=(c,), beta=(c,))

    def draw(self, rng):
        return {"gamma": np.ones(self.c)}

    def forward(self, x, train=True, rng=None):
        return self.param("gamma", x) * x + self.param("beta", x), x

    def backward(self, dy, cache, grads=None):
        x = cache
        if grads is not None:
            grads["gamma"] = sum_rows(x * dy)
            grads["beta"] = sum_rows(dy)
        return self.param("gamma", dy) * dy
