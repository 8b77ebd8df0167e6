"""Counter-based random bits: element i of a mask depends on a key and on i alone.

Nothing is carried from one draw to the next, so the same key gives the same mask on every backend, in
any order, and after a resume. The host draws the key (two words) from its seeded generator; the device
does the rest without waiting for anybody.

Bits: a counter passed through the mixer `triple32` of C. Wellons ("Prospecting for hash functions", 2018), a
bijection of 32-bit words with an avalanche bias near the ideal; one word of key enters before it, one after its
first multiplication. Each word serves two elements, sixteen bits each.
"""

from ..backend import array_module, fresh, get_loaded, name_of
from ..errors import ConfigError


def draw_key(rng, name="numpy"):
    """Two 32-bit words from a NumPy generator, on the backend of this name."""
    return fresh(lambda: rng.integers(0, 2**32, size=2, dtype="uint32"), name)


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
    xp, limit = get_loaded(backend), threshold(p)
    if limit == 2**16:
        return xp.ones(shape, dtype=bool)
    size = 1
    for n in shape:
        size *= n
    bits = scramble(xp.arange((size + 1) // 2, dtype="uint32"), key)
    return (bits.view("uint16")[:size] < limit).reshape(shape)


def dropout(key, x, rate):
    """y = x·mask, and the mask: 1/(1 − rate) with probability 1 − rate, else 0; of x's shape and dtype."""
    mask = bernoulli(key, x.shape, 1 - rate, name_of(x)).astype(x.dtype)
    mask *= 1 / (1 - rate)
    return x * mask, mask
