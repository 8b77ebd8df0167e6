# %% [markdown]
# # 12. What does each GAN objective ask of a sample?
#
# You will see the objectives of `tinygan.losses` reduced to one number: by how much a fake sample's logit is pushed, up
# by the generator G and down by the discriminator D. The number explains where an objective stops teaching, which best
# D it has, and what it needs besides.
#
# **One number.** Let $f$ be the logit of a fake sample. By the chain rule all gradients of G pass through
# $\partial L_G/\partial f$ of each sample; everything else, $\nabla_x D$ and $\partial G/\partial\theta$, is the same
# for every objective. Call
#
# $$ F_G = -\frac{\partial L_G}{\partial f}, \qquad F_D = \frac{\partial L_D}{\partial f} $$
#
# the *forces*: G raises $f$ in proportion to $F_G$, D lowers it in proportion to $F_D$. With
# $a(\ell) = \log(1 + e^\ell)$, $a' = \sigma$, and $r$ the logit of a real sample, the losses and forces are
#
# | objective | $L_D$ | $L_G$ | $F_G$ | $F_D$ |
# |---|---|---|---|---|
# | minimax (Goodfellow et al. 2014) | $a(-r) + a(f)$ | $-a(f)$ | $\sigma(f)$ | $\sigma(f)$ |
# | non_saturating (Goodfellow et al. 2014) | $a(-r) + a(f)$ | $a(-f)$ | $1 - \sigma(f)$ | $\sigma(f)$ |
# | least_squares (Mao et al. 2017) | $\frac12(r-1)^2 + \frac12 f^2$ | $\frac12(f-1)^2$ | $1 - f$ | $f$ |
# | hinge (Lim & Ye 2017) | $\max(0, 1-r) + \max(0, 1+f)$ | $-f$ | $1$ | $1$ if $f > -1$, else $0$ |
# | wasserstein (Arjovsky et al. 2017) | $f - r$ | $-f$ | $1$ | $1$ |
# | relativistic (Jolicoeur-Martineau 2018) | $a(f - r)$ | $a(r - f)$ | $\sigma(r - f)$ | $\sigma(f - r)$ |
#
# For one pair of samples `relativistic_average` is twice the relativistic one; it is left out of table and picture.
#
# **The best D.** Where the densities of data and generator are $p$ and $q$, D minimises
# $p\,L_D^{real}(\ell) + q\,L_D^{fake}(\ell)$ over the logit $\ell$ at this point. Setting the derivative to zero:
#
# * cross-entropy (minimax, non_saturating): $p\,(\sigma - 1) + q\,\sigma = 0$, so $\ell^\ast = \log(p/q)$;
# * least squares: $p\,(\ell - 1) + q\,\ell = 0$, so $\ell^\ast = p/(p + q)$, the probability itself;
# * hinge: between $-1$ and $1$ the slope is $q - p$, so $\ell^\ast = 1$ if $p > q$ and $-1$ if $p < q$;
# * Wasserstein: the slope is $q - p$ everywhere, so there is no minimum: D has to be bounded by other means (chapter
#   16);
# * relativistic: D sees a pair, of which one is real. The odds that it is the first are $\frac{p(x)q(y)}{q(x)p(y)}$,
#   and cross-entropy of $\ell(x) - \ell(y)$ finds their logarithm: $\ell^\ast = \log(p/q)$ plus any constant.

# %%
import numpy as np
from matplotlib.figure import Figure

from tinygan import losses

NAMES = [name for name in losses.names if name != "relativistic_average"]
REAL = 1.0      # the logit r of the real sample beside the fake one


def forces(name, logits, real=REAL):
    """F_G and F_D at each fake logit: two arrays like `logits`, from the gradients of tinygan.losses."""
    loss, r = losses.get(name), np.array([[real]])
    up = [-loss.g_loss(np.array([[f]]), r)[1].item() for f in logits]
    down = [loss.d_loss(r, np.array([[f]]))[2].item() for f in logits]
    return np.array(up), np.array(down)


def best_logit(name, p, q):
    """The logit at which p·∂L_D/∂r + q·∂L_D/∂f changes its sign, by bisection; ∞ if it never does."""
    def slope(l):
        _, d_real, d_fake = losses.get(name).d_loss(np.array([[l]]), np.array([[l]]))
        return (p * d_real + q * d_fake).item()
    low, high = -20.0, 20.0
    if slope(low) * slope(high) > 0:
        return np.inf if slope(low) < 0 else -np.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return middle


