"""Convolution is one trilinear form and its three partial derivatives.

    T(dy, x, W) = Σ_{n,i,j,o,u,v,c}  dy[n,i,j,o] · x[n, s·i+u−p, s·j+v−p, c] · W[u,v,c,o]

with x zero outside its borders. T is linear in each argument, so each derivative is a bilinear map:

    ∂T/∂dy[n,i,j,o] = Σ_{u,v,c} x[n, s·i+u−p, s·j+v−p, c] W[u,v,c,o]        conv          sums u, v, c
    ∂T/∂x[n,a,b,c]  = Σ_{i,j,u,v,o} dy[n,i,j,o] W[u,v,c,o]                   conv_input    sums o, then windows:
                      over s·i+u−p = a, s·j+v−p = b
    ∂T/∂W[u,v,c,o]  = Σ_{n,i,j} x[n, s·i+u−p, s·j+v−p, c] dy[n,i,j,o]        conv_weight   sums n, i, j

The set is closed: differentiate any of the three with respect to anything and you land on one of the
three. So they serve Conv2D, ConvTranspose2D, and every second-order term of both. With the windows of x
as the rows of a matrix X (N·OH·OW, kh·kw·C), the three are  XW,  dy Wᵀ  and  Xᵀ dy.

Source: Dumoulin & Visin 2016, sections 2 and 4.
"""

from .registry import op
from .windows import add_windows, windows


@op
def conv(x, W, g):
    """y = ∂T/∂dy.  x (N, H, W, C), W (kh, kw, C, O), g: Geometry over (H, W) -> y (N, OH, OW, O)."""
    X = windows(x, g).reshape(-1, W[..., 0].size)
    return (X @ W.reshape(-1, W.shape[-1])).reshape(len(x), *g.out, W.shape[-1])


@op
def conv_input(dy, W, g):
    """dx = ∂T/∂x, the adjoint of conv.  dy (N, OH, OW, O), W (kh, kw, C, O) -> dx (N, H, W, C)."""
    dX = dy.reshape(-1, W.shape[-1]) @ W.reshape(-1, W.shape[-1]).T
    return add_windows(dX.reshape(len(dy), *g.out, *W.shape[:3]), g)


@op
def conv_weight(x, dy, g):
    """dW = ∂T/∂W.  x (N, H, W, C), dy (N, OH, OW, O) -> dW (kh, kw, C, O)."""
    c, o = x.shape[-1], dy.shape[-1]
    X = windows(x, g).reshape(-1, g.kernel[0] * g.kernel[1] * c)
    return (X.T @ dy.reshape(-1, o)).reshape(*g.kernel, c, o)
