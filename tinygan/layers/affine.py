"""Layers that are affine in x: the rules of Dense, both convolutions, and all that only moves or scales numbers."""

from ..ops.products import add_bias, sum_rows
from .base import Layer


class Affine(Layer):
    """y = A(x; W) + b, where A is linear in x and linear in W: the trilinear form T(dy, x, W) = ⟨dy, A(x; W)⟩.

    A subclass gives `prepare` (checks x, returns what the maps need besides x: geometry, mask, …; or nothing) and

        map(x, ctx)          A(x; W)      = ∂T/∂dy
        adjoint(dy, ctx)     Aᵀ(dy; W)    = ∂T/∂x
        wgrad(x, dy, ctx)                 = ∂T/∂W     (where there is a parameter "W")

    and from these follow all four maps, since the derivative of A along tx is A(tx), without bias:

        dx = Aᵀ(dy),   dW = wgrad(x, dy),   db = Σ dy over all axes but the last
        ty = A(tx)
        dx = Aᵀ(dy),   dtx = Aᵀ(dty),   dW = wgrad(x, dy) + wgrad(tx, dty),   db = Σ dy

    A layer without weights that is linear once its context (a mask, a shape) is fixed is an Affine without "W" and "b".
    """

    def prepare(self, x, train, rng):
        """Check x; return the context of this pass."""

    def map(self, x, ctx):
        """A(x; W)."""
        raise NotImplementedError(f"{type(self).__name__} does not define map")

    def adjoint(self, dy, ctx):
        """Aᵀ(dy; W)."""
        raise NotImplementedError(f"{type(self).__name__} does not define adjoint")

    def wgrad(self, x, dy, ctx):
        """∂T/∂W."""
        raise NotImplementedError(f"{type(self).__name__} does not define wgrad")

    def forward(self, x, train=True, rng=None):
        ctx = self.prepare(x, train, rng)
        y = self.map(x, ctx)
        if "b" in self.params:
            y = add_bias(y, self.param("b", x))
        return y, (x, ctx)

    def backward(self, dy, cache, grads=None):
        x, ctx = cache
        if grads is not None and "W" in self.params:
            grads["W"] += self.wgrad(x, dy, ctx)
        if grads is not None and "b" in self.params:
            grads["b"] += sum_rows(dy)
        return self.adjoint(dy, ctx)

    def jvp(self, tx, cache):
        _, ctx = cache
        return self.map(tx, ctx), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        (_, ctx), tx = cache, tcache
        if grads is not None and "W" in self.params:
            grads["W"] += self.wgrad(tx, dty, ctx)
        return self.backward(dy, cache, grads), self.adjoint(dty, ctx)
