"""LeakyReLU (Maas et al. 2013).

    y = x where x > 0, else slope·x                    dx = dy where x > 0, else slope·dy

x belongs to the layer before this one, or it is the data.
"""

import numpy as np

from tinygan.layers import Layer


class LeakyReLU(Layer):
    """x of any shape (N, …) -> y of the same shape."""

    def __init__(self, slope=0.2):
        self.slope = float(slope)
        super().__init__()

    def forward(self, x, train=True, rng=None):
        x[x < 0] *= self.slope
        return x, x > 0

    def backward(self, dy, cache, grads=None):
        return np.where(cache, dy, self.slope * dy)
