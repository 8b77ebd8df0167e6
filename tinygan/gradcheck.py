"""Is this gradient right? Hand-written derivatives against numerical ones, to second order.

    report = check_layer(MyLayer(…), x)       all four maps of a layer, or of a whole network
    report = check_loss(my_loss, p)           a function arrays -> (loss, gradient of each array)
    print(report); report.raise_if_wrong()

    >>> import numpy as np
    >>> from tinygan.layers import Dense
    >>> report = check_layer(Dense(3, 2), np.random.default_rng(0).standard_normal((4, 3)))
    >>> report.ok, report["dW"] < 1e-8, report["second dW"] < 1e-8
    (True, True, True)

How. Everything runs in float64. A derivative along r is taken by the five-point rule

    (8(f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h  =  f′ + O(h⁴)

for a falling sequence of h, and of all estimates the one that agrees best with its neighbour is kept: that
steps below kinks (ReLU) and above rounding, without a look at the value under test. Differences are taken
element by element before anything is summed, so that what does not change cancels to exactly 0. Cotangents
are random: under all-ones ones, softmax, BatchNorm and many a mistake give 0.

Arrays of up to `limit` elements are checked one element at a time, larger ones along random directions: each
component is ±(½ … 3/2), with the sign of the gradient under test, so that none is left out and none cancels
another (any direction is a valid test of a gradient; with these the signal stands √n higher above rounding).
A direction whose estimates disagree among themselves crosses a kink at every h and is drawn anew. If a
direction fails, single elements are searched for the index to report.

Parameters are checked about a tenth away from where they are (a tenth of their size; of 1, at 0): at γ = 1 and b = 0
nobody sees that a rule forgot them. Between forward and the other maps another batch passes through the layer, as in
a game: what a layer kept of the pass on itself is that of the wrong one. In float32 every map must give float32.

Give x of order 1 (steps are absolute), and not on a kink: at 0, ReLU has no derivative to compare with.

The relative error of an array is max|by hand − numerical| / max(|by hand|, |numerical|, 0.001).

Source: the scheme is folklore; compare chainer.gradient_check and jax.test_util.check_grads.
"""

import copy
from contextlib import suppress

import numpy as np   # random cotangents, drawn on the host

from . import backend
from .backend import array_module
from .errors import ConfigError, DtypeError
from .gradreport import FLOOR, GradientError, Report
from .layers.base import Layer, check_parts
from .ops.init import generator

__all__ = ["GradientError", "Report", "check_adjoint", "check_backward", "check_float32", "check_jvp", "check_layer",
           "check_loss", "check_second_order", "derivative"]

TOLERANCE = 1e-8            # against five-point differences
ADJOINT_TOLERANCE = 1e-12   # an identity: only rounding
_REDRAWS = 8                # of a direction that crosses a kink


def derivative(f, contract=lambda y: y):
    """contract(∂f(h)/∂h at h = 0) by five-point differences, and how well it is known.

    f: float -> array; contract: a linear map of such arrays. Returns the estimate and its relative gap to the
    neighbouring one.
    """
    def estimate(h):
        return contract((8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h))

    with np.errstate(all="ignore"):     # a large step may leave where f is defined, as that of log is
        best, best_gap, previous = None, float("inf"), estimate(2.0**-7)
        for exponent in range(-9, -25, -2):
            current = estimate(2.0**exponent)
            gap = float(abs(current - previous).max()) / max(float(abs(current).max()), FLOOR)
            if best is None or not best_gap <= gap:     # anything is better than NaN
                best, best_gap = current, gap
            if gap <= 0.01 * TOLERANCE:
                break
            previous = current
    return best, best_gap


