# %% [markdown]
# # 5. What does a transposed convolution compute, and where does its checkerboard pattern come from?
#
# You will see the layer with which generators enlarge images: how it lays down overlapping copies of its kernel, why
# it is the gradient of a convolution, and how many copies reach each output pixel. Where this number differs from pixel
# to pixel, images get a checkerboard pattern.
#
# **Definition.** [Chapter 4](04_convolution.md) wrote a convolution as a matrix, $y = Ax$, with the adjoint
# $dx = A^T dy$. A transposed convolution uses this adjoint as its forward pass: $y = A^T x$. On one axis, with $m$
# inputs, stride $s$ and padding $p$,
#
# $$ y_a = \sum_{(i,u)\,:\; s i + u - p = a} x_i\, w_u : $$
#
# input $x_i$ lays down a copy of $w$, times $x_i$, at the places $s i - p, \dots, s i - p + k - 1$; copies that overlap
# are added, and what lies in the padding is cut off.
#
# **With a pencil.** $x = (1, 2, -1)$, $w = (1, 2, 3)$, $s = 2$, $p = 0$:
#
# | place | 0 | 1 | 2 | 3 | 4 | 5 | 6 |
# |---|---|---|---|---|---|---|---|
# | $1 \cdot w$ | 1 | 2 | 3 | | | | |
# | $2 \cdot w$ | | | 2 | 4 | 6 | | |
# | $-1 \cdot w$ | | | | | −1 | −2 | −3 |
# | $y$ | 1 | 2 | 5 | 4 | 5 | −2 | −3 |
#
# **Output size.** The last copy ends at $s (m - 1) + k$; the padding removes $2p$:
#
# $$ n = s (m - 1) + k - 2p + e , \qquad e = 0, \dots, s - 1 . $$
#
# Why $e$, the output padding? A convolution with stride $s$ maps $s$ different sizes $n$ to the same
# $m = \lfloor (n + 2p - k)/s \rfloor + 1$, since the floor drops the remainder; going back, one has to choose. Padding
# "same" chooses $n = s m$.
#
# **The trilinear form** is that of the convolution with the roles of $dy$ and $x$ exchanged: $x$ stands where the
# convolution has its output, $dy$ where it has its input.
#
# $$ T = \langle dy, A^T x \rangle = \langle A\,dy, x \rangle = \sum_{i,u} x_i\; dy_{s i + u - p}\; w_u : \qquad
#    y = A^T x , \qquad dx = A\,dy , \qquad dw_u = \sum_i x_i\; dy_{s i + u - p} . $$
#
# So the backward pass of a transposed convolution is a convolution, and the same three functions serve both layers.

# %%
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, inspect, models
from tinygan.layers import Conv2D, ConvTranspose2D, UpSampling2D


def matrix(layer, shape):
    """A linear layer as a matrix (outputs, inputs): its columns are the outputs of the unit vectors of this shape."""
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    return layer.forward(units)[0].reshape(len(units), -1).T


def pair(k, W, c_in=1, c_out=1, s=(1, 2), padding="valid"):
    """A transposed convolution and the convolution that it is the adjoint of, with the same array W."""
    up = ConvTranspose2D(c_in, c_out, k, stride=s, padding=padding, bias=False)
    down = Conv2D(c_out, c_in, k, stride=s, padding=padding, bias=False)
    up.params["W"] = down.params["W"] = W
    return up, down


x, w, dy = np.array([1.0, 2, -1]), np.array([1.0, 2, 3]), np.array([1.0, 0, -1, 2, 0, 1, 1])
up, down = pair((1, 3), w[None, :, None, None])
y, cache = up.forward(x[None, None, :, None])
grads = up.zero_grads()
dx = up.backward(dy[None, None, :, None], cache, grads)
print("y ", y.ravel().astype(int), "  dx", dx.ravel().astype(int), "  dW", grads["W"].ravel().astype(int))
At, A = matrix(up, (1, 3, 1)), matrix(down, (1, 7, 1))
print("Aᵀ as rows:", *At.astype(int))
print("the transpose of the convolution's matrix:", (At == A.T).all(), "  dx = A dy:", (A @ dy == dx.ravel()).all())
print(f"dx[1] = 1·(-1) + 2·2 + 3·0 = {dx.flat[1]:.0f}   dw[0] = 1·1 + 2·(-1) + (-1)·0 = {grads['W'].flat[0]:.0f}")
print("not the inverse: A Aᵀ x =", (A @ At @ x).astype(int))

