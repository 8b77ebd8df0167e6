# %% [markdown]
# # 11. What happens in one training step of a GAN?
#
# You will see one step of the discriminator D and one step of the generator G, of a GAN with nine parameters, with
# every array printed: logits, losses, all gradients, both moments of Adam, and the new parameters. `tinygan.GAN` then
# takes the same step and must arrive at the same parameters.
#
# **The networks.** A batch holds $N = 2$ samples, which are single numbers. In matrices whose rows are samples,
#
# $$ G:\ x = z\,W + b, \qquad D:\ a = x\,V + c, \quad h = \tanh a, \quad \ell = h\,w + e , $$
#
# with $W$ (1, 1) and $b$ (1,) of G; $V$ (1, 2), $c$ (2,), $w$ (2, 1) and $e$ (1,) of D. The output $\ell$ is a logit:
# $\sigma(\ell) = 1/(1 + e^{-\ell})$ is the probability that a sample is real.
#
# **The losses** (Goodfellow et al. 2014, Algorithm 1; the non-saturating loss of its section 3), with $r$ the logits of
# real and $f$ those of fake samples. The derivatives follow from $\frac{d}{d\ell} \log(1 + e^{\ell}) = \sigma(\ell)$:
#
# $$ L_D = \tfrac1N \sum_n \log(1 + e^{-r_n}) + \tfrac1N \sum_n \log(1 + e^{f_n}), \qquad
#    \frac{\partial L_D}{\partial r_n} = \frac{\sigma(r_n) - 1}{N}, \quad
#    \frac{\partial L_D}{\partial f_n} = \frac{\sigma(f_n)}{N} , $$
# $$ L_G = \tfrac1N \sum_n \log(1 + e^{-f_n}), \qquad \frac{\partial L_G}{\partial f_n} = \frac{\sigma(f_n) - 1}{N} . $$
#
# **Backward.** Write $d\ell$ for $\partial L/\partial \ell$, and so on. From the end of D to its input the chain rule
# gives
#
# $$ dw = h^T d\ell, \quad de = \textstyle\sum_n d\ell_n, \quad dh = d\ell\, w^T, \quad da = (1 - h^2) \odot dh, \quad
#    dV = x^T da, \quad dc = \textstyle\sum_n da_n, \quad dx = da\, V^T , $$
#
# and in G: $dW = z^T dx$, $db = \sum_n dx_n$. Each gradient has the shape of its array.

# %%
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinygan import GAN, Sequential, inspect, optim
from tinygan.layers import Dense, Tanh

softplus, sigmoid = lambda l: np.log(1 + np.exp(l)), lambda l: 1 / (1 + np.exp(-l))
W, b = np.array([[0.5]]), np.array([-1.0])
V, c, w, e = np.array([[1.0, -0.5]]), np.array([0.0, 0.5]), np.array([[0.5], [-1.0]]), np.array([0.0])
x_real = np.array([[1.0], [2.0]])


def latent(rng, shape, dtype):
    """Normal latents, rounded to one decimal, so that one can follow the numbers with a calculator."""
    return rng.standard_normal(shape).round(1).astype(dtype)


def show(**arrays):
    for name, array in arrays.items():
        print(f"{name:7} {str(np.shape(array)):7} {np.round(np.asarray(array), 4).tolist()}")


def d_forward(x):
    a = x @ V + c
    h = np.tanh(a)
    return {"x": x, "a": a, "h": h, "l": h @ w + e}


def d_backward(dl, x, a, h, l):
    dh = dl @ w.T
    da = (1 - h**2) * dh
    parameters = {"dV": x.T @ da, "dc": da.sum(0), "dw": h.T @ dl, "de": dl.sum(0)}
    return parameters, {"l": dl, "h": dh, "a": da, "x": da @ V.T}

# %% [markdown]
# **D's step, forward.** G makes fakes from latents; D gives logits to both batches. G is not changed in this step.

