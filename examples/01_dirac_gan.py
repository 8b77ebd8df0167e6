"""Dirac-GAN: a GAN with two parameters, which shows why GAN training oscillates.

    python examples/01_dirac_gan.py            writes examples/01_dirac_gan.png

The data is a single point at 0, the generator gives a single point θ, and the discriminator is linear, D(x) = ψx. The
only equilibrium is θ = ψ = 0. Simultaneous gradient descent on the minimax loss follows a vector field. Its Jacobian at
the equilibrium has these eigenvalues (Mescheder et al. 2018, section 3; R1 = (γ/2)E‖∇D‖²):

    GAN       ±i/2                         a centre: descent with a finite step size spirals outward
    R1        −γ/2 ± √(γ²/4 − ¼)           stable: real parts below 0
    R1 + R2   −γ ± √(γ² − ¼)               stable

Each arrow and each trajectory is computed by tinygan's networks, losses and penalties with plain SGD, not by these
formulas.
"""

from pathlib import Path

import numpy as np

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


def field(theta, psi, **options):
    """The direction (dθ, dψ) of simultaneous descent: both steps taken from the same point, per unit of lr."""
    lr, moved, x = 1e-3, [], data(**options)
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
            now = path[-1] + lr * field(*path[-1], **options)
            gan.G.theta, gan.D.theta = now
        path.append((float(gan.G.theta[0]), float(gan.D.theta[0])))
    return np.array(path)


CASES = {
    "GAN, simultaneous": {"alternating": False},
    "GAN, alternating": {},
    "WGAN, alternating": {"loss": "wasserstein"},
    "instance noise, σ = 1": {"noise_std": 1.0},
    "R1, γ = 1": {"penalty": "r1", "gamma": 1.0},
    "R1 + R2, γ = 1": {"penalty": "r1+r2", "gamma": 1.0},
}


def figure(path):
    """Vector fields and trajectories of all cases."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(11, 7.2), dpi=100, layout="constrained")
    grid = np.linspace(-2, 2, 13)
    for ax, (name, options) in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, CASES.items()):
        rest = {k: v for k, v in options.items() if k != "alternating"}
        arrows = np.array([[field(t, p, **rest) for t in grid] for p in grid])
        ax.quiver(grid, grid, arrows[..., 0], arrows[..., 1], color="#bbbbbb", angles="xy", width=0.004)
        way = trajectory(**options)
        ax.plot(*way.T, color="#1f77b4", linewidth=1.2)
        ax.plot(*way[0], "o", color="#1f77b4", markersize=5)
        ax.plot(0, 0, "+", color="#d62728", markersize=12, markeredgewidth=2)
        ax.set_title(f"{name}: ends {np.hypot(*way[-1]):.2g} away", fontsize=10)
        ax.set_xlim(-2.2, 2.2)
        ax.set_ylim(-2.2, 2.2)
        ax.set_aspect("equal")
    fig.supxlabel("θ, the generator's point")
    fig.supylabel("ψ, the discriminator's slope")
    fig.savefig(path)


if __name__ == "__main__":
    for name, options in [("GAN", {}), ("R1, γ = 1", CASES["R1, γ = 1"]), ("R1 + R2, γ = 1", CASES["R1 + R2, γ = 1"])]:
        print(f"{name:<16} eigenvalues {np.round(np.linalg.eigvals(jacobian(**options)), 6)}")
    figure(Path(__file__).with_suffix(".png"))