rng = np.random.default_rng(0)
up, down = pair(5, rng.standard_normal((5, 5, 3, 4)), c_in=4, c_out=3, s=2, padding="same")
print("5×5, stride 2, 4 channels to 3, padding same:", np.array_equal(matrix(up, (4, 4, 4)), matrix(down, (8, 8, 3)).T))

stretched = np.zeros(5)
stretched[::2] = x
print("zeros between the inputs, then a convolution:", np.convolve(stretched, w).astype(int))
for k, p, e in [(3, 0, 0), (3, 0, 1), (3, 1, 1), (4, 1, 0), (5, 2, 1)]:
    up = ConvTranspose2D(1, 1, (1, k), stride=(1, 2), padding=(0, p), output_padding=(0, e))
    down = Conv2D(1, 1, (1, k), stride=(1, 2), padding=(0, p))
    large = up.forward(np.ones((1, 1, 7, 1)))[0]
    print(f"k = {k}, p = {p}, e = {e}: from 7 to {large.shape[2]}, by the formula {2 * 6 + k - 2 * p + e};",
          f"the convolution goes back to {down.forward(large)[0].shape[2]}")

# %% [markdown]
# **Not an inverse.** $A^T$ has the shape of an inverse, but $A A^T$ is not the identity. (The name deconvolution, which
# is also in use, suggests otherwise.) What $A^T$ returns is a gradient, that of $\langle x, A y \rangle$ in $y$.
#
# **Another way to compute it** (Dumoulin & Visin 2016, section 4): put $s - 1$ zeros between the inputs, then convolve
# with stride 1. It gives the same numbers, but with $s = 2$ half of the products on each axis have a factor 0.
#
# **How many copies reach a pixel?** Away from the border, place $a$ receives the taps $u = r, r + s, r + 2s, \dots$
# below $k$, where $r = (a + p) \bmod s$. There are $\lceil (k - r)/s \rceil$ of them: the same number everywhere if $s$
# divides $k$, and two different numbers otherwise. On two axes the numbers multiply. A layer whose weights and inputs
# are all 1 counts them:

# %%
LIGHT = {1: "#ffffff", 2: "#cfe3f1", 3: "#9ecae8", 4: "#f9dcc0", 6: "#f6c28b", 9: "#e8964a"}      # by count


def squares(ax, values, colours):
    """An array as squares with numbers; NaN: no square."""
    for (r, c), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.add_patch(matplotlib.patches.Rectangle((c, r), 1, 1, facecolor=colours[r][c], edgecolor="#999999"))
            ax.text(c + 0.5, r + 0.5, f"{value:.0f}", ha="center", va="center", fontsize=10)
    ax.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0), aspect="equal")


def counts(k, size=(1, 1), s=(2, 2)):
    """How many taps reach each output: ones through a layer of ones, without padding."""
    up, _ = pair(k, np.ones((*k, 1, 1)), s=s)
    return up.forward(np.ones((1, *size, 1)))[0][0, :, :, 0]


fig = Figure(figsize=(11, 7.4), dpi=100, layout="constrained")
axes = fig.subplot_mosaic([["p3"] * 3 + ["p4"] * 3, ["c3"] * 2 + ["c4"] * 2 + ["c5"] * 2], height_ratios=(4, 5))
for k, kernel in (3, w), (4, np.array([1.0, 2, 3, 1])):
    n = 2 * 2 + k
    table = np.full((5, n), np.nan)
    for i, value in enumerate(x):
        table[i, 2 * i:2 * i + k] = value * kernel
    table[4] = np.nansum(table[:3], axis=0)
    reach = counts((1, k), (1, 3), (1, 2))[0]
    squares(axes[f"p{k}"], table, [["#ffffff"] * n] * 4 + [[LIGHT[int(count)] for count in reach]])
    axes[f"p{k}"].set_yticks([0.5, 1.5, 2.5, 4.5], ["1·w", "2·w", "-1·w", "y"])
    axes[f"p{k}"].set_xticks(np.arange(n) + 0.5, range(n))
    axes[f"p{k}"].set(title=f"k = {k}, s = 2: copies of w = {tuple(kernel.astype(int).tolist())}", xlabel="place a")
