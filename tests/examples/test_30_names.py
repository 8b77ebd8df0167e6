"""Surnames: the softmax's Jacobian, both players' objectives, and what the divergences say of known samples."""

import numpy as np
import pytest

from tinygan import gradcheck, losses, penalties
from tinygan.errors import DataError


@pytest.fixture
def text(chapter):
    return chapter("30_names").names


def vector(grads):
    return np.concatenate([g.reshape(-1) for g in grads.values()])


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(text, player):
    """d_loss + R1 + R2 in D's parameters; g_loss in G's parameters and in z."""
    G, D = (net.astype("float64") for net in text["networks"](0, c=3))
    rng, loss = np.random.default_rng(0), losses.get("relativistic")
    x, z = np.eye(27)[text["train"][:4]][:, None], rng.standard_normal((4, 64))
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


@pytest.mark.parametrize("largest", [0.3, 0.9, 0.999])
def test_jacobian(text, largest):
    y, J = text["row_of"](largest)
    np.testing.assert_allclose(J, np.diag(y) - np.outer(y, y), atol=1e-15)
    v = np.full(27, -1 / 26)
    v[0] = 1
    np.testing.assert_allclose(J @ v, 27 / 26 * largest * (1 - largest) * v, atol=1e-14)


def test_divergence(text):
    train, divergence = text["train"], text["divergence"]
    assert divergence(train, train, 3) == 0
    assert divergence(train[train[:, 0] == 1][:, :1], train[train[:, 0] == 2][:, :1], 1) == pytest.approx(np.log(2))


def test_markov_chains(text):
    """A chain of order k has the (k + 1)-grams of its training names, up to what the end at 8 letters changes."""
    rng, train = np.random.default_rng(0), text["train"]
    one, two = text["markov"](1, 6000, rng), text["markov"](2, 6000, rng)
    assert text["divergence"](one, train, 2) < 0.01 < text["divergence"](one, train, 3)
    assert text["divergence"](two, train, 3) < text["divergence"](one, train, 3) / 2
    blank = one == 0
    assert (blank[:, 1:] >= blank[:, :-1]).all()           # nothing after the end


def test_bad_input(text):
    for name in ("NINELETTERS", "O'HARA", ""):
        with pytest.raises(DataError, match="expected names of 1 to 8 letters A to Z"):
            text["encode"]([name])
