# %% [markdown]
# # 3. Why do networks output logits, and why does the loss take them directly?
#
# You will see binary cross-entropy, the loss of a discriminator, in four forms that are equal or almost equal on paper.
# In float32 three of them fail where the discriminator is most wrong: the loss becomes infinite, or its gradient is 0
# or not a number. The fourth form is accurate for every logit.
#
# **From likelihood to loss.** D says that a sample is real with probability $p$. Let $t = 1$ for a real sample and
# $t = 0$ for a fake one. The probability that D gives to the truth is $p^t (1-p)^{1-t}$; its negative logarithm is the
# loss to minimise,
#
# $$ L = -t \log p - (1 - t) \log(1 - p) . $$
#
# A network gives any real number, the logit $\ell$, and $p = \sigma(\ell) = 1/(1 + e^{-\ell})$ brings it into $(0, 1)$.
# Conversely $\ell = \log\frac{p}{1-p}$: the logit is the logarithm of the odds.
#
# **The gradient.** By the chain rule
#
# $$ \frac{\partial L}{\partial p} = -\frac tp + \frac{1-t}{1-p} = \frac{p - t}{p(1-p)} , \qquad
#    \frac{dp}{d\ell} = \frac{e^{-\ell}}{(1 + e^{-\ell})^2} = p(1-p) , \qquad
#    \frac{\partial L}{\partial \ell} = \sigma(\ell) - t . $$
#
# The first factor has poles at $p = 0$ and $1$, the second has zeros there, and the product is simply probability minus
# target. **On paper the pole cancels; in floating point it is $\infty \cdot 0$.**
#
# With a pencil: $\ell = \log 3$ gives odds of 3 to 1, so $p = \tfrac34$. For a real sample $L = \log\tfrac43 = 0.288$
# and the gradient is $\tfrac34 - 1 = -\tfrac14$; for a fake one $L = \log 4 = 1.386$ and the gradient is $\tfrac34$. D
# is wrong on the fake one, so its gradient is three times as large.
#
# **The stable form.** As $-\log\sigma(\ell) = \log(1 + e^{-\ell})$ and $-\log(1 - \sigma(\ell)) = \log(1 + e^{\ell})$,
# and the second exceeds the first by $\ell$,
#
# $$ L = \log(1 + e^\ell) - t\,\ell , \qquad
#    \log(1 + e^\ell) = \max(\ell, 0) + \log(1 + e^{-|\ell|}) . $$
#
# The function $\log(1 + e^\ell)$ is called softplus. In its second form the exponential is at most 1, so nothing
# overflows, and `log1p(e)` computes $\log(1 + e)$ without first rounding $1 + e$ to 1. (To show the identity, take
# $e^\ell$ out of the bracket if $\ell > 0$.)

# %%
from decimal import Decimal, getcontext

import numpy as np
from matplotlib.figure import Figure

from tinygan import losses
from tinygan.ops.pointwise import sigmoid, sigmoid_d1, softplus

for t in (1.0, 0.0):
    loss, gradient = losses.bce_with_logits(np.array([np.log(3)]), t)
    print(f"ℓ = log 3, t = {t:.0f}: loss {loss:.3f}, gradient {gradient[0]:.2f}")


def by_probability(logit, t):
    """−t log p − (1 − t) log(1 − p) as it stands, and its gradient by the two factors of the chain rule."""
    p = 1 / (1 + np.exp(-logit))
    loss = -np.log(p) if t else -np.log(1 - p)
    return loss, (p - t) / (p * (1 - p)) * (p * (1 - p))


def by_exponential(logit, t):
    """log(1 + e^ℓ) − tℓ as it stands, and its gradient e^ℓ/(1 + e^ℓ) − t."""
    e = np.exp(logit)
    return np.log(1 + e) - t * logit, e / (1 + e) - t


def clipped(logit, t, eps=1e-7):
    """The first form with p clipped to [ε, 1 − ε], a common remedy: the derivative of clip is 0 outside."""
    p = sigmoid(logit)
    inside = np.clip(p, eps, 1 - eps)
    loss = -np.log(inside) if t else -np.log(1 - inside)
    return loss, (inside - t) / (inside * (1 - inside)) * (p == inside) * sigmoid_d1(np.ones_like(p), logit, p)


def stable(logit, t):
    """tinygan's form: softplus(ℓ) − tℓ and σ(ℓ) − t."""
    return softplus(logit) - t * logit, sigmoid(logit) - t


FORMS = {"by probability": by_probability, "by exponential": by_exponential, "p clipped": clipped, "stable": stable}
print("a fake sample (t = 0) in float32: loss, gradient")
print(f"{'logit':15}", *(f"{logit:>18}" for logit in (-20, 0, 10, 20, 100)))
with np.errstate(all="ignore"):         # infinities are what this table is about
    for name, form in FORMS.items():
        found = [form(np.array([logit], "float32"), 0) for logit in (-20, 0, 10, 20, 100)]
        print(f"{name:15}", *(f"{loss[0]:>9.3g}{gradient[0]:>9.2g}" for loss, gradient in found))

