"""Transposed convolution: Conv2D with its map and its adjoint exchanged."""

from ..errors import ConfigError, ShapeError
from ..ops import init as initial
from ..ops.conv import conv, conv_input, conv_weight
from ..ops.windows import geometry, parse_padding, parse_pair
from .affine import Affine


class ConvTranspose2D(Affine):
    """y = Kᵀ(x; W) + b, where K is the convolution that takes y's shape to x's.

        T(x, dy, W) = Σ x[n,i,j,o] dy[n, s·i+u−p, s·j+v−p, c] W[u,v,c,o]

    is the trilinear form of the convolution (derivation in `ops/conv.py`) with the roles exchanged: this x, the small
    map, has the place of the convolution's dy, and this dy, the large map, that of its x. The derivatives are as ever
    (the loss's part in y is ⟨dy, y⟩ = T), by the other functions:

        y  = ∂T/∂dy = conv_input(x, W)       each x[n,i,j] is laid down as a patch W·x; overlapping patches add
        dx = ∂T/∂x  = conv(dy, W)            the convolution of dy
        dW = ∂T/∂W  = conv_weight(dy, x)     dy as the convolution's input, x as its output

    x (N, H, W, c_in) -> y (N, OH, OW, c_out), float32 or float64. Parameters W (kh, kw, c_out, c_in), which
    is the weight of the Conv2D(c_out, c_in, …) that this layer is the adjoint of, and b (c_out,).
    padding: as for Conv2D. "same": OH = stride·H. Otherwise OH = stride·(H − 1) + kh − top − bottom +
    output_padding, where output_padding (0 … stride − 1; an int or a pair) chooses among the sizes that the
    convolution maps to the same H.
    Raises ShapeError when x has another shape or nothing is left of y; ConfigError for bad options.
    """

    def __init__(self, c_in, c_out, kernel, stride=1, padding="same", output_padding=0, bias=True,
                 init="glorot"):
        self.c_in, self.c_out, self.init = c_in, c_out, initial.rule(init)
        self.kernel, self.stride = parse_pair("kernel", kernel), parse_pair("stride", stride)
        self.padding = parse_padding(padding)
        self.output_padding = parse_pair("output_padding", output_padding, least=0)
        if any(extra >= s for extra, s in zip(self.output_padding, self.stride)):
            raise ConfigError(f"expected output_padding below the stride {self.stride}, got "
                              f"{self.output_padding}; a larger one would add a pixel that no input reaches")
        if self.padding == "same" and any(self.output_padding):
            raise ConfigError(f"expected output_padding 0 with padding 'same' (the output is stride·input), "
                              f"got {self.output_padding}; give the padding as numbers")
        super().__init__(W=(*self.kernel, c_out, c_in), **({"b": (c_out,)} if bias else {}))

    def draw(self, rng):
        taps = self.kernel[0] * self.kernel[1]
        return {"W": self.init(rng, (*self.kernel, self.c_out, self.c_in), taps * self.c_in, taps * self.c_out)}

    def prepare(self, x, train, rng):
        self.expect(x, "N", "H", "W", self.c_in)
        return self.geometry(x.shape[1:3])

    def geometry(self, size):
        """The Geometry of the convolution K, from the size (H, W) of this layer's input."""
        if self.padding == "same":
            out = [n * s for n, s in zip(size, self.stride)]
        else:
            pads = ((0, 0), (0, 0)) if self.padding == "valid" else self.padding
            out = [s * (n - 1) + k - sum(p) + extra for n, k, s, p, extra
                   in zip(size, self.kernel, self.stride, pads, self.output_padding)]
        if min(out) < 1:
            raise ShapeError(f"{self} expected an input from which something is left after padding {self.padding}, "
                             f"got one of size {tuple(size)}, that would give {tuple(out)}; use less padding")
        return geometry(tuple(out), self.kernel, self.stride, self.padding)

    def map(self, x, g):
        return conv_input(x, self.param("W", x), g)

    def adjoint(self, dy, g):
        return conv(dy, self.param("W", dy), g)

    def wgrad(self, x, dy, g):
        return conv_weight(dy, x, g)

    def __repr__(self):
        (kh, kw), (sh, sw) = self.kernel, self.stride
        return f"ConvTranspose2D({self.c_in}, {self.c_out}, {kh}×{kw}, stride {sh if sh == sw else self.stride})"
