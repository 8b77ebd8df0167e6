"""The checks: each map of a layer against differences of forward, and a loss against its own.

Everything runs in float64 (`differences` says how derivatives are taken, `compare` which tolerances hold). Parameters
are checked about a tenth away from where they are. Between forward and the other maps another batch passes through
the layer, as in a game, and another tangent between jvp and jvp_backward: what a layer kept of the pass on itself is
that of the wrong one. grads is not 0 before a map adds to it. In float32 every map must give float32.

Give x of order 1 (steps are absolute), and not on a kink: at 0, ReLU has no derivative to compare with.

Source: the scheme is folklore; compare chainer.gradient_check and jax.test_util.check_grads.
"""

from contextlib import nullcontext, suppress

import numpy as np   # generators, and float32 as a dtype to compare with

from .. import backend
from ..backend import array_module
from ..errors import ConfigError, DtypeError
from ..layers.base import Layer
from ..ops.init import generator
from . import contract, diagnosis
from .compare import REDRAWS, Gradient, judge
from .differences import UNIT, difference, kinks, rounding
from .point import Point
from .report import FLOOR, Report

ADJOINT_TOLERANCE = 1e-12   # an identity: only rounding


def _start(layer, x, rng, train):
    contract.check(layer)
    point, report = Point(layer, x, generator(rng), train), Report(repr(layer))
    report.warnings = contract.warnings(layer)
    return point, report


def _unchanged(report, point, maps):
    """No map changes what it is given."""
    before = {**point.before, "x": point.pass_x[1]}
    for name, array in {**point.args, "x": point.pass_x[0], "dy": point.dy, "dty": point.dty}.items():
        report.add("unchanged", array, before[name], 0.0, {}, words=(f"{name} is", "it was"),
                   cause=f"{maps} wrote into {name}; compute a new array instead (no {name} *= ..., no out={name})")


def _backward(point, between=True, times=1.0, within=nullcontext()):
    """The map's dx, what it did to grads, and the cache. within: a context in which the map is called."""
    _, cache = point.passed(between)
    grads = point.grads(times)
    with within:
        dx = point.backward(cache, grads)
    return {"x": dx, **{name: grads[name] - times * point.filled[name] for name in grads}}, grads, cache


def check_backward(layer, x, rng=0, train=True, directions=3, limit=64):
    """backward: dx and the gradient of each parameter, of ⟨dy, forward(x)⟩ with a random dy.

    layer: a Layer, a Sequential, or any object with the same four maps and params in float64; it is copied.
    x (N, …) a float array on the layer's backend. rng: seed of cotangents and dropout masks.
    train: the mode of forward. directions, limit: see `compare`. Returns a Report.
    Raises ConfigError for a layer that cannot be checked (see `contract`).
    """
    point, report = _start(layer, x, rng, train)
    found, grads, cache = _backward(point)
    again = point.grads()
    point.backward(cache, again)        # a cache serves as often as one likes
    silent = point.backward(cache)      # without grads: the same dx
    for name, by_hand in found.items():
        Gradient(point, report, f"d{name}", name, by_hand, point.outputs, point.dy.reshape(-1),
                 lambda name=name, **how: _backward(point, **how)[0][name]).check(directions, limit)
    for name in grads:
        report.add(f"d{name}, again", again[name], grads[name], 0.0, {}, words=("second call", "first call"),
                   cause="the second backward from one cache differs: backward must not write into the cache")
    _silent(report, "dx", silent, found["x"])
    _unchanged(report, point, "forward or backward")
    return report


def _silent(report, quantity, silent, beside):
    """Without grads a map returns the same."""
    if beside is not None:
        report.add(f"{quantity}, no grads", silent, beside, 0.0, {}, words=("without grads", "with grads"),
                   cause="what is returned must not depend on whether grads is given")


