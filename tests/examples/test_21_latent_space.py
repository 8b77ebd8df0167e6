"""The latent space: interpolation, the Jacobian by jvp against differences, and what the rank statistic finds."""

import numpy as np
import pytest

from tinygan import gradcheck, models
from tinygan.errors import ShapeError


@pytest.fixture
def latent(chapter):
    return chapter("21_latent_space").names


def test_spherical_interpolation(latent):
    slerp, rng = latent["slerp"], np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6, 20))
    np.testing.assert_allclose(slerp(a, b, 0.0), a, rtol=1e-12)
    np.testing.assert_allclose(slerp(a, b, 1.0), b, rtol=1e-12)
    unit = lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)
    a, b = unit(a), unit(b)
    for t in (0.25, 0.5):                                                   # equal angles on the sphere
        middle = slerp(a, b, t)
        np.testing.assert_allclose(np.linalg.norm(middle, axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(np.arccos((a * middle).sum(1)), t * np.arccos((a * b).sum(1)), rtol=1e-9)


def test_a_right_angle_keeps_the_normal_distribution():
    """Variance 1 in each number for each t; the linear midpoint has ½."""
    a, b = np.random.default_rng(0).standard_normal((2, 20000, 4))
    for t in (0.2, 0.5):
        assert np.var(np.cos(np.pi * t / 2) * a + np.sin(np.pi * t / 2) * b) == pytest.approx(1, abs=0.02)
    assert np.var((a + b) / 2) == pytest.approx(0.5, abs=0.01)


def test_the_jacobian(latent):
    """Each column against the central difference, in float64; and its transpose is backward."""
    G = models.dcgan(rng=0, width=0.03, latent=4, dtype="float64")[0]
    z, h = np.random.default_rng(1).standard_normal(4), 1e-6
    draw = lambda z: G.forward(z[None], train=False)[0].ravel()
    J = latent["jacobian"](G, z)
    for k, e in enumerate(np.eye(4)):
        difference = (draw(z + h * e) - draw(z - h * e)) / (2 * h)
        assert abs(J[:, k] - difference).max() <= 1e-8 * max(1, abs(J).max())
    y, cache = G.forward(z[None], train=False)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    np.testing.assert_allclose(G.backward(dy, cache)[0], J.T @ dy.ravel(), rtol=1e-10)
    assert max(gradcheck.check_jvp(G, np.stack([z, -z]), train=False).raise_if_wrong().values()) <= 1e-8


def test_rank(latent):
    rank, rng = latent["rank"], np.random.default_rng(0)
    assert rank(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == (1 + 1 + 0.5 + 1) / 4
    same = [rank(*rng.standard_normal((2, 60))) for _ in range(400)]
    assert np.mean(same) == pytest.approx(0.5, abs=0.01)
    assert np.std(same) == pytest.approx((121 / (12 * 60 * 60))**0.5, rel=0.12)


def test_copies_are_found(latent):
    """Of copies U is near 1, of other training digits near ½, and a digit is no neighbour of its own."""
    rows, x = latent["rows"], latent["x"]
    assert rows["copies with noise"][2] > 0.95 and abs(rows["other training digits"][2] - 0.5) < 0.25
    np.testing.assert_allclose(latent["distance"](x[:3], x), 0, atol=1e-4)
    assert (latent["distance"](x[:3], x, same=True) > 1).all()


def test_bad_input(latent):
    with pytest.raises(ShapeError, match=r"^layer 0: .*expected .*20.*got .*19"):
        latent["games"][0].sample(z=np.zeros((2, 19), "float32"))
