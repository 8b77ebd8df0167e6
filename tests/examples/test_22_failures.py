"""Failures on purpose: gradients of every game, the formula behind each failure, and what the curves record."""

import numpy as np
import pytest

from tinygan import Sequential, losses, models
from tinygan.errors import ConfigError
from tinygan.layers import Dense, LeakyReLU, ReLU, Reshape, Tanh


@pytest.fixture
def failures(chapter):
    return chapter("22_failures").names


def pictures(act, n=6):
    """The chapter's networks for digits, with few units and pictures of 4×4."""
    G = Sequential([Dense(5, n), act(), Dense(n, n), act(), Dense(n, 16), Tanh(), Reshape((4, 4, 1))], rng=0,
                   dtype="float64")
    return G, models.mlp(rng=1, width=0.02, image=(4, 4, 1), dtype="float64")[1]


@pytest.mark.parametrize("player", ["D", "G"])
@pytest.mark.parametrize("loss, penalty, act", [("minimax", "r1", LeakyReLU), ("non_saturating", "r1", ReLU),
                                                ("wasserstein", "wgan_gp", LeakyReLU)])
def test_objectives_on_pictures(check_player, player, loss, penalty, act):
    rng = np.random.default_rng(2)
    check_player(player, *pictures(act), rng.uniform(-1, 1, (4, 4, 4, 1)), rng.standard_normal((4, 5)), loss, penalty)


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives_on_the_ring(check_player, player):
    G, D = models.mixture(rng=2, width=0.05, dtype="float64")
    rng = np.random.default_rng(1)
    check_player(player, G, D, rng.standard_normal((4, 2)), rng.standard_normal((4, 2)), "non_saturating", "r1+r2")


def test_a_the_ratio_of_the_gradients_of_each_sample(failures):
    gan, _, _ = failures["game"](0)
    z = gan.noise(8, 0)
    minimax, ns = (failures["records"](gan, losses.get(name), z) for name in ("minimax", "non_saturating"))
    norms = [np.linalg.norm(r[7].gradient.reshape(8, -1), axis=1) for r in (minimax, ns)]
    np.testing.assert_allclose(norms[0] / norms[1], np.exp(minimax[-1].output[:, 0]), rtol=1e-4)
    assert failures["ratios"] == pytest.approx(failures["exponentials"], rel=1e-3)


def test_c_a_critic_is_homogeneous_of_degree_two():
    _, D = pictures(ReLU)
    x, s = np.random.default_rng(0).uniform(-1, 1, (5, 4, 4, 1)), 3.0
    before = D.forward(x)[0]
    D.theta = s * D.theta                                   # the biases are 0
    np.testing.assert_allclose(D.forward(x)[0], s**2 * before, rtol=1e-12)


def test_d_a_saturated_tanh_passes_nothing_back_in_float32():
    y, cache = (layer := Tanh()).forward(np.array([[1.0, 7.0, 10.0, -12.0]], "float32"))
    dx = layer.backward(np.ones_like(y), cache)
    assert (dx[0, :2] > 0).all() and (dx[0, 2:] == 0).all() and (abs(y[0, 2:]) == 1).all()


def test_d_at_a_rate_of_a_tenth_the_generator_is_dead_after_a_few_steps(failures):
    _, options = failures["CASES"]["d. dead generator"]
    gan, batches, _ = failures["game"](0, **options["ReLU, rate 0.1"])
    gan.train(batches, 40)
    found = failures["records"](gan, gan.loss, gan.noise(16, 0))
    assert found[7].norms[1] > 1e-3 and found[1].norms[1] < 1e-6 and failures["spread"](found[7].output) < 1e-3


def test_e_with_bytes_the_data_give_d_no_gradient(failures):
    _, options = failures["CASES"]["e. range of pixels"]
    gan, batches, _ = failures["game"](0, **options["[0, 255]"])
    gan.train(batches, 10)
    real, fake = (gan.D.forward(x)[0] for x in (next(batches), gan.sample(64)))
    assert abs(gan.loss.d_loss(real, fake)[1]).max() < 1e-6 < abs(gan.loss.d_loss(real, fake)[2]).max()


def test_what_is_recorded(failures):
    gan, curves, _ = failures["play"]("b. mode collapse", "R1 + R2", 0)
    assert (curves[:, 0] > 0).all() and curves.shape[1] == 7 and gan.steps == curves[-1, 0]
    x = np.random.default_rng(0).standard_normal((5, 2, 2))
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(5) for j in range(i)]
    assert failures["spread"](x) == pytest.approx(np.mean(pairs))
    with pytest.raises(ConfigError, match="unknown failure 'f'"):
        failures["play"]("f", "R1", 0)
