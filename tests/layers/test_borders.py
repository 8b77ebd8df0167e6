"""Sizes, a convolution by the book, and what happens to input that does not fit."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygan import Sequential
from tinygan.errors import BackendError, ConfigError, DtypeError, ShapeError
from tinygan.layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Fourier, LeakyReLU,
                            MaxPool2D, Reshape, Tanh)
from tinygan.ops.windows import geometry, parse_padding


@given(n=st.integers(1, 9), k=st.integers(1, 5), s=st.integers(1, 4), p=st.integers(0, 3), q=st.integers(0, 3))
def test_window_count_is_that_of_a_walk(n, k, s, p, q):
    starts = [start for start in range(0, n + p + q, s) if start + k <= n + p + q]
    if not starts:
        with pytest.raises(ShapeError, match="kernel"):
            geometry((n, n), (k, k), (s, s), ((p, q), (p, q)))
    else:
        assert geometry((n, n), (k, k), (s, s), ((p, q), (p, q))).out == (len(starts),) * 2


@given(n=st.integers(1, 12), k=st.integers(1, 5), s=st.integers(1, 4))
def test_same_means_input_over_stride_rounded_up(n, k, s):
    g = geometry((n, n), (k, k), (s, s), "same")
    assert g.out == (-(-n // s),) * 2
    top, bottom = g.pads[0]
    assert 0 <= bottom - top <= 1   # the odd pixel at the end
    assert ConvTranspose2D(1, 1, k, s).forward(np.ones((1, n, n, 1)))[0].shape == (1, n * s, n * s, 1)


@pytest.mark.parametrize("stride, pads", [
    ((1, 1), ((0, 0), (0, 0))), ((2, 1), ((1, 2), (0, 1))), ((2, 3), ((2, 2), (1, 1)))])
def test_convolution_by_the_index_equation(stride, pads):
    """y[n,i,j,o] = Σ x[n, s·i+u−p, s·j+v−p, c] W[u,v,c,o], term by term."""
    rng = np.random.default_rng(0)
    layer = Conv2D(2, 3, (3, 2), stride, pads)
    x = rng.standard_normal((2, 5, 4, 2))
    y, _ = layer.forward(x)
    W, expected = layer.params["W"], np.zeros_like(y)
    for n, i, j, o, u, v, c in itertools.product(*map(range, (*y.shape, 3, 2, 2))):
        row, column = stride[0] * i + u - pads[0][0], stride[1] * j + v - pads[1][0]
        if 0 <= row < 5 and 0 <= column < 4:
            expected[n, i, j, o] += x[n, row, column, c] * W[u, v, c, o]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


def test_transposed_convolution_is_the_adjoint_of_the_convolution_of_the_same_weight():
    rng = np.random.default_rng(0)
    conv, transposed = Conv2D(2, 3, 4, 2, bias=False), ConvTranspose2D(3, 2, 4, 2, bias=False)
    transposed.params["W"] = conv.params["W"]
    x, y = rng.standard_normal((2, 6, 8, 2)), rng.standard_normal((2, 3, 4, 3))
    left, right = (conv.forward(x)[0] * y).sum(), (x * transposed.forward(y)[0]).sum()
    assert abs(left - right) <= 1e-12 * abs(left)


def test_average_over_real_pixels_only():
    y, _ = AvgPool2D(3, 1, "same").forward(np.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(y, 1)


@pytest.mark.parametrize("pads", [0, (1, 1), ((0, 1), (1, 0))])
def test_padding_never_wins_a_maximum(pads):
    y, _ = MaxPool2D(2, 1, pads).forward(-np.ones((1, 3, 3, 1)))
    np.testing.assert_array_equal(y, -1)


x4 = np.ones((2, 4, 4, 3))


@pytest.mark.parametrize("layer, x, error, words", [
    (Dense(784, 5), np.ones((64, 28, 28, 1)), ShapeError,
     "Dense expected (N, ..., 784), got (64, 28, 28, 1); add Flatten() before it"),
    (Dense(3, 5), np.ones((4, 2)), ShapeError, "expected (N, ..., 3), got (4, 2)"),
    (Conv2D(1, 2, 3), x4, ShapeError, "expected (N, H, W, 1), got (2, 4, 4, 3)"),
    (Conv2D(1, 2, 3), np.ones((2, 16)), ShapeError, "add Reshape((h, w, c)) before it"),
    (Conv2D(3, 2, 9, padding="valid"), x4, ShapeError, "enlarge the input"),
    (ConvTranspose2D(3, 2, 2, padding=4), x4, ShapeError, "use less padding"),
    (BatchNorm(5), x4, ShapeError, "expected (N, ..., 5), got (2, 4, 4, 3)"),
    (Reshape((5, 5)), x4, ShapeError, "Reshape expected 25 numbers a sample"),
    (Tanh(), np.ones((0, 3)), ShapeError, "leave out empty batches"),
    (Dense(3, 2), np.ones((0, 3)), ShapeError, "leave out empty batches"),
    (Dense(3, 2), np.ones((2, 3), int), DtypeError, "got int64; use x.astype('float32')"),
    (Conv2D(3, 2, 3), x4.astype("uint8"), DtypeError, "got uint8"),
    (LeakyReLU(), [[1.0, 2.0]], BackendError, "got list; use numpy.asarray"),
    (Dense(3, 2), np.ones(3), ShapeError, "got (3,); give a batch, of one sample: x[None]"),
    (Conv2D(3, 2, 3), x4[0], ShapeError, "got (4, 4, 3); give a batch, of one sample: x[None]"),
])
def test_input_that_does_not_fit(layer, x, error, words):
    with pytest.raises(error) as caught:
        layer.forward(x)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("build, words", [
    (lambda: Conv2D(1, 1, 0), "kernel to be an integer ≥ 1"), (lambda: Conv2D(1, 1, (3, 3, 3)), "got (3, 3, 3)"),
    (lambda: Conv2D(1, 1, 3, stride=-1), "stride"), (lambda: Conv2D(1, 1, 3, padding="full"), "got 'full'"),
    (lambda: Conv2D(1, 1, 3, padding=-1), "got -1"), (lambda: MaxPool2D(2.5), "got 2.5"),
    (lambda: ConvTranspose2D(1, 1, 3, 2, 1, output_padding=2), "output_padding below the stride"),
    (lambda: ConvTranspose2D(1, 1, 3, 2, output_padding=1), "with padding 'same'"),
    (lambda: Dense(1, 1, init="magic"), "unknown initialiser 'magic'; choose one of: glorot, glorot_uniform"),
    (lambda: Dropout(1.0), "below 1, got 1.0"), (lambda: LeakyReLU(-1), "got -1"),
    (lambda: BatchNorm(2, eps=0), "eps > 0"), (lambda: BatchNorm(-1), "got gamma of shape (-1,)"),
    (lambda: Dense(2.5, 2), "Dense expected sizes that are integers ≥ 1, got W of shape (2.5, 2)"),
    (lambda: Reshape((-1, 4)), "integers ≥ 1, got (-1, 4)"), (lambda: Fourier(2.5), "integer ≥ 0, got 2.5"),
    (lambda: Conv2D(0, 2, 3), "got W of shape (3, 3, 0, 2)"), (lambda: Sequential(Dense(1, 1)), "a list of layers"),
])
def test_options_that_make_no_sense(build, words):
    with pytest.raises(ConfigError) as caught:
        build()
    assert words in str(caught.value)


def test_padding_grammar():
    assert parse_padding(2) == ((2, 2), (2, 2)) and parse_padding((1, 2)) == ((1, 1), (2, 2))
    assert parse_padding(((1, 2), (3, 4))) == ((1, 2), (3, 4)) and parse_padding("same") == "same"
