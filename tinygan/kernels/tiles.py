"""Convolutions by minimal filtering: tiles of six pixels a side, as products at six points a side (Winograd).

One axis, stride 1: m windows of k taps on L = m + k − 1 pixels. The trilinear form of the convolution,

    T(dy, x, w) = Σ_{i<m, u<k} dy_i w_u x_{i+u}  =  Σ_j x_j (dy ∗ w)_j,

holds a product of polynomials: with a(t) = Σ dy_i tⁱ and b(t) = Σ w_u tᵘ, (dy ∗ w)_j is the coefficient of tʲ in ab.
ab has L coefficients, which follow from its values at L points (Toom, Cook). With E_n the values of 1, t, … tⁿ⁻¹ at the
points, row by row (at infinity: the coefficient of tⁿ⁻¹),

    dy ∗ w = E_L⁻¹ (E_m dy ⊙ E_k w)     so     T = Σ_{r<L} (A dy)_r (B x)_r (C w)_r,    A = E_m,  B = E_L⁻ᵀ,  C = E_k.

L products take the place of m·k. On two axes the matrices are Kronecker products: six points a side are 36 products for
the 4×4 windows of a 3×3 kernel, which take 144 as direct sums; strides become channels (`phases.unstride`). The three
maps are the derivatives of T, as in transforms.py, with X = B x (36, tiles, c), Y = A dy and V = C w:

    y = Aᵀ (X V)         dx = Bᵀ (Y Vᵀ)         dW = Cᵀ (Xᵀ Y)

The points are 0, ±1/√2, ±√2 and ∞: pairs of opposite sign and reciprocals, which keep all powers near 1. Relative error
2e-6 in float32, four times that of direct sums; with the customary 0, ±1, ±2 and ∞ it is twice as large. A block of
tiles passes through all stages while it is in a core's cache. Sources: Winograd 1980; Lavin & Gray 2016.
"""

from functools import lru_cache
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from .filters import gradient, own_taps, transformed
from .phases import unstride
from .threads import NUMBER, parallel, total
from .workspace import scratch

POINTS = (0, 0.5**0.5, -0.5**0.5, 2**0.5, -2**0.5)      # and infinity
SIDE = len(POINTS) + 1
TILES = 128     # in a block, about: what a block needs is in a core's cache, and its products have enough rows


class Plan(NamedTuple):
    """How a geometry is cut: windows of a tile (m, m′), rows and columns of tiles; the matrices, C by `own_taps`."""
    step: tuple
    tiles: tuple
    A: np.ndarray
    B: np.ndarray
    taps: list


def fits(g):
    """Whether the kernel leaves at least two windows a side to a tile."""
    return max(unstride(g).kernel) < SIDE


def tiling(g):
    """Windows of a tile (m, m′); rows and columns of tiles. The last ones reach beyond the border."""
    step = tuple(SIDE + 1 - k for k in unstride(g).kernel)
    return step, tuple(ceil(o / m) for o, m in zip(g.out, step))


@lru_cache(maxsize=256)
def _plan(g):
    step, tiles = tiling(g)
    inverse = np.linalg.inv(_values(SIDE)).T
    A, B, C = (np.kron(a, b).astype(np.float32) for a, b in
               [map(_values, step), (inverse, inverse), map(_values, unstride(g).kernel)])
    return Plan(step, tiles, A, B, own_taps(C, g))


def _values(n):
    """E_n (6, n)."""
    return np.array([[p**i for i in range(n)] for p in POINTS] + [[0] * (n - 1) + [1]])


def conv(x, W, g):
    """y = ∂T/∂dy; see ops/conv.py."""
    p, o = _plan(g), W.shape[-1]
    V, y = transformed(W, g, "tiles", p.taps), np.empty((len(x), *g.out, o), x.dtype)

    def task(part):
        for samples, rows, padded in _blocks(x[part], g, p):
            X = _hat(p.B, _pixels(padded, rows, g, p), "x")
            M = np.matmul(X, V, out=scratch("products", (*X.shape[:2], o)))
            _put(_back(p.A, M), y[part][samples], rows, p)
    parallel(task, len(x), _work(V.shape, p))
    return y


def conv_input(dy, W, g):
    """dx = ∂T/∂x; see ops/conv.py."""
    p, dx = _plan(g), np.empty((len(dy), *g.size, W.shape[2]), dy.dtype)
    V = transformed(W, g, "tiles", p.taps).transpose(0, 2, 1)

    def task(part):
        for samples, rows, padded in _blocks(dx[part], g, p, read=False):
            Y = _hat(p.A, _windows(dy[part][samples], rows, p), "y")
            M = np.matmul(Y, V, out=scratch("products", (*Y.shape[:2], V.shape[2])))
            pixels = _pixels(padded, rows, g, p)
            terms = _back(p.B, M).reshape(pixels.shape)
            for i, j in np.ndindex(*(ceil(SIDE / m) for m in p.step)):      # tiles overlap, these parts of them do not
                own = tuple(slice(k * m, (k + 1) * m) for k, m in zip((i, j), p.step))
                place = pixels[own]
                place += terms[own]
            if rows.stop == p.tiles[0]:
                dx[part][samples] = _inside(padded, g)
    parallel(task, len(dy), _work(V.shape, p))
    return dx


