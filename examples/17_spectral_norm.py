# %% [markdown]
# # 17. How does one divide a weight by its largest singular value, and differentiate that?
#
# You will see why spectral normalisation bounds the slope of the discriminator, how power iteration finds the largest
# singular value, and the gradient of the normalised weight, derived and worked out on a matrix of two rows. At the end
# a critic with normalised layers estimates a Wasserstein distance that is known.
#
# **The bound.** A layer $y = xW + b$ stretches differences by at most the largest singular value of $W$,
# $\sigma(W) = \max_{\lVert x\rVert = 1} \lVert xW\rVert$. LeakyReLU does not stretch. So a network is Lipschitz with
# the product of the $\sigma(W_k)$ as constant, and with $\bar W = W/\sigma(W)$ in place of each $W$ with the constant 1
# (Miyato et al. 2018, section 2.1). No penalty and no random points are needed.
#
# **Power iteration.** Let $W = \sum_k \sigma_k v_k u_k^T$ be the singular value decomposition. Then
# $W^T W = \sum_k \sigma_k^2 u_k u_k^T$. One iteration,
#
# $$ v \leftarrow \frac{Wu}{\lVert Wu\rVert}, \qquad u \leftarrow \frac{W^T v}{\lVert W^T v\rVert},
#    \qquad \sigma = v^T W u , $$
#
# multiplies the component of $u$ along $u_k$ by $\sigma_k^2$, so the tangent of the angle between $u$ and $u_1$ shrinks
# by $(\sigma_2/\sigma_1)^2$. During training $W$ changes little in a step, and one iteration for each step is enough.
#
# **The gradient.** Let $d\bar W = \partial L/\partial\bar W$ be known. First the derivative of $\sigma$. If $W$ changes
# by $\delta W$, then $\delta\sigma = \delta v^T W u + v^T \delta W u + v^T W \delta u$. For singular vectors
# $Wu = \sigma v$ and $v^T W = \sigma u^T$, and unit vectors have $v^T\delta v = u^T\delta u = 0$; hence
#
# $$ \delta\sigma = v^T\, \delta W\, u , \qquad \frac{\partial\sigma}{\partial W} = v u^T : $$
#
# $u$ and $v$ may be treated as constants. Then, with $\langle A, B\rangle = \sum_{ij} A_{ij} B_{ij}$,
#
# $$ \delta L = \Big\langle d\bar W,\ \frac{\delta W}{\sigma} - \frac{W}{\sigma^2}\,\delta\sigma \Big\rangle
#    \quad\Longrightarrow\quad
#    dW = \frac{d\bar W - \lambda\, v u^T}{\sigma}, \qquad \lambda = \langle d\bar W, \bar W\rangle . $$
#
# The gradient is orthogonal to $W$: $\langle dW, W\rangle = \lambda - \lambda = 0$, as it must be, since the length of
# $W$ does not change $\bar W$.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, gradcheck, losses, optim
from tinygan.layers import Dense, LeakyReLU, SpectralNorm

