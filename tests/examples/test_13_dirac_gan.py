"""The Dirac-GAN: the eigenvalues of Mescheder et al. 2018, and what the trajectories do."""

import numpy as np
import pytest

from tinygan import gradcheck


@pytest.fixture
def dirac(chapter):
    return chapter("13_dirac_gan").names


def roots(a, b):
    """a ± √b as complex numbers, sorted."""
    root = np.sqrt(complex(b))
    return np.sort_complex(np.array([a + root, a - root]))


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
@pytest.mark.parametrize("penalty, gamma, expected", [
    (None, None, roots(0, -0.25)),
    *[("r1", g, roots(-g / 2, g * g / 4 - 0.25)) for g in (0.3, 0.7, 2.0)],
    *[("r1+r2", g, roots(-g, g * g - 0.25)) for g in (0.1, 0.3, 1.0)]])
def test_eigenvalues(dirac, loss, penalty, gamma, expected):
    jacobian = dirac["jacobian"](loss=loss, penalty=penalty, gamma=gamma)
    found = np.sort_complex(np.linalg.eigvals(jacobian).astype(complex))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_trajectories(dirac):
    """Simultaneous descent spirals outward, alternating descent stays, R1 converges, WGAN does not."""
    end = {name: np.hypot(*dirac["trajectory"](**options)[-1]) for name, options in dirac["CASES"].items()}
    start = np.sqrt(2)
    assert end["GAN, simultaneous"] > 1.2 * start
    assert 0.8 * start < end["GAN, alternating"] < 1.2 * start
    assert 0.8 * start < end["WGAN, alternating"] < 1.2 * start
    assert end["R1, γ = 1"] < 1e-5
    assert 1e-3 < end["R1 + R2, γ = 1"] < 0.02      # over-damped: its slow eigenvalue −0.134; e^(−0.134·40) = 0.005


def test_the_layer(dirac):
    gradcheck.check_backward(dirac["Point"](), np.zeros((3, 1))).raise_if_wrong()
