# %% [markdown]
# # 7. Why does Adam divide by 1 − βᵗ, and why is its β₁ small in games?
#
# You will see the expectation of Adam's two moments derived and measured, what its first steps would be without the
# bias correction, and a game of two numbers in which β₁ = 0.9 makes the players spiral outward.
#
# **The rule** (Kingma & Ba 2015, Algorithm 1). With the gradient $g_t$ of step $t = 1, 2, \dots$ and $m_0 = v_0 = 0$:
#
# $$ m_t = \beta_1 m_{t-1} + (1 - \beta_1)\,g_t , \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2)\,g_t^2 , \qquad
#    \theta \leftarrow \theta - \eta\,\frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon} , \qquad
#    \hat m_t = \frac{m_t}{1 - \beta_1^t}, \quad \hat v_t = \frac{v_t}{1 - \beta_2^t} . $$
#
# **The expectation.** Insert the rule for $m$ into itself until $m_0 = 0$ is reached:
#
# $$ m_t = (1 - \beta_1)\sum_{i=1}^{t} \beta_1^{t-i}\, g_i . $$
#
# If all $g_i$ have the same expectation, it can be taken out of the sum. What is left is a geometric series:
#
# $$ \mathbb E[m_t] = \mathbb E[g]\,(1 - \beta_1)\sum_{k=0}^{t-1}\beta_1^k = (1 - \beta_1^t)\,\mathbb E[g] , \qquad
#    \mathbb E[v_t] = (1 - \beta_2^t)\,\mathbb E[g^2] . $$
#
# So $m_t$ and $v_t$ are too small, because they began at 0, and the division undoes exactly that: the weights of the
# $g_i$ in $m_t$ add up to $1 - \beta_1^t$, those in $\hat m_t$ to 1.
#
# **By pencil.** $\beta_1 = \tfrac12$, $\beta_2 = \tfrac{15}{16}$, gradients $4, -4, 4$. Then $m = 2, -1, \tfrac32$ is
# divided by $\tfrac12, \tfrac34, \tfrac78$: $\hat m = 4, -\tfrac43, \tfrac{12}7$. All squares are 16, so $\hat v = 16$;
# $v = 1, \tfrac{31}{16}, \tfrac{721}{256}$. Steps: $1, -\tfrac13, \tfrac37$ (undivided, first $m_1/\sqrt{v_1} = 2$).

# %%
import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, losses, optim, penalties
from tinygan.layers import Dense
from tinygan.ops.adam import adam


def one_number(value=0.0):
    """A network with a single parameter: y = W·x."""
    net = Sequential([Dense(1, 1, bias=False)], dtype="float64")
    net.theta = value
    return net


def trace(gradients, beta1, beta2):
    """m, v and −(change of θ)/lr of optim.Adam for these gradients: one row for each step."""
    net, opt, rows = one_number(), optim.Adam(1.0, beta1, beta2), []
    for g in gradients:
        before = float(net.theta[0])
        opt.step(net, {"0.W": np.array([[g]], "float64")})
        rows.append((opt.state["m"][0], opt.state["v"][0], before - net.theta[0]))
    return np.array(rows)


print("t    m      m̂       v      v̂      step/lr  m/√v")
for t, (m, v, step) in enumerate(trace([4, -4, 4], 0.5, 15 / 16), 1):
    print(f"{t} {m:7.3f} {m / (1 - 0.5**t):7.3f} {v:7.3f} {v / (1 - (15 / 16)**t):7.3f} {step:7.3f} {m / v**0.5:7.3f}")

# %% [markdown]
# **Measured.** A network with 10,000 parameters, each with its own random gradients, is 10,000 repetitions. Let
# $g \sim N(1, 2^2)$, so $\mathbb E[g] = 1$ and $\mathbb E[g^2] = 1 + 4 = 5$; $\beta_1 = 0.9$, $\beta_2 = 0.999$.

# %%
rng, net, opt = np.random.default_rng(0), Sequential([Dense(100, 100, bias=False)]), optim.Adam(1e-9, 0.9, 0.999)
grads, moments = net.zero_grads(), []
for _ in range(1000):
    grads.vector[...] = 1 + 2 * rng.standard_normal(10_000, "float32")
    opt.step(net, grads)
    moments.append((opt.state["m"].mean(), opt.state["v"].mean()))
