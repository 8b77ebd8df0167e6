"""Fill in f′ and f″ of an activation.

    y = arctan x

The base class `Pointwise` makes all four maps of a layer from f, f′ and f″ (tinygan/layers/pointwise.py):
backward is dx = f′(x)·dy; jvp_backward, which gradient penalties use, needs f″ as well.
"""

import numpy as np

from tinygan.layers import Pointwise


class Arctan(Pointwise):
    """x of any shape (N, …) -> y of the same shape."""

    def f(self, x):
        return np.arctan(x)

    def d1(self, t, x, y):
        """f′(x)·t."""
        raise NotImplementedError("write d1: the first derivative of arctan at x, times t")

    def d2(self, t, x, y):
        """f″(x)·t."""
        raise NotImplementedError("write d2: the second derivative of arctan at x, times t")
