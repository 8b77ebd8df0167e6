"""Initial weights, drawn on the host in float64 so that every backend and dtype starts from the same bits.

    glorot_uniform  U(−a, a),  a = √(6/(fan_in + fan_out))       Glorot & Bengio 2010, eq. 16
    glorot_normal   N(0, 2/(fan_in + fan_out))                   ibid., eq. 12
    he_uniform      U(−a, a),  a = √(6/fan_in)                   He et al. 2015, eq. 10
    he_normal       N(0, 2/fan_in)                               ibid.
    dcgan           N(0, 0.02²)                                  Radford et al. 2016, section 4
    zeros, ones

"glorot" and "he" are short for the uniform and the normal one: what Keras and the papers' authors use.
fan_in and fan_out count the weights that meet in one output and that leave one input, of a convolution of stride 1:
strides are not counted, as in the sources.
"""

from math import sqrt

import numpy as np   # the host's generator; nothing here touches a device array

from ..errors import ConfigError, choose


def _glorot_uniform(rng, shape, fan_in, fan_out):
    return _uniform(rng, shape, sqrt(6 / (fan_in + fan_out)))


def _glorot_normal(rng, shape, fan_in, fan_out):
    return rng.normal(0.0, sqrt(2 / (fan_in + fan_out)), shape)


def _he_uniform(rng, shape, fan_in, fan_out):
    return _uniform(rng, shape, sqrt(6 / fan_in))


def _he_normal(rng, shape, fan_in, fan_out):
    return rng.normal(0.0, sqrt(2 / fan_in), shape)


def _dcgan(rng, shape, fan_in, fan_out):
    return rng.normal(0.0, 0.02, shape)


def _zeros(rng, shape, fan_in, fan_out):
    return np.zeros(shape)


def _ones(rng, shape, fan_in, fan_out):
    return np.ones(shape)


def _uniform(rng, shape, a):
    return rng.uniform(-a, a, shape)


# By name, not lambdas: a layer keeps its rule, and can be pickled.
_RULES = {"glorot": _glorot_uniform, "glorot_uniform": _glorot_uniform, "glorot_normal": _glorot_normal,
          "he": _he_normal, "he_uniform": _he_uniform, "he_normal": _he_normal, "dcgan": _dcgan, "zeros": _zeros,
          "ones": _ones}


def rule(init):
    """The function (rng, shape, fan_in, fan_out) -> float64 array that `init` names, or `init` itself."""
    return init if callable(init) else choose("initialiser", init, _RULES)


def generator(rng):
    """A NumPy generator from a seed (int ≥ 0), a generator (returned as it is), or None (fresh entropy)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ConfigError(f"expected a seed ≥ 0 or a numpy.random.Generator, got {rng!r}") from None
