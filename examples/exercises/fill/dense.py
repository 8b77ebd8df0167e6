"""Fill in two of the four maps of a dense layer.

    y = x W + b

    backward(dy, cache, grads)                    the gradients of ⟨dy, y⟩ in x, W and b
    jvp_backward(dy, dty, cache, tcache, grads)   the gradients of ⟨dy, y⟩ + ⟨dty, ty⟩ in x, tx, W and b

ty = tx W is the derivative of y along tx: it has no b in it. ⟨a, b⟩ is the sum of the products of all elements.
"""

from tinygan.layers import Layer


class Dense(Layer):
    """x (N, n_in) -> y (N, n_out). Parameters W (n_in, n_out) and b (n_out,)."""

    def __init__(self, n_in, n_out):
        self.n_in, self.n_out = n_in, n_out
        super().__init__(W=(n_in, n_out), b=(n_out,))

    def draw(self, rng):
        return {"W": rng.standard_normal((self.n_in, self.n_out)) / self.n_in**0.5}

    def forward(self, x, train=True, rng=None):
        return x @ self.param("W", x) + self.param("b", x), x

    def backward(self, dy, cache, grads=None):
        x, W = cache, self.param("W", dy)
        if grads is not None:
            raise NotImplementedError('write dW and db in backward: grads["W"] += ..., and grads["b"] += ...')
        raise NotImplementedError("write dx in backward: return the gradient of ⟨dy, y⟩ in x, of x's shape")

    def jvp(self, tx, cache):
        return tx @ self.param("W", tx), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        x, tx, W = cache, tcache, self.param("W", dy)
        if grads is not None:
            raise NotImplementedError("write jvp_backward: W stands in y and in ty, so its gradient has two terms")
        raise NotImplementedError("write jvp_backward: return dx, dtx")
