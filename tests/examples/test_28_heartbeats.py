"""Heartbeats: the gradients of both players' objectives through the chapter's networks, and what its measures say."""

import numpy as np
import pytest

from tinygan.errors import ShapeError


@pytest.fixture
def heart(chapter):
    return chapter("28_heartbeats").names


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(heart, check_player, player):
    G, D = (net.astype("float64") for net in heart["networks"](0, c=2))
    check_player(player, G, D, heart["train"][:4].astype("float64"), np.random.default_rng(0).standard_normal((4, 32)))


def test_nearest_neighbour_test(heart):
    rng = np.random.default_rng(0)
    test = lambda a, b: heart["nearest_neighbour_test"](a, b).mean()
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
