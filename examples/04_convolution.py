# %% [markdown]
# # 4. What is a convolution, and why are its gradients convolutions too?
#
# You will see a convolution written out as a matrix, its gradients as the transpose of that matrix and as a sum over
# positions, and one entry of each computed with a pencil, for a 3 × 3 kernel on a 4 × 4 image of integers.
#
# **One axis first.** A kernel $w$ of $k$ numbers (taps) slides over $x$ of length $n$. Output $i$ looks at the $k$
# inputs that start at $s i - p$, where the stride $s$ is the step between windows and the padding $p$ counts the zeros
# that are appended at each end:
#
# $$ y_i = \sum_u x_{s i + u - p}\, w_u . $$
#
# The last window must end inside: $s (n_y - 1) + k \le n + 2p$. So there are $n_y = \lfloor (n + 2p - k)/s \rfloor + 1$
# outputs. (What deep learning calls convolution is called cross-correlation in signal processing, where a convolution
# flips $w$ first.)
#
# **As a matrix.** $y$ is linear in $x$, so $y = Ax$. The entry $A_{ia}$ is the tap with which output $i$ reads input
# $a = s i + u - p$:
#
# $$ A_{ia} = w_{a - s i + p} \ \text{ if } 0 \le a - s i + p < k, \text{ otherwise } 0 . $$
#
# Each row has the same $k$ numbers (fewer at the border), $s$ columns farther right than the row above. It differs from
# the matrix of a dense layer in two ways: most entries are 0, and the others are shared.
#
# **The trilinear form** is again one number, $T = \langle dy, Ax \rangle$, and its three derivatives are the layer:
#
# $$ T(dy, x, w) = \sum_{i,u} dy_i\; x_{s i + u - p}\; w_u : \qquad
#    y = Ax , \qquad dx = A^T dy , \qquad dw_u = \sum_i dy_i\; x_{s i + u - p} . $$
#
# Each tap is used at every position $i$, so its gradient is the sum over all positions.

# %%
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tinygan.ops.conv import conv, conv_input, conv_weight
from tinygan.ops.windows import geometry


def taps(n, k, s, p):
    """a − s·i + p for all outputs i (rows) and inputs a (columns): which tap reads which input; −1 for none."""
    outputs = (n + 2 * p - k) // s + 1
    tap = np.arange(n) - s * np.arange(outputs)[:, None] + p
    return np.where((tap >= 0) & (tap < k), tap, -1)


def matrix(W, size, stride=(1, 1), pad=(0, 0)):
    """A convolution of one channel as a matrix (outputs, inputs): W (kh, kw), size (H, W) of the image."""
    rows, columns = (taps(*one) for one in zip(size, W.shape, stride, pad))
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]       # as indices (i, j, a, b)
    A = np.where((rows >= 0) & (columns >= 0), W[rows, columns], 0.0)
    return A.reshape(A.shape[0] * A.shape[1], -1)


def spelled(a, b):
    """Σ aₖ bₖ as text."""
    one = lambda value: f"({value:.0f})" if value < 0 else f"{value:.0f}"
    return " + ".join(f"{one(p)}·{one(q)}" for p, q in zip(a.flat, b.flat)) + f" = {(a * b).sum():.0f}"


def image(a):
    """(H, W) -> (1, H, W, 1), as tinygan's layers take it."""
    return a[None, :, :, None]


w, x1, dy1 = np.array([[1.0, 2, -1]]), np.array([1.0, 2, 0, -1, 3]), np.array([1.0, 0, 2, -1, 1])
A1, A2 = (matrix(w, (1, 5), (1, stride), (0, 1)) for stride in (1, 2))
print("A, stride 1, padding 1:")
print(A1.astype(int))
print("y = A x", (A1 @ x1).astype(int), "  dx = Aᵀ dy", (A1.T @ dy1).astype(int))
print("y[1] =", spelled(x1[0:3], w), "  dw[2] =", spelled(dy1[:4], x1[1:]))
print("stride 2:", *A2.astype(int))
print("numpy.correlate:", np.correlate(np.pad(x1, 1), w[0], "valid").astype(int),
      "  numpy.convolve:", np.convolve(dy1, w[0], "full")[1:-1].astype(int))

