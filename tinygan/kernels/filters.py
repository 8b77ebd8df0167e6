"""Transforms of weights, V = C w, for convolutions as products of transforms (transforms.py, tiles.py).

C (R, kh, kw) has a row for each product, over the taps of a convolution of stride 1. A convolution with strides is one
of the phases of its input (`phases.unstride`): each phase has taps of its own, and V has one block of channels for each
phase, a product of those taps alone, so that none is multiplied by the zeros of another phase's kernel.
"""

from math import prod

import numpy as np

from .arrays import buffer, fresh, in_parts, matmul
from .phases import unstride
from .threads import NUMBER
from .workspace import of_weights


def own_taps(C, g, xp=np):
    """For each phase: which taps of the kernel are its own (slices of rows and columns), and C (R, …) over these."""
    axes = []
    for k, s, (p, _) in zip(g.kernel, g.stride, g.pads):
        firsts = [(b + p) % s for b in range(s)]
        axes.append([(slice(u, None, s), slice(a, a + len(range(u, k, s))))
                     for u, a in ((u, (u - p) // s - (-p) // s) for u in firsts)])
    C = C.reshape(-1, *unstride(g).kernel)
    return [((u, v), xp.asarray(C[:, a, b].reshape(len(C), -1))) for u, a in axes[0] for v, b in axes[1]]


def transformed(W, g, way, taps):
    """V = C w (R, s·s·c, o), kept under this name of a way while the weights are steady. taps: `own_taps`."""
    shape = (len(taps[0][1]), len(taps), prod(W.shape[2:]))
    kept = of_weights(W, (way, g), lambda: _into(fresh(shape, W), W, g, taps))
    V = _into(buffer("v", shape, W), W, g, taps) if kept is None else kept
    return V.reshape(shape[0], -1, W.shape[-1])


def _into(V, W, g, taps):
    W = W.reshape(*g.kernel, -1)

    def task(part):
        for phase, (own, rows) in enumerate(taps):
            w = W[own][..., part]
            matmul(rows, w.reshape(rows.shape[1], w.shape[-1]), V[:, phase, part])
    in_parts(task, W.shape[-1], W, len(V) * (prod(g.kernel) + NUMBER))
    return V


def gradient(dV, g, taps):
    """dW = Cᵀ dV (kh, kw, c, o)."""
    c, o = dV.shape[1] // len(taps), dV.shape[2]
    dV, dW = dV.reshape(len(dV), len(taps), c * o), fresh((*g.kernel, c * o), dV)

    def task(part):
        for phase, (own, rows) in enumerate(taps):
            place = dW[own][..., part]
            found = fresh((rows.shape[1], place.shape[-1]), dV)
            matmul(rows.T, dV[:, phase, part], found)
            place[...] = found.reshape(place.shape)
    in_parts(task, c * o, dV, len(dV) * (prod(g.kernel) + NUMBER))
    return dW.reshape(*g.kernel, c, o)
