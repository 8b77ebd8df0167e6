"""The best discriminator: its formula, its value, what the trained ones reach, and uniform distributions apart."""

import numpy as np
import pytest

from tinygan.ops.pointwise import sigmoid


@pytest.fixture
def nine(chapter):
    return chapter("09_optimal_discriminator").names


def test_the_best_logit_is_a_parabola(nine):
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(nine["best"](x), sigmoid(1.5 * x**2 - 8 * x + 8 - np.log(2)), rtol=1e-9)


def test_the_best_d_maximises_v_at_each_x(nine):
    """Against a grid of values of D, without the derivative."""
    y = np.linspace(0.001, 0.999, 999)
    for x in (-1.0, 0.5, 1.0, 1.7):
        p, q = nine["density"](nine["p"], x), nine["density"](nine["q"], x)
        assert abs(y[(p * np.log(y) + q * np.log(1 - y)).argmax()] - nine["best"](x)) <= 0.0011


def test_the_value_is_that_of_the_jsd(nine):
    x = np.linspace(-12, 12, 100_001)
    p, q = (nine["density"](nine[name], x) for name in "pq")
    inside = (p + q) > 1e-200
    D = p[inside] / (p + q)[inside]
    value = np.sum(p[inside] * np.log(np.maximum(D, 1e-300)) + q[inside] * np.log(np.maximum(1 - D, 1e-300))) * 24 / 1e5
    assert value == pytest.approx(2 * nine["jsd"](nine["p"], nine["q"]) - np.log(4), abs=1e-6)


def test_the_trained_d_reach_it(nine):
    smallest = np.log(4) - 2 * nine["jsd"](nine["p"], nine["q"])
    for history in nine["history"].values():
        assert history[-1] == pytest.approx(smallest, abs=2e-3)
    np.testing.assert_allclose(nine["linear"].theta, [-8, 1.5, 8 - np.log(2)], rtol=0.02)


def test_the_jsd_ends_at_log_2(nine):
    normal = nine["NormalDist"]
    assert nine["jsd"](normal(0, 0.3), normal(5, 0.3)) == pytest.approx(np.log(2), abs=1e-9)
    assert nine["jsd"](normal(0, 1), normal(0, 1)) == 0