def check_jvp(layer, x, rng=0, train=True):
    """jvp: ty against the derivative of forward along a random tx. Arguments as for check_backward."""
    point, report = _start(layer, x, rng, train)
    for _ in range(REDRAWS):
        point.args["tx"] = point.normal(x.shape)
        moved = point.move("x", point.args["tx"], point.outputs)
        estimate = difference(moved)
        if estimate.settled:
            break
    point.before["tx"] = point.args["tx"].copy()
    inputs = {**point.inputs[1], "tx": point.args["tx"]}

    def tangent(between=True):
        return point.jvp(point.passed(between)[1])[0]
    ty = tangent()
    _unchanged(report, point, "forward or jvp")
    if getattr(ty, "shape", None) != point.y.shape:
        report.add_shape("ty", "", point.y.shape, ty)
        return report
    a, n, gaps = (backend.asnumpy(array).astype("float64", copy=False) for array in
                  (ty, estimate.value, estimate.gaps))

    def rounding_of(positions):
        if not positions.size:
            return 0.0
        argument = 4 * UNIT * abs(a).max() * float(abs(point.args["x"]).max()) / estimate.h
        return (backend.asnumpy(rounding(moved, estimate.h)) + point.spread(tangent).reshape(-1))[positions] + argument

    def cause(kept):
        if diagnosis.close(a.reshape(-1)[kept], n[kept]):
            return ""
        if diagnosis.close(backend.asnumpy(tangent(between=False)).reshape(-1)[kept], n[kept]):
            return ("right only while no other batch passes between forward and jvp: something is kept on the layer "
                    "instead of in the cache")
        return diagnosis.of(a, n[kept], kept, point.counts())
    judge(report, "ty", a, n, np.arange(n.size), gaps, inputs, rounding_of,
          lambda positions: backend.asnumpy(kinks(moved)[0])[positions] | point.single(),
          lambda i: point.kink("y along tx"), cause)
    return report


def check_adjoint(layer, x, rng=0, train=True):
    """⟨dy, jvp(tx)⟩ = ⟨backward(dy), tx⟩ to rounding: forward and reverse mode are transposes."""
    point, report = _start(layer, x, rng, train)

    def maps():
        _, cache = point.passed()
        return point.jvp(cache)[0], point.backward(cache)

    def sides(ty, dx):
        return np.array([float((point.dy * ty).sum()), float((dx * point.args["tx"]).sum())])
    ty, dx = maps()
    for array, like, what in ((ty, point.dy, "ty"), (dx, point.args["x"], "dx")):
        if getattr(array, "shape", None) != like.shape:
            report.add_shape("adjoint", f"of {what}, ", like.shape, array)
            return report
    scale = float(abs(point.dy * ty).sum() + abs(dx * point.args["tx"]).sum()) or 1.0
    pair, tolerance = sides(ty, dx) / scale, ADJOINT_TOLERANCE
    size = max(abs(pair).max(), FLOOR)
    if tolerance < abs(pair[0] - pair[1]) / size < 1e-8:    # BatchNorm enlarges rounding where σ or N is small
        tolerance = max(tolerance, float(point.spread(lambda: np.diff(sides(*maps()))[0])) / (scale * size))
    report.add("adjoint", pair[0], pair[1], tolerance,
               {**point.args, "dy": point.dy}, index=(), words=("⟨dy, jvp(tx)⟩ is", "⟨backward(dy), tx⟩ is"))
    return report


def _second(point, between=True, times=1.0, within=nullcontext(), another=True):
    """The map's dx and dtx, what it did to grads, and the caches. another: tangent, between the maps, as in passed."""
    _, cache = point.passed(between)
    _, tcache = point.jvp(cache)
    if another:
        tx = point.args["tx"]
        point.layer.jvp(0.75 * tx.reshape(-1)[::-1].reshape(tx.shape), cache)
    grads = point.grads(times)
    with within:
        dx, dtx = point.jvp_backward(cache, tcache, grads)
    added = {name: grads[name] - times * point.filled[name] for name in grads}
    return {"x": dx, "tx": dtx, **added}, cache, tcache


def check_second_order(layer, x, rng=0, train=True, directions=3, limit=64):
    """jvp_backward: dx, dtx and each parameter's gradient of ⟨dy, y⟩ + ⟨dty, ty⟩. As check_backward."""
    point, report = _start(layer, x, rng, train)
    found, cache, tcache = _second(point)
    weights = point.xp.concatenate([point.dy.reshape(-1), point.dty.reshape(-1)])
    for name, silent in zip(("x", "tx"), point.jvp_backward(cache, tcache)):
        _silent(report, f"second d{name}", silent, found[name])
    for name, by_hand in found.items():
        Gradient(point, report, f"second d{name}", name, by_hand, point.both_outputs, weights,
                 lambda name=name, **how: _second(point, **how)[0][name],
                 lambda name=name: _backward(point)[0].get(name),
                 found[{"x": "tx", "tx": "x"}.get(name, name)]).check(directions, limit)
    _unchanged(report, point, "forward, jvp or jvp_backward")
    return report


