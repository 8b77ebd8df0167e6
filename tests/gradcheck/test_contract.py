"""What cannot be checked is refused by one line that says what to write."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck
from tinygan.errors import ConfigError
from tinygan.layers import Affine, Dense, Layer, Pointwise, Tanh

from .helpers import Cube, x_of


def test_nothing_to_check_is_no_pass():
    class Backwards(Layer):
        def forward(self, x, train=True, rng=None):
            return x, None

        def backwards(self, dy, cache, grads=None):
            return dy
    for layer, map_ in ((None, "forward"), (Layer(), "forward"), (Backwards(), "backward")):
        with pytest.raises(ConfigError, match=f"a layer that defines {map_}"):
            gradcheck.check_layer(layer, np.ones((2, 2)))


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
                         (Branch(Dense(2, 2), Dense(2, 2)), r"Branch holds Dense\(2, 2\), whose parameters are not")):
        with pytest.raises(ConfigError, match=words):
            gradcheck.check_layer(layer, x_of((2, 2)))
    with pytest.raises(ConfigError, match="Branch holds Dense"):
        Sequential([Branch(Dense(2, 2))])
    for loss in (lambda p: (p**2).sum(), lambda p: (p**2, 2 * p)):
        with pytest.raises(ConfigError, match="one number and a gradient for each of 1 arrays, got "):
            gradcheck.check_loss(loss, np.ones(3))
    with pytest.raises(NotImplementedError, match="Half does not define d1"):
        gradcheck.check_layer(type("Half", (Pointwise,), {"f": lambda self, x: x})(), x_of((2, 2)))


def test_the_constructor_of_layer_was_not_called():
    class Forgets(Affine):
        def __init__(self):
            self.n = 3
    with pytest.raises(ConfigError, match=r"Forgets has no parameters yet.* write super\(\).__init__\(\) at its end"):
        gradcheck.check_layer(Forgets(), np.ones((2, 2)))
    for check in (gradcheck.check_backward, gradcheck.check_jvp, gradcheck.check_float32):
        with pytest.raises(ConfigError, match="Forgets has no parameters yet"):
            check(Forgets(), np.ones((2, 2)))


def test_a_shape_is_a_tuple():
    class Scale(Layer):
        def __init__(self, c):
            super().__init__(gamma=c)
    for shape in (3, np.int64(3), None):
        with pytest.raises(ConfigError, match=r"Scale expected the shape of gamma as a tuple, .*write gamma=\(c,\)"):
            Scale(shape)
    assert Scale((3,)).params["gamma"].shape == (3,)


class Scale(Layer):
    """y = a·x, for mistakes to be made in."""

    def __init__(self):
        super().__init__(a=(3,), b=(3,))

    def forward(self, x, train=True, rng=None):
        return self.param("a", x) * x, x

    def backward(self, dy, x, grads=None):
        grads["a"] += x * dy
        return self.param("a", x) * dy


def test_how_a_map_adds_into_grads():
    x = x_of((4, 3))
    with pytest.raises(ConfigError, match=r"backward of Scale\(\) to add an array of shape \(3,\) into grads\['a' or "
                       r"'b'\], got \(4, ?3\); sum over the axes that .*products.sum_rows"):
        gradcheck.check_layer(Scale(), x)

    class Summed(Scale):
        def backward(self, dy, x, grads=None):
            grads["a"] += (x * dy).sum(0)
            return self.param("a", x) * dy
    with pytest.raises(ConfigError, match=r"backward of Summed\(\) to run without grads too, got 'NoneType' .* write "
                       "if grads is not None: before"):
        gradcheck.check_layer(Summed(), x)

    class Other(Scale):
        def backward(self, dy, x, grads=None):
            return dy @ x
    with pytest.raises(ValueError, match="matmul"):      # no mistake that has a line of its own
        gradcheck.check_layer(Other(), x)


@pytest.mark.parametrize("drawn, words", [
    ({"alpha": np.ones(3)}, "'alpha' is no parameter; they are a, b"),
    ([np.ones(3)], r"expected a mapping name -> array, got list; return \{name: array\}, of the parameters a, b"),
    (None, "expected a mapping name -> array, got NoneType"),
    ({"b": [1.0, 1.0, 1.0]}, r"expected 'b' as an array of shape \(3,\), got list"),
    ({"a": np.ones((1, 3))}, r"expected 'a' as an array of shape \(3,\), got shape \(1, 3\)")])
def test_what_draw_returns(drawn, words):
    gated = type("Gated", (Scale,), {"draw": lambda self, rng: drawn})
    with pytest.raises(ConfigError, match=f"^Gated.draw: {words}"):
        gated()


@pytest.mark.parametrize("map_, method", [
    ("forward", lambda self, x: (x, x)), ("backward", lambda self, dy, cache: dy),
    ("jvp", lambda self, tx: (tx, tx)), ("jvp_backward", lambda self, dy, dty, cache, tcache: (dy, dty))])
def test_arguments_of_the_maps(map_, method):
    layer = type("Mine", (Tanh,), {map_: method})()
    with pytest.raises(ConfigError, match=rf"expected def {map_}\(self, .*\), got def {map_}\(.* in Mine"):
        gradcheck.check_layer(layer, np.ones((2, 2)))
    gradcheck.assert_layer(Tanh(), x_of((2, 2)))


@pytest.mark.parametrize("map_, method, names", [
    ("jvp", lambda self, tx, cache: tx, "ty, tcache"), ("jvp", lambda self, tx, cache: None, "ty, tcache"),
    ("jvp_backward", lambda self, dy, dty, cache, tcache, grads=None: dy, "dx, dtx"),
    ("jvp_backward", lambda self, dy, dty, cache, tcache, grads=None: None, "dx, dtx"),
    ("forward", lambda self, x, train=True, rng=None: None, "y, cache")])
def test_pairs(map_, method, names):
    layer = type("Mine", (Tanh,), {map_: method})()
    with pytest.raises(ConfigError, match=rf"expected {map_} of .* to return \({names}\), got .*: return {names}"):
        gradcheck.check_layer(layer, np.ones((2, 2)))


def test_parameters_that_all_begin_at_0():
    class Zeros(Affine):
        def __init__(self):
            super().__init__(W=(3, 3))

        def map(self, x, ctx):
            return x @ self.param("W", x)

        def adjoint(self, dy, ctx):
            return dy @ self.param("W", dy).T

        def wgrad(self, x, dy, ctx):
            return x.T @ dy

    class Drawn(Zeros):
        def draw(self, rng):
            return {"W": rng.standard_normal((3, 3))}

    class Meant(Zeros):
        def draw(self, rng):
            return {"W": np.zeros((3, 3))}
    for layer in (Zeros(), Sequential([Tanh(), Sequential([Zeros()])])):
        report = gradcheck.check_layer(layer, x_of((4, 3))).raise_if_wrong()
        assert len(report.warnings) == 1 and "all parameters of Zeros() are 0" in report.warnings[0]
        assert "warning: all parameters of Zeros()" in str(report) and report.to_dict()["warnings"] == report.warnings
    for layer in (Drawn(), Meant(), Tanh(), Dense(3, 3), Sequential([Dense(3, 3), Drawn()], rng=0)):
        assert gradcheck.assert_layer(layer, x_of((4, 3))).warnings == []
