"""Films: the move and its measures on films made by hand, the latent vectors, and both players' gradients on packs."""

import numpy as np
import pytest


@pytest.fixture
def film(chapter):
    return chapter("33_film").names


def test_a_move_by_whole_pixels_and_between(film):
    x = np.full((2, 28, 28), -1.0)
    x[:, 10, 12] = 1
    y = film["moved"](x, np.array([3.0, 0.25]), np.array([-2.0, 0.5]))
    assert y[0, 13, 10] == 1 and (y[0] > -1).sum() == 1
    np.testing.assert_allclose(y[1, 10:12, 12:14] + 1, 2 * np.outer([0.75, 0.25], [0.5, 0.5]), atol=1e-6)
    assert (film["moved"](x, np.full(2, 40.0), np.zeros(2)) == -1).all()


def test_the_measures_of_known_films(film):
    T, measures = film["T"], film["measures"]
    x = np.full((1, T, 28, 28), -1.0)
    for t in range(T):
        x[0, t, 8 + t, 6 + 2 * t:9 + 2 * t] = 1
    (speed, jerk, correlation, identity, frechet), own = measures(np.repeat(x, 4, 0))
    assert speed == pytest.approx(5**0.5) and jerk == pytest.approx(0, abs=1e-9)
    assert correlation == pytest.approx(1, abs=1e-5) and identity == 1
    still = measures(np.repeat(x[:, :1], T, 1))[0]
    assert still[0] == 0 and still[2] == pytest.approx(1)
    np.testing.assert_allclose(film["centroid"](x)[0, :, 0], 8 + np.arange(T))


def test_latent_vectors_of_a_film(film):
    z = film["latents"](np.random.default_rng(0), (3 * film["T"], 6), "float64").reshape(3, film["T"], 6)
    assert (z[:, :, :4] == z[:, :1, :4]).all() and len(np.unique(z[:, 0, 0])) == 3
    steps = np.diff(z[:, :, 4:], axis=1)
    np.testing.assert_allclose(steps, np.repeat(steps[:, :1], film["T"] - 1, 1), atol=1e-12)
    assert abs(z[:, :, 4:]).max() <= 2


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(film, check_player, player):
    """Two films; D sees the frames of each as channels."""
    G, D = (net.astype("float64") for net in film["networks"](0, width=0.03))
    x = film["films"](2, np.random.default_rng(0)).reshape(-1, 28, 28, 1).astype("float64")
    check_player(player, G, D, x, film["latents"](np.random.default_rng(1), (16, 62), "float64"))
