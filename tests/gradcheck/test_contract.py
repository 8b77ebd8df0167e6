"""What cannot be checked is refused by one line that says what to write."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck
from tinygan.errors import ConfigError
from tinygan.layers import Dense, Layer, Pointwise

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
