"""The fully connected layer."""

from ..ops import init as initial
from ..ops.products import matmul
from .affine import Affine


class Dense(Affine):
    """y = xW + b.

        T(dy, x, W) = Σ_{n,i,o} dy[n,o] x[n,i] W[i,o]
        y[n,o]  = ∂T/∂dy = Σ_i x[n,i] W[i,o] (+ b[o])       sums i:   x W
        dx[n,i] = ∂T/∂x  = Σ_o dy[n,o] W[i,o]               sums o:   dy Wᵀ
        dW[i,o] = ∂T/∂W  = Σ_n x[n,i] dy[n,o]               sums n:   xᵀ dy

    x (N, …, n_in) -> y (N, …, n_out), float32 or float64; n counts the rows of all axes but the last. Parameters
    W (n_in, n_out), b (n_out,).
    init: a name in `ops/init.py` or a function (rng, shape, fan_in, fan_out) -> array; b starts at 0.
    Raises ShapeError or DtypeError for any other x.
    """

    def __init__(self, n_in, n_out, bias=True, init="glorot"):
        self.n_in, self.n_out, self.init = n_in, n_out, initial.rule(init)
        super().__init__(W=(n_in, n_out), **({"b": (n_out,)} if bias else {}))

    def draw(self, rng):
        return {"W": self.init(rng, (self.n_in, self.n_out), self.n_in, self.n_out)}

    def prepare(self, x, train, rng):
        self.expect(x, "N", ..., self.n_in)

    def map(self, x, ctx):
        return matmul(_rows(x), self.param("W", x)).reshape(*x.shape[:-1], self.n_out)

    def adjoint(self, dy, ctx):
        return matmul(_rows(dy), self.param("W", dy).T).reshape(*dy.shape[:-1], self.n_in)

    def wgrad(self, x, dy, ctx):
        return matmul(_rows(x).T, _rows(dy))

    def __repr__(self):
        return f"Dense({self.n_in}, {self.n_out})"


def _rows(x):
    return x.reshape(-1, x.shape[-1])
