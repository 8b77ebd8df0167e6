"""Grades the exercises: each is compared with differences, and with what its docstring says, in words.

`grade(name)` gives {"name", "status": "right" | "wrong" | "not done", "message", "chapter", "errors", "report"}.
conftest.py calls it for pytest. A check yields Reports of tinygan.gradcheck; a NotImplementedError is a blank.
"""

import runpy
import traceback
import warnings
from pathlib import Path

import numpy as np

from tinygan import Sequential, gradcheck, losses, penalties
from tinygan.errors import ConfigError, TinyganError
from tinygan.gradcheck import Report, diagnosis
from tinygan.layers import Conv2D, ConvTranspose2D, Dense, Softplus, Tanh
from tinygan.ops.pointwise import leaky_relu, sigmoid, softplus

HERE = Path(__file__).parent
normal = lambda *shape: np.random.default_rng(1).standard_normal(shape)


def expect(quantity, found, right, words, cause="", tolerance=1e-9):
    """A Report of one comparison; words: for what was found and for what is right."""
    report = Report("")
    if found is None:
        report.fail(quantity, f"{quantity} is None; end the function with: return …")
        return report
    found, right = (np.asarray(array, "float64") for array in (found, right))
    report.add(quantity, found, right, tolerance, {}, index=() if not right.ndim else None, words=words, cause=cause)
    return report


# Layers. y: function (x, parameters) -> the right output; order 1: forward and backward only.

def a_layer(name, *args, shape, y, order=2):
    def check(file):
        layer, x = file[name](*args), normal(*shape)
        layer.reset(0)
        if order == 1:
            yield gradcheck.check_backward(layer, x)
            yield gradcheck.check_float32(layer, x)
        else:
            report = gradcheck.check_layer(layer, x)
            yield report
            if report.skipped:      # what a blank says there
                out, cache = layer.forward(x)
                _, tcache = layer.jvp(x, cache)
                layer.jvp_backward(out, out, cache, tcache, layer.zero_grads())
        yield expect("y", layer.forward(x.copy())[0], y(x, layer), ("forward gives", "the docstring's formula"),
                     "forward was right; undo the change that you made there")
    return check


def as_2d(layer, x, p):
    """y of a convolution along one axis, by the library's with a kernel of one row."""
    layer.params["W"], layer.params["b"] = p["W"][None], p["b"]
    return layer.forward(x[:, None])[0][:, 0]


def softmax(x, layer):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def batch_norm(x, layer):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + layer.eps) * layer.params["gamma"] + layer.params["beta"]


def spectral(x, layer):
    W = layer.params["W"]
    return x @ W / np.linalg.norm(W, 2) + layer.params["b"]


def dropout(file):
    """Its gradient may be right though it is not dropout: the expectation of y counts, too."""
    rate, n = 0.4, 20_000
    layer, x = file["Dropout"](rate), normal(4, 6)
    gradients = gradcheck.check_layer(layer, x)
    yield gradients
    y, _ = layer.forward(np.ones((n, 1)), train=True, rng=0)
    report, share, mean = Report(""), float((y != 0).mean()), float(y.mean())
    report.note("mean of y", abs(mean - 1))
    if not abs(share - (1 - rate)) < 0.02:
        report.fail("mask", f"mask: {share:.1%} of the elements are kept in training; at rate {rate} expected "
                            f"{1 - rate:.0%}")
    elif not abs(mean - 1) < 0.03:
        report.fail("mean of y", f"mean of y: {mean:.3f} over {n:,} elements of x = 1 in training, expected 1",
                    f"{'every gradient is right, but ' * gradients.ok}this is not dropout: in training y is "
                    f"{mean:.2f}·x on average, and without training it is x; the mask must make up for what it drops")
    yield report
    yield expect("y without training", layer.forward(x, train=False)[0], x, ("forward gives", "x is"))


# Losses.

def value(name, loss, right, *arrays):
    """The loss's value: a gradient may be right, and that of another loss."""
    found, cause = loss(*arrays)[0], "this is another loss than the docstring's, whether or not the gradient fits it"
    if np.size(found) == 1 and abs(found - right(*map(sigmoid, arrays))) < 1e-9:
        cause = "this is the loss at σ(logit) in place of the logit: the sigmoid is taken twice"
    return expect(name, found, right(*arrays), ("your function gives", "by the docstring it is"), cause)


