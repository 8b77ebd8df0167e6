"""Worked examples: arrays, entries spelled out as sums, and the gradient check, for each kind of thing.

Each function returns (parts, report): a list of `Part` and a gradcheck.Report, which also holds the comparisons of the
parts: what is printed as a sum or from a formula against what the code computes.
"""

import inspect
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .. import losses, penalties
from ..gan import GAN
from ..gradcheck import Report, check_layer, check_loss
from ..gradcheck.differences import difference
from ..inspect import layers as records
from ..layers import Affine, Dense, LeakyReLU, Sequential, Softplus
from ..ops.random import Source
from ..optim import SGD
from . import formulas
from .numbers import number, place, product_sum

EXACT = 1e-12       # two ways to compute the same
SHOWN = 9           # terms of a sum that still fit


class Line(NamedTuple):
    """One quantity spelled out: its formula, the formula with numbers, the result; sign: "=" or "←"."""

    quantity: str
    formula: str
    numbers: str
    result: float
    sign: str = "="


class Part(NamedTuple):
    """A step of an example: a title, arrays by name, which of them are parameters, and lines below them."""

    title: str
    arrays: dict
    parameters: tuple = ()
    lines: tuple = ()


# Sums. A gradient is by definition dx[j] = Σᵢ dy[i]·∂y[i]/∂x[j]: for each layer, loss or penalty the same.

def jacobian(function, array):
    """∂function()/∂array, as a matrix (outputs, elements), by differences of the function. The array is moved in place.

    Steps are powers of 2, so where the function is linear in the array and numbers are small integers it is exact.
    """
    flat, columns = array.reshape(-1), []
    for j, value in enumerate(flat.copy()):
        def moved(h):
            flat[j] = value + h
            try:
                return function()
            finally:
                flat[j] = value
        columns.append(difference(moved).value)
    return np.stack(columns, axis=1)


def gradient_as_sum(report, name, gradient, J, cotangents, letters):
    """The Line of one entry of a gradient, the one with most terms; all entries are compared with their sums.

    cotangents: mapping name -> array, one for each output; J: rows for their elements, in order; letters: their names.
    """
    flat = np.concatenate([array.reshape(-1) for array in cotangents.values()])
    report.add(f"d{name} as sums", gradient, (flat @ J).reshape(gradient.shape), 1e-8, {}, words=("the code's", "Σ"))
    j = telling(J, gradient)
    at, rows = place(np.unravel_index(j, gradient.shape)), _nonzero(J[:, j])
    labels = [f"{d}{place(index)}" for d, array in cotangents.items() for index in np.ndindex(array.shape)]
    formula = " + ".join(f"Σ {d}·∂{y}/∂{name}{at}" for d, y in zip(cotangents, letters))
    over = f", over {', '.join(labels[i] for i in rows)}" if len(rows) else ""
    return Line(f"d{name}{at}", formula + over,
                product_sum(flat[rows], J[rows, j]), float(gradient.reshape(-1)[j]))


def output_as_sum(x, y, J, constant):
    """The Line of one entry of a y that is affine in x: its row of the Jacobian times x, and what x does not reach.

    constant: the name of that.
    """
    i = telling(J.T, y)
    at, columns, rest = place(np.unravel_index(i, y.shape)), _nonzero(J[i]), y.reshape(-1)[i] - J[i] @ x.reshape(-1)
    numbers, some = product_sum(x.reshape(-1)[columns], J[i, columns]), bool(abs(rest) > 1e-9)
    return Line(f"y{at}", f"Σ x·∂y{at}/∂x" + f" + {constant}" * some,
                numbers + f" + {number(rest, True)}" * some, float(y.reshape(-1)[i]))


def telling(J, results):
    """The number of the column with most entries that are not 0, of those with at most SHOWN; better if its result,
    an element of this array, is not 0 either."""
    counts = (abs(J) > 1e-9).sum(0) + 0.5 * (abs(results.reshape(-1)) > 1e-9)
    return int(np.where(counts <= SHOWN + 0.5, counts, -counts).argmax())


