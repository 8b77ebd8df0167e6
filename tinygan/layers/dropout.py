"""Dropout."""

from ..errors import ConfigError
from ..ops.products import multiply
from ..ops.random import dropout, source
from .affine import Affine


class Dropout(Affine):
    """y = x·mask/(1 − rate), where each element of mask is 1 with probability 1 − rate, else 0.

    Linear once the mask is drawn, and its own adjoint: dx = dy·mask/(1 − rate). The expectation of y is x
    (but for 2⁻¹⁷ in the probability, see `ops/random.py`), so train=False is the identity.

    x of any shape (N, …) -> y of the same shape. rate in [0, 1).
    forward draws one key from rng (None: fresh entropy), and the mask follows from the key (`ops/random.py`).
    Source: Srivastava et al. 2014.
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
        y, mask = dropout(source(rng).key(x), x, self.rate)
        return y, (x, mask)

    def map(self, x, mask):
        return x if mask is None else multiply(x, mask)

    adjoint = map

    def __repr__(self):
        return f"Dropout({self.rate:g})"