def cross_entropy(file):
    loss, l = file["cross_entropy"], 2 * normal(5, 1)
    right = lambda l, t=0.9: (softplus(l) - t * l).mean()
    yield gradcheck.check_loss(lambda l: loss(l, 0.9), l, names=("logits",))
    yield value("loss", lambda l: loss(l, 0.9), right, l)
    for t in 0.0, 1.0:
        for far in (np.full((2, 1), value) for value in (40.0, -40.0, 1000.0, -1000.0)):
            found, where = loss(far, t), f"at l = {far[0, 0]:g}, target {t:g}"
            cause = "log 0, or e to a large number: rewrite it so that e is raised to negative numbers only"
            yield expect(f"loss {where}", found[0], right(far, t), ("your function gives", "it is"), cause)
            yield expect(f"dlogits {where}", found[1], (sigmoid(far) - t) / 2, ("your function gives", "it is"), cause)


def both_players(name, d_loss, g_loss):
    def check(file):
        loss, r, f = file[name](), 2 * normal(6, 1), 2 * normal(4, 1) + 0.3
        yield gradcheck.check_loss(loss.d_loss, r, f, names=("_real", "_fake"))
        yield value("d_loss", loss.d_loss, d_loss, r, f)
        yield gradcheck.check_loss(lambda f: loss.g_loss(f), f, names=("_fake of g_loss",))
        yield value("g_loss", loss.g_loss, g_loss, f)
    return check


def d_loss(file):
    loss, r, f = file["d_loss"], 2 * normal(6, 1), 2 * normal(4, 1) + 0.3
    right = lambda r, f: softplus(-r).mean() + softplus(f).mean()
    yield gradcheck.check_loss(loss, r, f, names=("_real", "_fake"))
    yield value("loss", loss, right, r, f)


# Optimisers: `moves` by the papers' algorithms for a sequence of gradients, with variants that are usual mistakes.

GRADIENTS = normal(6, 5) * [1, 1e-2, 1e-4, 1e-7, 1e-9]
LR, EPS = 0.1, 1e-8


def adam_moves(correction=lambda beta, t: 1 - beta**t, root=lambda v: v**0.5 + EPS, sign=1, power=2):
    """Algorithm 1 of Kingma & Ba 2015."""
    m = v = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * abs(g)**power
        yield sign * LR * m / correction(0.9, t) / root(v / correction(0.99, t))


def rmsprop_moves(root=lambda v: v**0.5 + EPS, sign=1, start=0.0):
    """Hinton 2012."""
    v = start
    for g in GRADIENTS:
        v = 0.9 * v + 0.1 * g**2
        yield sign * LR * g / root(v)


ROOTS = {"ε stands inside the root: √(v + ε), where ε = 1e-8 counts as much as 1e-4 outside": {
            "root": lambda v: (v + EPS)**0.5},
         "ε is missing": {"root": lambda v: v**0.5}, "the root of v is missing": {"root": lambda v: v + EPS},
         "θ moves along the gradient, not against it": {"sign": -1}}
ADAM = {"m and v are not corrected: the division by 1 − βᵗ is missing": {"correction": lambda beta, t: 1.0},
        "m and v are divided by 1 − β, not by 1 − βᵗ": {"correction": lambda beta, t: 1 - beta},
        "the power of β is one too high: t is 1 in the first step": {"correction": lambda beta, t: 1 - beta**(t + 1)},
        "only m is corrected, v is not": {"correction": lambda beta, t: 1 - beta**t if beta == 0.9 else 1.0},
        "only v is corrected, m is not": {"correction": lambda beta, t: 1 - beta**t if beta != 0.9 else 1.0},
        "v averages |g| where it must average g²": {"power": 1}}


def an_optimiser(name, moves, variants, **options):
    def check(file):
        n = GRADIENTS.shape[1]
        optimiser, theta, found = file[name](n, lr=LR, eps=EPS, **options), np.zeros(n), []
        for g in GRADIENTS:
            before, given = theta.copy(), g.copy()
            optimiser.step(theta, given)
            found.append(before - theta)
            yield expect("unchanged", given, g, ("g is", "it was"), "step must not change g, which is the loop's", 0.0)
        right, cause = np.array(list(moves())), ""
        if not np.any(found):
            cause = "θ has not moved: change it in place (theta -= …; theta = theta − … makes another array)"
        for words, change in variants.items() if np.any(found) else ():
            with np.errstate(all="ignore"):
                if diagnosis.close(np.array(found), np.array(list(moves(**change)))):
                    cause = f"these are the steps of {name} with this mistake: {words}"
        for t, (a, b) in enumerate(zip(found, right), 1):
            report = expect(f"step {t}", a, b, ("θ falls by", "by the formulas it falls by"), cause)
            yield report
            if report.failures:     # the later ones follow from it
                return
    return check


