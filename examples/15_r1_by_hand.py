# %% [markdown]
# # 15. How does one differentiate a gradient penalty without automatic differentiation?
#
# You will see the gradient of the penalty R1 derived three times: for a linear D, where everything is known in closed
# form; for a D with one hidden layer, term by term on numbers; and for any network, by two maps that every layer of
# tinygan has. The results are compared with differences of the penalty.
#
# **The problem.** R1 (Mescheder et al. 2018, eq. 9) penalises the gradient of the logit with respect to real samples,
#
# $$ \varphi(\theta) = \frac{\gamma}{2N} \sum_n \lVert v_n \rVert^2, \qquad v_n = \nabla_x D_\theta(x_n) . $$
#
# The backward pass gives $v$. But $\partial\varphi/\partial\theta$ is the derivative of a derivative, and to form the
# matrix of all mixed second derivatives would be far too expensive.
#
# **The idea.** Let $u_n = \partial\varphi/\partial v_n = \frac{\gamma}{N} v_n$. By the chain rule
# $\partial\varphi/\partial\theta = \sum_n u_n^T\, \partial v_n/\partial\theta$. Hold $u$ constant. Then
#
# $$ \frac{\partial\varphi}{\partial\theta} = \frac{\partial T}{\partial\theta}, \qquad
#    T = \sum_n u_n^T\, \nabla_x D(x_n) = \sum_n \frac{d}{ds} D(x_n + s\,u_n)\Big|_{s=0} . $$
#
# $T$ is a directional derivative. It needs no backward pass: the tangent $u$ is pushed forward through the layers
# beside $x$. Both streams together are an ordinary computation, and its reverse mode gives $\partial T/\partial\theta$:
#
# 1. `forward(x)`: the first stream;
# 2. `backward(1)`: $v$, and from it $u$;
# 3. `jvp(u)`: the second stream, from $u$ to the tangent of the logit, whose sum is $T$;
# 4. `jvp_backward(0, 1)`: reverse mode through both streams, from $\partial T/\partial \ell = 0$ for the logit and
#    $\partial T/\partial\dot\ell = 1$ for its tangent.
#
# **A check at no cost.** Step 4 also returns $\partial T/\partial u$, called `dtx`. As $T$ is linear in $u$ with the
# coefficients $v$, it must equal $v$.
#
# ## A linear D
# For $D(x) = w^T x$ the gradient is $v_n = w$ at every sample, so $\varphi = \frac{\gamma}{2}\lVert w\rVert^2$ and
# $\partial\varphi/\partial w = \gamma w$: R1 is weight decay. The streams give the same: $T = \sum_n u_n^T w$, hence
# $\partial T/\partial w = \sum_n u_n = \gamma w$.

# %%
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinygan import Sequential, gradcheck, penalties
from tinygan.layers import Dense, Softplus, Tanh

gamma, x = 0.5, np.array([[1.0, -1.0], [0.5, 2.0]])


def r1_by_streams(D, x):
    """φ, v, dtx and the gradient of R1 in the parameters, by the four steps."""
    grads = D.zero_grads()
    l, cache = D.forward(x)                                             # 1
    v = D.backward(np.ones_like(l), cache)                              # 2
    u = gamma / len(x) * v
    _, tcache = D.jvp(u, cache)                                         # 3
    _, dtx = D.jvp_backward(0 * l, np.ones_like(l), cache, tcache, grads) # 4
    return gamma / 2 * (v**2).sum() / len(x), v, dtx, grads


linear = Sequential([Dense(2, 1, bias=False)], dtype="float64")
linear.params["0.W"] = np.array([[3.0], [-1.0]])
value, v, dtx, grads = r1_by_streams(linear, x)
print(f"φ = {value:.4f}, v = {v.tolist()}, dw = {grads['0.W'].ravel().tolist()}, γw = {gamma * linear.theta}")

