# %% [markdown]
# # 13. Why does GAN training oscillate, and which regulariser stops it?
#
# You will see a GAN with two parameters, whose training can be solved on paper. Its plain form turns round the
# equilibrium for ever; a gradient penalty makes it converge, and the strength of the penalty decides how fast.
#
# **The game** (Mescheder et al. 2018, section 3). The data is one point at $0$. The generator gives one point,
# $G(z) = \theta$. The discriminator is linear, $D(x) = \psi x$. The only equilibrium is $\theta = \psi = 0$. With
# $\sigma(\ell) = 1/(1 + e^{-\ell})$ the discriminator's loss is
#
# $$ L_D = -\log \sigma(D(0)) - \log\sigma(-D(\theta)) = \log 2 + \log(1 + e^{\psi\theta}) $$
#
# and the generator's minimax loss is $L_G = -L_D$. The descent directions are
#
# $$ \dot\theta = -\partial L_G/\partial\theta = \sigma(\psi\theta)\,\psi , \qquad
#    \dot\psi = -\partial L_D/\partial\psi = -\sigma(\psi\theta)\,\theta . $$
#
# **Linearise** at the equilibrium, where $\sigma(0) = \tfrac12$. The Jacobian of $(\dot\theta, \dot\psi)$ is
#
# $$ J = \begin{pmatrix} 0 & \tfrac12 \\ -\tfrac12 & 0 \end{pmatrix}, \qquad \lambda = \pm\tfrac{i}{2} : $$
#
# a pure rotation. Descent with a finite step size $h$ multiplies by $1 + h\lambda$, and $|1 \pm ih/2| > 1$: it spirals
# outward.
#
# **A penalty.** R1 adds $\tfrac{\gamma}{2}\,(\partial D/\partial x)^2 = \tfrac{\gamma}{2}\psi^2$ to $L_D$ on real
# samples, hence $-\gamma\psi$ to $\dot\psi$. R2 adds the same on fake samples. The lower right entry of $J$ becomes
# $-\gamma$ or $-2\gamma$, and the eigenvalues
#
# $$ \text{R1:}\ -\tfrac{\gamma}{2} \pm \sqrt{\tfrac{\gamma^2}{4} - \tfrac14}, \qquad
#    \text{R1 + R2:}\ -\gamma \pm \sqrt{\gamma^2 - \tfrac14} . $$
#
# Below, nothing uses these formulas: tinygan's networks, losses and penalties with plain gradient descent give the
# directions, and differences of these give the Jacobian.

# %%
import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, optim
from tinygan.layers import Dense, Layer
from tinygan.ops.init import generator


class Point(Layer):
    """G(z) = θ, whatever z is: x (N, d) -> (N, 1)."""

    def __init__(self):
        super().__init__(theta=(1,))

    def forward(self, x, train=True, rng=None):
        return self.param("theta", x) + 0 * x[:, :1], x

    def backward(self, dy, cache, grads=None):
        if grads is not None:
            grads["theta"] += dy.sum(0)
        return 0 * cache


def game(theta, psi, lr, loss="minimax", **options):
    """A GAN at (θ, ψ); the options are those of tinygan.GAN."""
    G, D = Sequential([Point()], dtype="float64"), Sequential([Dense(1, 1, bias=False)], dtype="float64")
    G.theta, D.theta = theta, psi
    return GAN(G, D, loss, optim.SGD(lr), optim.SGD(lr), latent_dim=1, rng=generator(0), **options)


def data(noise_std=0.0, **options):
    """Samples of the real point: one; with instance noise many, whose mean is the field of the theory."""
    return np.zeros((4096 if noise_std else 1, 1))


def field(theta, psi, lr=1e-3, **options):
    """The direction (dθ, dψ) of simultaneous descent: both steps taken from the same point, per unit of lr."""
    moved, x = [], data(**options)
    for player in ("G", "D"):
        gan = game(theta, psi, lr, **options)
        gan.g_step(len(x), x) if player == "G" else gan.d_step(x)
        moved.append(float(getattr(gan, player).theta[0]))
    return (np.array(moved) - [theta, psi]) / lr


def jacobian(h=1e-3, **options):
    """∂field/∂(θ, ψ) at the equilibrium by five-point differences."""
    columns = []
    for e in np.eye(2):
        f = lambda k: field(*(k * h * e), **options)
        columns.append((8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h))
    return np.stack(columns, axis=1)


