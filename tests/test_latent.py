"""Latent noise."""

import numpy as np
import pytest

from tinygan import latent
from tinygan.errors import ConfigError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind, variance, bound", [("normal", 1, np.inf), ("uniform", 1 / 3, 1),
                                                   ("truncated", 0.7737, 2)])
def test_distribution(kind, variance, bound, dtype):
    rng = np.random.default_rng(0)
    z = latent.draw(kind, (400, 100), rng, dtype)
    assert z.shape == (400, 100) and z.dtype == dtype and abs(z).max() <= bound
    assert abs(z.mean()) < 4 * np.sqrt(variance / z.size) and abs(z.var() - variance) < 0.02
    assert (latent.draw(kind, (400, 100), rng, dtype) != z).mean() > 0.99            # fresh
    assert (latent.draw(kind, (400, 100), np.random.default_rng(0), dtype) == z).all()   # and reproducible


def test_errors():
    with pytest.raises(ConfigError, match="unknown latent distribution 'cauchy'; choose one of: normal, uniform"):
        latent.draw("cauchy", (1, 1), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="at least one"):
        latent.draw("normal", (0, 3), np.random.default_rng(0))


def test_the_ends_of_what_is_bounded():
    z = latent.draw("uniform", (400, 100), np.random.default_rng(0), "float64")
    assert z.max() > 0.999 and z.min() < -0.999
    assert 1.999 < abs(latent.draw("truncated", (400, 100), np.random.default_rng(0), "float64")).max() <= 2
