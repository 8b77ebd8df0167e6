"""Which of three ways a convolution goes: direct sums (direct.py, cuda.py), or products of transforms: of whole maps at
each frequency (transforms.py) or of tiles (tiles.py).

On the CPU the way follows from a model of the times, in units of one multiplication of a large product: a sum of
terms, each with a coefficient of RATES. With P output positions and K taps, on n samples, direct sums have the terms

    conv, conv_weight   nPKco     nPKc      nPo            blocks       copy the windows, then one product
    conv_input          nP′K′co   nP″K″o    nHWc           blocks       as conv, of dy to the phases of dx
    conv_input, c < 4   nP*Kco    nP*Kc     n(P*o + 2HWc)  calls        one product, its rows added to P* places

By R frequencies of phases, c′ = s²c channels of P′ pixels (the 1.5: three real products for a complex one), and by T
tiles of R = 36 points and m windows, in blocks,

    frequencies         1.5Rnc′o  Rn(P′c′ + Po)  1.5Rn(c′ + o)  1.5Rc′o·w  1     (products, transforms, passes, weights)
    tiles               RTc′o     RTc′·a         RTs·a          (R + m)To  Rc′o·w  blocks     (RTs: runs of memory)

with a = 2 for conv_input, which adds to its tiles, and 1 elsewhere. w is how often weights are transformed for a call:
0.6 in the steps of the library's games, as they are kept until an optimiser moves them; in conv_weight once a block.

The coefficients are least-squares fits of relative errors to 400 shapes (batches of 2 to 128, maps of 4 to 128
pixels, 1 to 256 channels, kernels 3 to 5, strides 1 and 2), each by three maps and all ways, after 20 MB of other
data had passed through the caches, on two cores of an AMD EPYC: with OpenBLAS's kernels for AVX-512, and with those
for AVX2, where products take twice as long and memory does not. On 150 other shapes the choice costs 2% over always
the fastest way. For AVX-512 the weights of frequencies and all of the tiles then count 1.4 and 1.1 times, which made
whole steps faster. The choice depends on shapes, the number of threads and OpenBLAS's kernels alone, so the same seed
gives the same bits.

On a GPU, where nothing has been measured yet, it is still a rule: frequencies if they need less than 0.7 of the
multiplications of direct sums.
"""

from functools import lru_cache
from math import ceil, inf, prod

from . import threads
from .phases import FEW, adjoint, size_of_phase, unstride
from .tiles import SIDE, blocks_of, fits, tiling
from .threads import BLOCK, parts_of
from .transforms import CHUNK, cycle

RATES = {"AVX-512": {"direct": (1.15, 15.8, 26.4, 7.5e5), "planes": (1.51, 11.6, 48, 1.75e5),
                     "frequencies": (1.39, 1.3, 22, 67, 4.7e6), "tiles": (2.17, 86, 410, 33, 62, 4.1e6)},
         "AVX2": {"direct": (1.1, 6, 16.4, 4.6e5), "planes": (1.11, 11.5, 23, 6.7e4),
                  "frequencies": (0.96, 1.29, 19.7, 25.8, 3.6e6), "tiles": (1.5, 48, 22, 16.3, 28.4, 3.8e6)}}
WITH_AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")
TRANSFORMED = 0.6   # transforms of weights for a call
LARGEST = 256       # pixels of a phase: the transforms grow with the square of the map
SHARE = 0.7


@lru_cache(maxsize=None)
def _rates():
    return RATES["AVX-512" if threads.core() in WITH_AVX512 else "AVX2"]


def fastest(rule, n, shape, g):
    """The way that should be fastest on the CPU. rule: "conv", "conv_input" or "conv_weight"; shape: of W."""
    return _fastest(rule, n, tuple(shape), g, threads.threads())


@lru_cache(maxsize=1024)
def _fastest(rule, n, shape, g, cores):
    ways = {"direct": direct, "frequencies": frequencies, "tiles": tiles}
    part = ceil(n / parts_of(n, direct(rule, n, shape, g) / max(n, 1)))      # what one of the cores does
    return min(ways, key=lambda way: ways[way](rule, part, shape, g))


def _time(kind, *terms):
    return sum(rate * term for rate, term in zip(_rates()[kind], terms, strict=True))


@lru_cache(maxsize=1024)
def direct(rule, n, shape, g):
    """The model's time of direct sums."""
    P, K, (c, o) = n * prod(g.out), prod(g.kernel), shape[2:]
    if rule == "conv_input" and c < FEW:
        P = n * prod(size_of_phase(g))
        calls = 2 * K * ceil(P * K * c / (8 * BLOCK)) + 6
        return _time("planes", P * K * c * o, P * K * c, P * o + 2 * n * prod(g.size) * c, calls)
    if rule == "conv_input":
        flat, _, taps, parts = adjoint(g, c)
        P, K, s = n * prod(flat.out), len(taps), g.stride
        used = sum((p.taps.stop - p.taps.start) * (p.columns.stop - p.columns.start) for p in parts)
        return _time("direct", P * used * c * o, P * K * o, P * prod(s) * c, 2 * ceil(P * K * o / BLOCK) + 4)
    return _time("direct", P * K * c * o, P * K * c, P * o, 2 * ceil(P * K * c / BLOCK) + 4)


def frequencies(rule, n, shape, g):
    """The model's time by frequencies; infinite for maps that are too large."""
    flat, c, o = unstride(g), shape[2] * prod(g.stride), shape[3]
    R, weights = prod(cycle(flat)), 1 if rule == "conv_weight" else TRANSFORMED
    if prod(flat.size) > LARGEST:
        return inf
    return _time("frequencies", 1.5 * R * n * c * o, R * n * (prod(flat.size) * c + prod(g.out) * o),
                 1.5 * R * n * (c + o), 1.5 * R * c * o * weights, 1)


def tiles(rule, n, shape, g):
    """The model's time by tiles; infinite where they do not fit, and to images of few channels."""
    c, o, R, adds = shape[2] * prod(g.stride), shape[3], SIDE**2, 2 if rule == "conv_input" else 1
    if not fits(g) or rule == "conv_input" and shape[2] < FEW:
        return inf
    step, (rows, columns) = tiling(g)
    T, blocks = n * rows * columns, blocks_of(n, g)
    weights = blocks if rule == "conv_weight" else TRANSFORMED
    return _time("tiles", R * T * c * o, R * T * c * adds, R * T * g.stride[0] * adds, (R + prod(step)) * T * o,
                 R * c * o * weights, blocks)


@lru_cache(maxsize=1024)
def multiplications(n, shape, g):
    """The multiplications by frequencies over those of direct sums, for n samples and W of this shape."""
    flat, c, o = unstride(g), shape[2] * prod(g.stride), shape[3]
    if prod(flat.size) > LARGEST:
        return inf
    R = prod(cycle(flat)) * 1.5
    return (R * (c * o + prod(flat.size) * c + prod(flat.out) * o + prod(shape) / min(n, CHUNK))
            / (prod(g.out) * prod(shape)))
