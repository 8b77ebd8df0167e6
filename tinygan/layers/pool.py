"""Pooling and upsampling: no weights, linear once the forward pass has fixed where the maxima are."""

from ..backend import array_module
from ..ops.windows import add_windows, geometry, pad, parse_padding, parse_pair, windows
from .affine import Affine


class _Pool(Affine):
    def __init__(self, kernel=2, stride=None, padding="valid"):
        """kernel, stride: an int or a pair (stride None: the kernel); padding: as for Conv2D."""
        self.kernel = parse_pair("kernel", kernel)
        self.stride = self.kernel if stride is None else parse_pair("stride", stride)
        self.padding = parse_padding(padding)
        super().__init__()

    def geometry(self, x):
        self.expect(x, "N", "H", "W", "C")
        return geometry(x.shape[1:3], self.kernel, self.stride, self.padding)

    def __repr__(self):
        return f"{type(self).__name__}({self.kernel[0]}×{self.kernel[1]})"


class MaxPool2D(_Pool):
    """y[n,i,j,c] = max over the window (i,j) of x[n,·,·,c]; padding never wins.

    With the winner's place fixed (the first of equal ones), y picks pixels: map gathers them, and the
    adjoint adds dy back at the same places, where overlapping windows add up.

    x (N, H, W, C) -> y (N, OH, OW, C). Not differentiable where two pixels of a window are equal.
    A window that lies wholly in the padding gives 0.
    """

    def prepare(self, x, train, rng):
        g = self.geometry(x)
        w = windows(x, g, value=-float("inf"))
        return g, w.reshape(*w.shape[:3], -1, w.shape[5]).argmax(3)

    def map(self, x, ctx):
        (g, winner), xp = ctx, array_module(x)
        x = pad(x, g.pads)
        y = xp.zeros(winner.shape, dtype=x.dtype)
        for u, v, rows, columns in g.taps():
            y = xp.where(winner == u * g.kernel[1] + v, x[:, rows, columns], y)
        return y

    def adjoint(self, dy, ctx):
        (g, winner), xp = ctx, array_module(dy)
        tap = xp.arange(g.kernel[0] * g.kernel[1]).reshape(*g.kernel, 1)
        return add_windows((winner[:, :, :, None, None] == tap) * dy[:, :, :, None, None], g)


class AvgPool2D(_Pool):
    """y[n,i,j,c] = the mean of x[n,·,·,c] over those pixels of the window (i,j) that are not padding.

    The adjoint spreads dy/count evenly over the window.  x (N, H, W, C) -> y (N, OH, OW, C).
    """

    def prepare(self, x, train, rng):
        g = self.geometry(x)
        ones = array_module(x).ones((1, *g.size, 1), dtype=x.dtype)
        count = windows(ones, g).sum((3, 4))
        return g, array_module(x).maximum(count, 1)   # 1: a window wholly in the padding averages to 0

    def map(self, x, ctx):
        g, count = ctx
        return windows(x, g).sum((3, 4)) / count

    def adjoint(self, dy, ctx):
        g, count = ctx
        share = (dy / count)[:, :, :, None, None]
        return add_windows(array_module(dy).broadcast_to(share, (*dy.shape[:3], *g.kernel, dy.shape[3])), g)


class UpSampling2D(Affine):
    """y[n, a·i+u, b·j+v, c] = x[n,i,j,c] for u < a, v < b: each pixel becomes a block (nearest neighbour).

    The adjoint sums each block: dx[n,i,j,c] = Σ_{u,v} dy[n, a·i+u, b·j+v, c].
    x (N, H, W, C) -> y (N, aH, bW, C). factor: an int or a pair (a, b).
    """

    def __init__(self, factor=2):
        self.factor = parse_pair("factor", factor)
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", "H", "W", "C")

    def map(self, x, ctx):
        return x.repeat(self.factor[0], axis=1).repeat(self.factor[1], axis=2)

    def adjoint(self, dy, ctx):
        (a, b), (n, h, w, c) = self.factor, dy.shape
        return dy.reshape(n, h // a, a, w // b, b, c).sum((2, 4))

    def __repr__(self):
        return f"UpSampling2D({self.factor[0]}×{self.factor[1]})"