SHORT = "TINYGAN_SHORT" in os.environ
W, dW_bar = np.array([[3.0, 0.0], [4.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])


def iterate(u):
    v = W @ u / np.linalg.norm(W @ u)
    return W.T @ v / np.linalg.norm(W.T @ v), v


def gradient(u, v):
    """dW from dW̄ with u and v as constants."""
    sigma = v @ W @ u
    lam = (dW_bar * W).sum() / sigma
    return (dW_bar - lam * np.outer(v, u)) / sigma


u1, v1 = np.array([1, 1]) / 2**0.5, np.array([1, 3]) / 10**0.5
print(f"singular values {np.linalg.svd(W)[1].round(3)}; √45 = {45**0.5:.3f}, √5 = {5**0.5:.3f}")
lam = (dW_bar * W).sum() / 45**0.5
print(f"λ = {lam:.4f}, λ·v uᵀ =", (lam * np.outer(v1, u1)).round(3).tolist())
print("dW·σ =", (gradient(u1, v1) * 45**0.5).round(3).tolist())
print("⟨dW, W⟩ =", round(abs((gradient(u1, v1) * W).sum()), 12))

# %% [markdown]
# **On paper.** For $W = \begin{pmatrix} 3 & 0 \\ 4 & 5 \end{pmatrix}$ we have
# $W^T W = \begin{pmatrix} 25 & 20 \\ 20 & 25 \end{pmatrix}$ with the eigenvalues 45 and 5, so $\sigma = \sqrt{45}$,
# $u = (1, 1)/\sqrt2$ and $v = Wu/\sigma = (1, 3)/\sqrt{10}$. For a loss that is the upper left element of $\bar W$,
# $\lambda = 3/\sqrt{45} = 1/\sqrt5$ and $v u^T = \frac{1}{\sqrt{20}}\begin{pmatrix} 1 & 1 \\ 3 & 3 \end{pmatrix}$. The
# product is the second line above, and $\sigma\,dW$ the third.
#
# Next, power iteration from $u = (1, 0)$. The reference is the derivative of $W/\sigma(W)$ with the *exact* $\sigma$ by
# differences, which knows nothing of $u$ and $v$.

# %%
def along(i):
    E = np.eye(4)[i].reshape(2, 2)
    return gradcheck.derivative(lambda h: ((W + h * E) / np.linalg.norm(W + h * E, 2))[0, 0])[0]


reference = np.array([along(i) for i in range(4)]).reshape(2, 2)
layer = SpectralNorm(Dense(2, 2, bias=False))
layer.params["W"] = W
u, errors = np.array([1.0, 0.0]), []
print("iteration   σ        tan of the angle to u₁   error of dW")
for k in range(1, 7):
    u, v = iterate(u)
    layer.state["u"][...], layer.state["v"][...] = u, v
    grads = layer.zero_grads()
    y, cache = layer.forward(np.eye(2), train=False)      # x = I, so y = W̄; train=False: u and v as they are
    layer.backward(dW_bar, cache, grads)
    angle, error = abs(u[0] - u[1]) / abs(u[0] + u[1]), abs(grads["W"] - reference).max() / abs(reference).max()
    errors.append((angle, error))
    print(f"{k:9}   {v @ W @ u:.5f}  {angle:.1e}                  {error:.1e}")
    assert abs(grads["W"] - gradient(u, v)).max() < 1e-15      # the library's formula is the one above

# %% [markdown]
# The tangent falls by $(\sigma_2/\sigma_1)^2 = 5/45 = 1/9$ at each iteration, and the error of the gradient with it.
# The error of $\sigma$ itself is of second order, since $\sigma$ is a maximum: it falls by $1/81$.
#
# ## A critic that is 1-Lipschitz by construction
# The data and the distance of chapter 16: two modes and, between them, the generator. Any 1-Lipschitz critic gives a
# lower bound of the distance (there, the dual). The same network is trained with plain layers and with normalised ones.

# %%
rng, n = np.random.default_rng(0), 200
x = np.concatenate([rng.normal(-2, 0.3, (n // 2, 1)), rng.normal(2, 0.3, (n // 2, 1))])
y = rng.normal(0, 0.5, (n, 1))
distance = abs(np.sort(x, axis=0) - np.sort(y, axis=0)).mean()
t = np.linspace(-3, 3, 601)[:, None]


def train(wrap, steps=1000 if not SHORT else 20):
    """A critic whose Dense layers go through `wrap`, its estimates of the distance, and its slope at t."""
    D = Sequential([wrap(Dense(1, 64)), LeakyReLU(0.2), wrap(Dense(64, 64)), LeakyReLU(0.2), wrap(Dense(64, 1))],
                   rng=1, dtype="float64")
    opt, history = optim.Adam(optim.cosine(5e-3, steps, 0.01), 0.5, 0.99), []
    for _ in range(steps):
        (r, real_cache), (f, fake_cache) = D.forward(x), D.forward(y)
        loss, dr, df = losses.get("wasserstein").d_loss(r, f)
        grads = D.zero_grads()
        D.backward(dr, real_cache, grads)
        D.backward(df, fake_cache, grads)
        opt.step(D, grads)
        history.append(-float(loss))
    f, cache = D.forward(t, train=False)
    return history, D.backward(np.ones_like(f), cache)


runs = {"plain": train(lambda layer: layer), "spectral norm": train(SpectralNorm)}
print(f"W₁ by sorting {distance:.2f}")
for name, (history, slope) in runs.items():
    print(f"{name:14} estimate {history[-1]:8.1g}, largest slope {abs(slope).max():8.1g}")

# %%
fig = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
left, middle, right = fig.subplots(1, 3)
circle = np.stack([np.cos(np.linspace(0, 2 * np.pi, 200)), np.sin(np.linspace(0, 2 * np.pi, 200))])
left.plot(*circle, color="grey", label="unit circle of u")
left.plot(*(W @ circle), color="#d55e00", label="W u")
left.plot(*(W @ circle / 45**0.5), color="#0072b2", label="W̄ u")
left.annotate("", v1 * 45**0.5, (0, 0), arrowprops={"arrowstyle": "->"})
left.text(3.2, 5.6, "σ v")
left.set(aspect="equal", xlabel="first coordinate", ylabel="second coordinate", xlim=(-9, 9), ylim=(-8, 10))
left.legend(frameon=False, fontsize=8, loc="upper left")
k = np.arange(1, 7)
middle.semilogy(k, [a for a, _ in errors], "o", color="#0072b2", label="tan of the angle to u₁")
middle.semilogy(k, [e for _, e in errors], "s", color="#d55e00", label="relative error of dW")
middle.semilogy(k, 9.0**-k, ":", color="grey", label="1/9 per iteration")
middle.set(xlabel="power iterations", ylabel="error")
middle.legend(frameon=False, fontsize=8)
for (name, (history, _)), color in zip(runs.items(), ("#d55e00", "#0072b2")):
    right.loglog(np.arange(1, len(history) + 1), np.maximum(history, 1e-3), color=color, label=name)
right.axhline(distance, color="black", linestyle="--", linewidth=1, label="W₁")
right.set(xlabel="step of the critic", ylabel="estimated distance", ylim=(0.01, 1e4))
right.legend(frameon=False, fontsize=8)
fig.savefig("17_spectral_norm.png")

# %% [markdown]
# ![a matrix and the normalised one; errors of power iteration; estimates of a distance](17_spectral_norm.png)
#
# Left: $W$ maps the unit circle to an ellipse whose long half-axis is $\sigma v$; the normalised matrix keeps it inside
# the unit circle. Middle: power iteration. Right: the plain critic's estimate grows without bound, the normalised one
# stays below $W_1$.
#
# It stays far below: the bound by the product of the $\sigma(W_k)$ is not tight. Where LeakyReLU passes only a part of
# the units, the slope of the network is smaller than 1 (Anil et al. 2019 study this and other activations). The penalty
# of chapter 16 comes closer to the distance, at the price of a second-order pass for each step.
#
# For a convolution `SpectralNorm` takes the kernel as a matrix (everything else, outputs), as Miyato et al. 2018 do.
# Its largest singular value is not that of the convolution as a map of images, which may be larger.
#
# **Reference.** At convergence the hand-written gradient of the 2 × 2 matrix is that of the exact $W/\sigma(W)$ by
# differences, and the error before that is the one that power iteration predicts.
#
# ## Exercises
# 1. Let $W$ have two equal largest singular values. Where does the derivation fail, and what does power iteration do?
# 2. Show with $\langle dW, W\rangle = 0$ that plain gradient descent can only make $\lVert W\rVert$ grow. What does
#    this do to the effective learning rate of $\bar W$?
# 3. Compute the largest singular value of `Conv2D(1, 4, 3)` on images of 8 × 8 by power iteration with its `forward`
#    (minus the bias) and `backward`, and compare it with that of the kernel as a matrix.