# %% [markdown]
# Read the last two columns, where D takes a fake sample for real with certainty, so that the loss should be $\ell$ and
# its gradient 1. By probability, $1 - p$ is 0 from about $\ell = 17$ on, as float32 has 24 bits: the loss is infinite
# and the gradient $\infty \cdot 0$, not a number. By the exponential, $e^\ell$ overflows from $\ell = 89$ on (in
# float64 from 710). In the first column the first two forms give 0 and lose all digits of $e^{-20}$.
#
# **Clipping does not repair it.** It makes the loss finite but constant, so its gradient is 0 exactly where D is most
# wrong: such samples are never corrected. To show the effect, let D's logit for a fake sample start at 20 and descend
# the loss with step size 1.

# %%
logits = np.linspace(-5, 25, 301, dtype="float32")


def descend(form, start=20.0, steps=40):
    """The logits of gradient descent with step size 1 on the loss of a fake sample, in float32."""
    path = [np.array([start], "float32")]
    for _ in range(steps):
        path.append(path[-1] - form(path[-1], 0)[1])
    return np.concatenate(path)


STYLES = {"by probability": ("#999999", "-", 5), "p clipped": ("#d55e00", "--", 2.5), "stable": ("#0072b2", "-", 1.5)}
fig = Figure(figsize=(11, 3.8), dpi=100, layout="constrained")
axes = fig.subplots(1, 3)
with np.errstate(all="ignore"):
    for name, (colour, style, width) in STYLES.items():
        style = dict(color=colour, linestyle=style, linewidth=width, label=name)
        loss, gradient = FORMS[name](logits, 0)
        path = descend(FORMS[name])
        print(f"{name:15} after 40 steps from logit 20: {path[-1]:.2f}")
        for ax, x, y in zip(axes, (logits, logits, np.arange(41)), (loss, gradient, path)):
            ax.plot(x, y, **style)
axes[0].set(title="loss of a fake sample", xlabel="logit ℓ", ylabel="L(ℓ), t = 0")
axes[1].set(title="its gradient", xlabel="logit ℓ", ylabel="∂L/∂ℓ")
axes[2].set(title="gradient descent from ℓ = 20", xlabel="step", ylabel="logit ℓ")
axes[0].legend(frameon=False)
for ax in axes:
    ax.grid(alpha=0.3)
fig.savefig("03_cross_entropy.png")

# %% [markdown]
# ![loss, gradient and descent for three forms](03_cross_entropy.png)
#
# Grey ends where the number is infinite or not a number; in the right panel that is the case after the first step. On
# the stable form the logit falls by 1 a step until D is undecided, then slowly: the gradient $\sigma(\ell)$ fades only
# where D is right.
#
# **If D ends in a sigmoid** and gives $p$, its loss is `losses.bce`, which continues $\log p$ below the machine epsilon
# ε by its tangent: loss and gradient in $p$ stay finite, up to $1/\varepsilon$. But the sigmoid before it still
# multiplies by $p(1-p)$, which is rounded to 0. What the rounding of $p$ has lost, no loss can bring back:

# %%
for logit in np.array([[5], [10], [15], [20]], "float32"):
    p = sigmoid(logit)
    _, dp = losses.bce(p, 0.0)
    print(f"ℓ = {logit[0]:2.0f}   1 − p = {1 - p[0]:.1e}   through the sigmoid {sigmoid_d1(dp, logit, p)[0]:.3f}",
          f"  on the logit {losses.bce_with_logits(logit, 0.0)[1][0]:.3f}")

getcontext().prec, points = 400, np.concatenate([np.linspace(-700, 700, 141), np.linspace(-40, 40, 81)])
exact = [float((1 + Decimal(float(v)).exp()).ln()) for v in points]     # 400 digits, rounded once
error = (abs(softplus(points) - exact) / exact).max()
print(f"softplus in float64 against 400 digits: relative error below 1e-15: {error < 1e-15}")
d_loss, _, _ = losses.get("non_saturating").d_loss(np.zeros((4, 1)), np.zeros((4, 1)))
print(f"D's loss when it is undecided everywhere: {d_loss:.4f} = 2 log 2 = {2 * np.log(2):.4f}")

# %% [markdown]
# **Reference.** For logits from −700 to 700 the stable form agrees with arithmetic of 400 digits to the last places of
# float64. The last line is the value that D's loss, a real and a fake term, has at the equilibrium of a GAN, where
# D cannot tell real from fake ($\log 4$; Goodfellow et al. 2014, theorem 1, with the opposite sign).
#
# So networks here end in a `Dense` layer, and losses take logits. D's loss is $\text{softplus}(-\ell)$ on real
# samples plus $\text{softplus}(\ell)$ on fake ones; G's is $\text{softplus}(-\ell)$ on fake ones.
#
# ## Exercises
# 1. One-sided label smoothing sets $t = 9/10$ on real samples. Which logit minimises $L$, and which loss remains?
#    Derive both from $\sigma(\ell) = t$ and check them with `losses.bce_with_logits`.
# 2. Replace $1 - p$ in `by_probability` by $\sigma(-\ell)$. Up to which logit is the loss then finite in float32?
#    Predict it from the smallest positive number, about $2^{-149}$, and check.
# 3. A softmax over two classes with scores $(s_0, s_1)$ gives $p = e^{s_1}/(e^{s_0} + e^{s_1})$. Show that its
#    cross-entropy is $L$ at $\ell = s_1 - s_0$, and derive the stable form of $\log \sum_k e^{s_k}$ for many classes.
