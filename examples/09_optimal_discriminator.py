# %% [markdown]
# # 9. What does the best discriminator know, and what does its loss measure?
#
# You will see the best discriminator D derived from the two densities, and two networks trained to it. The loss of the
# trained D gives the Jensen-Shannon divergence of the two distributions. Where these do not overlap, the loss no longer
# says how far apart they are.
#
# **The best D** (Goodfellow et al. 2014, Proposition 1). Let $p$ be the density of the data and $q$ that of the
# generator. D maximises
#
# $$ V(D) = \mathbb E_p[\log D(x)] + \mathbb E_q[\log(1 - D(x))] = \int p(x)\log D(x) + q(x)\log(1 - D(x))\; dx . $$
#
# D may be any function, so the integrand can be maximised at each $x$ alone. For numbers $a, b > 0$ the function
# $a\log y + b\log(1-y)$ has the derivative $a/y - b/(1-y)$, which is $0$ at $y = a/(a+b)$ and falling in $y$. Hence
#
# $$ D^\ast(x) = \frac{p(x)}{p(x) + q(x)}, \qquad \text{and as } D = \sigma(\ell): \quad
#    \ell^\ast(x) = \log\frac{p(x)}{q(x)} . $$
#
# The best logit is the log-ratio of the densities: D learns a ratio, never $p$ or $q$ itself.
#
# **Its value** (the same paper, Theorem 1). Let $m = \tfrac12(p + q)$. The Kullback-Leibler and the Jensen-Shannon
# divergence are
#
# $$ \mathrm{KL}(p\Vert m) = \int p(x)\log\frac{p(x)}{m(x)}\; dx, \qquad
#    \mathrm{JSD}(p, q) = \tfrac12 \mathrm{KL}(p\Vert m) + \tfrac12 \mathrm{KL}(q\Vert m) . $$
#
# As $D^\ast = p/2m$ and $1 - D^\ast = q/2m$,
#
# $$ V(D^\ast) = \int p\log\frac{p}{2m} + q\log\frac{q}{2m} = \mathrm{KL}(p\Vert m) + \mathrm{KL}(q\Vert m) - 2\log 2
#    = 2\,\mathrm{JSD}(p, q) - \log 4 . $$
#
# The discriminator's loss is $-V$, so at its minimum it is $\log 4 - 2\,\mathrm{JSD}$: $\log 4$ if $p = q$, and $0$ if
# the two do not overlap.
#
# **Two Gaussians.** The data is $p = N(0, 1)$, the generator gives $q = N(2, \frac14)$. Then
#
# $$ \ell^\ast(x) = -\frac{x^2}{2} + 2(x - 2)^2 - \log 2 = \frac32 x^2 - 8x + 8 - \log 2 . $$

# %%
from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, losses, optim
from tinygan.layers import Dense, Tanh
from tinygan.ops.pointwise import sigmoid

p, q = NormalDist(0, 1), NormalDist(2, 0.5)
density = lambda dist, x: np.exp(-0.5 * ((x - dist.mean) / dist.stdev)**2) / (dist.stdev * np.sqrt(2 * np.pi))
best = lambda x: density(p, x) / (density(p, x) + density(q, x))


def jsd(p, q):
    """The Jensen-Shannon divergence by the midpoint rule on [−12, 12]."""
    x = np.linspace(-12, 12, 2401)[:-1] + 5e-3
    kl = lambda a, b: (a * np.log(np.maximum(a, 1e-300) / np.maximum(b, 1e-300))).sum() * 1e-2
    m = (density(p, x) + density(q, x)) / 2
    return (kl(density(p, x), m) + kl(density(q, x), m)) / 2


print(f"at x = 1: p = {density(p, 1):.3f}, q = {density(q, 1):.3f}, D* = {best(1):.3f}")
print(f"JSD = {jsd(p, q):.4f}, smallest loss of D = log 4 − 2·JSD = {np.log(4) - 2 * jsd(p, q):.4f}")

# %% [markdown]
# **Training to it.** The first D is linear in the features $(x, x^2)$; the best logit is of this form. The second is a
# small network on $x$. Both minimise the loss that `GAN` uses. In place of random samples each batch has the 1,000
# quantiles of $p$ or $q$ at $(i + \frac12)/1000$: their mean is nearly the expectation, and nothing is random.

# %%
quantiles = lambda dist, n=1000: np.array([[dist.inv_cdf((i + 0.5) / n)] for i in range(n)])


def train(D, real, fake, steps, lr):
    """Steps of D alone. Returns the loss before each step."""
    loss, opt, history = losses.get("non_saturating"), optim.Adam(lr, 0.9), []
    for _ in range(steps):
        (r, real_cache), (f, fake_cache) = D.forward(real), D.forward(fake)
        value, dr, df = loss.d_loss(r, f)
        grads = D.zero_grads()
        D.backward(dr, real_cache, grads)
        D.backward(df, fake_cache, grads)
        opt.step(D, grads)
        history.append(float(value))
    return history


features = lambda x: np.hstack([x, x**2])
linear = Sequential([Dense(2, 1)], rng=0, dtype="float64")
network = Sequential([Dense(1, 16), Tanh(), Dense(16, 1)], rng=0, dtype="float64")
history = {"linear in (x, x²)": train(linear, features(quantiles(p)), features(quantiles(q)), 1500, 0.1),
           "network on x": train(network, quantiles(p), quantiles(q), 1500, 0.02)}
for name, losses_of_d in history.items():
    print(f"{name:18} loss {losses_of_d[-1]:.3f}, so JSD {(np.log(4) - losses_of_d[-1]) / 2:.3f}")