# %% [markdown]
# ## One hidden layer
# $D(x) = w^T \phi(Vx)$ for one sample, a column $x$, with $\phi = \tanh$ on each element. The two streams are
#
# $$ a = Vx,\quad h = \phi(a),\quad \ell = w^T h; \qquad \dot a = Vu,\quad \dot h = \phi'(a)\odot\dot a,\quad
#    T = w^T \dot h . $$
#
# Now reverse mode, from $\partial T/\partial T = 1$. The last two lines are the rules for a sum of products:
#
# $$ \frac{\partial T}{\partial w} = \dot h, \qquad \frac{\partial T}{\partial\dot a} = w\odot\phi'(a) =: p, \qquad
#    \frac{\partial T}{\partial a} = w\odot\phi''(a)\odot\dot a =: q , $$
# $$ \frac{\partial T}{\partial V} = p\,u^T + q\,x^T , \qquad
#    \frac{\partial T}{\partial u} = V^T p = \nabla_x D = v . $$
#
# $V$ stands in both streams, so its gradient has two terms. The first is what a backward pass with the tangents in
# place of the values would give; the second comes from the curvature $\phi'' = -2\tanh\,(1 - \tanh^2)$. With the
# numbers below, for the first sample alone:

# %%
V, w, x1 = np.array([[1.0, 0.5], [-0.5, 1.0]]), np.array([2.0, -1.0]), x[0]
h = np.tanh(V @ x1)
d1, d2 = 1 - h**2, -2 * h * (1 - h**2)      # φ′ and φ″
v1 = V.T @ (w * d1)
u1 = gamma * v1                             # N = 1
ta = V @ u1
p, q = w * d1, w * d2 * ta
first, second = np.outer(p, u1), np.outer(q, x1)
for name, array in dict(h=h, v=v1, u=u1, tangent_of_a=ta, p=p, q=q, dw=d1 * ta, first=first, second=second).items():
    print(f"{name:12} {np.round(array, 4).tolist()}")

one = Sequential([Dense(2, 2, bias=False), Tanh(), Dense(2, 1, bias=False)], dtype="float64")
one.params["0.W"], one.params["2.W"] = V.T, w[:, None]      # the library's x are rows: x Vᵀ
error = lambda a, b: abs(a - b).max() / abs(b).max()
value, v, dtx, grads = r1_by_streams(one, x1[None])
same = bool(error(grads["0.W"].T, first + second) < 1e-14)
print(f"φ = {value:.4f}; the streams give the same dV, to 1e-14: {same}")


def by_differences(D, x):
    """∂φ/∂θ by differences of the penalty itself, which needs only first derivatives."""
    def along(i):
        start = D.theta.copy()

        def moved(h):
            D.theta = start + h * (np.arange(len(start)) == i)
            result = penalties.r1(D, x, gamma, D.zero_grads())
            D.theta = start
            return result
        return gradcheck.derivative(moved)[0]
    return np.array([along(i) for i in range(len(D.theta))])


reference = by_differences(one, x1[None])[:4].reshape(2, 2).T
print(f"dV by differences agrees to 1e-9: {bool(error(first + second, reference) < 1e-9)}")
print(f"error of the first term alone: {error(first, reference):.0%}, of the second: {error(second, reference):.0%}")

# %% [markdown]
# Both terms matter. A penalty without the second one is a mistake that no error message reports: $\varphi$ itself is
# right, and so is its gradient in the last layer.
#
# ## A network
# Nothing above depends on the number of layers. `Sequential` passes the pair (y, ty) from layer to layer, and the pair
# (dy, dty) back. A layer has to know its own two streams only: an affine layer $y = xW + b$ gives
# $dW = x^T dy + \dot x^T d\dot y$, a pointwise layer gives $dx = \phi' dy + \phi''\,\dot x\, d\dot y$. `penalties.r1`
# is the same four steps.

# %%
net = Sequential([Dense(2, 8), Softplus(), Dense(8, 8), Tanh(), Dense(8, 1)], rng=0, dtype="float64")
value, v, dtx, grads = r1_by_streams(net, x)
library, reference = net.zero_grads(), by_differences(net, x)
penalties.r1(net, x, gamma, library)
print(f"{net.theta.size} parameters")
print("the same bits as penalties.r1:", bool((grads.vector == library.vector).all()))
print("differences agree to 1e-9:    ", bool(error(grads.vector, reference) < 1e-9))
print("dtx equals v to 1e-14:        ", bool(error(dtx, v) < 1e-14))
print("gradient of the last bias:    ", float(grads["4.b"][0]))

