"""Transposed convolution: the adjoint, its sizes, the counts of taps and what they do in a new generator."""

import numpy as np
import pytest


@pytest.fixture
def transposed(chapter):
    return chapter("05_transposed_convolution").names


def test_the_pencils_integers(transposed):
    """y, dx and dW from loops over the form's indices."""
    x, w, dy = (transposed[name] for name in ("x", "w", "dy"))
    y, dx, dw = np.zeros(7), np.zeros(3), np.zeros(3)
    for i, u in np.ndindex(3, 3):
        y[2 * i + u] += x[i] * w[u]
        dx[i] += dy[2 * i + u] * w[u]
        dw[u] += x[i] * dy[2 * i + u]
    np.testing.assert_array_equal(y, [1, 2, 5, 4, 5, -2, -3])
    np.testing.assert_array_equal(transposed["y"].ravel(), y)
    np.testing.assert_array_equal(transposed["dx"].ravel(), dx)
    np.testing.assert_array_equal(transposed["grads"]["W"].ravel(), dw)


@pytest.mark.parametrize("k, s, c_in, c_out, padding", [((3, 3), (2, 2), 1, 1, "valid"), ((4, 4), (2, 2), 2, 3, "same"),
                                                        ((5, 3), (3, 2), 3, 1, "same")])
def test_the_matrix_is_the_transpose(transposed, k, s, c_in, c_out, padding):
    W = np.random.default_rng(0).standard_normal((*k, c_out, c_in))
    up, down = transposed["pair"](k, W, c_in, c_out, s, padding)
    large = up.forward(np.ones((1, 4, 3, c_in)))[0].shape[1:]
    np.testing.assert_array_equal(transposed["matrix"](up, (4, 3, c_in)), transposed["matrix"](down, large).T)


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("s", [1, 2, 3])
def test_counts_are_those_of_the_formula(transposed, k, s):
    """Inside, place a gets ⌈(k − r)/s⌉ taps, r = a mod s; the same everywhere if and only if s divides k."""
    found = transposed["counts"]((1, k), (1, 20), (1, s))[0][s * 8:s * 9]
    np.testing.assert_array_equal(found, [-(-(k - r) // s) for r in range(s)])
    assert (len(set(found)) == 1) == (k % s == 0)


def test_sizes_and_agreements(chapter):
    output = chapter("05_transposed_convolution").output
    lines = [line for line in output.split("\n") if "by the formula" in line]
    for line in lines:
        words = line.replace(",", " ").replace(";", " ").replace(":", " ").split()
        assert words[words.index("to") + 1] == words[words.index("formula") + 1] and words[-1] == "7"
    assert len(lines) == 5 and "False" not in output and output.count("True") == 3


def test_mean_squares_follow_the_counts(transposed):
    power = transposed["power"]
    np.testing.assert_allclose(power / power.max(), [[4 / 9, 6 / 9], [6 / 9, 1]], atol=0.05)


def test_kernels_without_a_pattern(transposed):
    """Exercise 1: k = 3 needs w0 + w2 = w1, k = 4 needs w0 + w2 = w1 + w3."""
    for w, even in (((1, 2, 1), True), ((3, 1, -2), True), ((1, 1, 1), False), ((1, 3, 3, 1), True),
                    ((1, 2, 3, 1), False)):
        up, _ = transposed["pair"]((1, len(w)), np.array(w, float)[None, :, None, None])
        inside = up.forward(np.ones((1, 1, 9, 1)))[0][0, 0, 4:-4, 0]
        assert (np.ptp(inside) == 0) == even
