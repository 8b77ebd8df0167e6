"""The MLP GAN: both objectives' gradients, the written-out chain rule, the permutation of pixels, the measures."""

import numpy as np
import pytest

from tinygan import gradcheck, models
from tinygan.errors import DataError, ShapeError


@pytest.fixture
def mlp(chapter):
    return chapter("18_mlp_gan").names


@pytest.fixture
def pair():
    """A narrow G and D in float64, latent vectors and pictures."""
    rng = np.random.default_rng(0)
    G, D = models.mlp(rng=0, width=0.03, latent=5, image=(4, 3, 1), dtype="float64")
    return G, D, rng.standard_normal((6, 5)), rng.uniform(-1, 1, (6, 4, 3, 1))


def test_the_gradient_in_the_parameters_of_g_and_in_z(mlp, pair):
    G, D, z, _ = pair

    def loss(theta, z):
        G.theta = theta
        value, grads, dz = mlp["g_objective"](G, D, z)
        return value, grads.vector, dz

    report = gradcheck.check_loss(loss, G.theta.copy(), z).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_the_gradient_in_the_parameters_of_d(mlp, pair):
    G, D, z, x = pair
    fake, _ = G.forward(z)

    def loss(theta):
        D.theta = theta
        value, grads, real_mean, fake_mean = mlp["d_objective"](D, x, fake)
        assert 0 < real_mean < 1 and 0 < fake_mean < 1
        return value, grads.vector

    report = gradcheck.check_loss(loss, D.theta.copy()).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_by_hand_is_backward(mlp, pair):
    G, D, z, _ = pair
    G.layers.pop()                              # without Reshape, x is a row, and D has no use for Flatten
    found, (_, grads, _) = mlp["by_hand"](G, D, z), mlp["g_objective"](G, D, z)
    for k in (1, 2, 3):
        np.testing.assert_allclose(found[f"dA{k}"], grads[f"{2 * k - 2}.W"], rtol=1e-12)


def test_the_pencil(mlp):
    found = mlp["by_hand"](mlp["g"], mlp["d"], np.ones((1, 1)))
    x = np.tanh(0.3)
    dl = 1 / (1 + np.exp(2 * x)) - 1
    du3 = -2 * dl * (1 - x**2)
    for name, value in dict(x=x, dl=dl, dx=-2 * dl, du3=du3, du2=[du3, 0.2 * du3], du1=0.3 * du3, dA1=0.3 * du3,
                            dA2=[du3, 0.2 * du3], dA3=[0.5 * du3, -0.2 * du3]).items():
        np.testing.assert_allclose(found[name].ravel(), np.ravel(value), rtol=1e-12, err_msg=name)


def test_the_shuffled_game_is_the_same_and_other_pixels_are_not(mlp):
    first, second = mlp["two"]
    np.testing.assert_allclose(mlp["shuffle"](first), second, atol=1e-12)
    assert abs(first - second).max() > 0.1


def test_isolated_pixels_and_differences():
    from digit_samples import differences, isolated
    a = np.full((2, 28, 28, 1), -1.0)
    a[0, 0, 0], a[0, 9, 9], a[0, 20:22, 20] = 1, 1, 1        # a corner, one inside, and a pair, which is not isolated
    assert isolated(a) == 1
    assert differences(a[:1]) == pytest.approx(4 * (2 + 4 + 6) / (2 * 28 * 27)) and differences(a[1:]) == 0


def test_the_gaussian_has_the_mean_and_covariance_of_the_digits(mlp):
    x = 0.1 * np.random.default_rng(0).standard_normal((50, 2, 2, 1)) + [[[0.2], [-0.1]], [[0], [0.1]]]
    drawn = mlp["gaussian"](x, 20_000, np.random.default_rng(1)).reshape(-1, 4)
    np.testing.assert_allclose(drawn.mean(0), x.reshape(50, 4).mean(0), atol=5e-3)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.reshape(50, 4).T), atol=5e-4)


def test_bad_input(mlp, pair):
    _, D, _, x = pair
    with pytest.raises(ShapeError, match="expected"):
        mlp["d_objective"](D, x, x[:, :3])
    with pytest.raises(DataError, match="expected at least 100 digits on both sides, got 20 and 100; draw more"):
        mlp["table"]({"few": [mlp["other"][:20]]}, mlp["other"])