def _nonzero(vector):
    return np.flatnonzero(abs(vector) > 1e-9)


# Layers.

def of_layer(layer, x, dy=None, train=True, seed=0):
    """A layer at x (N, …) in float64: its maps forward, backward and jvp; gradcheck.check_layer at a random x."""
    rng = lambda: np.random.default_rng(seed)
    layer, x = layer.astype("float64") if hasattr(layer, "theta") else layer.copy(), np.array(x, "float64")
    y, cache = layer.forward(x, train, rng())
    y = y.copy()
    dy = integers(y.shape) if dy is None else np.array(dy, "float64")
    grads = layer.zero_grads()
    dx = layer.backward(dy, cache, grads)
    report = check_layer(layer, rng().standard_normal(x.shape), train=train)
    output = lambda: layer.forward(x, train, rng())[0].reshape(-1).copy()
    J = jacobian(output, x)
    sums = [gradient_as_sum(report, "x", dx, J, {"dy": dy}, "y")]
    for name, array in layer.params.items():
        sums.append(gradient_as_sum(report, name, grads[name], jacobian(output, array), {"dy": dy}, "y"))
    constant = "b" if "b" in layer.params else "y(0)"
    forward = (output_as_sum(x, y, J, constant),) if isinstance(layer, Affine) else ()
    parameters = tuple(layer.params)
    parts = [Part("forward(x) -> y", {"x": x, **{name: array.copy() for name, array in layer.params.items()}, "y": y},
                  parameters, forward),
             Part("backward(dy) -> dx" + ", and the gradients of the parameters" * bool(parameters),
                  {"dy": dy, "dx": dx, **{f"d{name}": grads[name] for name in grads}},
                  tuple(f"d{name}" for name in parameters), tuple(sums))]
    if "jvp" not in report.skipped:
        parts.append(_along(report, layer, x, dy, dx, J, cache))
    return parts, report


def _along(report, layer, x, dy, dx, J, cache):
    """jvp of the unit tangent at the entry of dx that was spelled out: the column of J that stood in the sum."""
    j = telling(J, dx)
    tx = np.eye(x.size)[j].reshape(x.shape)
    ty, _ = layer.jvp(tx, cache)
    at = place(np.unravel_index(j, x.shape))
    report.add("ty as a column", ty, J[:, j].reshape(ty.shape), 1e-8, {}, words=("the code's", "∂y/∂x"))
    rows = _nonzero(ty.reshape(-1))
    line = Line(f"dx{at}", "⟨dy, ty⟩", product_sum(dy.reshape(-1)[rows], ty.reshape(-1)[rows]), float((dy * ty).sum()))
    return Part(f"jvp(tx) -> ty, along the unit tangent at x{at}", {"tx": tx, "ty": ty}, (), (line,))


def integers(shape, seed=3):
    """Small integers, none of them 0."""
    return np.random.default_rng(seed).choice([-2.0, -1.0, 1.0, 2.0, 3.0], shape)


# Losses.

