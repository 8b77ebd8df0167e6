"""Pixelwise feature normalisation, as in the generator of Karras et al. 2018.

    s = √(mean x² + ε) over the c channels,   y = x/s

dx is the gradient of ⟨dy, y⟩ in x.
"""

from tinygan.layers import Layer


class PixelNorm(Layer):
    """x (N, …, c) -> y of x's shape."""

    def __init__(self, eps=1e-8):
        self.eps = float(eps)
        super().__init__()

    def forward(self, x, train=True, rng=None):
        s = ((x * x).mean(-1, keepdims=True) + self.eps)**0.5
        return x / s, (x / s, s)

    def backward(self, dy, cache, grads=None):
        xhat, s = cache
        return dy / s
