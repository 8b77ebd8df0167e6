"""Initial weights, drawn on the host in float64 so that every backend and dtype starts from the same bits.

    glorot_uniform  U(−a, a),  a = √(6/(fan_in + fan_out))       Glorot & Bengio 2010, eq. 16
    glorot_normal   N(0, 2/(fan_in + fan_out))                   ibid., eq. 12
    he_uniform      U(−a, a),  a = √(6/fan_in)                   He et al. 2015, eq. 10
    he_normal       N(0, 2/fan_in)                               ibid.
    dcgan           N(0, 0.02²)                                  Radford et al. 2016, section 4
    zeros, ones

"glorot" and "he" are short for the uniform and the normal one: what Keras and the papers' authors use.
fan_in and fan_out count the weights that meet in one output and that leave one input.
"""

from math import sqrt

import numpy as np   # the host's generator; nothing here touches a device array

from ..errors import ConfigError, choose

_RULES = {
    "glorot_uniform": lambda rng, shape, i, o: _uniform(rng, shape, sqrt(6 / (i + o))),
    "glorot_normal": lambda rng, shape, i, o: rng.normal(0.0, sqrt(2 / (i + o)), shape),
    "he_uniform": lambda rng, shape, i, o: _uniform(rng, shape, sqrt(6 / i)),
    "he_normal": lambda rng, shape, i, o: rng.normal(0.0, sqrt(2 / i), shape),
    "dcgan": lambda rng, shape, i, o: rng.normal(0.0, 0.02, shape),
    "zeros": lambda rng, shape, i, o: np.zeros(shape),
    "ones": lambda rng, shape, i, o: np.ones(shape),
}
_RULES["glorot"] = _RULES["glorot_uniform"]
_RULES["he"] = _RULES["he_normal"]


def _uniform(rng, shape, a):
    return rng.uniform(-a, a, shape)


def rule(init):
    """The function (rng, shape, fan_in, fan_out) -> float64 array that `init` names, or `init` itself."""
    return init if callable(init) else choose("initialiser", init, _RULES)


def generator(rng):
    """A NumPy generator from a seed (int ≥ 0), a generator (returned as it is), or None (fresh entropy)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ConfigError(f"expected a seed ≥ 0 or a numpy.random.Generator, got {rng!r}") from None
