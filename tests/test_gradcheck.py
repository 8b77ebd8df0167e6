"""The checker is itself checked: each kind of mistake must be reported, and a right layer never."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck, losses, models, selfcheck
from tinygan.errors import ConfigError, DtypeError
from tinygan.layers import (Affine, AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Layer,
                            LeakyReLU, MaxPool2D, Pointwise, ReLU, Reshape, Sigmoid, Softplus, Tanh, UpSampling2D)
from tinygan.ops import norm as norm_ops
from tinygan.ops.windows import add_windows

CASES = [(layer, shape, train) for layer, shape, train in selfcheck.LAYERS]
IDS = [f"{layer!r}{'' if train else ' eval'}" for layer, _, train in CASES]
x_of = lambda shape, seed=0: np.random.default_rng(seed).standard_normal(shape)


def caught(layer, shape, *quantities, train=True):
    """The check of this wrong layer fails, and names (one of) the quantities that are wrong."""
    report = gradcheck.check_layer(layer, x_of(shape), train=train)
    assert not report.ok
    with pytest.raises(gradcheck.GradientError):
        report.raise_if_wrong()
    wrong = {text.split(":")[0].split("[")[0] for text in report.failures}
    assert set(quantities) <= wrong, wrong


def mutant(layer, **methods):
    """A copy of the layer with some of its methods replaced; each gets the original's first."""
    new = layer.copy()
    for name, method in methods.items():
        original = getattr(new, name)
        setattr(new, name, lambda *args, method=method, original=original, **kwargs: method(original, *args, **kwargs))
    new.copy = lambda convert=None: new   # check_layer works on a copy; here on the mutant itself
    return new


@pytest.mark.parametrize("layer, shape, train", CASES, ids=IDS)
def test_no_alarm_over_seeds(layer, shape, train):
    for seed in range(5):
        report = gradcheck.check_layer(layer, x_of(shape, seed), rng=seed, train=train)
        assert report.raise_if_wrong().worst <= 1e-8 and report["adjoint"] <= 1e-12


@pytest.mark.parametrize("layer, shape, train", CASES, ids=IDS)
def test_a_rule_that_is_wrong_by_a_thousandth(layer, shape, train):
    off = 1.001

    def second(f, dy, dty, cache, tcache, grads=None, which=0):
        d = list(f(dy, dty, cache, tcache, grads))
        d[which] = d[which] * off
        return tuple(d)
    caught(mutant(layer, backward=lambda f, *a: f(*a) * off), shape, "dx", "adjoint", train=train)
    caught(mutant(layer, jvp=lambda f, *a: (f(*a)[0] * off, f(*a)[1])), shape, "ty", "adjoint", train=train)
    caught(mutant(layer, jvp_backward=second), shape, "second dx", train=train)
    caught(mutant(layer, jvp_backward=lambda *a: second(*a, which=1)), shape, "second dtx", train=train)


@pytest.mark.parametrize("layer, shape", [case[:2] for case in CASES if case[0].params and case[2]],
                         ids=[i for i, case in zip(IDS, CASES) if case[0].params and case[2]])
@pytest.mark.parametrize("map_, prefix", [("backward", "d"), ("jvp_backward", "second d")])
def test_parameter_gradients(layer, shape, map_, prefix):
    """Of each parameter: off by a thousandth, missing, or overwriting what was there instead of adding."""
    def spoil(name, rule):
        def method(f, *args):
            *args, grads = args if args[-1] is None or isinstance(args[-1], dict) else (*args, None)
            mine = None if grads is None else layer.zero_grads().__class__(grads.shapes, np.zeros_like(grads.vector))
            result = f(*args, mine)
            if grads is not None:
                for key in grads:
                    grads[key][...] = rule(grads[key], mine[key]) if key == name else grads[key] + mine[key]
            return result
        return method
    for name in layer.params:
        for rule in (lambda g, d: g + 1.001 * d, lambda g, d: g, lambda g, d: d):
            wrong = mutant(layer, **{map_: spoil(name, rule)})
            if map_ == "jvp_backward" and type(layer).__name__ != "BatchNorm":
                wrong.backward = layer.backward   # jvp_backward calls it; spoil only once
            caught(wrong, shape, prefix + name)