def of_loss(loss):
    """An objective with d_loss and g_loss, or a function such as losses.bce: arrays, and formulas with numbers."""
    r, f, rng = np.array([[2.0], [-1.0]]), np.array([[1.0], [-2.0]]), np.random.default_rng(0)
    if inspect.isfunction(loss):
        name = next(iter(inspect.signature(loss).parameters))
        shown, other = (np.array([[0.8], [0.1]]), rng.uniform(0.1, 0.9, (6, 1))) if name == "p" else (
            r, rng.standard_normal((6, 1)))
        maps = lambda x: [("loss", lambda x: loss(x, 1.0), {name: x})]
        shown, others, doc, title = maps(shown), maps(other), inspect.getdoc(loss), loss.__name__
        values = {"t": 1.0, "l": r, "N": len(r)}
    else:
        maps = lambda r, f: [("d_loss", loss.d_loss, {"r": r, "f": f}),
                             ("g_loss", lambda f: loss.g_loss(f, r), {"f": f})]
        shown, others, doc, title = maps(r, f), maps(*rng.standard_normal((2, 6, 1))), inspect.getdoc(loss), repr(loss)
        values = {"r": r, "f": f, "N": len(r), "M": len(f)}
    parts, report = [], Report(title)
    stated = _by_map(doc or "", [map_[0] for map_ in shown])
    for (title, call, arguments), (_, elsewhere, inputs) in zip(shown, others):
        names = [title, *({"r": "d_real", "f": "d_fake"}.get(name, f"d{name}") for name in arguments)]
        _merge(report, check_loss(elsewhere, *inputs.values()),
               {f"d{k}": f"{title}: {gradient}" for k, gradient in enumerate(names[1:])})
        found = dict(zip(names, call(*arguments.values())))
        lines = _filled(report, stated.get(title, ()), values | arguments, found, f"{title}: ")
        function = loss.__name__ if title == "loss" else title
        parts.append(Part(f"{function}({', '.join(arguments)}) -> {', '.join(found)}", {**arguments, **found}, (),
                          tuple(lines)))
    return parts, report


def _by_map(doc, titles):
    """title -> the formulas from the one of this name on; those before the first, abbreviations, belong to all."""
    found = formulas.assignments(doc, {*titles, "d_real", "d_fake", "dp", "dlogits", "p", "q"})
    starts = [i for i, (name, *_) in enumerate(found) if name in titles]
    return {found[i][0]: found[:starts[0]] + found[i:j] for i, j in zip(starts, [*starts[1:], None])}


def _filled(report, stated, values, found, prefix=""):
    """A Line for each formula of a quantity in `found`, what the code computed: both must agree. Others are helpers."""
    values = dict(values)
    for name, sign, formula in stated:
        tree = formulas.parse(formula, values)
        result = formulas.value(tree, values)
        if name in found:
            array = np.asarray(found[name])
            report.add(f"{prefix}{name} by its formula", array, np.broadcast_to(result, array.shape) * 1.0, EXACT, {},
                       words=("the code's", "the formula's"))
            index = np.unravel_index(abs(array).argmax(), array.shape)
            yield Line(name + place(index), formula, formulas.text(tree, values, index), float(array[index]), sign)
        values[name] = result


def _merge(report, part, names):
    """Take over a report, with other names of its quantities."""
    renamed = lambda quantity: ",".join([names.get(quantity.split(",")[0], quantity.split(",")[0]),
                                         *quantity.split(",")[1:]])
    for quantity, error in part.items():
        report.note(renamed(quantity), error)
    for failure in part.failures:
        text = failure.text.replace(failure.quantity, renamed(failure.quantity), 1)
        report.failures.append(replace(failure, quantity=renamed(failure.quantity), text=text))


# Penalties.

