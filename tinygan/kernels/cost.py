"""Which of two ways a convolution goes: direct sums (cpu.py, cuda.py) or products at each frequency (transforms.py).

On the CPU the way follows from a model of both times, in units of one multiplication of a large product. With P output
positions and K taps, on n samples, direct sums take

    conv, conv_weight   MULTIPLY·nPKco + COPY·nPKc + PASS·nPo               copy the windows, then one product
    conv_input          as conv, of dy to the phases of dx (`phases.adjoint`)
    conv_input, c < 4   MULTIPLY·nPKco + ADD·nPKc + PASS·2nHWc              one product, then add its rows to pixels

and CALL for each call of NumPy. By R frequencies of phases, c′ = s²c channels of P′ pixels (the 1.5: three real
products for a complex one), they take

    MULTIPLY_F·1.5Rnc′o + TRANSFORM·Rn(P′c′ + Po) + PASS_F·1.5Rn(c′ + o) + WEIGHT·1.5Rc′o + SETUP

The coefficients are a least-squares fit of relative errors to 188 shapes (batches of 2 to 128, maps of 4 to 128
pixels, 1 to 256 channels, kernels 3 to 5, strides 1 and 2), each by three maps and both ways, on one thread of an AMD
EPYC with AVX2. On 110 other shapes half of the predictions are within 14%, and choosing by them costs 0.7% over always
the faster way. The choice depends on shapes and the number of threads alone, so the same seed gives the same bits.

On a GPU, where nothing has been measured yet, it is still that rule: frequencies if they need less than 0.7 of the
multiplications of direct sums.
"""

from functools import lru_cache
from math import ceil, inf, prod

from .phases import FEW, adjoint, unstride
from .threads import BLOCK, parts_of
from .transforms import CHUNK, cycle

MULTIPLY, COPY, ADD, PASS, CALL = 1.1, 12, 25, 22, 2e5
MULTIPLY_F, TRANSFORM, PASS_F, WEIGHT, SETUP = 1.2, 1.3, 20, 20, 2.6e6
LARGEST = 256       # pixels of a phase: the transforms grow with the square of the map
SHARE = 0.7


def by_frequencies(rule, n, shape, g):
    """Whether frequencies are faster on the CPU. rule: "conv", "conv_input" or "conv_weight"; shape: of W."""
    parts = parts_of(n, direct(rule, n, shape, g) / max(n, 1))
    return _faster(rule, ceil(n / parts), tuple(shape), g)


@lru_cache(maxsize=1024)
def _faster(rule, n, shape, g):
    return frequencies(n, shape, g) < direct(rule, n, shape, g)


def direct(rule, n, shape, g):
    """The model's time of direct sums."""
    P, K, (c, o) = n * prod(g.out), prod(g.kernel), shape[2:]
    if rule == "conv_input" and c < FEW:
        calls = 2 * K * ceil(2 * P * c / BLOCK) + 6
        return MULTIPLY * P * K * c * o + ADD * P * K * c + PASS * 2 * n * prod(g.size) * c + CALL * calls
    if rule == "conv_input":
        (flat, _, _), c, o = adjoint(g), o, prod(g.stride) * c
        P, K = n * prod(flat.out), prod(flat.kernel)
    return MULTIPLY * P * K * c * o + COPY * P * K * c + PASS * P * o + CALL * (2 * ceil(P * K * c / BLOCK) + 4)


def frequencies(n, shape, g):
    """The model's time by frequencies; infinite for maps that are too large."""
    flat, c, o = unstride(g), shape[2] * prod(g.stride), shape[3]
    if prod(flat.size) > LARGEST:
        return inf
    R = prod(cycle(flat))
    return (MULTIPLY_F * 1.5 * R * n * c * o + TRANSFORM * R * n * (prod(flat.size) * c + prod(g.out) * o)
            + PASS_F * 1.5 * R * n * (c + o) + WEIGHT * 1.5 * R * c * o * (1 + ceil(n / CHUNK)) + SETUP)


@lru_cache(maxsize=1024)
def multiplications(n, shape, g):
    """The multiplications by frequencies over those of direct sums, for n samples and W of this shape."""
    flat, c, o = unstride(g), shape[2] * prod(g.stride), shape[3]
    if prod(flat.size) > LARGEST:
        return inf
    R = prod(cycle(flat)) * 1.5
    return (R * (c * o + prod(flat.size) * c + prod(flat.out) * o + prod(shape) / min(n, CHUNK))
            / (prod(g.out) * prod(shape)))
