"""Heartbeats: the gradients of both players' objectives through the chapter's networks, and what its measures say."""

import numpy as np
import pytest

from tinygan import gradcheck, losses, penalties
from tinygan.errors import ShapeError


@pytest.fixture
def heart(chapter):
    return chapter("28_heartbeats").names


def vector(grads):
    return np.concatenate([g.reshape(-1) for g in grads.values()])


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(heart, player):
    """d_loss + R1 + R2 in D's parameters; g_loss in G's parameters and in z."""
    G, D = (net.astype("float64") for net in heart["networks"](0, c=2))
    rng, loss = np.random.default_rng(0), losses.get("relativistic")
    x, z = heart["train"][:4].astype("float64"), rng.standard_normal((4, 32))
    fake = G.forward(z)[0]

    def d_objective(theta):
        D.theta = theta
        (real, real_cache), (y, cache), grads = D.forward(x), D.forward(fake), D.zero_grads()
        value, d_real, d_fake = loss.d_loss(real, y)
        players = (x, d_real, real_cache), (fake, d_fake, cache)
        value += penalties.Penalty("r1+r2", 0.3).backward(D, *players, grads, None)
        return value, vector(grads)

    def g_objective(theta, z):
        G.theta = theta
        y, g_cache = G.forward(z)
        logits, d_cache = D.forward(y)
        value, d_logits = loss.g_loss(logits, D.forward(x)[0])
        grads = G.zero_grads()
        dz = G.backward(D.backward(d_logits, d_cache), g_cache, grads)
        return value, vector(grads), dz
    report = (gradcheck.check_loss(d_objective, D.theta.copy()) if player == "D" else
              gradcheck.check_loss(g_objective, G.theta.copy(), z)).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_nearest_neighbour_test(heart):
    test, rng = heart["nearest_neighbour_test"], np.random.default_rng(0)
    a, b = rng.standard_normal((2, 400, 3))
    assert test(a, b) == pytest.approx(0.5, abs=0.07)
    assert test(a, b + 100) == 1
    assert test(a, a + 1e-6) == 0


def test_measures(heart):
    train, nearest = heart["train"], heart["nearest"]
    distance, index = nearest(train)
    assert distance.max() == pytest.approx(0, abs=1e-6) and (index == np.arange(len(train))).all()
    assert abs(heart["components"](train).mean(0)).max() < 1e-6
    moved, _ = nearest(train[:3] + 1e-3 / 3)
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-3)


def test_bad_input(heart):
    with pytest.raises(ShapeError, match=r"expected beats \(N, 256\), got \(3, 255\)"):
        heart["signals"](np.zeros((3, 255)))
