"""Latent noise z, drawn on the host from a seeded generator so that every backend starts from the same bits.

    normal       z ~ N(0, 1)
    uniform      z ~ U(−1, 1)                             Goodfellow et al. 2014; Radford et al. 2016
    truncated    z ~ N(0, 1) given |z| ≤ 2, by redrawing   Brock et al. 2019, section 3.1
"""

import numpy as np

from .errors import ConfigError, choose


def _truncated(rng, shape, dtype):
    z = rng.standard_normal(shape, dtype)
    while (outside := np.abs(z) > 2).any():
        z[outside] = rng.standard_normal(int(outside.sum()), dtype)
    return z


_KINDS = {
    "normal": lambda rng, shape, dtype: rng.standard_normal(shape, dtype),
    "uniform": lambda rng, shape, dtype: 2 * rng.random(shape, dtype) - 1,
    "truncated": _truncated,
}
kinds = tuple(_KINDS)


def draw(kind, shape, rng, dtype="float32"):
    """z of this shape (N, dim) as a NumPy array of float32 or float64; rng: a NumPy generator."""
    rule = choose("latent distribution", kind, _KINDS)
    if min(shape) < 1:
        raise ConfigError(f"expected at least one latent vector of at least one number, got shape {tuple(shape)}")
    return rule(rng, tuple(shape), np.dtype(dtype))
