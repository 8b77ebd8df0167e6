"""GELU, in the form with tanh (Hendrycks & Gimpel 2016).

    y = x/2·(1 + tanh a),   a = √(2/π)·(x + 0.044715·x³)

    dx = (½(1 + tanh a) + x/2·(1 − tanh² a)·a′)·dy,   a′ = √(2/π)·(1 + 3·0.044715·x²)

Networks are trained in float32; every map gives the dtype of its x.
"""

import numpy as np

from tinygan.layers import Layer

ROOT = np.sqrt(2 / np.pi)


class GELU(Layer):
    """x of any shape (N, …) -> y of the same shape."""

    def forward(self, x, train=True, rng=None):
        t = np.tanh(ROOT * (x + 0.044715 * x**3))
        return x / 2 * (1 + t), (x, t)

    def backward(self, dy, cache, grads=None):
        x, t = cache
        slope = ROOT * (1 + 3 * 0.044715 * x**2)
        return ((1 + t) / 2 + x / 2 * (1 - t * t) * slope) * dy