# Games.

def in_parameters(net, value, grads, owner=""):
    """check_loss of value() with the gradients grads, in each parameter of a network; owner: "D.", of two."""
    names, start = list(net.params), net.theta.copy()

    def loss(*arrays):
        for name, array in zip(names, arrays):
            net.params[name] = array
        found = value()
        net.theta = start
        return found, *(grads[name] for name in names)
    return gradcheck.check_loss(loss, *(net.params[name].copy() for name in names),
                                names=[owner + name for name in names])


def r1(file):
    D = Sequential([Dense(2, 5), Softplus(), Dense(5, 1)], rng=0, dtype="float64")
    x, gamma, grads, filled = normal(4, 2), 0.7, D.zero_grads(), D.zero_grads()
    y, cache = D.forward(x)
    v = D.backward(np.ones_like(y), cache)
    right, found = gamma / 2 * (v * v).sum() / len(x), file["r1"](D, x, gamma, grads)
    times = "" if found is None or np.size(found) > 1 else f"yours is {float(found) / right:.6g} times as large (N = 4)"
    yield expect("φ", found, right, ("your function returns", "(γ/2)·mean‖v‖² is"), times)

    report = in_parameters(D, lambda: file["r1"](D, x, gamma, D.zero_grads()), grads)
    library, sums = D.zero_grads(), D.zero_grads()
    penalties.r1(D, x, gamma, library)
    D.backward(np.ones_like(y), cache, sums)
    if diagnosis.close(grads.vector - library.vector, sums.vector):
        for failure in report.failures:
            failure.cause = "the gradient of Σ D(x) is in it as well: in jvp_backward, dy must be 0"
    yield report
    filled.vector[...] = 1.0
    file["r1"](D, x, gamma, filled)
    yield expect("grads", filled.vector, 1 + grads.vector, ("grads, which held 1, holds", "expected"),
                 "add into grads: what it held before is lost, or was used")


def g_step(file):
    G = Sequential([Dense(2, 3), Tanh(), Dense(3, 2)], rng=0, dtype="float64")
    D = Sequential([Dense(2, 4), Tanh(), Dense(4, 1)], rng=1, dtype="float64")
    loss, x, z = losses.get("non_saturating"), normal(5, 2) + 1, normal(5, 2)
    d_grads, g_grads = file["gradients"](G, D, loss, x, z)
    fakes = lambda: D.forward(G.forward(z)[0])[0]
    for who, net, grads, value in (("D", D, d_grads, lambda: loss.d_loss(D.forward(x)[0], fakes())[0]),
                                   ("G", G, g_grads, lambda: loss.g_loss(fakes())[0])):
        report = in_parameters(net, value, grads, f"{who}.")
        for failure in report.failures:
            failure.cause = _other_gradient(who, net, grads, loss, G, D, x, z) or failure.cause
        yield report


def _other_gradient(who, net, found, loss, G, D, x, z):
    """Whether a player's gradient holds that of the other's loss as well, or lacks a part."""
    parts = {}
    fake, g_cache = G.forward(z)
    (real, real_cache), (y, cache) = D.forward(x), D.forward(fake)
    _, d_real, d_fake = loss.d_loss(real, y)
    for part, dy, of in (("D's loss on real samples", d_real, real_cache), ("D's loss on fakes", d_fake, cache),
                         ("G's loss", loss.g_loss(y)[1], cache)):
        parts[part] = net.zero_grads()
        dx = D.backward(dy, of, parts[part] if who == "D" else None)
        if who == "G" and of is cache:
            G.backward(dx, g_cache, parts[part])
    right = ["G's loss"] if who == "G" else ["D's loss on real samples", "D's loss on fakes"]
    rest = found.vector - sum(parts[part].vector for part in right)
    for part, grads in parts.items():
        if diagnosis.close(rest, grads.vector):
            return f"the gradient of {part} is in it {'twice' if part in right else 'as well'}"
        if diagnosis.close(-rest, grads.vector):
            return f"the gradient of {part} is missing"
    return ""


