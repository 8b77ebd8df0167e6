"""Layers that act on each element alone."""

from .base import Layer


class Pointwise(Layer):
    """y = f(x), element by element, from f, f′ and f″:

        dx = f′·dy          ty = f′·tx          dx = f′·dy + f″·tx·dty,   dtx = f′·dty

    A subclass gives f(x), d1(t, x, y) = f′(x)·t and, unless f″ = 0, d2(t, x, y) = f″(x)·t, with y = f(x).
    """

    d2 = None

    def f(self, x):
        """f(x)."""
        raise NotImplementedError(f"{type(self).__name__} does not define f")

    def d1(self, t, x, y):
        """f′(x)·t."""
        raise NotImplementedError(f"{type(self).__name__} does not define d1")

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ...)
        y = self.f(x)
        return y, (x, y)

    def backward(self, dy, cache, grads=None):
        return self.d1(dy, *cache)

    def jvp(self, tx, cache):
        return self.d1(tx, *cache), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        dx = self.d1(dy, *cache)
        if self.d2 is not None:
            dx = dx + self.d2(tcache * dty, *cache)
        return dx, self.d1(dty, *cache)
