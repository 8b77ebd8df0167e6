"""Latent noise."""

import numpy as np
import pytest

from tinygan import GAN, models
from tinygan.errors import ConfigError
from tinygan.ops import random


def draw(kind, shape, rng, dtype="float32"):
    return random.latent(kind)(rng, shape, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind, variance, bound", [("normal", 1, np.inf), ("uniform", 1 / 3, 1),
                                                   ("truncated", 0.7737, 2)])
def test_distribution(kind, variance, bound, dtype):
    rng = np.random.default_rng(0)
    z = draw(kind, (400, 100), rng, dtype)
    assert z.shape == (400, 100) and z.dtype == dtype and abs(z).max() <= bound
    assert abs(z.mean()) < 4 * np.sqrt(variance / z.size) and abs(z.var() - variance) < 0.02
    assert (draw(kind, (400, 100), rng, dtype) != z).mean() > 0.99            # fresh
    assert (draw(kind, (400, 100), np.random.default_rng(0), dtype) == z).all()   # and reproducible


def test_errors():
    with pytest.raises(ConfigError, match="unknown latent distribution 'cauchy'; choose one of: normal, uniform"):
        draw("cauchy", (1, 1), np.random.default_rng(0))


def test_a_rule_of_one_s_own():
    """Noise beside a code of one of three categories."""
    def rule(rng, shape, dtype):
        z = rng.standard_normal(shape, dtype)
        z[:, -3:] = np.eye(3)[rng.integers(3, size=len(z))]
        return z
    G, D = models.points(rng=0, latent=5, width=0.1)
    z = GAN(G, D, latent=rule, rng=0).noise(50)
    assert z.shape == (50, 5) and z.dtype == np.float32 and set(z[:, -3:].ravel()) == {0, 1} and z[:, :2].std() > 0.5


def test_the_ends_of_what_is_bounded():
    z = draw("uniform", (400, 100), np.random.default_rng(0), "float64")
    assert z.max() > 0.999 and z.min() < -0.999
    assert 1.999 < abs(draw("truncated", (400, 100), np.random.default_rng(0), "float64")).max() <= 2
