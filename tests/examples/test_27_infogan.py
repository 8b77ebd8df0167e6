"""InfoGAN: both players' objectives through the shared trunk, the information of real digits, and bad codes."""

import numpy as np
import pytest

from tinygan import gradcheck, losses
from tinygan.errors import ConfigError


@pytest.fixture
def info(chapter):
    return chapter("27_infogan").names


@pytest.fixture
def game(info):
    """Narrow G and D in float64, three digits, and three latent vectors."""
    G, D = info["networks"](0, c=2, dtype="float64").values()
    for net in (G, D):      # biases away from 0: where G draws 0, D's first layer would be on its kink
        net.theta = net.theta + 0.1 * np.random.default_rng(2).standard_normal(net.theta.shape)
    return G, D, info["train"][:3].astype("float64"), info["rule"](np.random.default_rng(1), (3, 74), "float64")


def check(loss, *args):
    report = gradcheck.check_loss(loss, *args, limit=24).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_the_gradient_in_the_parameters_of_d_and_q(info, game):
    """Of the game's loss, λ times Q's, and −w J of the real digits, as GAN.d_step adds them."""
    G, D, x, z = game
    loss, w, (fake, _) = losses.get("non_saturating"), 0.3, G.forward(z)

    def objective(theta):
        D.theta = theta
        (real, real_cache), (y, cache), grads = D.forward(x, rng=0), D.forward(fake, rng=1), D.zero_grads()
        value, d_real, d_fake = loss.d_loss(real[:, :1], y[:, :1])
        posterior, dq = info["q_loss"](y[:, 1:], z)
        players = (x, np.pad(d_real, ((0, 0), (0, 12))), real_cache), (fake, np.hstack([d_fake, dq]), cache)
        return value + posterior + info["RealInformation"](x, w).backward(D, *players, grads, 2), grads.vector
    check(objective, D.theta.copy())


def test_the_gradient_in_the_parameters_of_g_and_in_latents_and_codes(info, game):
    """The code that Q shall read is held fixed; z is what G is given: noise, categories and numbers."""
    G, D, _, target = game

    def objective(theta, z):
        G.theta = theta
        fake, g_cache = G.forward(z)
        (y, cache), grads = D.forward(fake, rng=0), G.zero_grads()
        value, dl = losses.get("non_saturating").g_loss(y[:, :1])
        posterior, dq = info["q_loss"](y[:, 1:], target)
        dz = G.backward(D.backward(np.hstack([dl, dq]), cache), g_cache, grads)
        return value + posterior, grads.vector, dz
    check(objective, G.theta.copy(), target + 0.01)


def test_the_losses_of_columns(info):
    q, z = np.random.default_rng(0).standard_normal((5, 12)), info["rule"](np.random.default_rng(1), (5, 74), "float64")
    check(lambda q: info["q_loss"](q, z), q)
    check(info["real_information"], q[:, :10], q[::-1, :10] + 0.3)
    sure = 100 * np.eye(10)
    assert info["real_information"](sure, sure)[0] == pytest.approx(3 * np.log(10))
    assert info["real_information"](sure, np.roll(sure, 1, 1))[0] < 3 * np.log(10) - 0.5    # the views disagree
    assert info["real_information"](np.ones((7, 10)), np.ones((7, 10)))[0] == pytest.approx(2 * np.log(10))


def test_views_are_digits_of_their_own(info):
    x, view = info["train"][:3], info["view"]
    once, again = (view(x, np.random.default_rng(0)) for _ in range(2))
    assert once.shape == x.shape and once.dtype == x.dtype and (once == again).all()
    plain = once - view(np.zeros_like(x), np.random.default_rng(0))     # the same draws: without the noise
    assert np.isin(plain.round(5), x.round(5)).all() and (abs(plain - x).mean((1, 2, 3)) > 0.02).all()


def test_one_step_of_training_moves_both_players(info):
    first, then = info["networks"](3).values(), info["trained"](3).values()
    assert all((a.theta != b.theta).any() for a, b in zip(first, then))


@pytest.mark.parametrize("k, u", [([0, 10], 0.0), ([-1, 3], 0.0), ([0, 1], 1.5), ([0, 1], np.nan)])
def test_a_code_out_of_range(info, k, u):
    with pytest.raises(ConfigError, match=r"^expected categories 0 to 9 and numbers in \[-1, 1\], got .*; Q was") as e:
        info["latent"](np.zeros((2, 62)), k, np.full((2, 2), u))
    assert "\n" not in str(e.value)