# %% [markdown]
# A larger **stride** keeps every $s$-th row of $A$. On the **padded** input, with its zeros written out, the matrix
# would have 5 × 7 entries; $A$ is what remains without the first and the last column, which multiply zeros.
#
# In `dw[2]` the last tap meets $x_1$ to $x_4$; its fifth window ends in the padding, which adds 0.
#
# The last line is the reference: NumPy's own functions. $y$ is a correlation with $w$, and **the gradient $dx$ is the
# convolution of $dy$ with $w$**, that is, the correlation with the flipped kernel: the rows of $A^T$ have the taps in
# reversed order.
#
# **Two axes** add a sum over the second axis, and channels a sum over $c$, with a kernel for each pair of an input and
# an output channel:
#
# $$ y_{nijo} = \sum_{u,v,c} x_{n,\, si+u-p,\, sj+v-p,\, c}\; W_{uvco} . $$
#
# The three derivatives of $T = \sum dy_{nijo}\, y_{nijo}$ are three functions in
# [ops/conv.py](../tinygan/ops/conv.py). Here they are with one channel, stride 1, no padding:

# %%
x = np.array([[1.0, 2, 0, 3], [0, 1, -1, 2], [2, 0, 1, 1], [1, -1, 3, 0]])
W = np.array([[1.0, 0, 2], [-1, 3, 0], [0, 1, -2]])
dy = np.array([[1.0, -1], [2, 3]])
g, kernel = geometry((4, 4), (3, 3), (1, 1), "valid"), W[:, :, None, None]       # tinygan's W: (kh, kw, c, o)
y, dx = conv(image(x), kernel, g)[0, :, :, 0], conv_input(image(dy), kernel, g)[0, :, :, 0]
dW = conv_weight(image(x), image(dy), g)[:, :, 0, 0]
for name, array in {"x": x, "W": W, "dy": dy, "y": y, "dx": dx, "dW": dW}.items():
    print(f"{name:3}", array.astype(int).tolist())
A = matrix(W, x.shape)
print("the matrix gives the same:", (A @ x.ravel() == y.ravel()).all(), (A.T @ dy.ravel() == dx.ravel()).all())
print("y[0,1]  =", spelled(x[0:3, 1:4], W))
print("dx[1,2] =", spelled(dy, W[1::-1, 2:0:-1]))
print("dx[0,0] =", spelled(dy[:1, :1], W[:1, :1]))
print("dW[0,1] =", spelled(dy, x[0:2, 1:3]))

# %% [markdown]
# `y[0,1]` sums the nine products of a window and the kernel. `dx[1,2]`: this pixel stands in all four windows, each
# time under another tap, $W_{1-i, 2-j}$ in window $(i, j)$; the corner `dx[0,0]` stands in one window. `dW[0,1]`: this
# tap reads a 2 × 2 part of the image, one pixel for each output.

# %%
COLOURS = ("#9ecae8", "#f6c28b", "#a5dcc4", "white")        # by tap, or by row of the 2-D kernel; last (−1): none