# Exercise -> the chapter that explains it, and its check.
EXERCISES = {
    "fill/dense": (1, a_layer("Dense", 4, 3, shape=(5, 4), y=lambda x, l: x @ l.params["W"] + l.params["b"])),
    "fill/arctan": (2, a_layer("Arctan", shape=(4, 3), y=lambda x, l: np.arctan(x))),
    "fill/cross_entropy": (3, cross_entropy),
    "fill/conv1d": (4, a_layer("Conv1D", 2, 3, 3, 2, shape=(2, 8, 2), y=lambda x, l: as_2d(
        Conv2D(2, 3, (1, 3), (1, 2), "valid"), x, l.params))),
    "fill/batch_norm": (6, a_layer("BatchNorm", 3, shape=(6, 3), y=batch_norm, order=1)),
    "fill/adam": (7, an_optimiser("Adam", adam_moves, {**ADAM, **ROOTS}, beta1=0.9, beta2=0.99)),
    "fill/hinge": (12, both_players("Hinge", lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
                                    lambda f: -f.mean())),
    "fill/r1": (15, r1),
    "repair/d_loss": (3, d_loss),
    "repair/transposed": (5, a_layer("ConvTranspose1D", 2, 3, 4, 2, shape=(2, 3, 2), y=lambda x, l: as_2d(
        ConvTranspose2D(2, 3, (1, 4), (1, 2), "valid"), x, l.params))),
    "repair/pixel_norm": (6, a_layer("PixelNorm", shape=(2, 3, 4), order=1, y=lambda x, l: x / np.sqrt(
        (x * x).mean(-1, keepdims=True) + l.eps))),
    "repair/rmsprop": (7, an_optimiser("RMSprop", rmsprop_moves, ROOTS, rho=0.9)),
    "repair/scale": (8, a_layer("Scale", 3, shape=(4, 2, 3), order=1, y=lambda x, l: (
        l.params["gamma"] * x + l.params["beta"]))),
    "repair/sigmoid": (8, a_layer("Sigmoid", shape=(4, 3), order=1, y=lambda x, l: sigmoid(x))),
    "repair/leaky_relu": (8, a_layer("LeakyReLU", 0.2, shape=(4, 3), order=1, y=lambda x, l: leaky_relu(x, 0.2))),
    "repair/gelu": (8, a_layer("GELU", shape=(4, 3), order=1, y=lambda x, l: x / 2 * (1 + np.tanh(
        (2 / np.pi)**0.5 * (x + 0.044715 * x**3))))),
    "repair/dropout": (8, dropout),
    "repair/g_step": (11, g_step),
    "repair/least_squares": (12, both_players("LeastSquares", lambda r, f: (
        ((r - 1)**2).mean() + (f * f).mean()) / 2, lambda f: ((f - 1)**2).mean() / 2)),
    "repair/tanh": (15, a_layer("Tanh", shape=(4, 3), y=lambda x, l: np.tanh(x))),
    "repair/spectral_norm": (17, a_layer("SpectralDense", 4, 3, shape=(5, 4), y=spectral)),
    "repair/softmax": (30, a_layer("Softmax", shape=(4, 5), order=1, y=softmax)),
}


class _Names(dict):
    """What a file defines."""

    def __missing__(self, name):
        raise ConfigError(f"expected the name {name}, and it is not there; do not rename it")


def grade(name, folder=HERE):
    """The outcome of one exercise, as plain values."""
    (chapter, check), path = EXERCISES[name], Path(folder) / f"{name}.py"
    report, blank = Report(name), ""
    try:
        with warnings.catch_warnings():     # what a draft divides by 0 shows in the numbers
            warnings.simplefilter("ignore")
            with np.errstate(all="ignore"):
                for part in check(_Names(runpy.run_path(str(path), run_name=path.stem))):
                    report.merge(part)
    except NotImplementedError as error:
        blank = str(error) or "a blank is still there"
    except TinyganError as error:
        report.fail("the check", str(error))
    except (Exception, SystemExit) as error:
        report.fail("the code", _in_words(error, path))
    status = "wrong" if report.failures else "not done" if blank else "right"
    message = blank if status == "not done" else _short(report) if report.failures else ""
    text = "\n".join(line for line in str(report).split("\n") if "report.details()" not in line)
    return {"name": name, "status": status, "message": message, "chapter": chapter,
            "errors": report.to_dict()["errors"], "report": text}


def _in_words(error, path):
    """An exception with the student's line that led to it."""
    place = ""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} in line {error.lineno}, `{(error.text or '').strip()}`: {error.msg}"
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename) == path:
            place = f" in line {frame.lineno}, `{frame.line}`"
    where = "" if place else " (in the check: see that each function returns what its docstring says)"
    return f"{type(error).__name__}{place}: {error}{where}"


def _short(report):
    """The first failure of known cause, and what else is wrong."""
    first = min(report.failures, key=lambda failure: not failure.cause)
    others = sorted({failure.quantity for failure in report.failures} - {first.quantity})
    text = f"{first.quantity}: {first.cause}" if first.cause else first.text
    return text + (f". Also wrong: {', '.join(others)}" if others else "")