def test_dropped_masks():
    caught(mutant(Dropout(0.5), backward=lambda f, dy, cache, grads=None: dy), (4, 6), "dx")
    caught(mutant(LeakyReLU(), backward=lambda f, dy, cache, grads=None: dy), (4, 6), "dx")
    caught(mutant(ReLU(), jvp=lambda f, tx, cache: (tx, tx)), (4, 6), "ty")
    spread = lambda f, dy, cache, grads=None: np.repeat(np.repeat(dy, 2, 1), 2, 2)   # to all, not to the winner
    caught(mutant(MaxPool2D(2), backward=spread), (2, 4, 4, 2), "dx")
    nearest = lambda f, dy, cache, grads=None: dy[:, ::2, ::2]   # subsamples instead of summing blocks
    caught(mutant(UpSampling2D(2), backward=nearest), (2, 3, 3, 2), "dx")
    count = lambda f, dy, ctx: add_windows(np.broadcast_to(dy[:, :, :, None, None] / 9, (2, 3, 2, 3, 3, 2)), ctx[0])
    caught(mutant(AvgPool2D(3, 2, "same"), adjoint=count), (2, 5, 4, 2), "dx")   # counts the padding


def test_wrong_axes():
    def rows_only(f, dy, cache, grads=None):   # BatchNorm over the batch axis only, for images
        xhat, s, _ = cache
        return (dy - dy.mean(0) - xhat * (xhat * dy).mean(0)) / s
    caught(mutant(BatchNorm(3), backward=rows_only), (2, 3, 2, 3), "dx")
    square = Dense(3, 3)
    caught(mutant(square, adjoint=lambda f, dy, ctx: dy @ square.params["W"]), (3, 3), "dx")
    caught(mutant(square, wgrad=lambda f, x, dy, ctx: dy.T @ x), (3, 3), "dW")
    swap = lambda f, x, dy, g: f(x, dy, g).transpose(1, 0, 2, 3)
    caught(mutant(Conv2D(2, 3, 3), wgrad=swap), (2, 5, 4, 2), "dW")
    caught(mutant(ConvTranspose2D(2, 3, 3), wgrad=swap), (2, 5, 4, 2), "dW")
    roll = lambda f, dy, g: np.roll(f(dy, g), 1, axis=1)   # the padding off by one
    caught(mutant(Conv2D(2, 3, 3, 2), adjoint=roll), (2, 6, 4, 2), "dx")
    caught(mutant(ConvTranspose2D(2, 3, 3, 2), adjoint=roll), (2, 3, 4, 2), "dx")
    turn = lambda f, dy, cache, grads=None: np.swapaxes(f(dy, cache), -1, -2)
    caught(mutant(Reshape((3, 2)), backward=lambda f, dy, cache, grads=None: np.swapaxes(dy, 1, 2).reshape(2, 6)),
           (2, 6), "dx")
    caught(mutant(Flatten(), backward=turn), (2, 3, 3), "dx")


def test_missing_second_order_terms(monkeypatch):
    for layer in (Tanh(), Sigmoid(), Softplus()):   # exact for ReLU only
        new = layer.copy()
        new.d2 = None
        new.copy = lambda convert=None, new=new: new
        caught(new, (4, 6), "second dx")
    for layer, shape in [(Dense(4, 3), (3, 4)), (Conv2D(2, 3, 3), (2, 4, 4, 2)),
                         (ConvTranspose2D(2, 3, 3), (2, 4, 4, 2))]:
        first_only = lambda f, dy, dty, cache, tcache, grads=None, layer=layer: (
            layer.astype("float64").backward(dy, cache, grads), layer.backward(dty, cache))
        caught(mutant(layer, jvp_backward=first_only), shape, "second dW")
    monkeypatch.setattr("tinygan.layers.norm.project_backward", lambda c, t, xhat, s: 0 * c)
    caught(BatchNorm(3), (5, 3), "second dx")
    for sign in (1, -1):   # a term of it with the wrong sign
        monkeypatch.setattr("tinygan.layers.norm.project_backward",
                            lambda c, t, xhat, s: sign * norm_ops.project_backward(c, t, xhat, s) + xhat * 1e-6)
        caught(BatchNorm(3), (5, 3), "second dx")


def test_other_sins():
    def mutating(f, dy, cache, grads=None):
        dy *= 2.0
        return f(dy, cache, grads) / 2
    caught(mutant(Dropout(0.5), backward=mutating), (4, 6), "unchanged")
    caught(mutant(Tanh(), backward=lambda f, dy, cache, grads=None: f(dy, cache).astype(np.float32)), (4, 6), "dx")
    caught(mutant(Tanh(), backward=lambda f, dy, cache, grads=None: f(dy, cache) * np.nan), (4, 6), "dx")
    flag = lambda f, dy, cache, grads=None: f(dy, cache, grads) * (1 if grads is not None else 0)
    caught(mutant(Dense(3, 2), backward=flag), (4, 3), "dx, no grads")


