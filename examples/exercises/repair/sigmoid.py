"""The sigmoid.

    y = 1/(1 + e^−x)               dx = y(1 − y)·dy

In a GAN one layer of D sees two batches, real and fake, before the first backward.
"""

import numpy as np

from tinygan.layers import Layer


class Sigmoid(Layer):
    """x of any shape (N, …) -> y of the same shape."""

    def forward(self, x, train=True, rng=None):
        self.y = 1 / (1 + np.exp(-x))
        return self.y, None

    def backward(self, dy, cache, grads=None):
        return self.y * (1 - self.y) * dy
