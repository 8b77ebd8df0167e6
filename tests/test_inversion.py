"""The search in the latent space: its gradient for each kind of A, what it finds, and bad input."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck, inversion, models
from tinygan.errors import ShapeError
from tinygan.layers import AvgPool2D, Dense, Flatten, Identity, Tanh


@pytest.fixture
def pair():
    """A small G and D in float64."""
    return models.dcgan(rng=3, width=0.05, latent=6, dropout=0, dtype="float64")


def hole(dtype="float64"):
    mask = np.ones((28, 28, 1), dtype)
    mask[7:21, 7:21] = 0
    return inversion.Mask(mask)


MEASUREMENTS = {"mask": hole(), "resolution": AvgPool2D(4), "noise": Identity(),
                "projections": Sequential([Flatten(), Dense(784, 30)], rng=0, dtype="float64")}


@pytest.mark.parametrize("mu", [0.0, 2.0])
@pytest.mark.parametrize("A", MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_the_gradient_in_z(pair, rng, A, mu):
    G, D = pair
    y = A.forward(rng.uniform(-1, 1, (2, 28, 28, 1)))[0]

    def loss(z):
        value, dz = inversion.objective(z, y, A, G, 0.3, D, mu)
        return value.sum(), dz
    report = gradcheck.check_loss(loss, rng.standard_normal((2, 6))).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_the_terms_are_those_of_the_sources(pair, rng):
    G, D = pair
    z, y = rng.standard_normal((3, 6)), rng.uniform(-1, 1, (3, 28, 28, 1))
    x = G.forward(z, train=False)[0]
    p = 1 / (1 + np.exp(-D.forward(x, train=False)[0][:, 0]))
    expected = ((x - y)**2).sum((1, 2, 3)) + 0.3 * (z**2).sum(1) + 2 * np.log(1 - p)
    np.testing.assert_allclose(inversion.objective(z, y, Identity(), G, 0.3, D, 2.0)[0], expected, rtol=1e-12)


def test_the_mask_is_a_layer(rng):
    mask = (rng.random((4, 5, 1)) > 0.5).astype(float)
    gradcheck.check_layer(inversion.Mask(mask), rng.standard_normal((2, 4, 5, 1))).raise_if_wrong()


def test_it_finds_the_minimum_of_a_linear_generator(rng):
    """G(z) = Bz: the minimum is (BᵀB + λI)⁻¹Bᵀy."""
    G = Sequential([Dense(3, 8, bias=False)], rng=0, dtype="float64", input_shape=(3,))
    B, y = G.params["0.W"].T, rng.standard_normal((4, 8))
    expected = np.linalg.solve(B.T @ B + 0.2 * np.eye(3), B.T @ y.T).T
    np.testing.assert_allclose(inversion.search(y, Identity(), G, 0.2, steps=600), expected, atol=1e-3)


def test_more_restarts_are_never_worse(rng):
    """The first start is the same; of several the least value is taken."""
    G = Sequential([Dense(2, 30), Tanh(), Dense(30, 5)], rng=0, dtype="float64", input_shape=(2,))
    G.theta *= 3                                                # many local minima
    y = G.forward(3 * rng.standard_normal((6, 2)))[0]

    def value(restarts):
        z = inversion.search(y, Identity(), G, 0.0, restarts=restarts, steps=40)
        return inversion.objective(z, y, Identity(), G, 0.0)[0]
    one, four = value(1), value(4)
    assert (four <= one + 1e-9).all() and four.sum() < 0.9 * one.sum()


def test_it_computes_on_the_backend_of_its_arrays(xb, rng):
    from tinygan import backend
    G, _ = models.mlp(rng=1, width=0.1, latent=4)
    y = G.forward(rng.standard_normal((2, 4), "float32"), train=False)[0]
    host = inversion.search(y, hole("float32"), G, 0.1, steps=5)
    z = inversion.search(backend.to(y, xb), hole("float32"), G.to(xb), 0.1, steps=5)
    np.testing.assert_allclose(backend.asnumpy(z), host, rtol=1e-4, atol=1e-5)


def test_bad_input(pair):
    G, _ = pair
    with pytest.raises(ShapeError, match=r"^expected a mask of 0 \(missing\)"):
        inversion.Mask(np.full((28, 28, 1), 0.5))
    with pytest.raises(ShapeError, match=r"Mask expected"):
        hole().forward(np.zeros((2, 14, 14, 1)))
    with pytest.raises(ShapeError, match="^expected measurements of shape"):
        inversion.search(np.zeros((2, 14, 14, 1)), Identity(), G, 0.1, steps=1)