def conv_weight(x, dy, g):
    """dW = ∂T/∂W; see ops/conv.py."""
    p, shape = _plan(g), (SIDE**2, x.shape[-1] * prod(g.stride), dy.shape[-1])

    def term(part):
        dV = np.zeros(shape, x.dtype)
        for samples, rows, padded in _blocks(x[part], g, p):
            X = _hat(p.B, _pixels(padded, rows, g, p), "x").transpose(0, 2, 1)
            Y = _hat(p.A, _windows(dy[part][samples], rows, p), "y")
            dV += np.matmul(X, Y, out=scratch("products", shape))
        return dV
    return gradient(total(term, len(x), _work(shape, p)), g, p.taps)


def _work(shape, p):
    """Of a sample, as `parallel` counts it; shape: of V."""
    _, c, o = shape
    return SIDE**2 * prod(p.tiles) * (c * o + NUMBER * (c + o))


# Tiles of pixels and of windows. A block has some samples, or some rows of tiles of one sample.

def _block(tiles):
    """How many samples and rows of tiles are a block."""
    rows, columns = tiles
    return max(1, TILES // (rows * columns)), min(rows, max(1, TILES // columns))


def blocks_of(n, g):
    """The number of blocks of n samples."""
    _, tiles = tiling(g)
    samples, rows = _block(tiles)
    return ceil(n / samples) * ceil(tiles[0] / rows)


def _blocks(x, g, p, read=True):
    """For each block: slices of samples and of rows of tiles, and the samples with the zeros that their tiles reach.

    read=False: zeros alone, to add to; they stay in their place until the last rows of these samples.
    """
    (samples, rows), flat = _block(p.tiles), unstride(g)
    size = [max(s * (n * m + k - 1), s * q + h)      # a last row of pixels may be in no window
            for s, n, m, k, (q, _), h in zip(g.stride, p.tiles, p.step, flat.kernel, flat.pads, g.size)]
    for i in range(0, len(x), samples):
        part = slice(i, min(i + samples, len(x)))
        padded = scratch("padded", (part.stop - i, *size, x.shape[-1]))
        padded[...] = 0
        if read:
            inside = _inside(padded, g)
            inside[...] = x[part]
        for j in range(0, p.tiles[0], rows):
            yield part, slice(j, min(j + rows, p.tiles[0])), padded


def _inside(padded, g):
    """The pixels of the image within its zeros."""
    (a, b), (h, w) = (s * q for s, (q, _) in zip(g.stride, unstride(g).pads)), g.size
    return padded[:, a:a + h, b:b + w]


def _pixels(padded, rows, g, p):
    """The tiles of these rows, a view (6, 6, samples, rows, columns, s, t, c): they overlap."""
    (s, t), (m, l), (n, h, w, c) = g.stride, p.step, padded.strides
    shape = (SIDE, SIDE, len(padded), rows.stop - rows.start, p.tiles[1], s, t, padded.shape[-1])
    return np.lib.stride_tricks.as_strided(padded[:, rows.start * s * m:], shape,
                                           (s * h, t * w, n, s * m * h, t * l * w, h, w, c))


def _windows(dy, rows, p):
    """The tiles of windows of these rows, zero beyond the border: (m, m′, samples, rows, columns, 1, 1, o)."""
    (m, l), columns, o = p.step, p.tiles[1], dy.shape[-1]
    dy, shape = dy[:, rows.start * m:rows.stop * m], (len(dy), (rows.stop - rows.start) * m, columns * l, o)
    if dy.shape != shape:
        whole = scratch("whole", shape)
        whole[...] = 0
        whole[:, :dy.shape[1], :dy.shape[2]] = dy
        dy = whole
    return dy.reshape(len(dy), -1, m, columns, l, 1, 1, o).transpose(2, 4, 0, 1, 3, 5, 6, 7)


def _put(tiles, y, rows, p):
    """Write tiles (m·m′, …) of windows of these rows into y (samples, OH, OW, o)."""
    (m, l), columns, o = p.step, p.tiles[1], y.shape[-1]
    y, height = y[:, rows.start * m:rows.stop * m], rows.stop - rows.start
    whole = scratch("whole", (len(y), height, m, columns, l, o))
    np.copyto(whole, tiles.reshape(m, l, len(y), height, columns, o).transpose(2, 3, 0, 4, 1, 5))
    y[...] = whole.reshape(len(y), height * m, columns * l, o)[:, :y.shape[1], :y.shape[2]]


def _hat(matrix, tiles, name):
    """The transform of tiles (a, b, samples, rows, columns, s, t, c) -> (36, tiles, s·t·c), in a buffer."""
    flat = scratch("tiles", tiles.shape)
    np.copyto(flat, tiles)
    flat = flat.reshape(matrix.shape[1], -1)
    out = np.matmul(matrix, flat, out=scratch(f"{name} of tiles", (len(matrix), flat.shape[1])))
    return out.reshape(len(matrix), -1, prod(tiles.shape[-3:]))


def _back(matrix, M):
    """The transpose of a transform: M (36, tiles, channels) -> (pixels, tiles·channels), in a buffer."""
    M = M.reshape(len(M), -1)
    return np.matmul(matrix.T, M, out=scratch("tiles", (matrix.shape[1], M.shape[1])))
