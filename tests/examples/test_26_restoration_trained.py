"""Restoration by a trained generator: what G sees, and the example of one pixel."""

import numpy as np
import pytest

from tinygan.errors import ShapeError


@pytest.fixture
def trained(chapter):
    return chapter("26_restoration_trained").names


def test_g_sees_nothing_of_what_is_missing(trained):
    x = trained["x"][:3]
    see = lambda task, x: trained["measurement"](task)[1].forward(x)[0]
    half, hole = see("right half missing", x), see("hole 14×14", x)
    assert (half[:, :, 14:] == 0).all() and (hole[:, 7:21, 7:21] == 0).all()
    np.testing.assert_array_equal(half[:, :, :14], x[:, :, :14])
    small = see("resolution ×4", x)[..., 0].reshape(3, 7, 4, 7, 4)
    np.testing.assert_allclose(small[:, :, 1, :, 2], x.reshape(3, 7, 4, 7, 4).mean((2, 4)), atol=1e-6)
    with pytest.raises(ShapeError, match="Mask expected"):
        see("hole 14×14", x[:, :14])


def test_one_pixel(trained):
    """Squared errors: of the mean the variance 4p(1 − p), of a draw twice that, of the median 4(1 − p)."""
    p, draws, x = (trained[name] for name in ("p", "draws", "x1"))
    for answer, expected in (2 * p - 1, 4 * p * (1 - p)), (draws, 8 * p * (1 - p)), (1, 4 * (1 - p)):
        assert abs(((answer - x)**2).mean() - expected) < 0.02


def test_the_full_length_shows_the_trade():
    """On the page: with the adversarial term the PSNR is lower and the Fréchet distance, too."""
    from test_chapters import page
    lines = {line[:31].strip(): line.split() for line in page("26_restoration_trained")[2].split("\n")}
    plain, adversarial = (lines[f"right half missing L1, w = {w}"] for w in ("0", "0.3"))
    number = lambda words, k: [float(a) for a, b in zip(words, [*words[1:], ""]) if b == "±"][k]
    assert number(plain, 0) > number(adversarial, 0) + 0.3 and number(plain, 3) > number(adversarial, 3)
