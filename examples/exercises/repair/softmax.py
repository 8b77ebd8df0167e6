"""Softmax over the last axis.

    y_k = e^{x_k} / Σ_j e^{x_j}

dx is the gradient of ⟨dy, y⟩ in x: dx_k = Σ_j dy_j ∂y_j/∂x_k.
"""

import numpy as np

from tinygan.layers import Layer


class Softmax(Layer):
    """x (N, …, K) -> y (N, …, K), each row positive with sum 1."""

    def forward(self, x, train=True, rng=None):
        e = np.exp(x - x.max(-1, keepdims=True))        # nothing overflows
        y = e / e.sum(-1, keepdims=True)
        return y, y

    def backward(self, dy, cache, grads=None):
        y = cache
        return y * (1 - y) * dy