def test_the_report_names_index_numbers_and_inputs():
    def one_wrong(f, x, dy, ctx):
        dW = f(x, dy, ctx)
        dW[7, 5] += 1e-3
        return dW
    for shape in [(3, 8), (4, 8)]:
        report = gradcheck.check_backward(mutant(Dense(8, 6), wgrad=one_wrong), x_of(shape), limit=60)
        text, = report.failures
        assert text.startswith("dW[7, 5]: by hand ") and "by differences" in text and "relative error" in text
        assert f"x {shape} =" in text and "dy" in text and "W (8, 6) =" in text
    large = gradcheck.check_backward(mutant(Dense(8, 6), wgrad=one_wrong), x_of((3, 8)), limit=10)
    assert large.failures[0].startswith("dW[7, 5]: by hand ")   # found after a random direction had failed
    assert "WRONG" in str(large) and "dW" in str(large)


@pytest.mark.parametrize("name, options", [("mlp", {}), ("dcgan", {"width": 0.05})])
def test_networks_end_to_end(name, options):
    for seed in range(2):
        net = Sequential([*models.get(name).build(rng=seed, **options)])
        report = gradcheck.check_layer(net, x_of((3, 100), seed), rng=seed, directions=1, limit=0).raise_if_wrong()
        assert {f"d{name}" for name in net.params} | {f"second d{name}" for name in net.params} <= set(report)


def test_one_wrong_layer_in_a_network_is_found():
    G, D = models.mlp(rng=0, width=0.05)
    wrong = D.layers[1]
    original = type(wrong).wgrad
    type(wrong).wgrad = lambda self, x, dy, ctx: x.T @ dy * (1.001 if self.n_in == 784 else 1)
    try:
        report = gradcheck.check_backward(Sequential([G, D]), x_of((3, 100)), limit=0)
    finally:
        type(wrong).wgrad = original
    assert {text.split("[")[0] for text in report.failures} == {"d1.1.W"}


class Cube:
    """A layer of somebody's own, from nothing but the protocol."""

    def forward(self, x, train=True, rng=None):
        return x**3, x

    def backward(self, dy, x, grads=None):
        return 3 * x * x * dy


def test_a_layer_of_ones_own():
    report = gradcheck.check_layer(Cube(), x_of((3, 2)))
    assert report.ok and "jvp" in report.skipped and report["dx"] <= 1e-8

    class CubeLayer(Pointwise):
        def f(self, x):
            return x**3

        def d1(self, t, x, y):
            return 3 * x * x * t

        def d2(self, t, x, y):
            return 6 * x * t
    assert gradcheck.check_layer(CubeLayer(), x_of((3, 2))).raise_if_wrong()["second dx"] <= 1e-8
    CubeLayer.d2 = lambda self, t, x, y: 5 * x * t
    assert not gradcheck.check_layer(CubeLayer(), x_of((3, 2))).ok

    class FirstOrder(Layer):
        forward, backward = Cube.forward, Cube.backward
    report = gradcheck.check_layer(FirstOrder(), x_of((3, 2)))
    assert report.ok and report.skipped == ["jvp", "jvp_backward"]
    assert "jvp is not defined; not checked" in str(report)


def test_an_error_inside_a_map_is_not_taken_for_a_missing_map():
    class Broken(Cube):
        def jvp(self, tx, x):
            return tx.no_such_name
    with pytest.raises(AttributeError, match="no_such_name"):
        gradcheck.check_layer(Broken(), x_of((3, 2)))


def test_losses():
    r, f = x_of((2, 6, 1))
    right = losses.get("non_saturating")
    assert gradcheck.check_loss(right.d_loss, r, f).raise_if_wrong().keys() == {"d0", "d1"}

    def wrong(r, f):
        loss, d_real, d_fake = right.d_loss(r, f)
        return loss, d_real, 1.001 * d_fake
    assert [text[:2] for text in gradcheck.check_loss(wrong, r, f).failures] == ["d1"]


def test_small_gradients_are_compared_in_absolute_terms():
    """Below 0.001 the tolerance stays that of 0.001: 1e-11."""
    for scale, tolerance in ((2.0, 1e-8), (1e-5, 1e-6)):
        for error, ok in ((0.8, True), (1.2, False)):
            slope = scale * (1 + error * tolerance)
            report = gradcheck.check_loss(lambda p: (scale * p.sum(), np.full_like(p, slope)), np.ones((2, 2)))
            assert report.ok is ok