# %%
fig = Figure(figsize=(10, 4.6))
ax = fig.add_axes([0, 0, 1, 1], xlim=(0, 10), ylim=(0.1, 4.7))
ax.axis("off")
blue, orange = "#0072b2", "#d55e00"
nodes = {"x": (0.8, 3.4, "$x$"), "a": (3.4, 3.4, "$a$"), "h": (6, 3.4, "$h$"), "l": (8.6, 3.4, "$\\ell$"),
         "u": (0.8, 1.2, "$u$"), "ta": (3.4, 1.2, "$\\dot{a}$"), "th": (6, 1.2, "$\\dot{h}$"), "T": (8.6, 1.2, "$T$")}
back = {"a": "$q$", "l": "$0$", "u": "$v$", "ta": "$p$", "th": "$w$", "T": "$1$", "h": "$0$"}
for name, (left, y, text) in nodes.items():
    ax.add_patch(Rectangle((left - 0.35, y - 0.3), 0.7, 0.6, fill=False, edgecolor="#999999"))
    ax.text(left, y, text, ha="center", va="center", fontsize=14, color=blue)
    ax.text(left + 0.5, y - 0.42, back.get(name, ""), ha="center", fontsize=12, color=orange)
style = lambda color: dict(arrowstyle="-|>", color=color, shrinkA=0, shrinkB=0)
for start, end, text in [("x", "a", "$V$"), ("a", "h", "$\\phi$"), ("h", "l", "$w$"), ("u", "ta", "$V$"),
                         ("ta", "th", "$\\phi'(a)$"), ("th", "T", "$w$")]:
    (i, y, _), (j, _, _) = nodes[start], nodes[end]
    ax.annotate("", (j - 0.4, y + 0.1), (i + 0.4, y + 0.1), arrowprops=style(blue))
    ax.text((i + j) / 2, y + 0.2, text, ha="center", fontsize=12, color=blue)
    ax.annotate("", (i + 0.4, y - 0.1), (j - 0.4, y - 0.1), arrowprops=style(orange))
ax.annotate("", (4.6, 1.75), (3.55, 3.05), arrowprops=dict(style(blue), linestyle="--"))
ax.annotate("", (3.25, 3.05), (4.2, 1.75), arrowprops=dict(style(orange), linestyle="--"))
ax.text(4.3, 2.6, "$\\phi'$ depends on $a$", color=blue, fontsize=10)
ax.text(3.3, 2.15, "$\\phi''$", color=orange, fontsize=12, ha="right")
ax.text(0.45, 4.2, "first stream: values (forward)", fontsize=11)
ax.text(0.45, 0.35, "second stream: tangents (jvp)", fontsize=11)
fig.savefig("15_r1_by_hand.svg", metadata={"Date": None})

# %% [markdown]
# ![the two streams and reverse mode through them](15_r1_by_hand.svg)
#
# Blue: forward, values above and tangents below. Orange: reverse mode, `jvp_backward`, with the gradient of $T$ beside
# each node. It enters the first stream only where $\phi'(a)$ couples the two, with the factor $\phi''$. A piecewise
# linear $\phi$, such as LeakyReLU, has $\phi'' = 0$: then the second term vanishes.
#
# ## Exercises
# 1. Why is the gradient of the last bias exactly 0? Show that of `0.b` is not, for $\phi$ with $\phi'' \ne 0$.
# 2. Replace R1 by the one-centred penalty $\lambda\,(\lVert v\rVert - 1)^2$ of WGAN-GP. Which of the four steps
#    changes? Derive $u$, change `r1_by_streams`, and compare with `penalties.wgan_gp` for `x_real` = `x_fake`.
# 3. Count multiplications: how many backward passes does R1 cost in this way, and how many would the matrix of all
#    mixed derivatives $\partial^2 D/\partial x\,\partial\theta$ cost?
