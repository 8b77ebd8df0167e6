"""Convolutions with strides as convolutions of stride 1: pixels s apart meet the same taps.

Tap u of window i is at pixel s·i + u − p = s·(i + a) + b with 0 ≤ b < s: phase b, shift a. Cut into its s² phases, an
image has s² times the channels and what is left has stride 1: of the input (`unstride`) or of the result (`adjoint`).
"""

from functools import lru_cache
from math import ceil

from ..ops.windows import Geometry

FEW = 4     # channels below which an image is stored as planes: their rows are longer than pixels


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
def adjoint(g):
    """conv_input as a convolution of dy to the phases of dx.

    Pixel s·p + a meets window i = p + d at tap u = a + pad − s·d: d falls as u rises. Returns the geometry, the slices
    of dy that are read, and for each phase (a, b) its taps in W and their places in the kernel of that convolution.
    """
    axes = []
    for n, k, s, (pad, _), windows in zip(g.size, g.kernel, g.stride, g.pads, g.out):
        taps = [range((a + pad) % s, k, s) for a in range(s)]
        last = [(a + pad) // s for a in range(s)]       # the d of a phase's first tap
        first, pixels = min(d - len(u) + 1 for d, u in zip(last, taps)), -(-n // s)
        kernel, after = max(last) - first + 1, pixels + max(last) - windows
        read = slice(max(0, first), windows - max(0, -after))
        places = [(slice(u.start, k, s), slice(d - len(u) + 1 - first, d + 1 - first)) for d, u in zip(last, taps)]
        axes.append((max(0, read.stop - read.start), kernel, (max(0, -first), max(0, after)), pixels, read, places))
    size, kernel, pads, out, read, places = zip(*axes)
    phases = [(a, b, (u, v), (i, j)) for a, (u, i) in enumerate(places[0]) for b, (v, j) in enumerate(places[1])]
    return Geometry(size, kernel, (1, 1), pads, out), read, phases


def size_of_phase(g):
    """(h, w) of the phases of padded pixels: phase (a, b) has the pixels (s·i + a, t·j + b)."""
    return tuple(-(-(n + sum(p)) // stride) for n, p, stride in zip(g.size, g.pads, g.stride))


def tap_of(phases, u, v, g):
    """What tap (u, v) of all windows reads of phases (s, t, …, h, w): (…, OH, OW), a view."""
    (s, t), (a, b) = g.stride, g.out
    return phases[u % s, v % t, ..., u // s:u // s + a, v // t:v // t + b]