def test_a_kink_raises_no_alarm():
    x = np.array([[1e-4, -3e-5, 2e-3, 1.0]])
    for seed in range(5):
        gradcheck.check_layer(ReLU(), x, rng=seed).raise_if_wrong()


def test_nothing_to_check_is_no_pass():
    class Backwards(Layer):
        def forward(self, x, train=True, rng=None):
            return x, None

        def backwards(self, dy, cache, grads=None):
            return dy
    for layer, map_ in ((None, "forward"), (Layer(), "forward"), (Backwards(), "backward")):
        with pytest.raises(ConfigError, match=f"a layer that defines {map_}"):
            gradcheck.check_layer(layer, np.ones((2, 2)))


def test_what_only_some_calls_get_wrong():
    class Once(Dense):                              # spoils its cache
        def backward(self, dy, cache, grads=None):
            dx = super().backward(dy, cache, grads)
            if grads is not None:
                cache[0][...] = 0
            return dx

        def forward(self, x, train=True, rng=None):
            return super().forward(x.copy(), train, rng)

    class Alone(Dense):                             # another rule where no gradient is asked for
        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            dx, dtx = super().jvp_backward(dy, dty, cache, tcache, grads)
            return dx, dtx if grads is not None else 1.001 * dtx

    class Wide(Dense):
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads)[None]

    class Moves(Dense):
        def jvp(self, tx, cache):
            ty = super().jvp(tx, cache)
            tx *= 0.5
            return ty
    x = np.random.default_rng(0).standard_normal((4, 3))
    for layer, words in ((Once(3, 2), "dW, again"), (Alone(3, 2), "second dtx, no grads"),
                         (Wide(3, 2), r"dx: expected the shape of x, \(4, 3\), got \(1, 4, 3\)")):
        with pytest.raises(gradcheck.GradientError, match=words):
            gradcheck.check_layer(layer, x).raise_if_wrong()
    assert not gradcheck.check_jvp(Moves(3, 2), x).ok


def test_a_backward_of_ones_own_serves_without_dx_too():
    """A game asks the first layer of a network for its gradients alone."""
    class Frozen(Dense):                            # half of W stays as it is
        def backward(self, dy, cache, grads=None):
            new = self.zero_grads()
            dx = super().backward(dy, cache, new)
            if grads is not None:
                new["W"][:1] = 0
                for name in new:
                    grads[name] += new[name]
            return dx

    class Twice(Sequential):                        # y = 2·body
        def forward(self, x, train=True, rng=None):
            y, cache = super().forward(x, train, rng)
            return 2 * y, cache

        def backward(self, dy, cache, grads=None):
            return super().backward(2 * dy, cache, grads)

    x = x_of((4, 3)).astype("float32")
    for layer, factor in ((Frozen(3, 2), 1), (Twice([Dense(3, 2)], rng=0), 2)):
        net, plain = Sequential([layer, Tanh()]), Sequential([Dense(3, 2), Tanh()])
        plain.theta = net.theta
        y, cache = net.forward(x)
        both, alone = net.zero_grads(), net.zero_grads()
        net.backward(np.ones_like(y), cache, both)
        net.backward_params(np.ones_like(y), cache, alone)
        np.testing.assert_array_equal(both.vector, alone.vector)
        assert abs(both.vector).max() > 0 and (factor == 2 or not both["0.W"][:1].any())
    gradcheck.check_backward(Twice([Dense(3, 2), Tanh()], rng=0), x).raise_if_wrong()

    class Another(Dense):
        def backward_params(self, dy, cache, grads):
            grads["b"] += 1.001 * dy.sum(0)
    with pytest.raises(gradcheck.GradientError, match="db, no dx"):
        gradcheck.check_layer(Another(3, 2), x).raise_if_wrong()


def test_memory_in_any_order():
    for layer, shape in ((Dense(3, 2), (4, 3)), (Conv2D(2, 3, 3), (2, 5, 4, 2))):
        x = x_of(shape)
        gradcheck.check_layer(layer, np.asfortranarray(x)).raise_if_wrong()
        gradcheck.check_layer(layer, x.transpose()[::-1].transpose()).raise_if_wrong()
    r, f = np.asfortranarray(x_of((6, 2))), x_of((2, 6)).T
    gradcheck.check_loss(losses.get("hinge").d_loss, r, f).raise_if_wrong()


