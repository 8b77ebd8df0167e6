"""The checks on layers, losses and networks of all kinds."""

import numpy as np
import pytest

from tinygan import Sequential, backend, gradcheck, losses
from tinygan.errors import DtypeError
from tinygan.layers import BatchNorm, Conv2D, Dense, Layer, Pointwise, ReLU, Sigmoid, Tanh

from .helpers import Cube, x_of


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
    assert [str(text)[:2] for text in gradcheck.check_loss(wrong, r, f).failures] == ["d1"]


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
        assert any(str(text).startswith("unchanged") for text in report.failures)


def test_a_layer_inside_that_goes_less_far():
    class First(Layer):
        def forward(self, x, train=True, rng=None):
            return x * 2, None

        def backward(self, dy, cache, grads=None):
            return dy * 2
    report = gradcheck.check_layer(Sequential([Dense(3, 2), First()], rng=0), x_of((2, 3)))
    assert report.raise_if_wrong().skipped == ["jvp", "jvp_backward"]


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
    assert "let constants be Python floats" in str(report.failures[0])
    if map_ == "f":
        net = Sequential([Dense(4, 4), Double(), Dense(4, 1)], rng=0)
        with pytest.raises(DtypeError, match=r"layer 1, Double\(\), gave float64 for float32; let its constants"):
            net.forward(np.ones((3, 4), "float32"))
        assert any("layer 1" in str(text) for text in gradcheck.check_layer(net, x_of((3, 4))).failures)


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


def test_a_forward_that_spawns_generators_gets_the_same_ones_each_time():
    class Spawns(Dense):
        def forward(self, x, train=True, rng=None):
            y, cache = super().forward(x, train, rng)
            return y + rng.spawn(1)[0].standard_normal(y.shape).astype(y.dtype), cache
    gradcheck.check_layer(Spawns(3, 2), x_of((4, 3))).raise_if_wrong()


def test_a_backward_of_ones_own():
    class Twice(Sequential):                        # y = 2·body
        def forward(self, x, train=True, rng=None):
            y, cache = super().forward(x, train, rng)
            return 2 * y, cache

        def backward(self, dy, cache, grads=None):
            return super().backward(2 * dy, cache, grads)
    gradcheck.check_backward(Twice([Dense(3, 2), Tanh()], rng=0), x_of((4, 3))).raise_if_wrong()


def test_on_every_backend(xb):
    """Reports hold host numbers wherever the arrays live: right layers, a wrong rule, and a kink."""
    x = backend.to(x_of((4, 3)), xb)
    for layer in (Dense(3, 2).to(xb), BatchNorm(3).to(xb), Tanh()):
        for limit in (64, 2):
            gradcheck.assert_layer(layer, x, limit=limit)

    class Mean(Dense):
        def wgrad(self, x, dy, ctx):
            return super().wgrad(x, dy, ctx) / len(x)
    for limit in (64, 2):
        report = gradcheck.check_layer(Mean(3, 2).to(xb), x, limit=limit)
        assert {failure.quantity for failure in report.failures} == {"dW", "second dW"}
        assert all("averaged instead of summed" in failure.cause for failure in report.failures) and report.details()
    x[1, 2] = 0.0
    assert "x[1, 2] = 0 lies on a kink" in gradcheck.check_layer(ReLU(), x).failures[0].cause
