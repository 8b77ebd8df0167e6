# %% [markdown]
# # 10. Why does nobody train the generator with the loss that the theory is about?
#
# You will see the two classical losses of the generator G: the saturating one, whose game has the known theory, and the
# non-saturating one, which is used. Their gradients differ by one factor per sample. From this factor follows which
# divergence each of them minimises, and why the first one stops moving G when D is sure.
#
# **Two losses** (Goodfellow et al. 2014, section 3). With the logit $\ell$ of a fake sample and $D = \sigma(\ell)$:
#
# $$ L_{\text{sat}} = \mathbb E_z[\log(1 - D(G(z)))] = -\mathbb E[\log(1 + e^{\ell})], \qquad
#    L_{\text{ns}} = -\mathbb E_z[\log D(G(z))] = \mathbb E[\log(1 + e^{-\ell})] . $$
#
# **In the logit**, with $\frac{d}{d\ell}\log(1 + e^{\ell}) = \sigma(\ell)$, for one sample:
#
# $$ \frac{\partial L_{\text{sat}}}{\partial\ell} = -\sigma(\ell) = -D, \qquad
#    \frac{\partial L_{\text{ns}}}{\partial\ell} = -\sigma(-\ell) = -(1 - D) . $$
#
# Both push the logit up. At $D = \frac12$ they are equal. If D is sure that a sample is fake, the first is nearly 0: it
# *saturates*.
#
# **In the parameters** of G the chain rule adds the same two factors to both,
#
# $$ \frac{\partial L}{\partial\theta} = \mathbb E_z\Big[ \frac{\partial L}{\partial\ell}\;
#    \nabla_x\ell(x)^T\; \frac{\partial G(z)}{\partial\theta} \Big], \qquad x = G(z) , $$
#
# so the losses differ in how they weight the samples: the ratio of the weights is $(1 - D)/D$. The minimum of both over
# a single logit is the same, $\ell \to \infty$; over a distribution they differ.
#
# **What the saturating loss minimises.** With the best $D^\ast = p/(p+q)$ (chapter 9),
# $V(D^\ast) = 2\,\mathrm{JSD} - \log 4$. The derivative of a maximum with respect to $\theta$ is the partial derivative
# at fixed D, because $\partial V/\partial D = 0$ there. Only the second term of $V$ depends on G, and it is
# $L_{\text{sat}}$. Hence $\nabla_\theta L_{\text{sat}} = \nabla_\theta\, 2\,\mathrm{JSD}(p, q_\theta)$.
#
# **What the non-saturating loss minimises** (Arjovsky & Bottou 2017, Theorem 2.5). As $(1 - D^\ast)/D^\ast = q/p$,
#
# $$ -\log D^\ast = \log\frac{q}{p} - \log(1 - D^\ast) . $$
#
# Take the expectation over $q_\theta$ and its gradient with D, hence $q$ inside the logarithms, held fixed. The first
# term gives $\nabla_\theta \mathrm{KL}(q_\theta\Vert p)$, since the part left out,
# $\mathbb E_q[\nabla_\theta\log q_\theta]$, is $\nabla_\theta \int q_\theta = 0$. The second gives
# $-\nabla_\theta L_{\text{sat}}$. Together
#
# $$ \nabla_\theta L_{\text{ns}}
#    = \nabla_\theta\big[\mathrm{KL}(q_\theta\Vert p) - 2\,\mathrm{JSD}(p, q_\theta)\big] . $$

# %%
from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, losses
from tinygan.layers import Dense

saturating, non_saturating = losses.get("minimax"), losses.get("non_saturating")
print("D(G(z))    ∂L_sat/∂ℓ  ∂L_ns/∂ℓ   ratio")
for d in (0.01, 0.1, 0.5, 0.9):
    logit = np.log(np.array([[d / (1 - d)]]))
    a, b = (float(loss.g_loss(logit)[1][0, 0]) for loss in (saturating, non_saturating))
    print(f"{d:7.2f} {a:12.2f} {b:10.2f} {b / a:7.2f}")

# %% [markdown]
# At $D(G(z)) = 0.01$ the non-saturating gradient is 99 times larger.
#
# **A game where all is known.** The data is $p = N(0, 1)$ and $G(z) = z + \theta$ with $z \sim N(0, 1)$, so
# $q = N(\theta, 1)$. The best logit is $\ell^\ast = \log p - \log q = -\theta x + \theta^2/2$: a `Dense(1, 1)`.
# $\mathrm{KL}(q\Vert p) = \theta^2/2$. Below the library's losses and backward passes give $\partial L/\partial\theta$;
# beside it stand differences of the divergences, which come from quadrature and know nothing of G and D.

# %%
z = np.array([[NormalDist().inv_cdf((i + 0.5) / 20_000)] for i in range(20_000)])   # quantiles in place of samples
x, dx = np.linspace(-20, 20, 8001, retstep=True)


def normal(mean, std):
    return np.exp(-0.5 * ((x - mean) / std)**2) / (std * np.sqrt(2 * np.pi))


def kl(a, b):
    return (a * np.log(np.maximum(a, 1e-300) / np.maximum(b, 1e-300))).sum() * dx


def divergences(p, q):
    """2·JSD(p, q), and KL(q‖p) − 2·JSD(p, q)."""
    two_jsd = kl(p, (p + q) / 2) + kl(q, (p + q) / 2)
    return np.array([two_jsd, kl(q, p) - two_jsd])


