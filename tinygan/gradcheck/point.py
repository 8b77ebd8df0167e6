"""A layer at one x: what the checks differentiate, and what they call."""

import copy
from contextlib import contextmanager

import numpy as np   # random numbers, drawn on the host

from .. import backend
from ..backend import array_module
from ..errors import ConfigError
from ..layers.base import Layer
from . import contract
from .differences import kinks
from .report import FLOOR

SEARCH = 200    # elements, at most, that are tried one by one to find a place to report


class Point:
    """A layer at (x, tx, θ) in float64, with cotangents dy and dty; moved along one argument at a time.

    Cotangents are random: under all-ones ones, softmax and BatchNorm give 0, and many mistakes too. Parameters are
    moved by about a tenth (of their size; of 1, at 0): a rule that omits γ or b is right at γ = 1 and b = 0.
    """

    def __init__(self, layer, x, rng, train):
        self.layer = layer.astype("float64") if isinstance(layer, Layer) else copy.deepcopy(layer)
        self.rng, self.train, self.seed = rng, train, int(rng.integers(2**32))
        self.masks = np.random.default_rng(self.seed)
        self.start = self.masks.bit_generator.state
        self.xp, self.where = array_module(x), backend.name_of(x)
        x = x.astype("float64", order="C")      # so that reshape gives views
        self.args = {"x": x, "tx": self.normal(x.shape)}
        self.args.update(getattr(self.layer, "params", {}))
        self.origin = {}        # parameters as they were before they are moved
        for name in getattr(self.layer, "params", {}):
            array = self.args[name]
            self.origin[name] = array.copy()
            array += 0.1 * self.xp.where(array == 0, 1.0, array) * self.normal(array.shape)
        self.before = {name: array.copy() for name, array in self.args.items()}     # forward may change them already
        y, again = self.forward()[0], self.forward()[0]
        if not np.array_equal(*map(backend.asnumpy, (y, again)), equal_nan=True):
            raise ConfigError(f"{self.layer!r} gave another y for the same x and rng, expected the same; draw from the "
                              f"rng that forward is given, and check SpectralNorm with train=False")
        self.y, self.dy, self.dty = y.copy(), self.normal(y.shape), self.normal(y.shape)
        self.before |= {"dy": self.dy.copy(), "dty": self.dty.copy()}
        # What is in grads before a map adds to it: no two elements alike, so that nothing else looks like its loss.
        shapes = {k: v.shape for k, v in self.layer.zero_grads().items()} if hasattr(self.layer, "zero_grads") else {}
        self.filled = {name: backend.to(rng.uniform(1, 2, shape), self.where) for name, shape in shapes.items()}
        arrays = {**self.args, "dy": self.dy}
        self.inputs = {1: {k: v for k, v in arrays.items() if k != "tx"}, 2: {**arrays, "dty": self.dty}}
        self._kink = None

    def normal(self, shape):
        """A standard normal array on the backend of x."""
        return backend.to(np.asarray(self.rng.standard_normal(shape)), self.where)

    # The maps, with their results checked for being pairs.

    def forward(self):
        """The same masks at every call: the generator begins again, which is faster than another of the same seed."""
        self.given = self.args["x"].copy()      # a map that writes into it shows, and does not move the point
        return self._pair("forward", "y, cache", self._forward(self.given))

    def _forward(self, x):
        if self.masks.bit_generator.seed_seq.n_children_spawned:        # which its state does not count
            self.masks = np.random.default_rng(self.seed)
        self.masks.bit_generator.state = self.start
        return self.layer.forward(x, train=self.train, rng=self.masks)

    def passed(self, between=True):
        """forward, and then another batch through the same layer, as in a game: a cache is that of its own pass."""
        result, x = self.forward(), self.args["x"]
        self.pass_x = self.given, x.copy()      # forward is called again for differences
        if between:
            other = 0.75 * x + 0.25 * x.reshape(-1)[::-1].reshape(x.shape)      # no number beyond those of x
            self._forward(other)
        return result

    def backward(self, cache, grads=None):
        """dx for dy."""
        return self._adding("backward", grads, self.layer.backward, self.dy, cache)

    def jvp(self, cache):
        """ty, tcache for tx."""
        return self._pair("jvp", "ty, tcache", self.layer.jvp(self.args["tx"], cache))

    def jvp_backward(self, cache, tcache, grads=None):
        """dx, dtx for dy and dty."""
        return self._pair("jvp_backward", "dx, dtx", self._adding(
            "jvp_backward", grads, self.layer.jvp_backward, self.dy, self.dty, cache, tcache))

    def _adding(self, map_, grads, method, *args):
        """A call of a map that adds into grads, or that is to leave grads alone, where it is None."""
        try:
            return method(*args) if grads is None else method(*args, grads)
        except (TypeError, ValueError) as error:
            contract.check_adding(self.layer, map_, grads, error)
            raise

    def _pair(self, map_, names, result):
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ConfigError(f"expected {map_} of {self.layer!r} to return ({names}), got {type(result).__name__}; "
                              f"end it with: return {names}")
        return result

    def grads(self, times=1.0):
        """Gradients to add into, not zero: a map that overwrites instead of adding shows."""
        grads = self.layer.zero_grads() if self.filled else {}
        for name, array in grads.items():
            array += times * self.filled[name]
        return grads

    # The functions that are differentiated.

    def outputs(self):
        """y, in one row; a copy, as y may be a view of the x that moves (Flatten)."""
        return self.forward()[0].reshape(-1).copy()

    def both_outputs(self):
        """y and ty, in one row."""
        y, cache = self.forward()
        ty, _ = self.jvp(cache)
        return self.xp.concatenate([y.reshape(-1), ty.reshape(-1)])

    def move(self, name, r, f):
        """The function h -> f() with args[name] moved by h·r."""
        array, origin = self.args[name], self.args[name].copy()

        def moved(h):
            array[...] = origin + h * r
            try:
                return f()
            finally:
                array[...] = origin
        return moved

    @contextmanager
    def scaled_dy(self, factors):
        """dy is another one meanwhile."""
        origin, self.dy = self.dy, self.dy * factors
        try:
            yield
        finally:
            self.dy = origin

    @contextmanager
    def exchanged(self):
        """dy and dty in each other's place meanwhile."""
        self.dy, self.dty = self.dty, self.dy
        try:
            yield
        finally:
            self.dy, self.dty = self.dty, self.dy

    @contextmanager
    def replaced(self, name, value):
        """args[name] has another value meanwhile."""
        array, origin = self.args[name], self.args[name].copy()
        array[...] = value
        try:
            yield
        finally:
            array[...] = origin

    def spread(self, function):
        """The rounding error of numbers that maps by hand compute and that would be 0 without it.

        x, tx, dy and dty are changed by some 10⁻⁶ of themselves, eight times. Each rounding is then another one, while
        an error of a rule stays what it is, to six digits: it is much larger than the spread of its values, a rounding
        error is smaller. Returned is twice the spread of function(), and 0 where function() is larger than that.
        """
        arrays = [self.args["x"], self.args["tx"], self.dy, self.dty]
        origins, found, here = [array.copy() for array in arrays], [], abs(backend.asnumpy(function()))
        for _ in range(8):
            for array, origin in zip(arrays, origins):
                array[...] = origin * (1 + 2.0**-20 * self.normal(array.shape))
            found.append(backend.asnumpy(function()))
        for array, origin in zip(arrays, origins):
            array[...] = origin
        spread = 2 * (np.max(found, axis=0) - np.min(found, axis=0))
        return np.where(spread >= here, spread, 0.0)

    def unit(self, name, place):
        """The direction of a single element of args[name]."""
        r = self.xp.zeros_like(self.args[name])
        r.reshape(-1)[int(place)] = 1.0
        return r

    # What the texts of a report say.

    def single(self):
        """Whether forward gives only numbers that float32 has, for an x that has others."""
        x, y = backend.asnumpy(self.args["x"]), backend.asnumpy(self.y)
        rounded = lambda array: array.astype("float32").astype("float64")
        return y.dtype != np.float64 or bool(y.any() and (rounded(x) != x).all() and (rounded(y) == y).all())

    def kink(self, moved=""):
        """One line that names the element of x at a kink of y; moved: what crosses the kink, if no x does."""
        if self.single():
            return ("forward gives float32 for a float64 x, so that differences see only rounding; keep the dtype of x "
                    "(no np.float32, dtype=x.dtype in new arrays)")
        if self._kink is None:
            self._kink = next(self._kinks_of_x(), "")
        return self._kink or (f"{moved} lies on a kink or a jump, where no derivative exists; move it or x, or give "
                              f"another rng")

    def _kinks_of_x(self):
        x = self.args["x"]
        for place in range(x.size) if x.size <= SEARCH else self.rng.permutation(x.size)[:SEARCH]:
            found, left, right = map(backend.asnumpy, kinks(self.move("x", self.unit("x", place), self.outputs)))
            if found.any():
                k, at = int(found.argmax()), np.unravel_index(int(place), x.shape)
                slopes = (f" (slope of y {left[k]:.3g} on its left, {right[k]:.3g} on its right)"
                          if max(abs(left[k]), abs(right[k])) < 1 / FLOOR else "")
                value = float(backend.asnumpy(x)[at])
                yield (f"x[{', '.join(map(str, at))}] = {value:.6g} lies on a kink{slopes}, where no derivative "
                       f"exists; move x away from it, e.g. by 0.1")

    def counts(self):
        """Numbers that a rule may have summed or averaged over -> what they count."""
        shape, y = self.args["x"].shape, self.y.shape
        found = {}
        for number, what in ((shape[0] if shape else 1, "N, the batch size"), (self.y.size, "the elements of y"),
                             (self.args["x"].size, "the elements of x"),
                             (int(np.prod(y[1:])), "the elements of one sample's y"),
                             (int(np.prod(shape[1:])), "the elements of one sample's x"),
                             (int(np.prod(shape[:-1])), "the elements of x per channel"),
                             (int(np.prod(y[:-1])), "the elements of y per channel"),
                             (int(np.prod(shape[1:-1])), "the pixels of x"),
                             (int(np.prod(y[1:-1])), "the pixels of y")):
            found.setdefault(number, what)
        return found
