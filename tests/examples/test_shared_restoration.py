"""What the chapters on restoration share: the U-Net, both objectives' gradients, the classical methods, bad input."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tinygan import data, gradcheck, models
from tinygan.errors import ShapeError
from tinygan.layers import AvgPool2D, Identity
from tinygan.ops.init import generator

EXAMPLES = Path(__file__).parents[2] / "examples"
HALF = slice(None), slice(None), slice(14, None)


@pytest.fixture(scope="module")
def shared():
    """examples/restoration.py as a module."""
    spec = importlib.util.spec_from_file_location("restoration", EXAMPLES / "restoration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pair(shared):
    """A narrow U-Net and a narrow D in float64, two originals, and what G sees of them."""
    G = shared.unet(0, c=2, d=3, dtype="float64")
    _, D = models.dcgan(rng=1, width=0.03, dropout=0, image=(28, 28, 2), dtype="float64")
    x = shared.held_out(2)[0].astype("float64") + 0.1 * generator(2).standard_normal((2, 28, 28, 1))   # no equal pixels
    seen = x.copy()
    seen[HALF] = 0
    return G, D, x, seen


def check(objective, net, limit=24):
    def loss(theta):
        net.theta = theta
        value, grads = objective()[:2]
        return value, grads.vector
    report = gradcheck.check_loss(loss, net.theta.copy(), limit=limit).raise_if_wrong()
    assert max(report.values()) <= 1e-8


@pytest.mark.parametrize("w, where", [(0.0, ...), (0.0, HALF), (0.3, HALF), (0.3, ...)])
def test_the_gradient_in_the_parameters_of_g(shared, pair, w, where):
    G, D, x, seen = pair
    check(lambda: shared.g_objective(G, D, seen, x, w, where), G)


def test_the_gradient_in_the_parameters_of_d(shared, pair):
    G, D, x, seen = pair
    restored, _ = G.forward(seen)
    check(lambda: shared.d_objective(D, seen, x, restored, 0.7), D)


def test_measured_pixels_are_kept(shared, pair):
    G, D, x, seen = pair
    _, _, restored = shared.g_objective(G, D, seen, x, 0.0, HALF)
    np.testing.assert_array_equal(restored[:, :, :14], x[:, :, :14])
    np.testing.assert_array_equal(restored[HALF], G.forward(seen)[0][HALF])


def test_harmonic_fill_gives_back_a_harmonic_picture(shared):
    i, j = np.mgrid[:28, :28] / 28
    x = (i**2 - j**2 + i * j)[None, ..., None]
    y = x.copy()
    y[shared.HOLE] = 9
    np.testing.assert_allclose(shared.harmonic(y), x, atol=1e-12)


def test_bicubic_gives_back_a_plane_inside(shared):
    i, j = np.mgrid[:28, :28] / 28
    x = (0.5 * i - 0.3 * j)[None, ..., None]
    small = AvgPool2D(4).forward(x)[0]
    np.testing.assert_allclose(shared.bicubic(small)[:, 8:20, 8:20], x[:, 8:20, 8:20], atol=1e-12)


def test_nearest_and_linear(shared):
    """Of a training digit, nearest is the digit itself; from all pixels with s → 0 the linear estimate, too."""
    train, A = data.load("mnist5k")[0][::5], Identity()
    np.testing.assert_array_equal(shared.nearest(train[7:9], A, train), train[7:9])
    assert abs(shared.linear(train[7:9], A, 1e-3, train) - train[7:9]).max() < 0.05


def test_the_held_out_digits_are_not_among_the_training_digits(shared):
    (x, labels), train = shared.test_digits(2000), data.load("mnist5k")[0]
    assert len(x) == 2000 and np.bincount(labels).min() > 150
    assert not {picture.tobytes() for picture in x} & {picture.tobytes() for picture in train}


def test_bad_input(shared, pair):
    G, D, x, seen = pair
    with pytest.raises(ShapeError, match="^expected originals of shape"):
        shared.g_objective(G, D, seen, x[:, :14], 0.3)
