"""Counter-based random bits: element i of a mask depends on a key and on i alone.

Nothing is carried from one draw to the next, so the same key gives the same mask on every backend, in
any order, and after a resume. The host draws the key (two words) from its seeded generator; the device
does the rest without waiting for anybody.

Bits: a counter passed twice through the mixer `triple32` of C. Wellons ("Prospecting for hash functions",
2018), a bijection of 32-bit words with an avalanche bias near the ideal; one word of key enters before
each pass.
"""

from ..backend import get_loaded
from ..errors import ConfigError


def draw_key(rng):
    """Two 32-bit words from a NumPy generator, as Python ints."""
    return tuple(int(word) for word in rng.integers(0, 2**32, size=2, dtype="uint32"))


def _triple32(x):
    """Mix an array of uint32 in place; multiplication is modulo 2³²."""
    for shift, factor in ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)):
        x ^= x >> shift
        x *= factor
    x ^= x >> 14
    return x


def bernoulli(key, shape, p, backend="numpy"):
    """Boolean array: each element True with probability p (in [0, 1], to within 2⁻³²)."""
    if not 0 <= p <= 1:
        raise ConfigError(f"expected a probability between 0 and 1, got {p!r}")
    xp = get_loaded(backend)
    size = 1
    for n in shape:
        size *= n
    bits = _triple32(xp.arange(size, dtype="uint32") ^ key[0])
    bits = _triple32(bits ^ key[1])
    if p == 1:
        return xp.ones(shape, dtype=bool)
    return (bits < int(p * 2**32)).reshape(shape)
