"""Convolution in two dimensions, channels last."""

from ..ops import init as initial
from ..ops.conv import conv, conv_input, conv_weight
from ..ops.windows import geometry, parse_padding, parse_pair
from .affine import Affine


class Conv2D(Affine):
    """y[n,i,j,o] = b[o] + Σ_{u,v,c} x[n, s·i+u−p, s·j+v−p, c] W[u,v,c,o],  x zero outside its borders.

    The map, its adjoint and the weight's gradient are the three derivatives of one trilinear form (derivation in
    `ops/conv.py`).

    x (N, H, W, c_in) -> y (N, OH, OW, c_out), float32 or float64; OH = ⌊(H + top + bottom − kh)/s⌋ + 1.
    Parameters W (kh, kw, c_in, c_out), b (c_out,).
    kernel, stride: an int or a pair (rows, columns).
    padding: "same" (out = ⌈in/stride⌉, the odd pixel at the bottom right, as TensorFlow) | "valid" (none) |
    p | (ph, pw) | ((top, bottom), (left, right)).
    Raises ShapeError when x has another shape or the kernel does not fit; ConfigError for bad options.
    """

    def __init__(self, c_in, c_out, kernel, stride=1, padding="same", bias=True, init="glorot"):
        self.c_in, self.c_out, self.init = c_in, c_out, initial.rule(init)
        self.kernel, self.stride = parse_pair("kernel", kernel), parse_pair("stride", stride)
        self.padding = parse_padding(padding)
        super().__init__(W=(*self.kernel, c_in, c_out), **({"b": (c_out,)} if bias else {}))

    def draw(self, rng):
        taps = self.kernel[0] * self.kernel[1]
        return {"W": self.init(rng, (*self.kernel, self.c_in, self.c_out), taps * self.c_in, taps * self.c_out)}

    def prepare(self, x, train, rng):
        self.expect(x, "N", "H", "W", self.c_in)
        return geometry(x.shape[1:3], self.kernel, self.stride, self.padding)

    def map(self, x, g):
        return conv(x, self.param("W", x), g)

    def adjoint(self, dy, g):
        return conv_input(dy, self.param("W", dy), g)

    def wgrad(self, x, dy, g):
        return conv_weight(x, dy, g)

    def __repr__(self):
        (kh, kw), (sh, sw) = self.kernel, self.stride
        return f"Conv2D({self.c_in}, {self.c_out}, {kh}×{kw}, stride {sh if sh == sw else self.stride})"