def test_a_forward_that_writes_into_x_is_seen_though_it_does_so_once():
    class Abs(Pointwise):
        def f(self, x):
            return np.abs(x, out=x)

        def d1(self, t, x, y):
            return np.sign(x) * t

    def loss(x):
        np.abs(x, out=x)
        return x.sum(), np.sign(x)
    for report in (gradcheck.check_layer(Abs(), x_of((3, 2))), gradcheck.check_loss(loss, x_of((3, 2)))):
        assert any(text.startswith("unchanged") for text in report.failures)


def test_a_layer_inside_that_goes_less_far():
    class First(Layer):
        def forward(self, x, train=True, rng=None):
            return x * 2, None

        def backward(self, dy, cache, grads=None):
            return dy * 2
    report = gradcheck.check_layer(Sequential([Dense(3, 2), First()], rng=0), x_of((2, 3)))
    assert report.raise_if_wrong().skipped == ["jvp", "jvp_backward"]


def test_where_and_what_is_wrong():
    class Nan(Dense):
        def backward(self, dy, cache, grads=None):
            dx = super().backward(dy, cache, grads)
            dx[1, 2] = np.nan
            return dx

    class Nothing(Dense):
        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            return super().jvp_backward(dy, dty, cache, tcache, grads)[0], None

    class Wide(Dense):
        def jvp(self, tx, cache):
            ty, tcache = super().jvp(tx, cache)
            return ty[None], tcache
    for layer, words in ((Nan(3, 2), r"dx\[1, 2\]: by hand nan"), (Nothing(3, 2), "second dtx.*got NoneType"),
                         (Wide(3, 2), r"ty: expected the shape \(4, 2\), got \(1, 4, 2\)")):
        with pytest.raises(gradcheck.GradientError, match=words):
            gradcheck.check_layer(layer, x_of((4, 3))).raise_if_wrong()


def test_differences_are_of_five_points():
    """Two points know a derivative to 4e-12 at best."""
    estimate, _ = gradcheck.derivative(lambda h: np.exp(np.array([1.0, -2.0]) + h))
    np.testing.assert_allclose(estimate, np.exp([1.0, -2.0]), rtol=3e-13)


def test_the_direction_is_shown_where_it_counts():
    class Bent(Tanh):
        def d2(self, t, x, y):
            return 0.5 * super().d2(t, x, y)
    report = gradcheck.check_layer(Bent(), x_of((3, 2)))
    assert report.failures and all("\n  tx (" in text for text in report.failures)


def test_what_the_initial_parameters_would_hide():
    class NoGamma(BatchNorm):           # right at γ = 1
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads) / self.param("gamma", dy)

    class WithBias(Dense):              # right at b = 0
        def wgrad(self, x, dy, ctx):
            return super().wgrad(x, dy, ctx) * (1 + self.param("b", x))

    class Zeros(Affine):                # right at W = 0, where it begins
        def __init__(self):
            super().__init__(W=(3, 3))

        def map(self, x, ctx):
            return x @ self.param("W", x)

        def adjoint(self, dy, ctx):
            return 1.001 * dy @ self.param("W", dy).T

        def wgrad(self, x, dy, ctx):
            return x.T @ dy
    caught(NoGamma(3), (5, 3), "dx")
    caught(WithBias(4, 3), (5, 4), "dW")
    caught(Zeros(), (5, 3), "dx")
    before = (layer := BatchNorm(3)).params.vector.copy()
    gradcheck.check_layer(layer, x_of((5, 3))).raise_if_wrong()
    np.testing.assert_array_equal(layer.params.vector, before)      # a copy was moved


def test_what_a_layer_keeps_of_a_pass_is_of_the_wrong_one():
    class Keeps(Dense):
        def forward(self, x, train=True, rng=None, slope=1):
            self.last = x.copy()
            return super().forward(x, train, rng)

        def backward(self, dy, cache, grads=None):
            if grads is not None:
                grads["W"] += self.last.T @ dy
                grads["b"] += dy.sum(0)
            return dy @ self.param("W", dy).T

        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            if grads is not None:
                grads["W"] += tcache.T @ dty
            return self.backward(dy, cache, grads), dty @ self.param("W", dty).T
    caught(Keeps(4, 3), (5, 4), "dW", "second dW")
    caught(Keeps(4, 3), (1, 4), "dW")

    class First(Cube):
        def forward(self, x, train=True, rng=None):
            self.x = x.copy()
            return x**3, None

        def backward(self, dy, cache, grads=None):
            return 3 * self.x**2 * dy
    assert "dx" in {text[:2] for text in gradcheck.check_layer(First(), x_of((4, 3))).failures}


