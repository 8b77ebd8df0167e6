"""Dirac-GAN: tinygan's own steps have the eigenvalues of the closed forms (Mescheder et al. 2018)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tinygan import gradcheck

PATH = Path(__file__).parents[1] / "examples" / "01_dirac_gan.py"
spec = importlib.util.spec_from_file_location("dirac_gan", PATH)
dirac = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dirac)


def roots(a, b):
    """a ± √b as complex numbers, sorted."""
    root = np.sqrt(complex(b))
    return np.sort_complex(np.array([a + root, a - root]))


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
@pytest.mark.parametrize("penalty, gamma, expected", [
    (None, None, roots(0, -0.25)),
    *[("r1", g, roots(-g / 2, g * g / 4 - 0.25)) for g in (0.3, 0.7, 2.0)],
    *[("r1+r2", g, roots(-g, g * g - 0.25)) for g in (0.1, 0.3, 1.0)]])
def test_eigenvalues(loss, penalty, gamma, expected):
    found = np.sort_complex(np.linalg.eigvals(dirac.jacobian(loss=loss, penalty=penalty, gamma=gamma)).astype(complex))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_trajectories():
    """Simultaneous descent spirals outward, alternating descent stays, R1 converges, WGAN does not."""
    end = {name: np.hypot(*dirac.trajectory(**options)[-1]) for name, options in dirac.CASES.items()}
    start = np.sqrt(2)
    assert end["GAN, simultaneous"] > 1.2 * start
    assert 0.5 * start < end["GAN, alternating"] < 1.5 * start
    assert 0.5 * start < end["WGAN, alternating"] < 1.5 * start
    assert end["R1, γ = 1"] < 1e-5
    assert end["R1 + R2, γ = 1"] < 0.02       # over-damped: its slow eigenvalue −0.134 takes e^(−0.134·40) = 0.005


def test_its_layer_and_its_picture(tmp_path):
    gradcheck.check_backward(dirac.Point(), np.zeros((3, 1))).raise_if_wrong()
    dirac.figure(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
