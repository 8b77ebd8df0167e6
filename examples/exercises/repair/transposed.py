"""A transposed convolution along one axis.

    y[n,a,c] = b[c] + Σ x[n,i,o] W[u,c,o]       over all i and u = 0 … k−1 with s·i + u = a

Each x[n,i,:] lays down a copy of the kernel at the place s·i; copies that overlap add up. The base class `Affine` makes
all four maps of a layer from three, which are the derivatives of T(dy, x, W) = Σ_{n,i,u,c,o} dy[n, s·i+u, c] x[n,i,o]
W[u,c,o]:

    map = ∂T/∂dy                adjoint = ∂T/∂x                wgrad = ∂T/∂W
"""

import numpy as np

from tinygan.layers import Affine


class ConvTranspose1D(Affine):
    """x (N, L, c_in) -> y (N, s(L − 1) + k, c_out). Parameters W (k, c_out, c_in) and b (c_out,)."""

    def __init__(self, c_in, c_out, k, stride=1):
        self.c_in, self.c_out, self.k, self.s = c_in, c_out, k, stride
        super().__init__(W=(k, c_out, c_in), b=(c_out,))

    def draw(self, rng):
        return {"W": rng.standard_normal((self.k, self.c_out, self.c_in)) / self.c_in**0.5}

    def prepare(self, x, train, rng):
        """For each tap u, the slice s·i + u, i = 0 … L−1."""
        return [slice(u, u + self.s * (x.shape[1] - 1) + 1, self.s) for u in range(self.k)]

    def map(self, x, parts):
        W = self.param("W", x)
        y = np.zeros((len(x), parts[-1].stop, self.c_out), x.dtype)
        for u, part in enumerate(parts):
            y[:, part] += x @ W[u].T
        return y

    def adjoint(self, dy, parts):
        W = self.param("W", dy)[::-1]
        return sum(dy[:, part] @ W[u] for u, part in enumerate(parts))

    def wgrad(self, x, dy, parts):
        return np.stack([np.einsum("nic,nio->co", dy[:, part], x) for part in parts])