# %%
rng = np.random.default_rng(3)
z = latent(rng, (2, 1), "float64")
x_fake = z @ W + b
real, fake = d_forward(x_real), d_forward(x_fake)
show(z=z, x_fake=x_fake)
show(**{f"{name}_real": array for name, array in real.items()})
show(**{f"{name}_fake": array for name, array in fake.items()})
d_loss = softplus(-real["l"]).mean() + softplus(fake["l"]).mean()
show(d_loss=d_loss)

# %% [markdown]
# **D's step, backward.** One backward pass for each batch. The gradients of the parameters add up, because $L_D$ is a
# sum of two terms. The gradient $dx$ is not needed here; it is for G's step.

# %%
of_real, back_real = d_backward((sigmoid(real["l"]) - 1) / 2, **real)
of_fake, back_fake = d_backward(sigmoid(fake["l"]) / 2, **fake)
for name, back in ("real", back_real), ("fake", back_fake):
    show(**{f"d{key}_{name}": back[key] for key in ("l", "h", "a")})
grads = {key: of_real[key] + of_fake[key] for key in of_real}
show(**grads)

# %% [markdown]
# **D's update by Adam** (Kingma & Ba 2015, Algorithm 1), with all parameters in one vector $\theta$. In the first step
# both moments start at 0, so the bias-corrected ones are $\hat m = g$ and $\hat v = g^2$, and every parameter moves
# by $-\eta\, g/(|g| + \epsilon)$: by the learning rate, against the sign of its gradient, however small the gradient.

# %%
lr, beta1, beta2, eps = 0.1, 0.5, 0.999, 1e-8


def adam_first_step(theta, g):
    m, v = (1 - beta1) * g, (1 - beta2) * g**2
    show(m=m)
    print("v      ", " ".join(f"{value:.1e}" for value in v))
    return theta - lr * (m / (1 - beta1)) / ((v / (1 - beta2))**0.5 + eps)


flat = lambda *arrays: np.concatenate([array.ravel() for array in arrays])
theta_d = adam_first_step(flat(V, c, w, e), flat(*grads.values()))
V, c, w, e = theta_d[:2].reshape(1, 2), theta_d[2:4], theta_d[4:6].reshape(2, 1), theta_d[6:]
show(V=V, c=c, w=w, e=e)
after = softplus(-d_forward(x_real)["l"]).mean() + softplus(d_forward(x_fake)["l"]).mean()
print(f"d_loss on the same samples: {d_loss:.4f} before, {after:.4f} after the step")

# %% [markdown]
# **G's step.** New latents, and the D that has just moved. The gradient passes through D down to $x$ and no gradient
# of D's parameters is kept; then it passes through G.

# %%
z_g = latent(rng, (2, 1), "float64")
game = d_forward(z_g @ W + b)
show(z=z_g, **game, g_loss=softplus(-game["l"]).mean())
_, back_game = d_backward((sigmoid(game["l"]) - 1) / 2, **game)
grads_g = {"dW": z_g.T @ back_game["x"], "db": back_game["x"].sum(0)}
show(**{f"d{key}": array for key, array in back_game.items()}, **grads_g)
theta_g = adam_first_step(flat(W, b), flat(*grads_g.values()))
show(theta_g=theta_g)

# %%
G = Sequential([Dense(1, 1)], dtype="float64")
D = Sequential([Dense(1, 2), Tanh(), Dense(2, 1)], dtype="float64")
G.theta, D.theta = [np.array(start) for start in ([0.5, -1.0], [1.0, -0.5, 0.0, 0.5, 0.5, -1.0, 0.0])]
gan = GAN(G, D, "non_saturating", *(optim.Adam(lr, beta1, beta2, eps) for _ in range(2)), latent=latent, rng=3)
metrics = gan.step(x_real)
print("GAN.step:", {key: round(float(value), 4) for key, value in metrics.items()})
error = max(abs(D.theta - theta_d).max(), abs(G.theta - theta_g).max())
print("all nine parameters as by hand, to 1e-15:", bool(error <= 1e-15))
records = inspect.layers(D, game["x"], lambda l: (sigmoid(l) - 1) / 2)      # of the input x, then a, h and l
print("inspect.layers finds the arrays of G's step, to 1e-15:", all(
    abs(record.output - game[key]).max() <= 1e-15 and abs(record.gradient - back_game[key]).max() <= 1e-15
    for record, key in zip(records, "xahl", strict=True)))

