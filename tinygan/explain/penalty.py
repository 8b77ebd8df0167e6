"""The worked example of a gradient penalty: the passes on small numbers, formulas with numbers, the gradient check."""

import inspect
import re

import numpy as np

from .. import penalties
from ..gradcheck import Report, check_loss
from ..layers import Dense, Sequential, Softplus
from ..ops.random import Source
from . import formulas
from .numbers import number
from .sums import Part, gradient_as_sum, jacobian

WEIGHT = 1.0                            # γ or λ
_OF_X = ("generator_penalty",)          # their gradient is that in x; the others' is that in D's parameters


class _Halves(Source):
    """All that is drawn is ½."""

    def host(self, rule, shape):
        return np.full(shape, 0.5)


def example(name):
    """Parts and report of a penalty at a linear D(x) = xW; of "r1+r2": of each, and their sum."""
    if "+" in name:
        return _several(name)
    D, x, x_fake = _linear()
    calls, of_x = _watched(D), name in _OF_X
    value, gradient = _penalised(name, D, x, x_fake, _Halves())
    k = next(k for k, (map_, _, _) in enumerate(calls) if map_ == "jvp")
    (_, (ones, _), v), (_, (u, cache), (ty, _)), (_, (dl, *_), (_, dtx)) = calls[k - 1:k + 2]
    point, l = next((args[0], result[0]) for map_, args, result in calls if map_ == "forward" and result[1] is cache)
    points = {"x": point} if point is x or point is x_fake else {"x": x, "x_fake": x_fake, "xhat": point}
    norms, report, W = (v * v).sum(1, keepdims=True)**0.5, Report(name), D.params["0.W"]
    found = {"φ": value, "u": u} | ({"dl": dl} if of_x else {})
    values = {"N": len(x), "γ": WEIGHT, "λ": WEIGHT, "v": v, "vₙ": v, "‖v‖": norms, "‖vₙ‖": norms,
              "s": 1 / (1 + np.exp(l))}
    lines = tuple(formulas.filled(report, _stated(name), values, found))
    symbol = "γ" if any("γ" in line.formula for line in lines) else "λ"

    def outputs():
        logits, cache = D.forward(point)
        return np.concatenate([logits.reshape(-1), D.backward(ones, cache).reshape(-1)])
    what, array = ("x", point) if of_x else ("W", W)
    J, gradient = jacobian(outputs, array), gradient.reshape(array.shape)
    spelled = (gradient_as_sum(report, what, gradient, J, {"l": ("dl", dl), "v": ("u", u)}) if of_x else
               gradient_as_sum(report, what, gradient, J[dl.size:], {"v": ("u", u)}))
    report.add("dtx, equal to v", dtx, v, formulas.EXACT, {}, words=("dtx", "v"))
    report.merge(_check(name))
    return [Part(f"v = backward(1), then φ and u with N = {len(x)} and {symbol} = {number(WEIGHT)}",
                 {**points, "W": W.copy(), "v": v, "‖v‖": norms, **found}, ("W",), lines),
            Part(f"ty = jvp(u), then jvp_backward({'dl' if of_x else 0}, 1): dtx is v again",
                 {"ty": ty, "dtx": dtx, f"d{what}": gradient}, ("dW",), (spelled,))], report


def _several(name):
    """The parts of each penalty of "r1+r2", and what `Penalty` gives for all of them: the sum."""
    parts, report, total = [], Report(name), 0.0
    for one in name.split("+"):
        found, of_one = example(one)
        parts += [part._replace(title=f"{one}: {part.title}") for part in found]
        report.merge(of_one)
        total = total + np.append(found[1].arrays["dW"], found[0].arrays["φ"])
    value, dW = _penalised(name, *_linear(), _Halves())
    report.add("φ and dW, of all", np.append(dW, value), total, formulas.EXACT, {},
               words=("the code's", "that of the parts"))
    report.merge(_check(name))
    return [*parts, Part(name, {"φ": value, "dW": dW[:, None]}, ("dW",))], report


def _check(name):
    """gradcheck.check_loss of the penalty, for a D with a hidden layer and gradients with norms on both sides of 1."""
    D = Sequential([Dense(2, 2), Softplus(), Dense(2, 1)], rng=1, dtype="float64")
    D.theta *= 2
    x, x_fake = np.random.default_rng(0).standard_normal((2, 4, 2))

    def objective(array):
        if name in _OF_X:
            return _penalised(name, D, x, array)
        D.theta = array
        return _penalised(name, D, x, x_fake, np.random.default_rng(0))
    of_x = name in _OF_X
    return formulas.renamed(check_loss(objective, x_fake if of_x else D.theta.copy()), {"d0": "dx" if of_x else "dθ"})


def _linear():
    """D(x) = xW with W = (3, 4)ᵀ, of norm 5; real and fake samples."""
    D = Sequential([Dense(2, 1, bias=False)], dtype="float64")
    D.theta = np.array([3.0, 4.0])
    return D, np.array([[1.0, 2.0], [2.0, -1.0]]), np.array([[1.0, -1.0], [-2.0, 1.0]])


def _penalised(name, D, x, x_fake, rng=None):
    """The value and the gradient of a penalty: in x_fake for the generator's, else in D's parameters."""
    (y, cache), (y_fake, fake_cache), grads = D.forward(x), D.forward(x_fake), D.zero_grads()
    if name in _OF_X:
        return getattr(penalties, name)(D, fake_cache, y_fake, WEIGHT)
    players = (x, 0 * y, cache), (x_fake, 0 * y_fake, fake_cache)
    value = penalties.Penalty(name, WEIGHT).backward(D, *players, grads, rng)
    return value, grads.vector.copy()


def _stated(name):
    """The formulas of φ, u and dl: in the function's docstring, or in the module's, in the row that its row names."""
    stated = formulas.assignments(inspect.getdoc(getattr(penalties, name, None)) or "", {"φ", "u", "dl"})
    return stated or formulas.assignments(f"    {_row(re.split(r'[, ]', _row(name))[0])}", {"φ", "u"})


def _row(first):
    """The line of the module's docstring that begins with this word, without it."""
    return next((line.split(first, 1)[1].strip() for line in (inspect.getdoc(penalties) or "").splitlines()
                 if line.split()[:1] == [first]), "")


def _watched(net):
    """A list to which each call of a map of this network adds (map, positional arguments, result)."""
    calls = []

    def watch(name, map_):
        def stored(*args, **options):
            result = map_(*args, **options)
            calls.append((name, args, result))
            return result
        setattr(net, name, stored)
    for name in ("forward", "backward", "jvp", "jvp_backward"):
        watch(name, getattr(net, name))
    return calls
