"""Surnames: the softmax's Jacobian, both players' objectives, and what the divergences say of known samples."""

import numpy as np
import pytest

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
