"""R1 by hand: the closed forms, both terms, and dtx = v, against the library and against differences."""

import numpy as np
import pytest

from tinygan import Sequential, penalties
from tinygan.layers import Dense, LeakyReLU, Tanh


@pytest.fixture
def r1(chapter):
    return chapter("15_r1_by_hand").names


def relative(a, b):
    return abs(a - b).max() / abs(b).max()


def test_a_linear_d_has_weight_decay(r1):
    value, v, dtx, grads = r1["r1_by_streams"](r1["linear"], r1["x"])
    np.testing.assert_allclose(grads.vector, r1["gamma"] * r1["linear"].theta, rtol=1e-15)
    np.testing.assert_allclose(v, [[3, -1]] * 2)
    assert value == pytest.approx(0.25 * 10)


def test_one_hidden_layer_term_by_term(r1):
    reference = r1["by_differences"](r1["one"], r1["x1"][None])
    np.testing.assert_allclose((r1["first"] + r1["second"]).T.ravel(), reference[:4], rtol=1e-9)
    np.testing.assert_allclose(r1["d1"] * r1["ta"], reference[4:], rtol=1e-9)
    np.testing.assert_allclose(r1["V"].T @ r1["p"], r1["v1"], rtol=1e-14)
    for term in ("first", "second"):
        assert relative(r1[term].T.ravel(), reference[:4]) > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_networks(r1, seed):
    net = Sequential([Dense(2, 5), Tanh(), Dense(5, 4), LeakyReLU(), Dense(4, 1)], rng=seed, dtype="float64")
    x = np.random.default_rng(seed).standard_normal((3, 2))
    value, v, dtx, grads = r1["r1_by_streams"](net, x)
    library = net.zero_grads()
    assert penalties.r1(net, x, r1["gamma"], library) == pytest.approx(value, rel=1e-14)
    np.testing.assert_array_equal(grads.vector, library.vector)
    np.testing.assert_allclose(dtx, v, rtol=1e-13)
    assert relative(grads.vector, r1["by_differences"](net, x)) < 1e-8
    assert grads["4.b"] == 0 and abs(grads["0.b"]).max() > 0
