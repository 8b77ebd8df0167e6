# %% [markdown]
# # 1. How does one number describe a dense layer and all of its gradients?
#
# You will see a dense layer with integers, small enough for pencil and paper: its output, the gradient of its input and
# that of its weights. All three come from one formula, so there is one formula to remember instead of three.
#
# **The layer.** A batch $x$ of $N = 2$ samples with 3 numbers each, weights $W$ and a bias $b$ give $y = xW + b$:
#
# $$ y_{no} = \sum_i x_{ni} W_{io} + b_o , \qquad
#    x = \begin{pmatrix} 1 & 2 & 0 \\ 3 & -1 & 1 \end{pmatrix}, \quad
#    W = \begin{pmatrix} 1 & 0 \\ 2 & -1 \\ 0 & 3 \end{pmatrix}, \quad b = (1, -1) . $$
#
# Behind the layer some loss $L(y)$ is computed. The layer needs to know only $dy = \partial L/\partial y$, which has
# the shape of $y$; it returns $dx = \partial L/\partial x$ and adds up $dW$ and $db$. By the chain rule
#
# $$ dW_{io} = \frac{\partial L}{\partial W_{io}} = \sum_{n,p} dy_{np}\,\frac{\partial y_{np}}{\partial W_{io}}
#    = \frac{\partial}{\partial W_{io}} \sum_{n,p} dy_{np}\, y_{np} \quad\text{with } dy \text{ held constant.} $$
#
# The same holds for $x$. So all gradients of the layer are derivatives of one number, the last sum. Leave the bias
# aside and call it $T$:
#
# $$ T(dy, x, W) = \sum_{n,i,o} dy_{no}\, x_{ni}\, W_{io} . $$
#
# $T$ is **trilinear**: linear in each of its three arguments while the other two are constant. The derivative in one
# argument is what remains when this factor is taken out of the sum; its indices stay, and the third index is summed.
#
# | derivative | index equation | sums | as matrices | shape |
# |---|---|---|---|---|
# | output $xW = \partial T/\partial\,dy$ | $\sum_i x_{ni} W_{io}$ | inputs $i$ | $xW$ | (2, 3)(3, 2) = (2, 2) |
# | $dx = \partial T/\partial x$ | $\sum_o dy_{no} W_{io}$ | outputs $o$ | $dy\,W^T$ | (2, 2)(2, 3) = (2, 3) |
# | $dW = \partial T/\partial W$ | $\sum_n x_{ni}\, dy_{no}$ | samples $n$ | $x^T dy$ | (3, 2)(2, 2) = (3, 2) |
#
# The transposes need no memorising: they only bring the summed index into the middle. The bias contributes
# $\sum_{n,o} dy_{no} b_o$, hence $db_o = \sum_n dy_{no}$.
#
# In `numpy.einsum` the table is four strings: to differentiate in one array, its letters move behind the arrow.

# %%
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tinygan import gradcheck
from tinygan.layers import Dense

x = np.array([[1.0, 2, 0], [3, -1, 1]])
W = np.array([[1.0, 0], [2, -1], [0, 3]])
b = np.array([1.0, -1])
dy = np.array([[1.0, -1], [2, 3]])      # as some loss might give it


def form(dy, x, W):
    """T(dy, x, W)."""
    return np.einsum("no,ni,io->", dy, x, W)


def maps(dy, x, W):
    """The partial derivatives of T in dy, x and W."""
    return np.einsum("ni,io->no", x, W), np.einsum("no,io->ni", dy, W), np.einsum("no,ni->io", dy, x)


xW, dx, dW = maps(dy, x, W)
for name, array in {"x W": xW, "y": xW + b, "dx": dx, "dW": dW, "db": dy.sum(0)}.items():
    print(f"{name:4}", array.astype(int).tolist())
print("T =", *(int(value) for value in (form(dy, x, W), (dy * xW).sum(), (dx * x).sum(), (dW * W).sum())))

# %% [markdown]
# The last line is $T$ from its definition, then $\langle dy, xW \rangle$, $\langle dx, x \rangle$ and
# $\langle dW, W \rangle$, where $\langle a, b \rangle$ is the sum of the products of all entries. They agree because a
# linear function equals its derivative times its argument. A wrong sign or a wrong transpose breaks this equality: it
# is a test of the three maps that needs no differences.
#
# **One entry of each, as a sum.** In the picture each of the three arrays keeps its place; their rows and columns are
# samples $n$, inputs $i$ and outputs $o$. Orange is the entry that is computed, blue the two rows or columns that are
# multiplied and added. Which of the three arrays has the orange entry is the only difference between the panels.

# %%
BLUE, ORANGE, LIGHT = "#0072b2", "#d55e00", "#cfe3f1"


def cells(ax, top, left, array, title, lit, target):
    """An array as squares with numbers; lit: the index of the entries to sum, target: that of the result."""
    blue = np.zeros(array.shape, bool)
    if lit is not None:
        blue[lit] = True
    for (r, c), value in np.ndenumerate(array):
        orange = (r, c) == target
        ax.add_patch(matplotlib.patches.Rectangle((left + c, top + r), 1, 1, edgecolor="grey", linewidth=1,
                                                  facecolor=ORANGE if orange else LIGHT if blue[r, c] else "white"))
        ax.text(left + c + 0.5, top + r + 0.5, f"{value:.0f}", ha="center", va="center", fontsize=13,
                color="white" if orange else BLUE if blue[r, c] else "black")
    ax.text(left, top - 0.15, title, fontsize=11)