# %%
fig = Figure(figsize=(11, 5.4))
ax = fig.add_axes([0, 0, 1, 1], xlim=(0, 11), ylim=(0.1, 5.5))
ax.axis("off")
maps = {"x": ("$zW+b$", "dW, db"), "a": ("$xV+c$", "dV, dc"), "h": ("tanh", ""), "l": ("$hw+e$", "dw, de")}
orange, numbers = "#d55e00", lambda array: "\n".join("  ".join(f"{v:+.3f}" for v in line) for line in array)
for y, title, values, back in [(4.3, "D's step, real", real, back_real), (
        2.5, "D's step, fake", {"z": z, **fake}, back_fake), (0.7, "G's step", {"z": z_g, **game}, back_game)]:
    kept = ["x"] if y < 1 else ["a", "h", "l"]      # the maps whose gradients of parameters this step uses
    seen = back if y < 1 else {key: back[key] for key in "lha"}
    ax.text(0.1, y + 0.75, title, weight="bold", fontsize=11)
    for i, name in enumerate("zxahl"):
        if name in values:
            text = dict(ha="center", family="monospace", fontsize=9)
            ax.add_patch(Rectangle((2.2 * i + 0.1, y - 0.5), 1.5, 1, fill=False, edgecolor="#999999"))
            ax.text(2.2 * i + 0.2, y + 0.57, "$\\ell$" if name == "l" else f"${name}$", fontsize=11)
            ax.text(2.2 * i + 0.85, y + 0.06, numbers(values[name]), va="bottom", **text)
            if name in seen:
                ax.text(2.2 * i + 0.85, y - 0.06, numbers(seen[name]), va="top", color=orange, **text)
        if name in maps and (i > 1 or "z" in values):
            ax.annotate("", (2.2 * i + 0.08, y + 0.1), (2.2 * i - 0.58, y + 0.1), arrowprops={"arrowstyle": "->"})
            ax.text(2.2 * i - 0.25, y + 0.2, maps[name][0], ha="center", fontsize=9)
            if name in kept:
                ax.text(2.2 * i - 0.25, y - 0.2, maps[name][1], ha="center", fontsize=9, color=orange)
fig.savefig("11_one_step.svg", metadata={"Date": None})

# %% [markdown]
# ![every array of the two steps](11_one_step.svg)
#
# Black: the values of the forward pass, from left to right; the two lines are the two samples. Orange: the gradients of
# the loss, from right to left, and under each arrow the gradients of parameters that the step uses. D's step needs no
# gradient of $x$; only G's step goes on to $x$, and from there to $W$ and $b$. G's step uses the new D.
#
# **Reference.** `GAN.step` runs these two steps with the layers, losses and optimisers of the library. Its random
# generator has the same seed, so it draws the same latents, and all nine parameters agree to rounding.
#
# ## Exercises
# 1. Replace Adam by `optim.SGD(0.1)`, by hand and in `GAN`. Which parameters move less than with Adam, and why? Predict
#    each move from the printed gradients before you run it.
# 2. Let D's step use the gradient $dx$ of the fakes to change $W$ and $b$ as well. In which direction do the fakes
#    then move, and what would it mean for the game?
# 3. Derive the second step of Adam: write $\hat m$ and $\hat v$ with the gradients $g_1$, $g_2$ of two steps. For which
#    $g_2$ does a parameter not move at all? Check it with `optim.Adam` on a network of one parameter.