def draw(ax, tap, values, title, xlabel="input a", ylabel="output i"):
    """A matrix as squares with its entries."""
    for (r, c), k in np.ndenumerate(tap):
        ax.add_patch(matplotlib.patches.Rectangle((c, r), 1, 1, facecolor=COLOURS[k], edgecolor="#bbbbbb"))
        if k >= 0:
            ax.text(c + 0.5, r + 0.5, f"{values[r, c]:.0f}", ha="center", va="center", fontsize=10)
    ax.set(xlim=(0, tap.shape[1]), ylim=(tap.shape[0], 0), aspect="equal", xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(np.arange(tap.shape[1]) + 0.5, range(tap.shape[1]))
    ax.set_yticks(np.arange(tap.shape[0]) + 0.5, range(tap.shape[0]))
    ax.set_title(title, fontsize=11)


fig = Figure(figsize=(11, 6), dpi=100, layout="constrained")
axes = fig.subplot_mosaic("abc;ddd", height_ratios=(5, 4.4))
draw(axes["a"], taps(5, 3, 1, 1), A1, "one axis: A, stride 1, padding 1")
draw(axes["b"], taps(5, 3, 2, 1), A2, "A, stride 2, padding 1")
draw(axes["c"], taps(5, 3, 2, 1).T, A2.T, "its transpose: dx = Aᵀ dy", "output i", "input a")
kernel_row = (matrix(np.arange(1, 10).reshape(3, 3), x.shape).astype(int) - 1) // 3
draw(axes["d"], kernel_row, A, "two axes: the 3 × 3 kernel on a 4 × 4 image", "input pixel 4a + b", "output 2i + j")
with matplotlib.rc_context({"svg.hashsalt": "tinygan"}):       # the same file every time
    fig.savefig("04_convolution.svg", metadata={"Date": None})

# %% [markdown]
# ![convolutions as matrices, on one axis and on two](04_convolution.svg)
#
# Squares of one colour are one tap (above) or one row of the kernel (below); white entries are always 0. In two axes
# the pattern of one axis repeats at two scales: pixels within a row, and rows within the image. A dense layer would
# have 64 weights here, the convolution has 9.
#
# **Checking an adjoint.** For any $x$, $W$ and $dy$ the three maps must give the same number $T$:
#
# $$ \langle dy, \text{conv}(x, W) \rangle = \langle \text{conv-input}(dy, W), x \rangle
#    = \langle \text{conv-weight}(x, dy), W \rangle . $$
#
# With integers the equality is exact. The last column replaces $W$ in the second map by the flipped kernel, a common
# mistake: the number is another one, so the test finds it.

# %%
rng = np.random.default_rng(0)
integers = lambda *shape: rng.integers(-3, 4, shape).astype(float)
inner = lambda a, b: int((a * b).sum())
print("image     kernel  stride  padding   <dy,conv>  <conv_input,x>  <conv_weight,W>  with a flipped kernel")
for size, k, stride, padding in [((6, 7), (3, 3), (1, 1), "same"), ((8, 8), (5, 5), (2, 2), "same"),
                                 ((7, 9), (2, 3), (2, 1), "valid"), ((5, 5), (3, 3), (2, 2), ((1, 1), (1, 1)))]:
    g = geometry(size, k, stride, padding)
    a, K, d = integers(2, *size, 3), integers(*k, 3, 4), integers(2, *g.out, 4)      # batch 2, 3 channels to 4
    one = inner(d, conv(a, K, g)), inner(conv_input(d, K, g), a), inner(conv_weight(a, d, g), K)
    print(f"{size}    {k}  {stride}  {padding if isinstance(padding, str) else '1':8}",
          *(f"{number:11}" for number in one), f"{inner(conv_input(d, K[::-1, ::-1], g), a):16}")

# %% [markdown]
# **Reference.** Four independent ways agree: the matrix from its index formula, NumPy's `correlate` and `convolve`, the
# pencil's sums and `tinygan.ops.conv`. The same three functions serve `ConvTranspose2D`, where the matrix is transposed
# ([chapter 5](05_transposed_convolution.md)), and every second derivative, as in chapter 1. (Geometry and sizes as in
# Dumoulin & Visin 2016.)
#
# ## Exercises
# 1. A window of 3 × 3 slides over 4 × 4 pixels. Count for each pixel in how many windows it stands, first by thinking,
#    then as `A.T @ ones` with a kernel of ones. What does the count say about $dx$ at the border of an image?
# 2. Show that padding 1 and stride 1 keep the size for $k = 3$. Which padding does $k = 5$ need, and why can $k = 4$
#    not be padded equally at both ends?
# 3. Write the backward pass of a dilated convolution, $y_i = \sum_u x_{i + 2u} w_u$: change `taps`, derive the three
#    maps from the matrix and check them with the equality above.
