"""Convolution as a matrix: its entries, its transpose, the three maps and the check of the adjoint."""

import numpy as np
import pytest

from tinygan.layers import Conv2D


@pytest.fixture
def convolution(chapter):
    return chapter("04_convolution").names


def test_one_axis(convolution):
    np.testing.assert_array_equal(convolution["A1"][:2], [[2, -1, 0, 0, 0], [1, 2, -1, 0, 0]])
    np.testing.assert_array_equal(convolution["A2"], convolution["A1"][::2])
    np.testing.assert_array_equal(convolution["taps"](5, 3, 2, 1)[0], [1, 2, -1, -1, -1])


@pytest.mark.parametrize("size, kernel, stride, pad", [((4, 4), (3, 3), (1, 1), (0, 0)),
                                                       ((6, 7), (3, 2), (2, 1), (1, 0)),
                                                       ((5, 9), (5, 4), (2, 3), (2, 1))])
def test_the_matrix_is_the_layers(convolution, size, kernel, stride, pad):
    """The matrix from the index formula against Conv2D: forward, and backward as the transpose."""
    layer, rng = Conv2D(1, 1, kernel, stride=stride, padding=pad, bias=False), np.random.default_rng(0)
    W, x = (rng.integers(-3, 4, shape).astype(float) for shape in (kernel, size))
    layer.params["W"] = W[:, :, None, None]
    y, cache = layer.forward(x[None, :, :, None])
    A, dy = convolution["matrix"](W, size, stride, pad), rng.integers(-3, 4, y.shape).astype(float)
    np.testing.assert_array_equal(A @ x.ravel(), y.ravel())
    np.testing.assert_array_equal(A.T @ dy.ravel(), layer.backward(dy, cache).ravel())


def test_the_integers_of_the_image(convolution):
    """y, dx and dW from loops over all indices."""
    x, W, dy = (convolution[name] for name in ("x", "W", "dy"))
    y, dx, dW = np.zeros((2, 2)), np.zeros((4, 4)), np.zeros((3, 3))
    for i, j, u, v in np.ndindex(2, 2, 3, 3):
        y[i, j] += x[i + u, j + v] * W[u, v]
        dx[i + u, j + v] += dy[i, j] * W[u, v]
        dW[u, v] += dy[i, j] * x[i + u, j + v]
    for name, expected in {"y": y, "dx": dx, "dW": dW}.items():
        np.testing.assert_array_equal(convolution[name], expected)


def test_the_sums_of_the_page(chapter, convolution):
    output, names = chapter("04_convolution").output, ("y[0,1] ", "dx[1,2]", "dx[0,0]", "dW[0,1]")
    values = convolution["y"][0, 1], convolution["dx"][1, 2], convolution["dx"][0, 0], convolution["dW"][0, 1]
    for name, value in zip(names, values):
        terms, _, total = output.split(f"{name} = ")[1].split("\n")[0].rpartition(" = ")
        assert float(total) == value == eval(terms.replace("·", "*"))
    first, third = convolution["dy1"] @ convolution["A1"] @ convolution["x1"], convolution["one"]
    assert first == convolution["x1"] @ (convolution["A1"].T @ convolution["dy1"]) and len(set(third)) == 1
    assert "same: True True" in output


def test_the_adjoint_is_checked_by_equal_numbers(chapter):
    lines = chapter("04_convolution").output.split("flipped kernel\n")[1].strip().split("\n")
    assert len(lines) == 4
    for line in lines:
        a, b, c, flipped = line.split()[-4:]
        assert a == b == c != flipped