class _Point:
    """A layer at (x, tx, θ) in float64, with cotangents dy and dty; moved along one argument at a time."""

    def __init__(self, layer, x, rng, train):
        self.layer = layer.astype("float64") if isinstance(layer, Layer) else copy.deepcopy(layer)
        self.rng, self.train, self.seed = rng, train, int(rng.integers(2**32))
        self.xp, self.where = array_module(x), backend.name_of(x)
        x = x.astype("float64", order="C")      # so that reshape gives views
        self.args = {"x": x, "tx": self.normal(x.shape)}
        self.args.update(getattr(self.layer, "params", {}))
        for name in getattr(self.layer, "params", {}):      # γ = 1, b = 0 would hide that they were forgotten
            array = self.args[name]
            array += 0.1 * self.xp.where(array == 0, 1.0, array) * self.normal(array.shape)
        self.before = {name: array.copy() for name, array in self.args.items()}     # forward may change them already
        y, again = self.forward()[0], self.forward()[0]
        if not np.array_equal(*map(backend.asnumpy, (y, again)), equal_nan=True):
            raise ConfigError(f"{self.layer!r} gave another y for the same x and rng, expected the same; draw from the "
                              f"rng that forward is given, and check SpectralNorm with train=False")
        self.dy, self.dty = self.normal(y.shape), self.normal(y.shape)
        self.before |= {"dy": self.dy.copy(), "dty": self.dty.copy()}

    def normal(self, shape):
        return backend.to(np.asarray(self.rng.standard_normal(shape)), self.where)

    def forward(self):
        """The same masks at every call: a generator with the same seed."""
        result = self.layer.forward(self.args["x"], train=self.train, rng=np.random.default_rng(self.seed))
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ConfigError(f"expected forward of {self.layer!r} to return (y, cache), got {type(result).__name__}")
        return result

    def passed(self):
        """forward, and then another batch through the same layer, as in a game: a cache is that of its own pass."""
        result = self.forward()
        x = self.args["x"]
        other = 0.75 * x + 0.25 * x.reshape(-1)[::-1].reshape(x.shape)      # no number beyond those of x
        self.layer.forward(other, train=self.train, rng=np.random.default_rng(self.seed))
        return result

    def outputs(self):
        """y, in one row; a copy, as y may be a view of the x that moves (Flatten)."""
        return self.forward()[0].reshape(-1).copy()

    def both_outputs(self):
        """y and ty, in one row."""
        y, cache = self.forward()
        ty, _ = self.layer.jvp(self.args["tx"], cache)
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

    def compare(self, report, quantity, name, by_hand, f, weights, directions, limit):
        """Check the gradient of ⟨weights, f()⟩ with respect to args[name]."""
        array = self.args[name]
        if getattr(by_hand, "shape", None) != array.shape:
            report.add_shape(quantity, f"of {name}, ", array.shape, getattr(by_hand, "shape", type(by_hand).__name__))
            return
        contract = lambda y: (weights * y).sum()
        inputs = {**{k: v for k, v in self.args.items() if "second" in quantity or k != "tx"}, "dy": self.dy}
        if "second" in quantity:
            inputs["dty"] = self.dty

        def numerical(flat_index):
            r = self.xp.zeros_like(array)
            r.reshape(-1)[flat_index] = 1.0
            return float(derivative(self.move(name, r, f), contract)[0])

        if array.size <= limit:
            values = np.array([numerical(i) for i in range(array.size)]).reshape(array.shape)
            report.add(quantity, backend.asnumpy(by_hand), values, TOLERANCE, inputs)
            return
        for _ in range(directions):
            for _ in range(_REDRAWS):
                r = self.direction(by_hand)
                estimate, gap = derivative(self.move(name, r, f), contract)
                if gap <= 0.1 * TOLERANCE:
                    break
            n = len(report.failures)
            report.add(quantity, (by_hand * r).sum(), estimate, TOLERANCE, inputs, index=())
            if len(report.failures) > n:
                report.failures[-1] = self._find(quantity, by_hand, numerical, inputs) or report.failures[-1]
                return

    def direction(self, by_hand):
        """A direction of norm about 1 in which no component is small and none cancels another."""
        sign = self.xp.where(by_hand != 0, self.xp.sign(by_hand), 1.0)
        size = backend.to(self.rng.uniform(0.5, 1.5, by_hand.shape), self.where)
        return sign * size / by_hand.size**0.5

    def _find(self, quantity, by_hand, numerical, inputs):
        """After a wrong direction: the text for the worst of up to 200 single elements."""
        flat = backend.asnumpy(by_hand).reshape(-1)
        tried = self.rng.permutation(flat.size)[:200]
        values = np.array([numerical(int(i)) for i in tried])
        worst = int(abs(flat[tried] - values).argmax())
        at = np.unravel_index(tried[worst], by_hand.shape)
        found = Report("")
        found.add(f"{quantity}[{', '.join(map(str, at))}]", flat[tried[worst]], values[worst], TOLERANCE, inputs,
                  index=())
        return found.failures[0] if found.failures else None

    def compare_inputs(self, report):
        """No map changes what it is given."""
        for name, array in [*self.args.items(), ("dy", self.dy), ("dty", self.dty)]:
            report.add("unchanged", array, self.before[name], 0.0, {})

    def grads(self):
        """Gradients to add into, not zero: a map that overwrites instead of adding shows."""
        if not hasattr(self.layer, "zero_grads"):
            return {}
        grads = self.layer.zero_grads()
        for array in grads.values():
            array += 1.0
        return grads


