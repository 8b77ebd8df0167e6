"""One parameter vector: names and shapes on the outside, one contiguous array inside.

    θ = (W₁, b₁, W₂, b₂, …) laid end to end;   params["W"] is a view into θ, shaped.

What is written for a vector on paper (a step of Adam, a norm, a weighted average, a finite difference)
is then one line on `params.vector`, and what is written for a weight is one line on `params["W"]`.
Gradients are a second Params of the same shapes.
"""

import copy
import math

import numpy as np      # the shape of whatever is assigned

from ..backend import array_module
from ..errors import ShapeError


class Params(dict):
    """Ordered mapping name -> array, each a view into `.vector`.

    shapes: mapping name -> tuple of int; vector: 1-D array of as many elements as the shapes have.
    Assigning to a name writes into its view, so params["W"] = w and params["W"][...] = w are the same.
    Raises ShapeError when the vector or an assigned array does not fit.
    """

    def __init__(self, shapes, vector):
        super().__init__()
        self.shapes, self.vector = dict(shapes), vector
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        if vector.shape != (sum(sizes),):
            raise ShapeError(f"expected a vector of {sum(sizes)} parameters, got shape {vector.shape}")
        start = 0
        for (name, shape), size in zip(self.shapes.items(), sizes):
            super().__setitem__(name, vector[start:start + size].reshape(shape))
            start += size

    def __setitem__(self, name, value):
        if name not in self.shapes:
            raise KeyError(f"no parameter {name!r}; there are: {', '.join(self)}")
        view = self[name]
        if value is view:          # params["W"] += dW has already written in place
            return
        shape = np.shape(value)
        if shape not in ((), view.shape):
            raise ShapeError(f"parameter {name!r} expected shape {view.shape}, got {shape}")
        view[...] = value

    def update(self, *args, **named):
        for name, value in dict(*args, **named).items():
            self[name] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def _fixed(self, *args):
        raise TypeError("the names of parameters are fixed; assign zeros, or make another layer")

    __delitem__ = pop = popitem = clear = setdefault = _fixed

    def __reduce__(self):       # for pickle, and for shallow copies
        return Params, (self.shapes, self.vector)

    def copy(self):
        """Params with numbers of their own."""
        return Params(self.shapes, self.vector.copy())

    __copy__ = copy

    def __deepcopy__(self, memo):
        return self.copy()

    def zeros(self):
        """Params of the same names and shapes, all zero: where gradients are added up."""
        return Params(self.shapes, array_module(self.vector).zeros_like(self.vector))


def total(shapes):
    """How many numbers the shapes hold together."""
    return sum(math.prod(shape) for shape in shapes.values())


def copied(attributes, memo):
    """Deep copies of a mapping's values; what cannot be copied, such as a module, is kept as it is."""
    new = {}
    for name, value in attributes.items():
        try:
            new[name] = copy.deepcopy(value, memo)
        except TypeError:
            new[name] = value
    return new