def trajectory(steps=400, lr=0.1, start=(1.0, 1.0), alternating=True, **options):
    """The path (steps + 1, 2) of (θ, ψ): alternating steps as GAN.step takes them, or simultaneous ones."""
    gan, path, x = game(*start, lr, **options), [start], data(**options)
    for _ in range(steps):
        if alternating:
            gan.step(x)
        else:
            gan.G.theta, gan.D.theta = path[-1] + lr * field(*path[-1], **options)
        path.append((float(gan.G.theta[0]), float(gan.D.theta[0])))
    return np.array(path)


print("real and imaginary parts of both eigenvalues")
for name, options in {"GAN": {}, "R1, γ = 0.3": dict(penalty="r1", gamma=0.3), "R1, γ = 1": dict(penalty="r1", gamma=1),
                      "R1 + R2, γ = 0.5": dict(penalty="r1+r2", gamma=0.5),
                      "R1 + R2, γ = 1": dict(penalty="r1+r2", gamma=1)}.items():
    a, b = np.sort_complex(np.round(np.linalg.eigvals(jacobian(**options)), 3)) + 0
    print(f"{name:17}  {a.real:6.3f} {a.imag:+.3f}i    {b.real:6.3f} {b.imag:+.3f}i")

# %% [markdown]
# The real part says how fast the distance shrinks: by $e^{\lambda t}$ after the time $t$ = steps × learning rate.
# R1 at γ = 1 is the critical case, where both eigenvalues meet at $-\tfrac12$; a weaker penalty still rotates, and
# only decays at $-\gamma/2$. **More damping is not faster.** R1 + R2 at γ = 1 is over-damped: ψ is pulled to 0 so
# strongly that D hardly sees where θ is, and the slow eigenvalue is $-1 + \sqrt{3/4}$. That is why it ends farther
# from the equilibrium than R1 at the same γ. R1 + R2 is critical at γ = ½.

# %%
CASES = {
    "GAN, simultaneous": {"alternating": False},
    "GAN, alternating": {},
    "WGAN, alternating": {"loss": "wasserstein"},
    "R1, γ = 0.3": {"penalty": "r1", "gamma": 0.3},
    "R1, γ = 1": {"penalty": "r1", "gamma": 1.0},
    "R1 + R2, γ = 1": {"penalty": "r1+r2", "gamma": 1.0},
}
fig, grid = Figure(figsize=(11, 7.2), dpi=100, layout="constrained"), np.linspace(-2, 2, 13)
print("distance from the equilibrium after 400 steps; it starts at √2")
for ax, (name, options) in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, CASES.items()):
    rest = {k: v for k, v in options.items() if k != "alternating"}
    arrows = np.array([[field(t, p, **rest) for t in grid] for p in grid])
    ax.quiver(grid, grid, arrows[..., 0], arrows[..., 1], color="#bbbbbb", angles="xy", width=0.004)
    path = trajectory(**options)
    ax.plot(*path.T, color="#0072b2", linewidth=1.2)
    ax.plot(*path[0], "o", color="#0072b2", markersize=5)
    ax.plot(0, 0, "+", color="#d55e00", markersize=12, markeredgewidth=2)
    ax.set(title=name, xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")
    print(f"{name:17}  {np.hypot(*path[-1]):.1e}")
fig.supxlabel("θ, the generator's point")
fig.supylabel("ψ, the discriminator's slope")
fig.savefig("13_dirac_gan.png")
print(f"√2·exp(−0.134·40) = {2**0.5 * np.exp((-1 + 0.75**0.5) * 40):.1e}")

# %% [markdown]
# ![vector fields and trajectories of six games](13_dirac_gan.png)
#
# Grey arrows: the direction of descent. Blue: the trajectory from (1, 1). Orange: the equilibrium. Alternating steps
# (D moves first, then G sees the new D) keep the distance, which simultaneous steps increase; neither converges.
#
# **Reference.** If all of the start lay along the slow direction, R1 + R2 at γ = 1 would end at the distance of the
# last line, $\sqrt2\, e^{(-1+\sqrt{3/4})\,t}$ at $t = 400 \cdot 0.1$. The measured distance is of this size.
#
# ## Exercises
# 1. Derive the eigenvalues of WGAN's Jacobian, and say why its picture turns faster than that of the plain GAN.
# 2. For which γ does R1 + R2 converge fastest? Check with `jacobian`, then with `trajectory`.
# 3. Set `loss="non_saturating"`. Show that $J$ stays the same, and explain with the next term of the Taylor series why
#    its trajectory nevertheless moves slowly inward.