def _start(layer, x, rng, train):
    return _Point(layer, x, generator(rng), train), Report(repr(layer))


def check_backward(layer, x, rng=0, train=True, directions=3, limit=64):
    """backward: dx and the gradient of each parameter, of ⟨dy, forward(x)⟩ with a random dy.

    layer: a Layer, a Sequential, or any object with the same four maps and params in float64; it is copied.
    x (N, …) a float array on the layer's backend. rng: seed of cotangents and dropout masks.
    train: the mode of forward. directions, limit: see the module. Returns a Report.
    """
    point, report = _start(layer, x, rng, train)
    _, cache = point.passed()
    grads = point.grads()
    dx = point.layer.backward(point.dy, cache, grads)
    again = point.grads()
    point.layer.backward(point.dy, cache, again)     # a cache serves as often as one likes
    silent = point.layer.backward(point.dy, cache)   # without grads: the same dx
    lone = point.grads()                             # without dx: the same grads
    getattr(point.layer, "backward_params", point.layer.backward)(point.dy, cache, lone)
    weights = point.dy.reshape(-1)
    point.compare(report, "dx", "x", dx, point.outputs, weights, directions, limit)
    for name, grad in grads.items():
        point.compare(report, f"d{name}", name, grad - 1, point.outputs, weights, directions, limit)
        report.add(f"d{name}, again", again[name], grad, 0.0, {})
        report.add(f"d{name}, no dx", lone[name], grad, 0.0, {})
    report.add("dx, no grads", silent, dx, 0.0, {})
    point.compare_inputs(report)
    return report


def check_jvp(layer, x, rng=0, train=True):
    """jvp: ty against the derivative of forward along a random tx. Arguments as for check_backward."""
    point, report = _start(layer, x, rng, train)
    y, cache = point.passed()
    for _ in range(_REDRAWS):
        point.args["tx"] = point.normal(x.shape)
        numerical, gap = derivative(point.move("x", point.args["tx"], point.outputs))
        if gap <= 0.1 * TOLERANCE:
            break
    point.before["tx"] = point.args["tx"].copy()
    ty, _ = point.layer.jvp(point.args["tx"], cache)
    point.compare_inputs(report)
    report.add("ty", backend.asnumpy(ty), backend.asnumpy(numerical).reshape(y.shape), TOLERANCE, point.args)
    return report


def check_adjoint(layer, x, rng=0, train=True):
    """⟨dy, jvp(tx)⟩ = ⟨backward(dy), tx⟩ to rounding: forward and reverse mode are transposes."""
    point, report = _start(layer, x, rng, train)
    _, cache = point.passed()
    ty, _ = point.layer.jvp(point.args["tx"], cache)
    dx = point.layer.backward(point.dy, cache)
    left, right = float((point.dy * ty).sum()), float((dx * point.args["tx"]).sum())
    scale = float(abs(point.dy * ty).sum() + abs(dx * point.args["tx"]).sum()) or 1.0
    report.add("adjoint", np.array(left / scale), np.array(right / scale), ADJOINT_TOLERANCE,
               {**point.args, "dy": point.dy}, index=())
    return report


def check_second_order(layer, x, rng=0, train=True, directions=3, limit=64):
    """jvp_backward: dx, dtx and each parameter's gradient of ⟨dy, y⟩ + ⟨dty, ty⟩. As check_backward."""
    point, report = _start(layer, x, rng, train)
    _, cache = point.passed()
    _, tcache = point.layer.jvp(point.args["tx"], cache)
    grads = point.grads()
    dx, dtx = point.layer.jvp_backward(point.dy, point.dty, cache, tcache, grads)
    weights = point.xp.concatenate([point.dy.reshape(-1), point.dty.reshape(-1)])
    silent = point.layer.jvp_backward(point.dy, point.dty, cache, tcache)
    for quantity, alone, beside in zip(("dx", "dtx"), silent, (dx, dtx)):
        report.add(f"second {quantity}, no grads", alone, beside, 0.0, {})
    for quantity, name, grad in [("dx", "x", dx), ("dtx", "tx", dtx),
                                 *((f"d{name}", name, grad - 1) for name, grad in grads.items())]:
        point.compare(report, f"second {quantity}", name, grad, point.both_outputs, weights, directions, limit)
    point.compare_inputs(report)
    return report