def of_penalty(name):
    """A penalty at D(x) = xW, where v = W for each x; checked for a D with a hidden layer. "r1+r2": each, then both."""
    if "+" in name:
        parts, report, total = [], Report(name), 0.0
        for one in name.split("+"):
            found, part = of_penalty(one)
            parts += [step._replace(title=f"{one}: {step.title}") for step in found]
            report.merge(part)
            total = total + np.append(found[-1].arrays["dW"], found[0].arrays["φ"])
        value, dW = _penalised(name, *_linear())
        report.add("the sum", np.append(dW, value), total, EXACT, {}, words=("the code's", "that of the parts"))
        return [*parts, Part(name, {"φ": value, "dW": dW[:, None]}, ("dW",))], report
    D, x, x_fake = _linear()
    calls = _watched(D)
    value, gradient = _penalised(name, D, x, x_fake)
    gradient = gradient.reshape(2, -1)
    k = next(k for k, (map_, _, _) in enumerate(calls) if map_ == "jvp")
    (_, (ones, _), v), (_, (u, cache), (ty, _)), (_, (dl, *_), (_, dtx)) = calls[k - 1:k + 2]
    point, l = next((args[0], result[0]) for map_, args, result in calls if map_ == "forward" and result[1] is cache)
    norms, of_x = (v * v).sum(1, keepdims=True)**0.5, name == "generator_penalty"    # its gradient is that of x
    values = {"N": len(x), "γ": WEIGHT, "λ": WEIGHT, "v": v, "vₙ": v, "‖vₙ‖": norms, "‖v‖": norms, "l": l,
              "s": 1 / (1 + np.exp(l))}
    found = {"φ": value, "u": u} | ({"dl": dl} if of_x else {})
    report = Report(name)
    lines = [*_filled(report, _stated(name), values, found)]
    symbol = "γ" if any("γ" in line.formula for line in lines) else "λ"
    points = {"x": point} if point is x or point is x_fake else {"x": x, "x_fake": x_fake, "xhat": point}
    parts = [Part(f"v = backward(1), then φ and u with N = {len(x)} and {symbol} = {number(WEIGHT)}", {
        **points, "W": D.params["0.W"], "v": v, "‖v‖": norms, **found}, ("W",), tuple(lines))]

    def outputs():
        logits, cache = D.forward(point)
        return np.concatenate([logits.reshape(-1), D.backward(ones, cache).reshape(-1)])
    argument = ("x", point) if of_x else ("W", D.params["0.W"])
    J, cotangents = jacobian(outputs, argument[1]), {"dl": dl, "u": u}
    if not of_x:
        J, cotangents = J[dl.size:], {"u": u}
    line = gradient_as_sum(report, argument[0], gradient, J, cotangents, ("l", "v")[-len(cotangents):])
    report.add("dtx = v", dtx, v, EXACT, {}, words=("dtx", "v"))
    parts.append(Part(f"ty = jvp(u), then jvp_backward({'dl' if of_x else 0}, 1): dtx is v again", {
        "ty": ty, "dtx": dtx, f"d{argument[0]}": gradient}, (f"d{argument[0]}",), (line,)))
    D = Sequential([Dense(2, 3), Softplus(), Dense(3, 1)], rng=2, dtype="float64")
    D.theta *= 2
    x, x_fake = np.random.default_rng(0).standard_normal((2, 4, 2))

    def objective(argument):
        if of_x:
            return _penalised(name, D, x, argument)
        D.theta = argument
        return _penalised(name, D, x, x_fake, np.random.default_rng(0))
    part = check_loss(objective, x_fake if of_x else D.theta.copy())
    _merge(report, part, {"d0": f"d{'x' if of_x else 'θ'}"})
    return parts, report


WEIGHT = 1.0        # γ, λ


class _Halves(Source):
    """All that is drawn is ½."""

    def host(self, rule, shape):
        return np.full(shape, 0.5)


def _linear():
    """D(x) = xW with W = (3, 4)ᵀ, of norm 5, real and fake samples."""
    D = Sequential([Dense(2, 1, bias=False)], dtype="float64")
    D.theta = np.array([3.0, 4.0])
    return D, np.array([[1.0, 2.0], [2.0, -1.0]]), np.array([[1.0, -1.0], [-2.0, 1.0]])


def _penalised(name, D, x, x_fake, rng=None):
    """The value and the gradient of a penalty: in x_fake for the generator's, else in D's parameters."""
    (y, cache), (y_fake, fake_cache), grads = D.forward(x), D.forward(x_fake), D.zero_grads()
    if name == "generator_penalty":
        return penalties.generator_penalty(D, fake_cache, y_fake, WEIGHT)
    players = (x, 0 * y, cache), (x_fake, 0 * y_fake, fake_cache)
    value = penalties.Penalty(name, WEIGHT).backward(D, *players, grads, rng or _Halves())
    return value, grads.vector.copy()