for k in (3, 4, 5):
    reach = counts((k, k), (5, 5))[:9, :9]
    squares(axes[f"c{k}"], reach, [[LIGHT[int(count)] for count in row] for row in reach])
    axes[f"c{k}"].set(title=f"k = {k}, s = 2: taps per pixel", xlabel="column", ylabel="row", xticks=[], yticks=[])
    inside = counts((k, k), (9, 9))[8:10, 8:10].astype(int)
    print(f"k = {k}: taps of pixels (even, even), (even, odd), (odd, even), (odd, odd):", *inside.flat)
with matplotlib.rc_context({"svg.hashsalt": "tinygan"}):       # the same file every time
    fig.savefig("05_transposed_convolution.svg", metadata={"Date": None})

# %% [markdown]
# ![copies of the kernel on one axis, and the number of taps that reach each pixel](05_transposed_convolution.svg)
#
# Above: each row is the copy that one input lays down, the last row their sum, darker where two copies overlap. Below:
# the upper left corner of an image. On two axes $k = 3$ gives 4, 2, 2 and 1 taps: the checkerboard (Odena et al. 2016).
# $k = 4$ gives 4 everywhere inside.
#
# **Does it show in a generator?** The weights of a new network are independent with mean 0, so the mean square of an
# output pixel is proportional to its number of taps. The DCGAN here has $k = 5$ and $s = 2$, hence 9, 6, 6 and 4 taps.
# Measured at its first layer of stride 2, over 20 networks:

# %%
power, z = np.zeros((2, 2)), rng.standard_normal((8, 100), dtype="float32")
for seed in range(20):
    G, _ = models.dcgan_small(rng=seed)
    record = {r.name: r for r in inspect.layers(G, z, np.ones_like)}["7 ConvTranspose2D"]
    inside = record.output[:, 4:10, 4:10]       # away from the border
    power += [[(inside[:, i::2, j::2]**2).mean() / 20 for j in (0, 1)] for i in (0, 1)]
print(record.layer, "mean squares, the largest set to 9:", *(9 * power / power.max()).round().astype(int).flat)

print("doubling a constant image, 2000 random kernels: standard deviation between pixels / root mean square")
for name, net in {"k = 3, stride 2": Sequential([ConvTranspose2D(1, 2000, 3, stride=2)], rng=0, dtype="float64"),
                  "k = 4, stride 2": Sequential([ConvTranspose2D(1, 2000, 4, stride=2)], rng=0, dtype="float64"),
                  "UpSampling2D, Conv2D": Sequential([UpSampling2D(2), Conv2D(1, 2000, 3)], rng=0, dtype="float64"),
                  }.items():
    inside = net.forward(np.ones((1, 6, 6, 1)))[0][:, 4:8, 4:8]
    print(f"{name:21}: {(inside.var(axis=(1, 2)).mean() / (inside**2).mean())**0.5:.2f}")
print(f"four independent values: √(3/4) = {0.75**0.5:.2f}")

# %% [markdown]
# The 9 is at (odd, odd), as padding "same" moves the pattern by one pixel. The last table says what a kernel size
# divisible by the stride does and does not do. With $k = 4$ all pixels have the same number of taps, but pixels of the
# four classes still use different weights (the layer is four 2 × 2 convolutions, interleaved), so a new network has a
# pattern all the same; training has to make the classes agree. Enlarging by copying pixels and then convolving uses all
# weights at every pixel, and a constant image stays constant.
#
# **Reference.** The matrix of `ConvTranspose2D` is the transpose of that of `Conv2D` entry by entry, the output sizes
# are those of the formula, and the measured 9, 6, 6, 4 are the counts.
#
# ## Exercises
# 1. Which $w$ with $k = 3$, $s = 2$ enlarge a constant image without a pattern? Derive the condition on one axis, check
#    it with $w = (1, 2, 1)$, which is twice linear interpolation, and find the condition for $k = 4$.
# 2. For which $k$ do all pixels get the same number of taps with stride 3? Give the formula, then check with `counts`.
# 3. Write $y$ of a transposed convolution with stride 1 as an ordinary convolution: which kernel, which padding? Check
#    with `matrix`.