def check_float32(layer, x, rng=0, train=True):
    """In float32, as networks train, every map gives float32: one NumPy float64 would promote all that follows it."""
    report, xp = Report(repr(layer)), array_module(x)
    contract.check(layer)
    layer, x, seed = layer.astype("float32"), x.astype("float32"), int(generator(rng).integers(2**32))
    ones = lambda shape: xp.ones(shape, dtype="float32")
    try:
        y, cache = layer.forward(x, train=train, rng=np.random.default_rng(seed))
        found = {"y": y, "dx": layer.backward(ones(y.shape), cache)}
        with suppress(NotImplementedError):
            found["ty"], tcache = layer.jvp(ones(x.shape), cache)
            found |= zip(("second dx", "second dtx"),
                         layer.jvp_backward(ones(y.shape), ones(y.shape), cache, tcache))
        wrong = [f"{quantity}: expected float32 where all is float32, got {array.dtype}; let constants be Python "
                 f"floats, and make new arrays with dtype=x.dtype"
                 for quantity, array in found.items() if getattr(array, "dtype", np.float32) != np.float32]
    except DtypeError as error:     # a network's own
        wrong = [f"y: {error}"]
    for text in wrong:
        report.fail(text.split(":")[0] + " in float32", text)
    return report


def check_layer(layer, x, rng=0, train=True, directions=3, limit=64):
    """All checks in one Report. A layer without jvp is checked to first order (report.skipped says so).

    SpectralNorm updates u and v in each training pass, but its gradients treat them as constants: use train=False.

    Raises ConfigError for what has no forward and backward of its own: there would be nothing to check.
    """
    report = Report(repr(layer) if not isinstance(layer, Layer) or "params" in vars(layer) else type(layer).__name__)
    contract.check(layer)
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


def assert_layer(layer, x, rng=0, train=True, directions=3, limit=64):
    """check_layer for a test in one line: the Report, if the layer is right.

    Raises GradientError, an AssertionError, with the report's text if it is wrong, and ConfigError as check_layer.
    """
    return check_layer(layer, x, rng=rng, train=train, directions=directions, limit=limit).raise_if_wrong()


def check_loss(loss, *arrays, name=None, names=(), limit=64, directions=3, rng=0):
    """A loss: function of arrays -> (scalar, gradient with respect to each array, in order).

    E.g. check_loss(losses.get("hinge").d_loss, real_logits, fake_logits), or
    check_loss(lambda p: losses.bce(p, 1.0), p). Returns a Report with "d0", "d1", … one per array; with the names
    ("real", "fake") of the arrays, "dreal" and "dfake".
    """
    report = Report(name or getattr(loss, "__qualname__", repr(loss)))
    found = loss(*(array.astype("float64") for array in arrays))
    if not (isinstance(found, (tuple, list)) and len(found) == 1 + len(arrays) and np.size(found[0]) == 1):
        raise ConfigError(f"expected a loss that returns one number and a gradient for each of {len(arrays)} arrays, "
                          f"got {_shapes(found)}; average the loss, and return (loss, gradient, …)")
    for k in range(len(arrays)):
        function = _LossOf(loss, [array.astype("float64", order="C") for array in arrays], k)
        point = Point(function, function.arrays[k], generator(rng), True)
        point.dy = point.xp.ones_like(point.dy)
        by_hand = loss(*function.arrays)[1 + k]
        quantity = f"d{names[k] if names else k}"
        Gradient(point, report, quantity, "x", by_hand, point.outputs, point.dy.reshape(-1)).check(directions, limit)
        point.forward()
        x, before = point.given, point.before["x"]
        if (x != before).any():
            report.add("unchanged", x, before, 0.0, {}, words=("an argument is", "it was"),
                       cause="the loss wrote into its argument; compute into a new array instead (no out=...)")
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