def _stated(name):
    """The formulas of φ, u and dl: in the function's docstring, or in the module's, in the row that its row names."""
    stated = formulas.assignments(inspect.getdoc(getattr(penalties, name, None)) or "", {"φ", "u", "dl"})
    row = lambda first: next((line.split(first, 1)[1].strip() for line in inspect.getdoc(penalties).splitlines()
                              if re.match(rf" +{re.escape(first)} ", line)), "")
    return stated or formulas.assignments("    " + row(re.split(r"[,\s]", row(name))[0]), {"φ", "u"})


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


# Optimisers.

SYMBOLS = {"lr": "lr", "β₁": "beta1", "β₂": "beta2", "ε": "eps", "μ": "momentum", "ρ": "rho"}
OPTIONS = {"lr": 0.1, "momentum": 0.5, "rho": 0.75, "beta1": 0.5, "beta2": 0.75}    # short numbers


def of_optimiser(cls):
    """Three steps of one parameter θ, which begins at 1, with the gradients 4, -4, 4."""
    taken = inspect.signature(cls).parameters
    optimiser, report, parts = cls(**{name: value for name, value in OPTIONS.items() if name in taken}), Report(
        cls.__name__), []
    net = Sequential([Dense(1, 1, bias=False)], dtype="float64")
    net.theta = 1.0
    values = {symbol: getattr(optimiser, name) for symbol, name in SYMBOLS.items() if hasattr(optimiser, name)}
    slots = [slot + hat for slot in "muv" for hat in ("", "\u0302")]
    stated = formulas.assignments(inspect.getdoc(cls) or "", {"θ", *slots})
    values |= {slot: 0.0 for slot in optimiser.slots}
    for t, g in enumerate((4.0, -4.0, 4.0), 1):
        values |= {"t": t, "g": g, "θ": float(net.theta[0])}
        optimiser.step(net, {"0.W": np.array([[g]])})
        found, lines = {"θ": net.theta, **optimiser.state}, []
        for name, sign, formula in stated:
            tree = formulas.parse(formula, values)
            result = float(formulas.value(tree, values))
            lines.append(Line(name, formula, formulas.text(tree, values), result, sign))
            if name in found:
                report.add(f"{name} by its formula", found[name][:1], np.array([result]), EXACT, {},
                           words=("the code's", "the formula's"))
            values[name] = result
        parts.append(Part(f"step t = {t}, g = {number(g)}", {}, (), tuple(lines)))
    return parts, report


# One step of the game.

class _Kept(SGD):
    """An optimiser that keeps the gradient and moves nothing."""

    def update(self, theta, g, lr):
        self.g = g.copy()


