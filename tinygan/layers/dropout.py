"""Dropout."""

from .. import kernels
from ..backend import name_of
from ..errors import ConfigError
from ..ops.init import generator
from ..ops.random import draw_key
from .base import Affine


class Dropout(Affine):
    """y = x·mask/(1 − rate), where each element of mask is 1 with probability 1 − rate, else 0.

    Linear once the mask is drawn, and its own adjoint: dx = dy·mask/(1 − rate). The expectation of y is x
    (but for 2⁻¹⁷ in the probability, see `ops/random.py`), so train=False is the identity.

    x of any shape (N, …) -> y of the same shape. rate in [0, 1).
    rng: a NumPy generator; forward takes one key of it and the mask follows from the key on the device
    (`ops/random.py`). None: fresh entropy.  Source: Srivastava et al. 2014.
    """

    def __init__(self, rate):
        if not 0 <= rate < 1:
            raise ConfigError(f"expected a dropout rate of at least 0 and below 1, got {rate!r}")
        self.rate = float(rate)
        super().__init__()

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ...)
        if not train or self.rate == 0:
            return x, (x, None)
        y, mask = kernels.dropout(draw_key(generator(rng), name_of(x)), x, self.rate)
        return y, (x, mask)

    def map(self, x, mask):
        return x if mask is None else kernels.multiply(x, mask)

    adjoint = map

    def __repr__(self):
        return f"Dropout({self.rate:g})"
