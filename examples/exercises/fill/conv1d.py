"""Fill in the two gradients of a convolution along one axis.

    y[n,i,o] = b[o] + Σ_{u,c} x[n, s·i + u, c] W[u,c,o]          u = 0 … k−1, stride s, no padding

The base class `Affine` makes all four maps of a layer from three (tinygan/layers/affine.py), which are the derivatives
of one number, T(dy, x, W) = Σ_{n,i,u,c,o} dy[n,i,o] x[n, s·i + u, c] W[u,c,o]:

    map       ∂T/∂dy     given below: for each tap u, a slice of x with step s, times W[u]
    adjoint   ∂T/∂x
    wgrad     ∂T/∂W
"""

import numpy as np

from tinygan.layers import Affine


class Conv1D(Affine):
    """x (N, L, c_in) -> y (N, M, c_out) with M = ⌊(L − k)/s⌋ + 1. Parameters W (k, c_in, c_out) and b (c_out,)."""

    def __init__(self, c_in, c_out, k, stride=1):
        self.c_in, self.c_out, self.k, self.s = c_in, c_out, k, stride
        super().__init__(W=(k, c_in, c_out), b=(c_out,))

    def draw(self, rng):
        return {"W": rng.standard_normal((self.k, self.c_in, self.c_out)) / (self.k * self.c_in)**0.5}

    def prepare(self, x, train, rng):
        """What the maps need besides x: its shape, as adjoint must return an array of that shape."""
        return x.shape

    def slices(self, shape):
        """For each tap u, the slice s·i + u, i = 0 … M−1."""
        m = (shape[1] - self.k) // self.s + 1
        return [slice(u, u + self.s * (m - 1) + 1, self.s) for u in range(self.k)]

    def map(self, x, shape):
        W = self.param("W", x)
        return sum(x[:, part] @ W[u] for u, part in enumerate(self.slices(shape)))

    def adjoint(self, dy, shape):
        W, dx = self.param("W", dy), np.zeros(shape, dy.dtype)
        raise NotImplementedError("write adjoint: each dy[n,i,:] goes back to the elements of x that y[n,i,:] read")

    def wgrad(self, x, dy, shape):
        raise NotImplementedError("write wgrad: return ∂T/∂W (k, c_in, c_out), one matrix (c_in, c_out) for each tap")