print("                 G's force at f =           D's force at f =           best logit")
print("                   −4       0       4         −4       0       4       where p = 3q")
for name in NAMES:
    up, down = forces(name, [-4.0, 0.0, 4.0])
    best = "" if name == "relativistic" else f"{best_logit(name, 0.75, 0.25):.3f}"
    print(f"{name:15}" + "".join(f"{v:8.3f}" for v in up) + "   " + "".join(f"{v:8.3f}" for v in down) + f"{best:>14}")
print(f"log 3 = {np.log(3):.3f}")

# %% [markdown]
# **The relativistic best D.** It depends on pairs, so take a world of two points, A and B, with
# $p = (\frac34, \frac14)$ and $q = (\frac14, \frac34)$. All 16 pairs of four real samples (A, A, A, B) and four fakes
# (A, B, B, B) have these frequencies. At the logits $\log(p/q)$ the gradients in both logits must vanish, and also if a
# constant is added.

# %%
def gradient_in_both_logits(logits):
    real, fake = np.repeat([0, 0, 0, 1], 4), np.tile([0, 1, 1, 1], 4)
    _, d_real, d_fake = losses.get("relativistic").d_loss(logits[real], logits[fake])
    return [float(d_real[real == k].sum() + d_fake[fake == k].sum()) for k in (0, 1)]


best = np.log([3, 1 / 3])
for name, logits in {"log p/q": best, "plus 5": best + 5, "half": best / 2}.items():
    print(f"{name:8}", [round(g, 6) + 0 for g in gradient_in_both_logits(logits)])

# %%
fig, logits = Figure(figsize=(11, 6), dpi=100, layout="constrained"), np.linspace(-5, 5, 401)
for ax, name in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, NAMES):
    up, down = forces(name, logits)
    ax.axvspan(-5, -2, color="#eeeeee")
    ax.plot(logits, up, color="#d55e00", linewidth=2, label="G raises f")
    ax.plot(logits, down, "--", color="#0072b2", linewidth=2, label="D lowers f")
    ax.axhline(0, color="#999999", linewidth=0.8)
    ax.set(xlim=(-5, 5), ylim=(-0.8, 1.8), title=f"{name}: G's force {forces(name, [-4.0])[0][0]:.2f} at f = −4")
    ax.title.set_fontsize(10)
    if name == NAMES[0]:
        ax.legend(frameon=False, loc="upper center", ncols=2)
fig.supxlabel(f"f, the fake sample's logit (the real sample has r = {REAL:g}; grey: D is sure that the sample is fake)")
fig.supylabel("force on f, in loss per unit of logit")
fig.savefig("12_objectives.png")

# %% [markdown]
# ![both forces of six objectives over the logit of a fake sample](12_objectives.png)
#
# Early in training D recognises fakes easily, and $f$ lies in the grey range. What G learns there:
#
# * **minimax** gives it 0.018 of the force that is possible: the game saturates (chapter 10);
# * **non_saturating** and **relativistic** give nearly the whole force, and both forces fade where the player has won;
# * **least_squares** gives the more the farther $f$ is from 1, and pulls it *back* where $f > 1$: a fake far on the
#   side of the real ones is moved to the boundary;
# * **hinge** stops D, not G: below $f = -1$ D is satisfied, which leaves it time for harder samples;
# * **wasserstein** is constant for both, so nothing in the loss keeps logits finite.
#
# The relativistic forces depend on $r$: what counts is not whether a fake looks real, but whether it looks more real
# than a real one. If D raises the logits of all samples alike, nothing changes.
#
# **Reference.** Forces and best logits are computed from `tinygan.losses`; they agree with the formulas of the table
# and of the list above: $\log 3$, ¾, 1, and none for Wasserstein.
#
# ## Exercises
# 1. Where do G's and D's force balance in each panel? Which of these points change if $r$ does?
# 2. Derive the smallest hinge loss of D, $2\int \min(p, q)\,dx$, and write it with the total variation
#    $\frac12\int|p - q|\,dx$. At which $q$ is it largest?
# 3. Derive both forces of `relativistic_average` for two pairs and check them with `losses.get`. Which sample's logit
#    changes the force on another one?
