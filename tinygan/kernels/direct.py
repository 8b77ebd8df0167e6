"""Convolutions by direct sums: products of blocks of windows that are in a core's cache, shared among the cores."""

from functools import lru_cache
from math import prod

import numpy as np

from ..ops.windows import crop, pad, windows
from .cost import direct
from .phases import FEW, adjoint, all_taps, size_of_phase
from .threads import BLOCK, blocks, parallel, total
from .workspace import of_weights, scratch

ROWS = 256          # windows in a block at least: BLAS rearranges the weight for each product
NONE = ((0, 0), (0, 0))     # no padding: the array is padded already


def conv(x, W, g):
    """y = ∂T/∂dy; see ops/conv.py."""
    y, work = np.empty((len(x), *g.out, W.shape[-1]), x.dtype), direct("conv", len(x), W.shape, g)
    _products(x, g, all_taps(g.kernel), [(slice(None), W.reshape(-1, W.shape[-1]), y)], work)
    return y


def _products(x, g, taps, products, work):
    """y (N, OH, OW, …) = what these taps read of the windows of x, times W, for each (taps, W, y); work: of all."""
    def task(part):
        for block, X in _windows(x[part], g, taps):
            for own, W, y in products:
                own, out = X[:, own], y[part][block]
                if out.flags.c_contiguous:
                    np.matmul(own, W, out=out.reshape(len(X), -1))
                else:
                    product = scratch("product", (len(X), W.shape[1]))
                    out[...] = np.matmul(own, W, out=product).reshape(out.shape)
    parallel(task, len(x), work / max(len(x), 1))


def conv_weight(x, dy, g):
    """dW = ∂T/∂W; see ops/conv.py."""
    c, o = x.shape[-1], dy.shape[-1]

    def term(part):
        dW, more = np.zeros((2, prod(g.kernel) * c, o), x.dtype)
        for block, X in _windows(x[part], g, all_taps(g.kernel)):
            dW += np.matmul(X.T, dy[part][block].reshape(-1, o), out=more)
        return dW
    work = direct("conv_weight", len(x), (*g.kernel, c, o), g)
    return total(term, len(x), work / max(len(x), 1)).reshape(*g.kernel, c, o)


def _windows(x, g, taps):
    """Blocks of the windows of x: (samples, rows of windows) as slices, and these taps of them as rows of a matrix."""
    pixels, k, c = _pixels(g, taps), len(taps), x.shape[-1]
    runs = 1 < c < FEW and taps == all_taps(g.kernel)       # a row of taps is one run of memory, longer than a pixel
    rows = max(1, max(BLOCK // (k * c), ROWS) // g.out[1])
    samples, rows = max(1, rows // g.out[0]), min(rows, g.out[0])
    for i in range(0, len(x), samples):
        padded = pad(x[i:i + samples], g.pads)
        flat = padded.reshape(len(padded), -1, c)
        for j in range(0, g.out[0], rows):
            index = pixels[j:j + rows].reshape(-1)
            out = scratch("windows", (len(flat), len(index), c))
            if runs:
                part = windows(padded, g._replace(pads=NONE))[:, j:j + rows]
                np.copyto(out.reshape(part.shape), part)
            else:
                flat.take(index, axis=1, out=out, mode="clip")      # without "clip" it writes into a copy of `out`
            yield (slice(i, i + samples), slice(j, j + rows)), out.reshape(-1, k * c)


@lru_cache(maxsize=256)
def _pixels(g, taps):
    """The indices of the pixels that these taps of all windows read in a padded sample: (OH, OW, taps)."""
    size = [n + sum(p) for n, p in zip(g.size, g.pads)]
    index = windows(np.arange(prod(size)).reshape(1, *size, 1), g._replace(pads=NONE))[0, ..., 0]
    rows, columns = np.array(taps).T
    return np.ascontiguousarray(index[:, :, rows, columns])


def conv_input(dy, W, g):
    """dx = ∂T/∂x; see ops/conv.py. Convolutions of dy of stride 1 to the phases of dx."""
    work, c, (s, t) = direct("conv_input", len(dy), W.shape, g), W.shape[2], g.stride
    if c < FEW:
        return _input_of_planes(dy, W, g, work)
    flat, read, taps, parts = adjoint(g, c)
    weights = lambda: [_of_part(W, part) for part in parts]
    kept, (h, w), o = of_weights(W, ("phases", g), weights), flat.out, W.shape[3]
    dx = np.empty((len(dy), h * s, w * t, c), dy.dtype)
    phases = dx.reshape(-1, h, s, w, t, c)
    products = [(slice(part.taps.start * o, part.taps.stop * o), V, phases[:, :, part.row, :, part.columns])
                for part, V in zip(parts, kept or weights())]
    _products(dy[(slice(None), *read)], flat, taps, products, work)
    return dx if dx.shape[1:3] == g.size else np.ascontiguousarray(dx[:, :g.size[0], :g.size[1]])


def _of_part(W, part):
    """The weight (taps·o, phases·c) of one part, the transpose of what is stored: so runs of W are copied."""
    (c, o), n = W.shape[2:], part.columns.stop - part.columns.start
    V = np.zeros((n, c, part.taps.stop - part.taps.start, o), W.dtype)
    for tap, b, u, v in part.terms:
        V[b, :, tap] = W[u, v]
    return V.reshape(n * c, -1).T


def _input_of_planes(dy, W, g, work):
    """The same for few channels: a product for all taps, added to what each tap reads of one phase of the planes.

    dy stands on the h×w grid of a phase, zero in the places without a window. Tap (u, v) of the window at place p reads
    place p + ⌊u/s⌋·w + ⌊v/t⌋: the same distance for all windows of all samples, so its terms are one run of memory.
    """
    (s, t), (h, w), (c, o), k = g.stride, size_of_phase(g), W.shape[2:], prod(g.kernel)
    dx, taps = np.empty((len(dy), *g.size, c), dy.dtype), W.reshape(-1, o)

    def rule(i):
        n, places = len(dy[i]), len(dy[i]) * h * w
        grid = scratch("grid", (n, h, w, o))
        grid[...] = 0
        grid[:, :g.out[0], :g.out[1]] = dy[i]
        terms = np.matmul(taps, grid.reshape(-1, o).T, out=scratch("terms", (k * c, places))).reshape(k, c, places)
        phases = scratch("phases", (s, t, c, places + g.kernel[0] // s * w + g.kernel[1] // t))
        phases[...] = 0
        for at, (u, v) in enumerate(np.ndindex(g.kernel)):
            first = u // s * w + v // t
            read = phases[u % s, v % t, :, first:first + places]
            read += terms[at]
        whole = scratch("dx", (n, h, s, w, t, c))
        np.copyto(whole, phases[..., :places].reshape(s, t, c, n, h, w).transpose(3, 4, 0, 5, 1, 2))
        dx[i] = crop(whole.reshape(n, h * s, w * t, c), g.pads, g.size)

    width = max(1, h * w * k * c // 8)      # blocks of eight times BLOCK numbers: few calls, and in the last cache
    blocks(rule, len(dy), width, work / max(len(dy) * width, 1))
    return dx