def of_step(seed=1):
    """One step of D and one of G with SGD, for G(z) = zW + b and a D with a hidden layer; all arrays."""
    latent = lambda rng, shape, dtype: rng.choice([-1.0, 1.0, 2.0], shape).astype(dtype)
    x_real, rate = np.array([[2.0], [3.0]]), 0.5

    def game(optimiser):
        G = Sequential([Dense(1, 1)], dtype="float64")
        D = Sequential([Dense(1, 2), LeakyReLU(0.5), Dense(2, 1)], dtype="float64")
        G.theta, D.theta = np.array([1.0, -1.0]), np.array([1.0, -1.0, -0.5, 1.5, 2.0, -1.0, 0.0])
        return GAN(G, D, "non_saturating", optimiser(rate), optimiser(rate), latent=latent, rng=seed)
    gan, report = game(SGD), Report("one step of D, one step of G")
    G, D, loss, parts = gan.G, gan.D, losses.get("non_saturating"), []

    def show(title, arrays, *lines):
        parts.append(Part(title, arrays, tuple(name for name in arrays if "." in name), lines))

    def update(name, net, optimiser, grads, rest, line):
        """The gradients, a step of the optimiser, the new parameters."""
        show(f"gradients of {rest}", {f"d{name}.{key}": array.copy() for key, array in grads.items()}, line)
        optimiser.step(net, grads)
        show(f"{name}'s parameters after θ ← θ − {number(rate)}·dθ", named(name, net))
    named = lambda name, net: {f"{name}.{key}": array.copy() for key, array in net.params.items()}

    z = gan.noise(2)
    x_fake, _ = G.forward(z)
    (real, real_cache), (fake, fake_cache) = D.forward(x_real), D.forward(x_fake)
    d_loss, d_real, d_fake = loss.d_loss(real, fake)
    grads = D.zero_grads()
    D.backward(d_real, real_cache, grads)
    D.backward(d_fake, fake_cache, grads)
    show("D's step: fakes from G", {"z": z, **named("G", G), "x_fake": x_fake})
    show("D's parameters", named("D", D))
    show("D on real samples: each layer's output, and the gradient of d_loss in it", _pass(D, x_real, d_real))
    show("D on fakes", _pass(D, x_fake, d_fake))
    outputs = lambda: np.concatenate([D.forward(x)[0].reshape(-1) for x in (x_real, x_fake)])
    line = gradient_as_sum(report, "D.0.W", grads["0.W"], jacobian(outputs, D.params["0.W"]),
                           {"d_real": d_real, "d_fake": d_fake}, ("real", "fake"))
    update("D", D, gan.d_opt, grads, f"d_loss = {number(d_loss)}: the sum of both backward passes", line)

    z = gan.noise(2)
    x_fake, g_cache = G.forward(z)
    fake, fake_cache = D.forward(x_fake)
    g_loss, d_fake = loss.g_loss(fake)
    grads = G.zero_grads()
    G.backward(D.backward(d_fake, fake_cache), g_cache, grads)
    show("G's step: new z", {"z": z, "x_fake": x_fake})
    show("the new D on these fakes; d(input) is what G.backward is given", _pass(D, x_fake, d_fake))
    outputs = lambda: D.forward(G.forward(z)[0])[0].reshape(-1)
    line = gradient_as_sum(report, "G.0.W", grads["0.W"], jacobian(outputs, G.params["0.W"]), {"d_fake": d_fake},
                           ("fake",))
    update("G", G, gan.g_opt, grads, f"g_loss = {number(g_loss)}", line)

    played = game(SGD)
    metrics = played.step(x_real)
    for name, here, there in (("θ of D", D.theta, played.D.theta), ("θ of G", G.theta, played.G.theta),
                              ("d_loss", d_loss, metrics["d_loss"]), ("g_loss", g_loss, metrics["g_loss"])):
        report.add(f"{name}, of GAN.step", np.asarray(there), np.asarray(here), EXACT, {}, words=("GAN.step", "here"))
    for name in "DG":
        _merge(report, check_loss(_objective(game(_Kept), name, x_real, seed), getattr(game(SGD), name).theta.copy()),
               {"d0": f"{name.lower()}_loss: dθ_{name}"})
    return parts, report


def _pass(net, x, dy):
    """Each layer's output and the gradient of the loss in it, by name."""
    arrays = {}
    for record in records(net, x, dy):
        arrays |= {record.name: record.output, f"d({record.name})": record.gradient}
    return arrays


def _objective(gan, name, x_real, seed):
    """θ of D or G -> the loss of this player's step and its gradient, by `gan.d_step` or `gan.g_step`."""
    def objective(theta):
        getattr(gan, name).theta, gan.rng.generator = theta, np.random.default_rng(seed)
        metrics = gan.d_step(x_real) if name == "D" else gan.g_step(len(x_real))
        return metrics[f"{name.lower()}_loss"], getattr(gan, f"{name.lower()}_opt").g
    return objective