def spelled(a, b):
    """Σ aₖ bₖ as text."""
    one = lambda value: f"({value:.0f})" if value < 0 else f"{value:.0f}"
    return " + ".join(f"{one(p)}·{one(q)}" for p, q in zip(a, b)) + f" = {a @ b:.0f}"


row, column = np.s_[0, :], np.s_[:, 1]
PANELS = {      # the sum: for each of the three places the array, its name, what is lit, what is computed
    f"(xW)[0,1] = {spelled(x[row], W[column])}": (
        "i", (x, "x[n,i]", row, None), (W, "W[i,o]", column, None), (xW, "(xW)[n,o]", None, (0, 1))),
    f"dx[0,1] = {spelled(dy[row], W[1])}": (
        "o", (dx, "dx[n,i]", None, (0, 1)), (W, "W[i,o]", np.s_[1, :], None), (dy, "dy[n,o]", row, None)),
    f"dW[1,1] = {spelled(x[column], dy[column])}": (
        "n", (x, "x[n,i]", column, None), (dW, "dW[i,o]", None, (1, 1)), (dy, "dy[n,o]", column, None)),
}
fig = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
for ax, (title, (index, *places)) in zip(fig.subplots(1, 3), PANELS.items()):
    for (top, left), place in zip(((4, 0), (0, 3.8), (4, 3.8)), places):
        cells(ax, top, left, *place)
    ax.set(xlim=(-0.7, 6.5), ylim=(6.2, -0.7), aspect="equal")
    ax.set_title(f"{title}\nthe sum over {index}", fontsize=12)
    ax.axis("off")
    print(title)
with matplotlib.rc_context({"svg.hashsalt": "tinygan"}):       # the same file every time
    fig.savefig("01_dense_layer.svg", metadata={"Date": None})

# %% [markdown]
# ![the three contractions, one entry of each in orange](01_dense_layer.svg)
#
# Both samples contribute to one weight ($dW$ sums over $n$), and both outputs to one input ($dx$ sums over $o$). Where
# $dW$ is 0, at $dW_{10} = 2\cdot 1 + (-1)\cdot 2$, the two samples pull this weight in opposite directions.
#
# **Check by differences.** Take the loss $L = \tfrac12 \sum (y - t)^2$ with the target $t = y - dy$, so that
# $\partial L/\partial y = dy$. The central difference $(L(W + hE) - L(W - hE))/2h$, where $E$ is 1 at one entry and 0
# elsewhere, is exact for a quadratic $L$, so even $h = 1$ gives the derivative in integers. (Other losses need a small
# $h$; [chapter 8](08_gradient_check.md) says how small.)

# %%
target = xW + b - dy


def loss(x, W, b):
    """½ Σ (y − t)²."""
    return 0.5 * ((x @ W + b - target)**2).sum()


def difference(f, a, h=1.0):
    """∂f/∂a by central differences, one entry of a at a time."""
    steps = h * np.eye(a.size).reshape(-1, *a.shape)
    return np.array([(f(a + e) - f(a - e)) / (2 * h) for e in steps]).reshape(a.shape)


print("loss", loss(x, W, b))
print("by differences   dx", difference(lambda a: loss(a, W, b), x).astype(int).tolist(),
      "  dW", difference(lambda a: loss(x, a, b), W).astype(int).tolist(),
      "  db", difference(lambda a: loss(x, W, a), b).astype(int).tolist())

layer = Dense(3, 2)
layer.params["W"], layer.params["b"] = W, b
y, cache = layer.forward(x)             # the cache holds x, which dW needs
grads = layer.zero_grads()
print("tinygan's Dense  dx", layer.backward(dy, cache, grads).astype(int).tolist(),
      "  dW", grads["W"].astype(int).tolist(), "  db", grads["b"].astype(int).tolist())
print("all four maps agree with differences:", gradcheck.check_layer(layer, x).ok)

# %% [markdown]
# **Reference.** The three ways, by the table, by differences and by `tinygan.layers.Dense`, give the same integers. The
# last line is the library's own check, which also covers the second order: the derivatives of $dx$ and $dW$ are again
# derivatives of $T$, for example $\partial \langle u, dx \rangle/\partial W = \partial T(dy, u, W)/\partial W$ for a
# constant $u$. This is why gradient penalties need no new formulas for this layer. Convolutions have a trilinear form
# too ([chapter 4](04_convolution.md)).
#
# ## Exercises
# 1. Append a third sample to $x$ whose row of $dy$ is $(0, 0)$. Which of $y$, $dx$, $dW$ and $db$ change, and how?
#    Predict first, then run the code.
# 2. Append a column of ones to $x$ and the row $b$ to $W$. Show that the bias is then part of $T$ and that $db$ is a
#    row of $dW$. What is the new column of $dx$, and why may it be dropped?
# 3. A layer scales its outputs, $y_{no} = s_o \sum_i x_{ni} W_{io}$. Its form has four arguments. Derive $ds$, $dx$ and
#    $dW$, write them as `einsum` strings and check them with `difference`.