print("weights of x, x², 1:", linear.theta.round(2), " in theory:", np.round([-8, 1.5, 8 - np.log(2)], 2))

# %% [markdown]
# Both losses agree with $\log 4 - 2\,\mathrm{JSD}$. This is a use of D that does not depend on the game: a trained D
# estimates a divergence from samples. Any other D has a higher loss, so the estimate is a lower bound of the JSD (up to
# the error of finite samples).
#
# ## Supports that do not overlap
# Let $p$ be uniform on $[0, 1]$ and $q$ on $[\theta, \theta + 1]$. For $0 \le \theta \le 1$ they share an interval of
# length $1 - \theta$, on which $p = q = m$ and the integrand of both KL is 0. On the rest one of them is $0$ and the
# other is $2m$, which gives $\log 2$ per unit of probability, so
#
# $$ \mathrm{JSD} = \min(|\theta|, 1)\,\log 2 . $$
#
# For $\theta > 1$ it is constant and its derivative is 0: the best D is 1 on all real and 0 on all fake samples,
# and a generator that descends $V(D^\ast)$ has nothing to follow (Arjovsky & Bottou 2017, Theorem 2.4). The Wasserstein
# distance, by contrast, is $|\theta|$. For data in many dimensions that lie near surfaces of few dimensions, this is
# the usual case (the same paper, section 2.2).

# %%
grid = (np.arange(1000)[:, None] + 0.5) / 1000      # the quantiles of the uniform distribution on [0, 1]
for theta in (1.5, 4.0):
    D = Sequential([Dense(1, 1)], rng=0, dtype="float64")
    run = train(D, grid, grid + theta, 1001, 0.1)
    print(f"θ = {theta}: loss {run[10]:.3f}, {run[100]:.3f}, {run[1000]:.3f} after 10, 100, 1000 steps; "
          f"JSD {np.log(2) - run[-1] / 2:.3f}, log 2 = {np.log(2):.3f}")

# %%
fig = Figure(figsize=(11, 3.8), dpi=100, layout="constrained")
left, middle, right = fig.subplots(1, 3)
x = np.linspace(-4, 6, 501)[:, None]
left.fill_between(x[:, 0], density(p, x[:, 0]), color="#0072b2", alpha=0.25, label="p, data")
left.fill_between(x[:, 0], density(q, x[:, 0]), color="#d55e00", alpha=0.25, label="q, generator")
left.plot(x, best(x), color="black", linewidth=3, alpha=0.4, label="D* = p/(p + q)")
left.plot(x, sigmoid(linear.forward(features(x))[0]), "--", color="#009e73", label="D linear in (x, x²)")
left.plot(x, sigmoid(network.forward(x)[0]), color="#cc79a7", label="D network on x")
left.set(xlabel="x", ylabel="density, and D(x)", ylim=(0, 1.45))
left.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
for (name, losses_of_d), color in zip(history.items(), ("#009e73", "#cc79a7")):
    middle.semilogx(np.arange(1, 1501), losses_of_d, color=color, label=name)
middle.axhline(np.log(4) - 2 * jsd(p, q), color="grey", linestyle=":", label="log 4 − 2 JSD")
middle.axhline(np.log(4), color="grey", linewidth=0.8)
middle.set(xlabel="step of D", ylabel="loss of D", ylim=(0, 2))
middle.legend(frameon=False, fontsize=8)
thetas = np.linspace(0, 4, 81)
right.plot(thetas, np.minimum(thetas, 1) * np.log(2), color="black", label="uniform on [0, 1] and [θ, θ + 1]")
for width, color in ((0.3, "#0072b2"), (1.0, "#e69f00")):
    right.plot(thetas, [jsd(NormalDist(0, width), NormalDist(t, width)) for t in thetas], color=color,
               label=f"N(0, σ²) and N(θ, σ²), σ = {width}")
right.set(xlabel="θ, the distance (Wasserstein)", ylabel="JSD", ylim=(0, 0.95))
right.legend(frameon=False, fontsize=8, loc="upper left")
fig.savefig("09_optimal_discriminator.png")

# %% [markdown]
# ![the best D and two trained ones, their losses, the JSD over the distance](09_optimal_discriminator.png)
#
# Left: both trained D lie on $D^\ast$ where there are samples. To the right of $x = 4$ there is none of either kind.
# There the densities still have a ratio, and $D^\ast$ rises to 1 because $p$ has the heavier tail; the linear D finds
# this from its form, the network cannot know it. Middle: both losses fall to $\log 4 - 2\,\mathrm{JSD}$; the grey line
# is $\log 4$, guessing. Right: the JSD over the distance. The narrower the distributions are, the sooner it is
# constant.
#
# **Reference.** The loss of both D is the one from quadrature to three digits, and the weights of the linear D are
# those of $\ell^\ast$ to about one percent; what is left is the finite number of quantiles. For distributions that do
# not overlap the loss tends to 0 and the estimate to $\log 2$, at both distances.
#
# ## Exercises
# 1. With label smoothing, `losses.get("non_saturating", 0.25)`, real samples get the target ¾ instead of 1. Which D is
#    the best then? Derive it as above, then train the network to it and compare at $x = 1$.
# 2. The JSD of $N(0, 1)$ and $N(\theta, 1)$ behaves like $c\,\theta^2$ for small $\theta$. Derive $c$ by expanding the
#    integrand, and check it with `jsd`.
# 3. Train the network on 50 random samples of each kind in place of quantiles, for 20,000 steps. Which value does its
#    loss tend to, and why is the lower bound no longer one?
