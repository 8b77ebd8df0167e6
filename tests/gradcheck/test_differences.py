"""Numerical derivatives, and what is known about their error."""

import numpy as np

from tinygan import gradcheck
from tinygan.layers import Pointwise, ReLU

from .helpers import mutant


def test_differences_are_of_five_points():
    """Two points know a derivative to 4e-12 at best."""
    estimate, _ = gradcheck.derivative(lambda h: np.exp(np.array([1.0, -2.0]) + h))
    np.testing.assert_allclose(estimate, np.exp([1.0, -2.0]), rtol=3e-13)


def test_a_kink_raises_no_alarm():
    x = np.array([[1e-4, -3e-5, 2e-3, 1.0]])
    for seed in range(5):
        gradcheck.check_layer(ReLU(), x, rng=seed).raise_if_wrong()


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