moments, time = np.array(moments), np.arange(1, 1001)
share = 1 - np.array([0.9, 0.999])**time[:, None]           # 1 − βᵗ, for m and for v
print("   t   mean m  expected   mean m̂    mean v  expected   mean v̂")
for t in (1, 10, 100, 1000):
    (m, v), (cm, cv) = moments[t - 1], share[t - 1]
    print(f"{t:4} {m:8.2f} {cm:9.2f} {m / cm:8.2f} {v:9.3f} {5 * cv:9.3f} {v / cv:8.2f}")

# %% [markdown]
# **The first step.** With the correction $\hat m_1 = g_1$ and $\hat v_1 = g_1^2$: the first step is
# $\eta\,\mathrm{sign}(g_1)$, however large the gradient is. Without it, it would be
# $\eta\,\frac{1 - \beta_1}{\sqrt{1 - \beta_2}}\,\mathrm{sign}(g_1)$, and for a constant gradient step $t$ would be
# $(1 - \beta_1^t)/\sqrt{1 - \beta_2^t}$: **larger**, since $v$ starts much farther below its mean than $m$, and stands
# in the denominator. The smaller $\beta_1$, the worse.

# %%
def step_lengths(beta1, n=3000, corrected=False):
    """|Δθ|/lr at each of n steps with the constant gradient 0.7; not corrected: both bias corrections are 1."""
    (theta, m, v), lengths = np.zeros((3, 1)), []
    for t in range(1, n + 1):
        before, c1, c2 = theta.copy(), *((1 - beta1**t, 1 - 0.999**t) if corrected else (1, 1))
        adam(theta, np.array([0.7]), m, v, 1.0, c1, c2, beta1, 0.999, 1e-8)
        lengths.append(float(before[0] - theta[0]))
    return np.array(lengths)


print("length of steps, in learning rates, without the correction")
uncorrected = {beta1: step_lengths(beta1) for beta1 in (0.9, 0.5, 0.0)}
for beta1, length in uncorrected.items():
    print(f"β₁ = {beta1}: first {length[0]:.1f}, longest {length.max():.1f} at t = {length.argmax() + 1}")
print(f"with it, β₁ = 0.9: the longest of 3,000 {step_lengths(0.9, corrected=True).max():.1f}")
fig = Figure(figsize=(11, 3.6), dpi=100, layout="constrained")
axes = fig.subplots(1, 3)
for ax, k, mean, name, colour in zip(axes, (0, 1), (1, 5), "mv", ("#0072b2", "#d55e00")):
    ax.semilogx(time, moments[:, k] / share[:, k], color="#009e73", linewidth=1, label=f"{name}/(1 − βᵗ), measured")
    ax.semilogx(time, moments[:, k], "o", color=colour, markersize=3, markevery=0.03, label=f"{name}, measured")
    ax.semilogx(time, mean * share[:, k], color="#666666", linewidth=1, label=f"{mean}·(1 − βᵗ)")
    ax.set(xlabel="step t", ylabel=f"mean of {name} over 10,000 parameters", ylim=(0, 1.2 * mean))
    ax.legend(frameon=False, fontsize=8, loc="center right" if k == 0 else "center left")
for (beta1, length), colour in zip(uncorrected.items(), ("#0072b2", "#d55e00", "#cc79a7")):
    axes[2].loglog(np.arange(1, 3001), length, color=colour, label=f"β₁ = {beta1}, not corrected")
axes[2].axhline(1, color="#009e73", label="corrected")
axes[2].set(xlabel="step t, constant gradient", ylabel="length of the step / lr")
axes[2].legend(frameon=False, fontsize=8)
fig.savefig("07_adam.png")

# %% [markdown]
# ![both moments against their expectations, and the length of the steps without the correction](07_adam.png)
#
# **Why β₁ is small in games.** $\hat m$ is made of old gradients: their mean age is
# $(1-\beta_1)\sum_k k\,\beta_1^k = \tau = \frac{\beta_1}{1 - \beta_1}$ steps. So to first order a step with momentum
# follows the field of $\tau$ steps ago. With the step size $h$ and the linear field $\dot w = Jw$ this is
# $J\,w(t - h\tau) \approx Jw - h\tau J\dot w$: each eigenvalue changes as
#
# $$ \lambda \;\to\; \lambda - h\tau\lambda^2 . $$
#
# When one loss is minimised, $\lambda = -a$ is real and becomes $-a - h\tau a^2$: no harm. The game
# $L_D = \psi\theta = -L_G$ (chapter 13's with the Wasserstein loss) has $\lambda = \pm i$ and gets $\pm i + h\tau$: the
# distance from the equilibrium **grows** at the rate $h\beta_1/(1 - \beta_1)$. That is $9h$ for $\beta_1 = 0.9$, $h$
# for one half and 0 for 0.