def gradients(theta):
    """∂L_sat/∂θ and ∂L_ns/∂θ through the best D, and the mean of D(G(z))."""
    G, D = (Sequential([Dense(1, 1)], dtype="float64") for _ in range(2))
    G.theta, D.theta = np.array([1.0, theta]), np.array([-theta, theta**2 / 2])
    fake, g_cache = G.forward(z)
    logits, d_cache = D.forward(fake)
    found = []
    for loss in (saturating, non_saturating):
        grads = G.zero_grads()
        G.backward(D.backward(loss.g_loss(logits)[1], d_cache), g_cache, grads)
        found.append(float(grads["0.b"][0]))
    return np.array(found), (1 / (1 + np.exp(-logits))).mean()


def theory(theta, h=1e-3):
    return (divergences(normal(0, 1), normal(theta + h, 1)) - divergences(normal(0, 1), normal(theta - h, 1))) / (2 * h)


print("    θ  mean D(G(z))    L_sat: library, d 2JSD/dθ       L_ns: library, d (KL − 2JSD)/dθ")
for theta in (0.5, 1.0, 2.0, 4.0, 8.0):
    (a, b), mean = gradients(theta)
    print(f"{theta:5.1f} {mean:12.4f} {a:16.4f} {theory(theta)[0]:14.4f} {b:22.4f} {theory(theta)[1]:14.4f}")

# %% [markdown]
# The gradient of the saturating loss is largest between $\theta = 1$ and $\theta = 2$ and then vanishes, as the JSD
# becomes constant. The other one tends to $\theta$: far away it is the gradient of $\mathrm{KL}(q\Vert p)$. Their sum
# is $\theta$ everywhere, as $-D - (1 - D) = -1$.
#
# ## The price
# $\mathrm{KL}(q\Vert p)$ is large where G puts samples without data, and hardly rises where data is missed. The term
# $-2\,\mathrm{JSD}$ even rewards a difference. So let the data have two modes,
# $p = \frac12 N(-1.5, \frac14) + \frac12 N(1.5, \frac14)$, and compare a $q$ that is one of them with a $q$ of the same
# mean and variance as $p$:

# %%
two_modes = (normal(-1.5, 0.5) + normal(1.5, 0.5)) / 2
candidates = {"one mode": normal(1.5, 0.5), "mean and variance of p": normal(0, (1.5**2 + 0.5**2)**0.5)}
for name, q in candidates.items():
    a, b = divergences(two_modes, q)
    print(f"{name:24} 2·JSD {a:.3f}    KL − 2·JSD {b:.3f}")

# %%
fig = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
left, middle, right = fig.subplots(1, 3)
logits = np.linspace(-6, 6, 121)
for loss, color, name in ((saturating, "#0072b2", "saturating"), (non_saturating, "#d55e00", "non-saturating")):
    left.plot(logits, [-loss.g_loss(np.array([[l]]))[1].item() for l in logits], color=color, label=name)
left.set(xlabel="logit ℓ of a fake sample", ylabel="−∂L/∂ℓ, the push upwards", ylim=(0, 1.3))
left.legend(frameon=False)
thetas = np.linspace(0.05, 8, 54)
for k, (color, name) in enumerate((("#0072b2", "saturating; line: 2·JSD"), ("#d55e00", "ns; line: KL − 2·JSD"))):
    middle.semilogy(thetas, [theory(t)[k] for t in thetas], color=color)
    middle.semilogy(thetas[::4], [gradients(t)[0][k] for t in thetas[::4]], "o", color=color, markersize=4, label=name)
middle.set(xlabel="θ, the distance from the data", ylabel="∂L/∂θ", ylim=(1e-4, 200))
middle.legend(frameon=False, fontsize=9)
right.fill_between(x, two_modes, color="#cccccc", label="p, data")
for (name, q), color, style in zip(candidates.items(), ("#d55e00", "#0072b2"), ("-", "--")):
    right.plot(x, q, style, color=color, label=f"q: {name}")
right.set(xlabel="x", ylabel="density", xlim=(-5, 5), ylim=(0, 1.15))
right.legend(frameon=False, fontsize=9, loc="upper left")
fig.savefig("10_saturating.png")

# %% [markdown]
# ![gradients in the logit and in θ; two candidates](10_saturating.png)
#
# Left: both gradients in the logit. Middle: both in θ on a logarithmic axis; the points are the library's, the lines
# differences of the divergences. Right: the two candidates. The JSD prefers the wide $q$, which covers both modes. The
# divergence of the non-saturating loss prefers the single mode: this is one cause of mode collapse (chapter 14).
#
# **Reference.** In the table all gradients agree with those of the divergences to the digits shown. All of this holds
# for the best D. In training D is not the best, so the saturating gradient does not vanish quite as fast.
#
# ## Exercises
# 1. For which $\theta$ is the saturating gradient largest? Find it with `gradients` to two digits.
# 2. Add noise $N(0, s^2)$ to all that D sees, as `GAN(noise_std=s)` does. Derive $\ell^\ast$ for the noisy densities
#    and show that the saturating gradient at a large θ becomes larger. What does G lose?
# 3. Plot $\mathrm{KL} - 2\,\mathrm{JSD}$ of $q = N(0, s^2)$ and the two modes over $s$, and of $q = N(\mu, \frac14)$
#    over $\mu$. Which minima does the non-saturating loss have, and which of them are global?
