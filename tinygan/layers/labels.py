"""Conditioning on classes: the class of each sample is part of the input of both networks."""

from numbers import Integral

import numpy as np   # labels given as a list

from .. import backend
from ..backend import array_module
from ..errors import ConfigError, DataError
from .base import Layer


class WithLabels(Layer):
    """The first layer of a network whose last `classes` input channels are the class of each sample: 1 there, else 0.

        y[n, …, :C] = x[n, …, :C],    y[n, …, C + k] = 1 if x[n, …, C + k] > ½, else 0
        dx = (dy[…, :C], 0)           ty = (tx[…, :C], 0)           dtx = (dty[…, :C], 0)

    The class channels are constant wherever they are differentiable, so a gradient penalty on D does not see them.
    x (N, …, C + classes) -> y of the same shape; `with_classes` makes such an x.
    Source: Mirza & Osindero 2014.
    """

    def __init__(self, classes):
        if not (isinstance(classes, Integral) and classes >= 1):
            raise ConfigError(f"expected at least one class, got {classes!r}")
        self.classes = int(classes)
        super().__init__()

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ..., "C")
        c = x.shape[-1] - self.classes
        if c < 1:
            raise ConfigError(f"{self} expected {self.classes} channels of classes after those of the sample, got "
                              f"{x.shape}; make x with layers.with_classes(x, labels, {self.classes})")
        return _joined(x[..., :c], x[..., c:] > 0.5), c

    def backward(self, dy, cache, grads=None):
        return _without_classes(dy, cache)

    def jvp(self, tx, cache):
        return _without_classes(tx, cache), None

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        return _without_classes(dy, cache), _without_classes(dty, cache)

    def __repr__(self):
        return f"WithLabels({self.classes})"


def with_classes(x, labels, classes):
    """x (N, …, C) and the classes of its samples -> (N, …, C + classes), 1 in the channel of the class, else 0.

    labels (N,): integers in 0 … classes − 1, a list, or an array on the host or beside x; with classes = 0, x is
    returned as it is. Raises DataError for other labels (those on a device are not read) and ConfigError for None.
    """
    if not classes:
        return x
    xp, labels = array_module(x), backend.to(check_labels(labels, len(x), classes), backend.name_of(x))
    codes = (labels[:, None] == xp.arange(classes, dtype="int32")).reshape(len(x), *[1] * (x.ndim - 2), classes)
    return _joined(x, xp.broadcast_to(codes, (*x.shape[:-1], classes)))


def check_labels(labels, n, classes):
    """n labels as an array of int32; those on a device as they are. Raises as `with_classes`."""
    if labels is None:
        raise ConfigError(f"expected the labels of the batch in a game with {classes} classes, got none; give labels")
    labels = np.asarray(labels) if isinstance(labels, (list, tuple)) else labels
    if backend.name_of(labels) != "numpy":
        return labels
    if labels.shape != (n,):
        raise DataError(f"expected {n} labels, one for each sample, got shape {labels.shape}; give those of this batch")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"expected labels in 0 … {classes - 1}, got {labels.dtype} in {labels.min()} … {labels.max()}; "
                        f"number the classes from 0 on")
    return labels.astype("int32")


def _without_classes(d, c):
    """d (N, …, C + classes) with 0 after its first c channels."""
    return _joined(d[..., :c], 0 * d[..., c:])


def _joined(x, codes):
    return array_module(x).concatenate([x, codes.astype(x.dtype)], axis=-1)
