"""Where the random numbers of a pass come from, and masks that follow from a key.

All numbers come from a seeded NumPy generator on the host, through one object, the `Source` that is passed to forward
as `rng`: so every backend computes with the same bits, and a training run can share a batch among processes or record
what a step draws by passing another Source.

A mask needs many numbers, so only its key (two words) comes from the host: element i depends on the key and on i
alone. Nothing is carried from one draw to the next: the same key gives the same mask on every backend, in any order,
and after a resume.

Bits: a counter passed through the mixer `triple32` of C. Wellons ("Prospecting for hash functions", 2018), a
bijection of 32-bit words with an avalanche bias near the ideal; one word of key enters before it, one after its
first multiplication. Each word serves two elements, sixteen bits each.
"""

from math import prod

import numpy as np      # the host's generator

from .. import backend
from ..backend import array_module, get_loaded, name_of
from ..errors import ConfigError, choose
from .init import generator
from .registry import op


class Source:
    """Random numbers for one pass after another, from a seed or a NumPy generator (None: fresh entropy).

    The first axis of all that is drawn counts samples. To change where numbers come from, override
    `host(rule, shape)`, which draws them, or `draw(rule, shape, like)`, which brings them to the backend of `like`;
    rule: a function (NumPy generator, shape) -> NumPy array.
    """

    def __init__(self, rng=None):
        self.generator = generator(rng)

    def host(self, rule, shape):
        """rule(generator, shape), a NumPy array."""
        return rule(self.generator, shape)

    def draw(self, rule, shape, like):
        """The same on the backend of the array `like`."""
        return backend.to(self.host(rule, shape), name_of(like))

    def normal(self, shape, like):
        """N(0, 1) of this shape, dtype and backend of `like`."""
        return self.draw(lambda g, shape: g.standard_normal(shape, like.dtype), shape, like)

    def uniform(self, shape, like):
        """U(0, 1) of this shape, dtype and backend of `like`."""
        return self.draw(lambda g, shape: g.random(shape, like.dtype), shape, like)

    def integers(self, low, high, shape, like):
        """Integers in low … high − 1 of this shape, on the backend of `like`."""
        return self.draw(lambda g, shape: g.integers(low, high, shape), shape, like)

    def key(self, like):
        """Two 32-bit words on the backend of `like`."""
        return self.draw(lambda g, shape: g.integers(0, 2**32, shape, "uint32"), (1, 2), like)[0]


def source(rng):
    """The Source that rng is, or one of the seed or NumPy generator that it is."""
    return rng if isinstance(rng, Source) else Source(rng)


# Latent vectors z: rules (generator, shape, dtype) -> NumPy array.

def _normal(rng, shape, dtype):
    return rng.standard_normal(shape, dtype)


def _uniform(rng, shape, dtype):
    return 2 * rng.random(shape, dtype) - 1


def _truncated(rng, shape, dtype):
    z = rng.standard_normal(shape, dtype)
    while (outside := np.abs(z) > 2).any():
        z[outside] = rng.standard_normal(int(outside.sum()), dtype)
    return z


_LATENTS = {"normal": _normal, "uniform": _uniform, "truncated": _truncated}
latents = tuple(_LATENTS)


def latent(kind):
    """The rule of this name, or `kind` itself if it is a function (generator, shape, dtype) -> NumPy array.

    normal: N(0, 1); uniform: U(−1, 1) (Goodfellow et al. 2014; Radford et al. 2016); truncated: N(0, 1) given |z| ≤ 2,
    by redrawing (Brock et al. 2019, section 3.1).
    """
    return kind if callable(kind) else choose("latent distribution", kind, _LATENTS)


# Masks.

def scramble(x, key, spare=None):
    """The bits of the counters x (an array of uint32, overwritten) under a key; spare: an array to work in."""
    right_shift = array_module(x).right_shift
    spare = array_module(x).empty_like(x) if spare is None else spare

    x ^= key[0]
    x ^= right_shift(x, 17, out=spare)
    x *= 0xED5AD4BB                     # multiplication is modulo 2³²
    x ^= key[1]
    x ^= right_shift(x, 11, out=spare)
    x *= 0xAC4C1B51
    x ^= right_shift(x, 15, out=spare)
    x *= 0x31848BAB
    x ^= right_shift(x, 14, out=spare)
    return x


def threshold(p):
    """Sixteen bits below this number have probability p, to within 2⁻¹⁷."""
    if not 0 <= p <= 1:
        raise ConfigError(f"expected a probability between 0 and 1, got {p!r}")
    return round(p * 2**16)


def bernoulli(key, shape, p, backend="numpy"):
    """Boolean array: each element True with probability p (in [0, 1], to within 2⁻¹⁷)."""
    xp, limit, size = get_loaded(backend), threshold(p), prod(shape)
    if limit == 2**16:
        return xp.ones(shape, dtype=bool)
    bits = scramble(xp.arange((size + 1) // 2, dtype="uint32"), key)
    return (bits.view("uint16")[:size] < limit).reshape(shape)


@op
def dropout(key, x, rate):
    """y = x·mask, and the mask: 1/(1 − rate) with probability 1 − rate, else 0; of x's shape and dtype."""
    mask = bernoulli(key, x.shape, 1 - rate, name_of(x)).astype(x.dtype)
    mask *= 1 / (1 - rate)
    return x * mask, mask
