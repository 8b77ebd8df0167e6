"""Dropout (Srivastava et al. 2014).

    y = x·mask          where an element of mask is 1/(1 − rate) with probability 1 − rate, else 0
                        so the expectation of y is x; without training y = x

The base class `Affine` makes all four maps of a layer from `map` and `adjoint`.
"""

from tinygan.layers import Affine
from tinygan.ops.random import source


class Dropout(Affine):
    """x of any shape (N, …) -> y of the same shape."""

    def __init__(self, rate=0.4):
        self.rate = float(rate)
        super().__init__()

    def prepare(self, x, train, rng):
        """The mask of this pass, or None."""
        return (source(rng).uniform(x.shape, x) >= self.rate).astype(x.dtype) if train else None

    def map(self, x, mask):
        return x if mask is None else x * mask

    def adjoint(self, dy, mask):
        return dy if mask is None else dy * mask
