"""Layers that only rearrange; their adjoint is the inverse."""

import math
from numbers import Integral

from ..errors import ConfigError, ShapeError
from .affine import Affine


class Reshape(Affine):
    """y[n] is x[n] with the shape given, in the same (row-major) order.  x (N, …) -> y (N, *shape)."""

    def __init__(self, shape):
        self.shape = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
        if not all(isinstance(n, Integral) and n >= 1 for n in self.shape):
            raise ConfigError(f"Reshape expected sizes that are integers ≥ 1, got {shape!r}; write each of them out")
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", ...)
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ShapeError(f"Reshape expected {math.prod(self.shape)} numbers a sample for {self.shape}, got "
                             f"{math.prod(x.shape[1:])} in {x.shape}; change the layer before it or this shape")
        return x.shape[1:]

    def map(self, x, shape):
        return x.reshape(len(x), *self.shape)

    def adjoint(self, dy, shape):
        return dy.reshape(len(dy), *shape)

    def __repr__(self):
        return f"Reshape({self.shape})"


class Flatten(Affine):
    """y[n] is x[n] in one row, in row-major order.  x (N, …) -> y (N, product of the rest)."""

    def prepare(self, x, train, rng):
        self.expect(x, "N", ...)
        return x.shape[1:]

    def map(self, x, shape):
        return x.reshape(len(x), -1)

    def adjoint(self, dy, shape):
        return dy.reshape(len(dy), *shape)


class Identity(Affine):
    """y = x: the path around a residual block, or a part of `Parallel` that hands x on.  x (N, …) -> y (N, …)."""

    def prepare(self, x, train, rng):
        self.expect(x, "N", ...)

    def map(self, x, ctx):
        return x

    def adjoint(self, dy, ctx):
        return dy
