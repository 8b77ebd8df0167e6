"""A dense layer whose weight is divided by its largest singular value (Miyato et al. 2018).

    σ = vᵀ W u,   W̄ = W/σ,   y = x W̄ + b

u and v are the unit singular vectors of σ, and constants to every gradient; σ is not, as W stands in it: ∂σ/∂W = v uᵀ.
The base class `Affine` makes all four maps of a layer from the derivatives of T(dy, x, W) = ⟨dy, x W̄⟩:

    map = ∂T/∂dy                adjoint = ∂T/∂x                wgrad = ∂T/∂W
"""

import numpy as np

from tinygan.layers import Affine


class SpectralDense(Affine):
    """x (N, n_in) -> y (N, n_out). Parameters W (n_in, n_out) and b (n_out,); state u (n_out,) and v (n_in,)."""

    def __init__(self, n_in, n_out):
        self.n_in, self.n_out = n_in, n_out
        super().__init__(W=(n_in, n_out), b=(n_out,))

    def reset(self, rng=None):
        """Draw W, and compute u and v from it."""
        super().reset(rng)
        v, _, u = np.linalg.svd(self.params["W"])
        self.state = {"u": u[0], "v": v[:, 0]}

    def draw(self, rng):
        return {"W": rng.standard_normal((self.n_in, self.n_out))}

    def prepare(self, x, train, rng):
        """σ, u and v."""
        u, v = self.state["u"].astype(x.dtype), self.state["v"].astype(x.dtype)
        return v @ self.param("W", x) @ u, u, v

    def map(self, x, ctx):
        sigma, u, v = ctx
        return x @ self.param("W", x) / sigma

    def adjoint(self, dy, ctx):
        sigma, u, v = ctx
        return dy @ self.param("W", dy).T / sigma

    def wgrad(self, x, dy, ctx):
        sigma, u, v = ctx
        return x.T @ dy / sigma
