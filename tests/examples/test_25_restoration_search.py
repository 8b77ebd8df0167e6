"""Restoration by search: the objective's gradient in z for each A, the classical methods, and bad input."""

import numpy as np
import pytest

from tinygan import gradcheck, models
from tinygan.errors import ShapeError


@pytest.fixture
def search(chapter):
    return chapter("25_restoration_search").names


@pytest.fixture
def pair(search):
    """A small G and D in float64, and two pictures."""
    G, D = models.dcgan(rng=3, width=0.05, latent=6, dtype="float64")
    return G, D, search["x"][:2].astype("float64")


@pytest.mark.parametrize("task", ["hole 14×14", "resolution ×4", "noise σ = 1", "100 projections"])
def test_the_gradient_in_z(search, pair, task):
    G, D, x = pair
    A, sigma = search["tasks"](0)[task]
    A = A.astype("float64")
    y = search["measure"](x, A, sigma)

    def loss(z):
        value, dz = search["objective"](z, y, A, G, 0.3, D, 2.0)
        return value.sum(), dz

    gradcheck.check_loss(loss, np.random.default_rng(1).standard_normal((2, 6))).raise_if_wrong()


def test_the_term_of_d_is_that_of_yeh(search, pair):
    G, D, x = pair
    z, (A, _) = np.random.default_rng(1).standard_normal((2, 6)), search["tasks"](0)["noise σ = 1"]
    with_d, without = (search["objective"](z, x, A, G, 0.0, D, mu)[0] for mu in (1.0, 0.0))
    p = 1 / (1 + np.exp(-D.forward(G.forward(z, train=False)[0], train=False)[0][:, 0]))
    np.testing.assert_allclose(with_d - without, np.log(1 - p), rtol=1e-9)


def test_the_mask_is_a_layer(search):
    mask = (np.random.default_rng(0).random((4, 5, 1)) > 0.5).astype(float)
    gradcheck.check_layer(search["Mask"](mask), np.random.default_rng(1).standard_normal((2, 4, 5, 1))).raise_if_wrong()


def test_harmonic_fill_gives_back_a_harmonic_picture(search):
    i, j = np.mgrid[:28, :28] / 28
    x = (i**2 - j**2 + i * j)[None, ..., None]
    y = x.copy()
    y[search["HOLE"]] = 9
    np.testing.assert_allclose(search["harmonic"](y), x, atol=1e-12)


def test_bicubic_gives_back_a_plane_inside(search):
    i, j = np.mgrid[:28, :28] / 28
    x = (0.5 * i - 0.3 * j)[None, ..., None]
    small = x.reshape(1, 7, 4, 7, 4, 1).mean((2, 4))
    np.testing.assert_allclose(search["bicubic"](small)[:, 8:20, 8:20], x[:, 8:20, 8:20], atol=1e-12)


def test_nearest_and_linear(search):
    """Of a training digit, nearest is the digit itself; from all pixels with s → 0 the linear estimate, too."""
    train, (A, _) = search["train"], search["tasks"](0)["noise σ = 1"]
    np.testing.assert_array_equal(search["nearest"](train[7:9], A, train), train[7:9])
    assert abs(search["linear"](train[7:9], A, 1e-3, train) - train[7:9]).max() < 0.05


def test_bad_input(search, pair):
    G, _, x = pair
    Mask, z = search["Mask"], np.zeros((2, 6))
    with pytest.raises(ShapeError, match=r"^expected a mask of 0 \(missing\)"):
        Mask(np.full((28, 28, 1), 0.5))
    with pytest.raises(ShapeError, match="Mask expected"):
        search["measure"](x, Mask(np.ones((14, 14, 1))), 0)
    with pytest.raises(ShapeError, match="^expected measurements of shape"):
        search["objective"](z, x[:, :14], search["tasks"](0)["noise σ = 1"][0].astype("float64"), G, 0.1)
