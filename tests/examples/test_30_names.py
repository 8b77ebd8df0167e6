"""Surnames: the softmax's Jacobian, drawn letters and their gradient, both players' objectives, and what the
divergences say of known samples."""

import numpy as np
import pytest

from tinygan import gradcheck
from tinygan.errors import DataError


@pytest.fixture
def text(chapter):
    return chapter("30_names").names


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(text, check_player, player):
    G, D = (net.astype("float64") for net in text["networks"](0, c=3))
    x, z = np.eye(27)[text["train"][:4]][:, None], np.random.default_rng(0).standard_normal((4, 64))
    check_player(player, G, D, x, z)


@pytest.mark.parametrize("largest", [0.3, 0.9, 0.999])
def test_jacobian(text, largest):
    y, J = text["row_of"](largest)
    np.testing.assert_allclose(J, np.diag(y) - np.outer(y, y), atol=1e-15)
    v = np.full(27, -1 / 26)
    v[0] = 1
    np.testing.assert_allclose(J @ v, 27 / 26 * largest * (1 - largest) * v, atol=1e-14)


def test_letters_are_drawn_with_their_probabilities(text):
    x, layer = np.array([[0.5, -1.0, 2.0]]).repeat(40_000, axis=0), text["Letters"]()
    drawn, y = layer.forward(x, rng=0)[0], layer.forward(x, train=False)[0]
    assert set(np.unique(drawn)) == {0, 1} and (drawn.sum(-1) == 1).all()
    np.testing.assert_allclose(drawn.mean(0), y[0], atol=0.01)


def test_the_gradient_of_drawn_letters_is_exact_in_the_mean(text):
    """For the D of exercise 2, E D = y₁ᵀ A y₂, with the mean over all pairs of letters."""
    rng, layer = np.random.default_rng(0), text["Letters"]()
    logits, A, e = rng.standard_normal((2, 3)), rng.standard_normal((3, 3)), np.eye(3)
    _, y = layer.forward(logits, rng=0)
    mean = sum(y[0, i] * y[1, j] * layer.backward(np.stack([A @ e[j], A.T @ e[i]]), y)
               for i in range(3) for j in range(3))
    gradcheck.check_loss(lambda logits: bilinear(logits, A, mean), logits).raise_if_wrong()


def bilinear(logits, A, gradient):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return p[0] @ A @ p[1], gradient


def test_names_end_at_their_first_blank(text):
    one_hot = np.eye(27)[[[[3, 1, 0, 20, 0, 0, 0, 0]], [[0, 1, 2, 3, 4, 5, 6, 7]]]]
    assert text["read"](one_hot).tolist() == [[3, 1, 0, 0, 0, 0, 0, 0], [0] * 8]


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