def test_near_the_end_of_where_a_function_is_defined():
    class Log(Pointwise):
        def f(self, x):
            return np.log(x)

        def d1(self, t, x, y):
            return t / x

        def d2(self, t, x, y):
            return -t / x**2
    x = 0.01 * (0.5 + np.random.default_rng(0).random((3, 4)))
    assert gradcheck.check_layer(Log(), x).raise_if_wrong().worst < 1e-9
    wrong = mutant(Log(), d1=lambda f, t, x, y: 1.001 * f(t, x, y))
    assert not gradcheck.check_layer(wrong, x).ok


@pytest.mark.parametrize("map_", ["f", "d1", "d2"])
def test_float32_stays_float32(map_):
    class Double(Sigmoid):
        pass
    original = getattr(Sigmoid, map_)
    setattr(Double, map_, lambda self, *args: original(self, *args) * np.float64(1))
    report = gradcheck.check_layer(Double(), x_of((3, 4)))
    found = {name for name, error in report.items() if error == float("inf")}
    first = {"dx in float32", "ty in float32", "second dx in float32", "second dtx in float32"}
    assert found == {"f": first | {"y in float32"}, "d1": first, "d2": {"second dx in float32"}}[map_] and not report.ok
    assert "let constants be Python floats" in report.failures[0]
    if map_ == "f":
        net = Sequential([Dense(4, 4), Double(), Dense(4, 1)], rng=0)
        with pytest.raises(DtypeError, match=r"layer 1, Double\(\), gave float64 for float32; let its constants"):
            net.forward(np.ones((3, 4), "float32"))
        assert any("layer 1" in text for text in gradcheck.check_layer(net, x_of((3, 4))).failures)


def test_what_cannot_be_checked_is_said():
    class Restless(Pointwise):          # draws from a generator of its own
        rng = np.random.default_rng(0)

        def f(self, x):
            return x * self.rng.random()

    class Lone(Cube):
        def forward(self, x, train=True, rng=None):
            return x**3

    class Branch(Layer):
        def __init__(self, *parts):
            self.parts = parts
            super().__init__()

        def forward(self, x, train=True, rng=None):
            return sum(part.forward(x)[0] for part in self.parts), None

        def backward(self, dy, cache, grads=None):
            return dy
    for layer, words in ((Restless(), "another y for the same x and rng"), (Lone(), r"to return \(y, cache\), got nda"),
                         (Branch(Dense(2, 2), Dense(2, 2)), r"Branch holds Dense\(2, 2\), whose parameters are none")):
        with pytest.raises(ConfigError, match=words):
            gradcheck.check_layer(layer, x_of((2, 2)))
    with pytest.raises(ConfigError, match="Branch holds Dense"):
        Sequential([Branch(Dense(2, 2))])
    for loss in (lambda p: (p**2).sum(), lambda p: (p**2, 2 * p)):
        with pytest.raises(ConfigError, match="one number and a gradient for each of 1 arrays, got "):
            gradcheck.check_loss(loss, np.ones(3))
    with pytest.raises(NotImplementedError, match="Half does not define d1"):
        gradcheck.check_layer(type("Half", (Pointwise,), {"f": lambda self, x: x})(), x_of((2, 2)))


def test_other_passes_stay_where_the_user_is():
    class Arccosh(Pointwise):
        def f(self, x):
            if (x < 1).any():
                raise ValueError("outside")
            return np.arccosh(x)

        def d1(self, t, x, y):
            return t / np.sqrt(x * x - 1)

        def d2(self, t, x, y):
            return -t * x / (x * x - 1)**1.5

    class Root(Layer):                  # y = √a·x
        def __init__(self):
            super().__init__(a=(1,))

        def draw(self, rng):
            return {"a": np.array([0.05])}

        def forward(self, x, train=True, rng=None):
            return np.sqrt(self.param("a", x)) * x, x

        def backward(self, dy, x, grads=None):
            root = np.sqrt(self.param("a", x))
            if grads is not None:
                grads["a"] += (dy * x).sum() / (2 * root)
            return dy * root
    x = np.random.default_rng(0).uniform(1.3, 2, (4, 3))
    gradcheck.check_layer(Arccosh(), x).raise_if_wrong()
    for seed in range(50):
        gradcheck.check_backward(Root(), x, rng=seed).raise_if_wrong()