# %%
def play(optimiser, steps, gamma=0.0, start=(1.0, 1.0)):
    """(θ, ψ) at each of the steps: D(x) = ψx, real samples at 0, a fake one at θ; D moves first. γ is that of R1."""
    (G, D), loss, path = map(one_number, start), losses.get("wasserstein"), [start]
    (g_opt, d_opt), one, zero = (optimiser(), optimiser()), np.ones((1, 1)), np.zeros((1, 1))
    for _ in range(steps):
        fake, g_cache = G.forward(one)
        (real_logits, real_cache), (fake_logits, fake_cache) = D.forward(zero), D.forward(fake)
        _, d_real, d_fake = loss.d_loss(real_logits, fake_logits)
        grads = D.zero_grads()
        D.backward(d_real, real_cache, grads)
        D.backward(d_fake, fake_cache, grads)
        if gamma:
            penalties.r1(D, zero, gamma, grads)
        d_opt.step(D, grads)
        logits, d_cache = D.forward(fake)
        grads = G.zero_grads()
        G.backward(D.backward(loss.g_loss(logits)[1], d_cache), g_cache, grads)
        g_opt.step(G, grads)
        path.append((float(G.theta[0]), float(D.theta[0])))
    return np.array(path)


h, turn = 0.02, 314                                         # a turn takes 2π/h steps
print("growth per unit of time, momentum without v: measured, hβ₁/(1 − β₁)")
for beta1 in (0.9, 0.5, 0.0):                               # SGD's u is m/(1 − β₁)
    distance = np.hypot(*play(lambda: optim.SGD(h * (1 - beta1), momentum=beta1), 2 * turn).T)
    growth = np.log(distance[-1] / distance[turn]) / (h * turn)
    print(f"β₁ = {beta1}: {abs(growth):.2f}, {h * beta1 / (1 - beta1):.2f}")
print("distance after 500 steps of Adam, lr 0.05; it starts at √2")
fig = Figure(figsize=(11, 4), dpi=100, layout="constrained")
for ax, beta1, end in zip(fig.subplots(1, 3), (0.9, 0.5, 0.0), (7.5, 2.9, 1.9)):
    for gamma, colour in ((0.0, "#d55e00"), (1.0, "#0072b2")):
        path = play(lambda: optim.Adam(0.05, beta1), 500, gamma)
        ax.plot(*path.T, color=colour, linewidth=1, label=f"R1, γ = {gamma:.0f}" if gamma else "no penalty")
        print(f"β₁ = {beta1}, γ of R1 {gamma:.0f}: {np.hypot(*path[-1]):.1e}")
    ax.plot(0, 0, "+", color="black", markersize=12)
    ax.set(title=f"Adam, β₁ = {beta1}", xlabel="θ", ylabel="ψ", aspect="equal", xlim=(-end, end), ylim=(-end, end))
    ax.legend(frameon=False, loc="upper right", fontsize=8)
fig.savefig("07_adam_game.png")

# %% [markdown]
# ![trajectories of Adam in the game for three values of β₁](07_adam_game.png)
#
# Without a penalty Adam spirals outward for β₁ = 0.9 and 0.5, as momentum does. With R1 it stays on an orbit for 0.9,
# and converges for 0.5 and 0. **Reference.** Radford et al. 2016, section 4, found β₁ = 0.9 unstable and took 0.5, the
# default here; Gidel et al. 2019 prove that a negative momentum helps in bilinear games.
#
# ## Exercises
# 1. Let the $g_i$ be independent with variance $\sigma^2$. Derive the limit of $\mathrm{Var}[m_t]$; check it with
#    `opt`.
# 2. Let $\mathbb E[g_i] = i$: a gradient that grows. How far does $\mathbb E[\hat m_t]$ lag behind for large $t$?
# 3. R1 makes the eigenvalues $-\frac\gamma2 \pm i\sqrt{1 - \frac{\gamma^2}4}$. Which γ suffices against momentum? Check
#    with `play` and `optim.SGD`.
