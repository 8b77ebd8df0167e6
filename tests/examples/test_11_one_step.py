"""One step by hand: its gradients are those of the losses by differences, and GAN.step takes the same step."""

import numpy as np
import pytest

from tinygan import GAN, Sequential, losses
from tinygan.layers import Dense, Tanh


@pytest.fixture
def step(chapter):
    return chapter("11_one_step").names


def game(G_theta, D_theta):
    G = Sequential([Dense(1, 1)], dtype="float64")
    D = Sequential([Dense(1, 2), Tanh(), Dense(2, 1)], dtype="float64")
    G.theta, D.theta = np.array(G_theta), np.array(D_theta)
    return G, D


def differences(loss, theta):
    """∂loss/∂θ by central differences."""
    return np.array([(loss(theta + h) - loss(theta - h)) / 2e-5 for h in 1e-5 * np.eye(len(theta))])


START_G, START_D = np.array([0.5, -1.0]), np.array([1.0, -0.5, 0.0, 0.5, 0.5, -1.0, 0.0])


def test_gradients_of_d(step):
    def loss(theta):
        G, D = game(START_G, theta)
        fake = G.forward(step["z"])[0]
        return losses.get("non_saturating").d_loss(D.forward(step["x_real"])[0], D.forward(fake)[0])[0]
    found = np.concatenate([step["grads"][key].ravel() for key in ("dV", "dc", "dw", "de")])
    np.testing.assert_allclose(found, differences(loss, START_D), rtol=1e-7)
    assert loss(START_D) == pytest.approx(step["d_loss"], rel=1e-14)


def test_gradients_of_g(step):
    def loss(theta):
        G, D = game(theta, step["theta_d"])
        return losses.get("non_saturating").g_loss(D.forward(G.forward(step["z_g"])[0])[0])[0]
    found = np.concatenate([step["grads_g"][key].ravel() for key in ("dW", "db")])
    np.testing.assert_allclose(found, differences(loss, START_G), rtol=1e-7)


def test_the_step_of_gan(step):
    assert step["error"] <= 1e-15
    G, D = game(START_G, START_D)
    GAN(G, D, g_opt=step["optim"].Adam(0.1), d_opt=step["optim"].Adam(0.1), latent=step["latent"], rng=3).step(
        step["x_real"])
    np.testing.assert_array_equal(G.theta, step["G"].theta)
    np.testing.assert_array_equal(D.theta, step["D"].theta)
