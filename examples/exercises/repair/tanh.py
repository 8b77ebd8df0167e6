"""The hyperbolic tangent, with the two maps that gradient penalties need.

    y = tanh x,   f′ = 1 − y²,   f″ = −2y(1 − y²)

    backward       the gradient of ⟨dy, y⟩ in x                    jvp            ty = f′·tx
    jvp_backward   the gradients of ⟨dy, y⟩ + ⟨dty, ty⟩ in x and tx; x acts on ty, too
"""

import numpy as np

from tinygan.layers import Layer


class Tanh(Layer):
    """x of any shape (N, …) -> y of the same shape."""

    def forward(self, x, train=True, rng=None):
        y = np.tanh(x)
        return y, y

    def backward(self, dy, cache, grads=None):
        return (1 - cache**2) * dy

    def jvp(self, tx, cache):
        return (1 - cache**2) * tx, tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        y = cache
        return (1 - y**2) * dy, (1 - y**2) * dty
