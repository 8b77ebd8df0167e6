"""Convolutions with strides as convolutions of stride 1: pixels s apart meet the same taps.

Tap u of window i is at pixel s·i + u − p = s·(i + a) + b with 0 ≤ b < s: phase b, shift a. Cut into its s² phases, an
image has s² times the channels and what is left has stride 1: of the input (`unstride`) or of the result (`adjoint`).
"""

from functools import lru_cache
from itertools import product
from math import ceil
from typing import NamedTuple

from ..ops.windows import Geometry

FEW = 4         # channels below which the pixels of an image are short: longer runs of memory are used there
NARROW = 48     # channels below which a product to the pixels of one phase is too narrow


@lru_cache(maxsize=256)
def unstride(g):
    """The geometry of a convolution over the phases of its input: stride 1, kernel ⌈…/s⌉, as many windows.

    g itself if its stride is 1.
    """
    if g.stride == (1, 1):
        return g
    size = tuple(ceil(n / s) for n, s in zip(g.size, g.stride))
    before = [-((-p) // s) for s, (p, _) in zip(g.stride, g.pads)]
    kernel = tuple((k - 1 - p) // s + q + 1 for k, s, (p, _), q in zip(g.kernel, g.stride, g.pads, before))
    pads = tuple((q, o - 1 + k - q - n) for q, o, k, n in zip(before, g.out, kernel, size))
    return Geometry(size, kernel, (1, 1), pads, g.out)


@lru_cache(maxsize=256)
def all_taps(kernel):
    """The taps (u, v) of a kernel (kh, kw), row by row."""
    return tuple(product(range(kernel[0]), range(kernel[1])))


class Part(NamedTuple):
    """A product of `adjoint`: to the pixels of row phase `row` and of these column phases, from these taps."""
    row: int
    columns: slice
    taps: slice
    terms: list         # (tap, column phase, u, v), the first two from the first of this part: W[u, v] stands there


@lru_cache(maxsize=256)
def adjoint(g, c):
    """conv_input, to c channels, as convolutions of dy to the phases of dx.

    Pixel s·i + a meets window i + d at tap u = a + pad − s·d: d falls as u rises, and each phase a has its own d. The
    windows over all of these are copied once, in an order in which the taps of a product are next to each other.
    Returns their geometry, the slices of dy that are read, the taps in this order, and the parts, one product each.

    A part has the pixels of one phase, so that no tap is multiplied by zeros: the taps of each row phase in turn,
    column by column. Of few channels the product would be too narrow; there a part has all column phases, and taps
    stand row by row.
    """
    axes = zip(*map(_axis, g.size, g.kernel, g.stride, g.pads, g.out))
    size, kernel, pads, out, read, (rows, columns), (first_u, first_v) = axes
    span = lambda places: (places[0], places[-1] + 1) if places else (0, 0)
    if c < NARROW:
        taps = all_taps(kernel)
        cuts = [(a, slice(0, len(columns)), *(i * kernel[1] for i in span(own))) for a, own in enumerate(rows)]
    else:
        taps, cuts = (), []
        for a, own in enumerate(rows):
            cuts += [(a, slice(b, b + 1), *(len(taps) + j * len(own) for j in span(others)))
                     for b, others in enumerate(columns)]
            taps += tuple((i, j) for j in range(kernel[1]) for i in own)
    parts = []
    for a, some, start, stop in cuts:
        terms = [(at, b - some.start, a + first_u - g.stride[0] * i, b + first_v - g.stride[1] * j)
                 for at, (i, j) in enumerate(taps[start:stop]) for b in range(some.start, some.stop)
                 if i in rows[a] and j in columns[b]]
        parts.append(Part(a, some, slice(start, stop), terms))
    return Geometry(size, kernel, (1, 1), pads, out), read, taps, parts


def _axis(n, k, s, pads, windows):
    """One axis: size, kernel, pads and result of the convolution of dy; what it reads of dy; the places in its kernel
    of each phase's d; the tap of phase 0 at the first place."""
    d = [range(-((k - 1 - a - pads[0]) // s), (a + pads[0]) // s + 1) for a in range(s)]       # where 0 ≤ u < k
    first, stop, pixels = min(r.start for r in d if r), max(r.stop for r in d if r), -(-n // s)
    after = pixels + stop - 1 - windows
    read = slice(max(0, first), windows - max(0, -after))
    return (max(0, read.stop - read.start), stop - first, (max(0, -first), max(0, after)), pixels, read,
            [range(r.start - first, r.stop - first) for r in d], pads[0] - s * first)


def size_of_phase(g):
    """(h, w) of the phases of padded pixels: phase (a, b) has the pixels (s·i + a, t·j + b)."""
    return tuple(-(-(n + sum(p)) // stride) for n, p, stride in zip(g.size, g.pads, g.stride))
