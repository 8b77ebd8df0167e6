"""Conditioning on classes: both networks are told which class a sample is to be of."""

from numbers import Integral

from .. import backend
from ..backend import array_module
from ..errors import ConfigError, DataError
from .base import Layer


class WithLabels(Layer):
    """The class of each sample, appended to it as `classes` more channels of which one is 1 and the others 0.

        y[n, …, :C] = x[n, …],    y[n, …, C + k] = 1 if labels[n] = k, else 0
        dx = dy[…, :C]            ty = (tx, 0)            dtx = dty[…, :C]

    x (N, …, C) -> y (N, …, C + classes). Labels are no input that is differentiated: set them before forward,

        layer.labels = y        (N,) integers in 0 … classes − 1, on the host

    as `GAN` does for both networks of a conditional game. Raises DataError while there are none that fit.
    Source: Mirza & Osindero 2014.
    """

    def __init__(self, classes):
        if not (isinstance(classes, Integral) and classes >= 1):
            raise ConfigError(f"expected at least one class, got {classes!r}")
        self.classes, self.labels = classes, None
        super().__init__()

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ...)
        xp = array_module(x)
        here = backend.fresh(lambda: self._labels_of(len(x)), backend.name_of(x))
        codes = here[:, None] == xp.arange(self.classes, dtype="int32")
        codes = codes.astype(x.dtype).reshape(len(x), *[1] * (x.ndim - 2), self.classes)
        codes = xp.broadcast_to(codes, (*x.shape[:-1], self.classes))
        return xp.concatenate([x, codes], axis=-1), x.shape[-1]

    def _labels_of(self, n):
        labels = self.labels
        if labels is None or len(labels) != n:
            raise DataError(f"{self} expected {n} labels, one for each sample, got "
                            f"{'none' if labels is None else len(labels)}; set layer.labels before forward")
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= self.classes:
            raise DataError(f"{self} expected labels in 0 … {self.classes - 1}, got {labels.dtype} in "
                            f"{labels.min()} … {labels.max()}")
        return labels.astype("int32")

    def backward(self, dy, cache, grads=None):
        return array_module(dy).ascontiguousarray(dy[..., :cache])

    def jvp(self, tx, cache):
        xp = array_module(tx)
        return xp.concatenate([tx, xp.zeros((*tx.shape[:-1], self.classes), dtype=tx.dtype)], axis=-1), None

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        return self.backward(dy, cache), self.backward(dty, cache)

    def __repr__(self):
        return f"WithLabels({self.classes})"
