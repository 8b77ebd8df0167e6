"""A folder of colour pictures: the cut, the measures on pictures made by hand, and the players' gradients."""

import numpy as np
import pytest

from tinygan import data, models
from tinygan.errors import MissingError


@pytest.fixture
def own(chapter):
    return chapter("31_own_pictures").names


def test_the_folder_has_the_pictures_of_the_sheet(own):
    assert own["x"].shape == (113, 32, 32, 3) and own["x"].min() == -1 and own["x"].max() == 1
    assert len(list(own["folder"].glob("*.png"))) == 113
    with pytest.raises(MissingError, match="expected a folder of PNG or JPEG pictures"):
        data.load(f"images:{own['folder']}/gone", 32, colour=True)


def test_colour_noise(own):
    noise, rng = own["colour_noise"], np.random.default_rng(0)
    grey = np.repeat(rng.standard_normal((4, 16, 16, 1)), 3, -1)
    assert noise(grey) < 1e-12
    ramp = np.linspace(-1, 1, 16)[:, None, None] * np.array([1.0, 0, -1]) + np.zeros((4, 16, 16, 3))
    assert noise(ramp) < 1e-12                                              # linear in the rows
    x = rng.standard_normal((50, 32, 32, 3))
    assert noise(x) == pytest.approx((20 * 2 / 3)**0.5, rel=0.01)           # 16 + 4 squares, 2/3 of them are colour
    assert noise(x + grey[:1, :1, :1]) == pytest.approx(noise(x), rel=1e-12)


def test_nearest(own):
    x, nearest = own["x"], own["nearest"]
    distance, index = nearest(x, x)
    assert distance.max() < 1e-6 and (index == np.arange(113)).all()
    far, other = nearest(x, x, skip=True)
    assert (other != np.arange(113)).all() and far.min() > 0.01
    np.testing.assert_allclose(nearest(x[:1] + 0.5, x[:1])[0], 0.5, rtol=1e-6)


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(check_player, player):
    """Narrow networks of the chapter's kind, for 8×8 pictures in colour, without augmentation."""
    G, D = (net.astype("float64") for net in models.dcgan_deep(
        rng=0, width=0.02, latent=5, image=(8, 8, 3), dropout=0))
    rng = np.random.default_rng(1)
    check_player(player, G, D, rng.uniform(-1, 1, (4, 8, 8, 3)), rng.standard_normal((4, 5)))
