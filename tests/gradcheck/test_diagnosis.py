"""Each common mistake is named by its cause; a right layer is not."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck
from tinygan.gradcheck import diagnosis
from tinygan.layers import (BatchNorm, Conv2D, Dense, Dropout, Layer, LeakyReLU, MaxPool2D, Pointwise, ReLU, Reshape,
                            Softmax, SpectralNorm, Tanh)
from tinygan.ops.conv import conv_input

from .helpers import CASES, mutant, x_of


def cause(layer, shape, quantity, check=gradcheck.check_layer, **options):
    """What the report says about this quantity."""
    report = check(layer, x_of(shape), **options)
    found, = {failure.cause for failure in report.failures if failure.quantity == quantity}
    return found


class ByHand(Dense):
    """Dense with its gradients written out, for mistakes to be made in."""

    def backward(self, dy, cache, grads=None):
        x, _ = cache
        if grads is not None:
            self.add(grads, x.T @ dy, dy.sum(0))
        return dy @ self.param("W", dy).T

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        if grads is not None:
            grads["W"] += tcache.T @ dty
        return self.backward(dy, cache, grads), dty @ self.param("W", dty).T

    def add(self, grads, dW, db):
        grads["W"] += dW
        grads["b"] += db


def test_grads_overwritten():
    class Overwrites(ByHand):
        def add(self, grads, dW, db):
            grads["W"][...] = dW
            grads["b"] += db

    class OverwritesAndIsWrong(ByHand):
        def add(self, grads, dW, db):
            grads["W"] = 3 * dW
            grads["b"] += db
    for layer in (Overwrites(4, 3), OverwritesAndIsWrong(4, 3)):
        for limit in (64, 2):       # by elements, and along directions
            report = gradcheck.check_layer(layer, x_of((5, 4)), limit=limit)
            assert {failure.quantity for failure in report.failures} == {"dW", "second dW"}
            assert [failure.cause for failure in report.failures] == [
                f'grads["W"] = ... instead of grads["W"] += ...: what it held before {map_} is lost'
                for map_ in ("backward", "jvp_backward")]
    gradcheck.assert_layer(ByHand(4, 3), x_of((5, 4)))


def test_grads_not_filled():
    class Rebinds(ByHand):
        def add(self, grads, dW, db):
            grads = {"W": dW, "b": db}      # noqa: F841 (the mistake)

    class Subtracts(ByHand):
        def add(self, grads, dW, db):
            grads["W"] -= dW
            grads["b"] += db
    assert cause(Rebinds(4, 3), (5, 4), "dW").startswith('nothing was added; write grads["W"] += ...')
    assert "wrong sign" in cause(Subtracts(4, 3), (5, 4), "dW")


@pytest.mark.parametrize("limit", [64, 2])
@pytest.mark.parametrize("factor, words", [
    (-1, "by hand is -1 times the numerical value everywhere: wrong sign"),
    (2, "by hand is 2 times the numerical value everywhere: a factor 2 too much"),
    (0.5, "by hand is 1/2 of the numerical value everywhere: a factor 2 is missing"),
    (5, "(5 = N, the batch size): summed instead of averaged"),
    (1 / 5, "(5 = N, the batch size): averaged instead of summed"),
    (15, "(15 = the elements of y): summed instead of averaged"),
    (1 / 20, "(20 = the elements of x): averaged instead of summed"),
    (1.001, "by hand is 1.001 times the numerical value everywhere: a constant factor")])
def test_a_constant_factor(factor, words, limit):
    for method, quantity in (("wgrad", "dW"), ("adjoint", "dx")):
        wrong = mutant(Dense(4, 3), **{method: lambda f, *args: factor * f(*args)})
        assert words in cause(wrong, (5, 4), quantity, gradcheck.check_backward, limit=limit)
    wrong = mutant(Dense(4, 3), jvp=lambda f, *args: (factor * f(*args)[0], f(*args)[1]))
    assert words in cause(wrong, (5, 4), "ty", gradcheck.check_jvp)


def test_a_factor_of_two_samples_may_be_either():
    wrong = mutant(Dense(4, 3), wgrad=lambda f, *args: 2 * f(*args))
    text = cause(wrong, (2, 4), "dW", gradcheck.check_backward)
    assert "a factor 2 too much; or " in text and "N, the batch size" in text


def test_a_loss_that_sums_where_it_averages():
    loss = lambda p: (float((p**2).mean()), 2 * p)
    failure, = gradcheck.check_loss(loss, x_of((6, 1))).failures
    assert failure.cause.endswith("(6 = N, the batch size): summed instead of averaged")
    assert gradcheck.check_loss(lambda p: (float((p**2).mean()), 2 * p / p.size), x_of((6, 1))).ok


def test_another_order_of_the_elements():
    square, conv = Dense(3, 3), Conv2D(2, 3, 3)
    turn = lambda f, *args: np.ascontiguousarray(f(*args).T)
    back = gradcheck.check_backward
    assert cause(mutant(square, wgrad=turn), (4, 3), "dW", back) == "by hand is the transpose of the right array"
    assert cause(mutant(Dense(4, 3), wgrad=lambda f, *a: f(*a).T.reshape(4, 3)), (5, 4), "dW", back) == (
        "by hand was reshaped to (4, 3) where its axes had to be exchanged (transpose)")
    for limit in (64, 2):
        flip = mutant(conv, wgrad=lambda f, *a: f(*a)[::-1, ::-1])
        assert cause(flip, (2, 5, 4, 2), "dW", back, limit=limit) == "by hand is reversed along the axes 0, 1"
        swap = mutant(conv, wgrad=lambda f, *a: f(*a).transpose(1, 0, 2, 3))
        assert cause(swap, (2, 5, 4, 2), "dW", back, limit=limit).startswith("by hand has its axes exchanged")
    roll = mutant(Conv2D(2, 3, 3, 2), adjoint=lambda f, dy, g: np.roll(f(dy, g), 1, axis=1))
    assert "shifted by one place along axis 1" in cause(roll, (2, 6, 4, 2), "dx", back)
    order = np.random.default_rng(1).permutation(6)
    mixed = mutant(Reshape((3, 2)), backward=lambda f, dy, cache, grads=None: f(dy, cache)[:, order])
    assert cause(mixed, (2, 6), "dx", back) == "by hand has the right elements in the wrong order"


def test_kept_on_the_layer():
    class Keeps(Dense):
        def forward(self, x, train=True, rng=None, slope=1):
            self.x = x.copy()
            return super().forward(x, train, rng)

        def wgrad(self, x, dy, ctx):
            return self.x.T @ dy
    for limit in (64, 2):
        text = cause(Keeps(4, 3), (5, 4), "dW", limit=limit)
        assert text.startswith("right only while no other batch passes between forward and backward")
        assert text.endswith("kept on the layer instead of in the cache")

    class KeepsForJvp(Tanh):
        def f(self, x):
            self.y = np.tanh(x)
            return self.y

        def jvp(self, tx, cache):
            return (1 - self.y**2) * tx, tx
    assert "between forward and jvp: something is kept" in cause(KeepsForJvp(), (3, 4), "ty")


class Square(Layer):
    """y = a·x² by hand, for mistakes at second order to be made in."""

    def __init__(self):
        super().__init__(a=(3,))

    def draw(self, rng):
        return {"a": np.array([1.0, -2.0, 0.5])}

    def forward(self, x, train=True, rng=None):
        return self.param("a", x) * x * x, x

    def backward(self, dy, x, grads=None):
        if grads is not None:
            grads["a"] += (x * x * dy).sum(0)
        return 2 * self.param("a", x) * x * dy

    def jvp(self, tx, x):
        return 2 * self.param("a", x) * x * tx, tx

    def jvp_backward(self, dy, dty, x, tx, grads=None):
        if grads is not None:
            grads["a"] += (2 * x * tx * dty).sum(0)
        a = 2 * self.param("a", x)
        return self.backward(dy, x, grads) + a * tx * dty, a * x * dty


def causes(wrong):
    """Mapping quantity -> cause of a layer that is wrong."""
    for limit in (64, 2):       # by elements, and along directions
        report = gradcheck.check_layer(wrong(), x_of((5, 3)), limit=limit)
        found = {failure.quantity: failure.cause for failure in report.failures}
    assert found
    return found


def test_a_tangent_kept_on_the_layer():
    """A second jvp from the same cache must not change what jvp_backward gives for the first."""
    class Keeps(Square):
        def jvp(self, tx, x):
            self.tx = tx
            return super().jvp(tx, x)[0], None

        def jvp_backward(self, dy, dty, x, tcache, grads=None):
            return super().jvp_backward(dy, dty, x, self.tx, grads)
    gradcheck.assert_layer(Square(), x_of((5, 3)))
    assert causes(Keeps) == dict.fromkeys(["second dx", "second da"], (
        "right only while no other jvp runs between jvp and jvp_backward: something is kept on the layer instead of in "
        "the tcache"))


def test_jvp_backward_without_its_first_term():
    class NoGrads(Square):
        def jvp_backward(self, dy, dty, x, tx, grads=None):
            dx, dtx = super().jvp_backward(dy, dty, x, tx)
            if grads is not None:
                grads["a"] += (2 * x * tx * dty).sum(0)
            return dx, dtx

    class NoBackward(Square):
        def jvp_backward(self, dy, dty, x, tx, grads=None):
            dx, dtx = super().jvp_backward(dy, dty, x, tx, grads)
            return dx - 2 * self.param("a", x) * x * dy, dtx
    assert causes(NoGrads) == {"second da": (
        "the gradient of ⟨dy, y⟩ in a is missing: jvp_backward adds into grads only that of ⟨dty, ty⟩; let it call "
        "backward with grads")}
    assert causes(NoBackward) == {"second dx": (
        "the gradient of ⟨dy, y⟩ in x is missing: jvp_backward returns only that of ⟨dty, ty⟩; let it call backward")}


def test_results_and_arguments_in_each_others_place():
    class Results(Square):
        def jvp_backward(self, *args):
            return super().jvp_backward(*args)[::-1]

    class Arguments(Square):
        def jvp_backward(self, dy, dty, *args):
            return super().jvp_backward(dty, dy, *args)
    order = "dx and dtx are returned in the wrong order; end jvp_backward with: return dx, dtx"
    exchanged = "jvp_backward would be right if dy and dty were exchanged there"
    assert causes(Results) == {"second dx": order, "second dtx": order}
    assert causes(Arguments) == dict.fromkeys(["second dx", "second dtx", "second da"], exchanged)

    class Linear(ByHand):
        def jvp_backward(self, *args):
            return super().jvp_backward(*args)[::-1]
    assert cause(Linear(4, 3), (5, 4), "second dx") == f"{order}; or {exchanged}"  # of a linear map: either


def test_a_factor_in_each_channel_or_row():
    def forgets(f, dy, cache, grads=None):
        return f(dy, cache, grads) * cache[1]
    wrong = mutant(BatchNorm(3), backward=forgets)
    assert cause(wrong, (6, 3), "dx") == (
        "by hand is the numerical value times one number in each channel (all axes but the last): a factor such as 1/s "
        "is missing or is one too many")

    class RowNorm(Layer):
        def forward(self, x, train=True, rng=None):
            s = (x * x).mean(-1, keepdims=True)**0.5
            return x / s, x / s

        def backward(self, dy, xhat, grads=None):
            return dy - xhat * (xhat * dy).mean(-1, keepdims=True)
    assert "one number in each row (the last axis): a factor such as 1/s" in cause(RowNorm(), (3, 5), "dx")
    pairs = np.array([[1.0, 2.0], [3.0, 4.0]])      # of two elements anything is a multiple
    assert diagnosis.factors(pairs, pairs[::-1].reshape(-1), np.arange(4)) == ""


def test_a_kink_is_no_wrong_gradient():
    x = x_of((3, 4))
    x[1, 2] = 0
    for layer in (ReLU(), LeakyReLU(0.1), Sequential([LeakyReLU(), Dense(4, 2)], rng=0)):
        report = gradcheck.check_layer(layer, x)
        assert {failure.quantity for failure in report.failures} == {"dx", "ty", "second dx"}
        for failure in report.failures:
            assert failure.cause.startswith("x[1, 2] = 0 lies on a kink (slope of y ") and failure.numerical is None
            assert "cannot be compared" in failure.text and "move x" in failure.cause
    assert "lies on a kink" in gradcheck.check_layer(MaxPool2D(2), np.ones((1, 4, 4, 1))).failures[0].cause
    large = np.zeros((30, 5))
    assert all("lies on a kink" in failure.cause for failure in gradcheck.check_layer(ReLU(), large).failures)
    x[1, 2] = 1e-5
    gradcheck.assert_layer(ReLU(), x)


def test_a_wrong_layer_on_a_kink_is_wrong_elsewhere():
    x = x_of((3, 4))
    x[1, 2] = 0
    wrong = mutant(ReLU(), backward=lambda f, dy, cache, grads=None: -f(dy, cache))
    causes = [failure.cause for failure in gradcheck.check_backward(wrong, x).failures]
    assert len(causes) == 2 and "kink" in causes[0] and "wrong sign" in causes[1]
    near = x_of((3, 4))
    near[1, 2] = 1e-5       # differences with smaller steps tell
    assert "wrong sign" in gradcheck.check_backward(wrong, near).failures[0].cause


def test_float32_inside_forward():
    class Single(Pointwise):
        def f(self, x):
            return np.tanh(x).astype("float32")

        def d1(self, t, x, y):
            return (1 - y * y) * t
    report = gradcheck.check_layer(Single(), x_of((3, 4)))
    assert report.failures and all("forward gives float32 for a float64 x" in f.cause for f in report.failures)


def test_returned_nothing():
    class Nothing(Dense):
        def backward(self, dy, cache, grads=None):
            super().backward(dy, cache, grads)
    report = gradcheck.check_layer(Nothing(4, 3), x_of((5, 4)))
    causes = {failure.quantity: failure.cause for failure in report.failures}
    assert causes["dx"] == "backward returned None; end it with: return dx"
    assert causes["second dx"] == "jvp_backward returned None for dx; end it with: return dx, dtx"

    class Turned(Dense):
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads).T
    assert cause(Turned(4, 3), (5, 4), "dx") == "it has the shape of the transpose"


def test_arguments_changed():
    class Scales(Dropout):
        def backward(self, dy, cache, grads=None):
            dy *= 2.0
            return super().backward(dy, cache, grads) / 2
    report = gradcheck.check_backward(Scales(0.5), x_of((4, 6)))
    failure, = [failure for failure in report.failures if failure.quantity == "unchanged"]
    assert "forward or backward wrote into dy" in failure.cause and "dy is" in failure.text


def test_no_evidence_no_cause():
    class Odd(Layer):
        def forward(self, x, train=True, rng=None):
            return x**2, x

        def backward(self, dy, x, grads=None):
            return 2 * x * dy + x**3
    assert cause(Odd(), (3, 4), "dx") == ""
    n = np.array([1.0, -2.0, 3.0])
    assert diagnosis.of(n * (1 + 1e-7), n, np.arange(3), {3: "N"}) == ""        # too little to tell
    assert diagnosis.of(np.array([0.3]), np.array([1.0]), np.arange(1), {}) == ""     # any two numbers have a ratio
    assert diagnosis.of(np.zeros(3), n, np.arange(3), {}) == "by hand all elements are 0"


@pytest.mark.parametrize("layer, shape, train", CASES, ids=lambda v: repr(v) if hasattr(v, "params") else "")
def test_a_right_layer_has_no_cause_and_no_warning(layer, shape, train):
    for limit in (64, 4):
        report = gradcheck.assert_layer(layer, x_of(shape, 7), rng=7, train=train, limit=limit)
        assert not report.warnings and not report.failures


def test_a_weight_in_another_order():
    class Transposed(ByHand):
        def backward(self, dy, cache, grads=None):
            super().backward(dy, cache, grads)
            return dy @ self.param("W", dy)         # of (3, 3) numpy does not complain
    found = gradcheck.check_layer(Transposed(3, 3), x_of((5, 3)))
    assert {f.quantity: f.cause for f in found.failures if f.cause} == {
        quantity: f"{map_} reads W transposed where it should not, or the other way round"
        for quantity, map_ in (("dx", "backward"), ("second dx", "jvp_backward"))}
    conv = Conv2D(2, 3, 3)
    flipped = mutant(conv, adjoint=lambda f, dy, g: conv_input(dy, flipped.params["W"][::-1, ::-1], g))
    words = "adjoint (which backward calls) reads W in reversed order along the axes 0, 1"
    assert cause(flipped, (2, 4, 5, 2), "dx").startswith(words)


def test_paths_through_statistics():
    """Constant statistics, and BatchNorm without one of the paths: each is named, along the axis that is concerned."""
    def without(mean, deviation, axis=0):
        def backward(f, dy, cache, grads=None):
            f(dy, cache, grads)
            xhat, s, _ = cache
            g = wrong.params["gamma"] * dy
            of = lambda a: a.mean(0)
            return (g - mean * of(g) - deviation * xhat * of(xhat * g)) / s
        wrong = mutant(BatchNorm(3), backward=backward)
        return cause(wrong, (6, 3), "dx", gradcheck.check_backward)
    assert without(0, 0).startswith("backward makes each element of dx from the same element of dy alone, but x[")
    assert without(0, 1) == ("the error is one number in each channel (all axes but the last): the path through the "
                             "mean is missing, or has a wrong sign or factor")
    for factor in (0, -1, 0.5):     # missing, of the wrong sign, halved
        assert "is α + β·x, with two numbers α and β in each channel (all axes but the last)" in without(1, factor)

    class RowNorm(Layer):
        def forward(self, x, train=True, rng=None):
            s = (x * x).mean(-1, keepdims=True)**0.5
            return x / s, (x / s, s)

        def backward(self, dy, cache, grads=None):
            xhat, s = cache
            return (dy - 0.5 * xhat * (xhat * dy).mean(-1, keepdims=True)) / s
    assert "in each row (the last axis): the path through a variance or a norm" in cause(RowNorm(), (3, 5), "dx")
    diagonal = mutant(Softmax(), backward=lambda f, dy, y, grads=None: y * (1 - y) * dy)
    assert "but x[" in cause(diagonal, (4, 5), "dx") and "on y[" in cause(diagonal, (4, 5), "dx")


def test_a_constant_norm_of_a_weight():
    layer = SpectralNorm(Dense(4, 3))
    layer.reset(1)
    wrong = mutant(layer, wgrad=lambda f, x, dy, ctx: layer.inner.wgrad(x, dy, ctx[0]) / ctx[1])
    text = cause(wrong, (5, 4), "dW", train=False)
    assert "along the first singular vectors of W: the path through its largest singular value is missing" in text
    dense = Dense(4, 3)
    dense.reset(1)
    forgets = mutant(dense, wgrad=lambda f, x, dy, ctx: x[1:].T @ dy[1:])     # a sample: of rank one, too
    assert cause(forgets, (3, 4), "dW") == ""


def test_second_order_as_first():
    class NoCurvature(Tanh):
        d2 = None

    class NoSecondTerm(ByHand):
        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            return self.backward(dy, cache, grads), dty @ self.param("W", dty).T
    assert cause(NoCurvature(), (4, 3), "second dx") == (
        "the gradient of ⟨dty, ty⟩ in x is missing (of an activation: f″(x)·tx·dty); jvp_backward returns what "
        "backward returns")
    assert cause(NoSecondTerm(4, 3), (5, 4), "second dW").startswith("the gradient of ⟨dty, ty⟩ in W is missing")
    wrong = mutant(Dense(4, 3), adjoint=lambda f, dy, ctx: np.sin(dy) @ np.ones((3, 4)))    # first order is wrong
    assert cause(wrong, (5, 4), "second dx") == ""


def test_random_numbers_in_backward():
    rng = np.random.default_rng(0)
    wrong = mutant(Dropout(0.5), backward=lambda f, dy, cache, grads=None: dy * rng.integers(0, 2, dy.shape) * 2.0)
    assert cause(wrong, (4, 6), "dx").startswith("backward gives something else when it is called again: it draws")


def test_a_forward_that_writes_into_its_x():
    """Its maps are checked at the x that it was given, and the report says what it wrote into."""
    class InPlace(LeakyReLU):
        def f(self, x):
            x[x < 0] *= self.slope
            return x.copy()

        def d1(self, t, x, y):
            return np.where(y > 0, t, self.slope * t)
    failures = gradcheck.check_layer(InPlace(0.2), x_of((4, 3))).failures
    assert {f.quantity for f in failures} == {"unchanged"} and "wrote into x" in failures[0].cause


def test_the_arrays_of_a_loss_have_names():
    loss = lambda r, f: (float((r * f).sum()), f, 2 * r)
    report = gradcheck.check_loss(loss, *x_of((2, 6, 1)), names=("real", "fake"))
    assert list(report) == ["dreal", "dfake"] and str(report.failures[0]).startswith("dfake[")
