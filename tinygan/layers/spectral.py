"""Spectral normalisation: a layer whose weight is divided by its largest singular value."""

from .. import backend
from ..backend import array_module
from ..errors import ConfigError
from ..ops.init import generator
from ..ops.products import matmul
from .affine import Affine


class SpectralNorm(Affine):
    """The affine layer inside, with W̄ = W/σ(W) instead of W and an unchanged bias.

    As a matrix, W is (everything else, its last axis: outputs). σ = vᵀWu with unit vectors u, v that follow its largest
    singular value by one power iteration at each training pass, and are constants to every gradient:

        v ← Wu/‖Wu‖,   u ← Wᵀv/‖Wᵀv‖,   σ = vᵀWu
        A(x; W̄) = A(x; W)/σ,   Aᵀ(dy; W̄) = Aᵀ(dy; W)/σ                      as A is linear in W
        dW = dW̄/σ − (⟨dW̄, W⟩/σ²)·v uᵀ                                       as ∂σ/∂W = v uᵀ

    With λ = ⟨dW̄, W̄⟩ the last line is (dW̄ − λ·v uᵀ)/σ. It is linear in dW̄, so it serves second order as well.

    layer: a Dense or a convolution (a transposed one has the norm of the convolution that it is the adjoint of).
    Where W is all zeros, W̄ = W, and u and v stay. Parameters as of that layer; state u (outputs,) and v (the rest,).
    train=False uses u and v as they are; gradients are checked so, as each training pass moves u and v.
    Source: Miyato et al. 2018, Algorithm 1 and eq. 9.
    """

    def __init__(self, layer):
        if not isinstance(layer, Affine) or "W" not in layer.params:
            raise ConfigError(f"SpectralNorm expected a layer with a weight W (Dense, Conv2D), got {layer!r}")
        if layer.owned:
            raise ConfigError(f"{layer} is already part of a network; wrap a layer of its own")
        self.inner, vector = layer, layer.params.vector
        super().__init__(**layer.params.shapes)
        self.params.vector[...] = vector     # what the layer had
        self._start(generator(None))

    def bind(self, vector, shapes=None):
        super().bind(vector, shapes)
        self.inner.bind(vector)

    def draw(self, rng):
        return self.inner.draw(rng)

    def reset(self, rng=None):
        rng = generator(rng)
        super().reset(rng)
        self._start(rng)

    def _start(self, rng):
        """u and v from a random u by ten iterations, near the singular vectors."""
        W = self._matrix()
        u = backend.to(rng.standard_normal(W.shape[1]).astype(W.dtype), backend.name_of(W))
        self.state = {"u": u, "v": _times(W, u)}
        for _ in range(10):
            self.state["u"], self.state["v"] = self._iterate()

    def _matrix(self):
        W = self.params["W"]
        return W.reshape(-1, W.shape[-1])

    def _iterate(self):
        W, u, v = self._matrix(), self.state["u"], self.state["v"]
        v = _unit(_times(W, u), v)
        return _unit(_times(W.T, v), u), v

    def prepare(self, x, train, rng):
        ctx = self.inner.prepare(x, train, rng)
        if train:
            u, v = self._iterate()
            self.state["u"][...], self.state["v"][...] = u, v
        else:
            u, v = self.state["u"].copy(), self.state["v"].copy()
        u, v = u.astype(x.dtype, copy=False), v.astype(x.dtype, copy=False)
        sigma = (v * _times(self.param("W", x).reshape(len(v), -1), u)).sum()
        sigma += sigma == 0
        return ctx, sigma, u, v

    def map(self, x, ctx):
        inner, sigma, _, _ = ctx
        return self.inner.map(x, inner) / sigma

    def adjoint(self, dy, ctx):
        inner, sigma, _, _ = ctx
        return self.inner.adjoint(dy, inner) / sigma

    def wgrad(self, x, dy, ctx):
        inner, sigma, u, v = ctx
        dW = self.inner.wgrad(x, dy, inner)
        lam = (dW * self.param("W", dW)).sum() / sigma
        return (dW - lam * (v[:, None] * u).reshape(dW.shape)) / sigma

    def __repr__(self):
        return f"SpectralNorm({self.inner})"


def _times(matrix, vector):
    return matmul(matrix, vector[:, None])[:, 0]


def _unit(x, otherwise):
    """x of norm 1, or another vector where x is all zeros."""
    xp = array_module(x)
    norm = xp.sqrt((x * x).sum())
    return xp.where(norm > 0, x / (norm + 1e-12), otherwise)
