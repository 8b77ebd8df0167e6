"""Softmax over the last axis."""

from ..backend import array_module
from .base import Layer


class Softmax(Layer):
    """y_k = e^{x_k} / Σ_j e^{x_j}, over the last axis.

    The Jacobian J = diag(y) − y yᵀ is symmetric. With ⟨a⟩ = Σ_k y_k a_k, the mean of a under y, along a tangent tx

        ty = J tx = y·(tx − ⟨tx⟩)                  dx = J dy = y·(dy − ⟨dy⟩)

    Reverse mode through ty: ⟨dty, ty⟩ = ⟨dty·tx⟩ − ⟨dty⟩⟨tx⟩ depends on x through y alone, and its derivative with
    respect to y_k is dty_k tx_k − ⟨dty⟩ tx_k − ⟨tx⟩ dty_k. With c = tx − ⟨tx⟩ and d = dty − ⟨dty⟩ this is c_k d_k plus
    what does not depend on k, which J takes to 0:

        dx = J(dy + c·d)                           dtx = J dty

    x (N, …, K) -> y (N, …, K), each row positive with sum 1. The largest x is subtracted first: nothing overflows.
    Source: Bridle 1990, eq. 5; the second-order part derived here.
    """

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ..., "K")
        e = array_module(x).exp(x - x.max(-1, keepdims=True))
        y = e / e.sum(-1, keepdims=True)
        return y, y

    def backward(self, dy, cache, grads=None):
        return cache * _centred(dy, cache)

    def jvp(self, tx, cache):
        c = _centred(tx, cache)
        return cache * c, c

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        d = _centred(dty, cache)
        return self.backward(dy + tcache * d, cache), cache * d


def _centred(a, y):
    """a − ⟨a⟩, the mean under y taken off."""
    return a - (y * a).sum(-1, keepdims=True)