def check_float32(layer, x, rng=0, train=True):
    """In float32, as networks train, every map gives float32: one NumPy float64 would promote all that follows it."""
    report, xp = Report(repr(layer)), array_module(x)
    layer, x, seed = layer.astype("float32"), x.astype("float32"), int(generator(rng).integers(2**32))
    ones = lambda shape: xp.ones(shape, dtype="float32")
    try:
        y, cache = layer.forward(x, train=train, rng=np.random.default_rng(seed))
        found = {"y": y, "dx": layer.backward(ones(y.shape), cache)}
        with suppress(NotImplementedError):
            found["ty"], tcache = layer.jvp(ones(x.shape), cache)
            found |= zip(("second dx", "second dtx"),
                         layer.jvp_backward(ones(y.shape), ones(y.shape), cache, tcache))
        wrong = [f"{quantity}: expected float32 where all is float32, got {getattr(array, 'dtype', type(array))}; let "
                 f"constants be Python floats, and make new arrays with dtype=x.dtype"
                 for quantity, array in found.items() if getattr(array, "dtype", None) != np.float32]
    except DtypeError as error:     # a network's own
        wrong = [f"y: {error}"]
    for text in wrong:
        report.fail(text.split(":")[0] + " in float32", text)
    return report


def check_layer(layer, x, rng=0, train=True, directions=3, limit=64):
    """All checks in one Report. A layer without jvp is checked to first order (report.skipped says so).

    SpectralNorm moves its vectors at each training pass, and its gradients hold them constant: with it, train=False.

    Raises ConfigError for what has no forward and backward of its own: there would be nothing to check.
    """
    report = Report(repr(layer))
    for map_ in ("forward", "backward"):
        method = getattr(layer, map_, None)
        if not callable(method) or getattr(method, "__func__", None) is getattr(Layer, map_):
            raise ConfigError(f"expected a layer that defines {map_}, got {layer!r}; write it, or see how it is spelt")
    check_parts(layer)
    for check, map_, options in [(check_backward, "backward", {"directions": directions, "limit": limit}),
                                 (check_jvp, "jvp", {}), (check_adjoint, "jvp", {}),
                                 (check_second_order, "jvp_backward", {"directions": directions, "limit": limit})]:
        try:
            part = check(layer, x, rng=rng, train=train, **options)
        except (NotImplementedError, AttributeError) as error:
            # NotImplementedError: a layer, or one inside it, does not go so far; AttributeError: an object without it.
            if map_ == "backward" or isinstance(error, AttributeError) and hasattr(layer, map_):
                raise
            report.skipped += [map_] if map_ not in report.skipped else []
            continue
        report.merge(part)
    if isinstance(layer, Layer):
        report.merge(check_float32(layer, x, rng, train))
    return report


def check_loss(loss, *arrays, name=None, limit=64, directions=3, rng=0):
    """A loss: function of arrays -> (scalar, gradient with respect to each array, in order).

    E.g. check_loss(losses.get("hinge").d_loss, real_logits, fake_logits), or
    check_loss(lambda p: losses.bce(p, 1.0), p). Returns a Report with "d0", "d1", … one per array.
    """
    report = Report(name or getattr(loss, "__qualname__", repr(loss)))
    found = loss(*(array.astype("float64") for array in arrays))
    if not (isinstance(found, (tuple, list)) and len(found) == 1 + len(arrays) and np.size(found[0]) == 1):
        raise ConfigError(f"expected a loss that returns one number and a gradient for each of {len(arrays)} arrays, "
                          f"got {_shapes(found)}; average the loss, and return (loss, gradient, …)")
    for k in range(len(arrays)):
        function = _LossOf(loss, [array.astype("float64", order="C") for array in arrays], k)
        point = _Point(function, function.arrays[k], generator(rng), True)
        point.dy = point.xp.ones_like(point.dy)
        by_hand = loss(*function.arrays)[1 + k]
        point.compare(report, f"d{k}", "x", by_hand, point.outputs, point.dy.reshape(-1), directions, limit)
        x, before = point.args["x"], point.before["x"]
        if (x != before).any():
            report.add("unchanged", x, before, 0.0, {})
    return report


def _shapes(found):
    """What came, in words."""
    if isinstance(found, (tuple, list)):
        return f"({', '.join(map(_shapes, found))})"
    return f"an array {found.shape}" if getattr(found, "shape", ()) else type(found).__name__


class _LossOf:
    """A loss seen as a layer whose input is its k-th array."""

    def __init__(self, loss, arrays, k):
        self.loss, self.arrays, self.k = loss, arrays, k

    def forward(self, x, train=True, rng=None):
        arrays = [*self.arrays[:self.k], x, *self.arrays[self.k + 1:]]
        return array_module(x).asarray(self.loss(*arrays)[0]).reshape(1), None
