# %% [markdown]
# # 22. Which curve tells which failure, and what cures it?
#
# You will see five failures of training, each produced on purpose by one wrong choice, beside the same game with the
# choice that cures it. For each a formula says why it fails, and curves say how one recognises it: the loss of D, the
# probabilities D(x) and D(G(z)), the gradient that comes back to the samples $x = G(z)$ and to $h$, the output of G's
# first layer (`tinygan.inspect`), and the distances among samples. (The chapter trains 39 small games, for about two
# minutes on one core.)
#
# **a. D too strong.** D takes five steps for each one of G, at twice G's rate. With the logit $\ell = D(x)$ and $N$
# samples, the two losses of chapter 10 give the sample $x$ the gradients
#
# $$ \frac{\partial L_{\text{minimax}}}{\partial x} = -\frac{\sigma(\ell)}{N}\nabla_x\ell , \qquad
#    \frac{\partial L_{\text{ns}}}{\partial x} = -\frac{\sigma(-\ell)}{N}\nabla_x\ell ; \qquad
#    \text{the ratio is } \frac{\sigma(\ell)}{\sigma(-\ell)} = e^{\ell} . $$
#
# If D is sure, $\ell \to -\infty$, the first one vanishes.
#
# **b. Mode collapse** (chapter 14, the ring of eight modes). Against a fixed D the best G sends all $z$ to one point,
# $\min_G \mathbb E[-\log D(G(z))] = -\log\max_x D(x)$, and nothing in a sample's loss asks where the others are.
#
# **c. A critic without bound** (chapter 16). D has two Dense layers; let $W_1, W_2$ be their weights, all biases 0.
# LeakyReLU is homogeneous, so for $s > 0$
#
# $$ f_{sW_1,\,sW_2}(x) = s^2 f_{W_1, W_2}(x) , \qquad
#    L(s) = s^2\,\big(\mathbb E f(G(z)) - \mathbb E f(x)\big) . $$
#
# Once the bracket is negative, the critic lowers its loss without end by growing, and its slope grows with it.
#
# **d. A dead generator.** For $y = \tanh a$ backward gives $da = (1 - y^2)\,dy$. In float32 $y$ is exactly $\pm 1$ from
# $|a| = 10$ on, and then $da = 0$. A ReLU unit that is negative for all $z$ also passes back 0. A step of Adam at the
# rate 0.1 changes each weight by about 0.1, so $a$, a sum over 128 units, can leave the range at once.
#
# **e. The range of the pixels.** G ends in tanh, the images are in [0, 255]. A real sample gives D's weights the
# gradient $-\sigma(-\ell)\,\partial\ell/\partial\theta$. With pixels a hundred times as large, $\ell$ is too, so
# $\sigma(-\ell) = 0$ after a few steps: D learns no more from the data. What is left is the term of the fakes, and no
# fake can ever be near the data.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, inspect, losses, metrics, models, optim
from tinygan.errors import choose
from tinygan.layers import Dense, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.metrics.distances import euclidean

SHORT = "TINYGAN_SHORT" in os.environ
SEEDS, LOOKS, DRAWN = (2, 1, 50) if SHORT else (3, 25, 500)     # LOOKS: points of each curve
order = np.random.default_rng(0).permutation(5000)
digits, held_out = np.split(data.load("mnist5k")[0][order], [4500])
eight, to_bytes = data.ring(sigma=0.05), lambda x: 127.5 * (x + 1)
r1, ring = {"penalty": "r1", "gamma": 1.0}, {"ring": True}
strong, critic = {"k": 5, "rate": 1e-3}, {"loss": "wasserstein", "k": 5, "rate": 1e-4, "d_rate": 1e-3}
CASES = {   # failure: steps, {variant: options of `game`}; the first variant fails, the last is the cure
    "a. D too strong": (150, {"minimax loss": {"loss": "minimax", **strong}, "non-saturating loss": strong,
                              "non-saturating, R1": {**strong, **r1}}),
    "b. mode collapse": (700, {"no penalty": ring, "R1 + R2": {**ring, "penalty": "r1+r2", "gamma": 0.1}}),
    "c. critic without bound": (200, {"no bound": critic, "penalty, λ = 10": {**critic, "penalty": "wgan_gp"}}),
    "d. dead generator": (250, {"ReLU, rate 0.1": {"act": ReLU, "rate": 0.1, **r1},
                                "LeakyReLU, rate 0.1": {"rate": 0.1, **r1}, "ReLU, rate 0.002": {"act": ReLU, **r1},
                                "LeakyReLU, rate 0.002": r1}),
    "e. range of pixels": (250, {"[0, 255]": {"scale": to_bytes, **r1}, "[−1, 1]": r1})}


def game(seed, ring=False, act=lambda: LeakyReLU(0.2), scale=lambda x: x, rate=2e-3, d_rate=2e-3, **options):
    """A game of small networks, the iterator of its batches, and 500 real samples to compare with."""
    adam = lambda lr: optim.Adam(lr, *((0.0, 0.99) if ring else (0.5, 0.999)))
    if ring:
        G, D = models.mixture(rng=seed, width=0.25)
        batches, real = data.Stream(eight, 64, rng=seed), eight.sample(DRAWN, np.random.default_rng(9))[0]
    else:
        G = Sequential([Dense(100, 64), act(), Dense(64, 128), act(), Dense(128, 784), Tanh(), Reshape((28, 28, 1))],
                       rng=seed)
        _, D = models.mlp(rng=seed, width=0.25)
        batches, real = data.Batches(scale(digits), 64, rng=seed), scale(held_out[:DRAWN])
    return GAN(G, D, g_opt=adam(rate), d_opt=adam(d_rate), rng=seed, **options), batches, real


def records(gan, loss, z):
    """inspect.layers of G and D in a row: outputs, and the gradients of G's loss in them."""
    return inspect.layers(Sequential([gan.G.copy(), gan.D.copy()]), z, lambda y: loss.g_loss(y)[1])


flat = lambda x: x.reshape(len(x), -1)
spread = lambda x: euclidean(flat(x), flat(x)).sum() / (len(x) * (len(x) - 1))      # mean distance of two samples
distance = lambda x, real: metrics.energy_distance(flat(x), flat(real)) / spread(real)
CURVES = ("d_loss", "D(x)", "D(G(z))", "‖∂L/∂x‖", "‖∂L/∂h‖", "spread")


def play(failure, variant, seed):
    """The game after its steps, its curves (looks, 1 + 6) and the distance of its samples to real ones."""
    steps, variants = choose("failure", failure, CASES)
    gan, batches, real = game(seed, **choose("variant", variant, variants))
    steps, curves, z, whole = LOOKS if SHORT else steps, [], gan.noise(64, 9), spread(real)

    def look(gan, m):
        if gan.steps % (steps // LOOKS) == 0:
            found = records(gan, gan.loss, z)
            x, h = found[len(gan.G.layers)], found[1]
            curves.append([gan.steps, *(m[name] for name in ("d_loss", "d_real", "d_fake")), x.norms[1], h.norms[1],
                           spread(x.output) / whole])
    gan.train(batches, steps, [look])
    return gan, np.array(curves), distance(gan.sample(DRAWN), real)


def text(v):
    """Two digits, without exponents where they are not needed."""
    return f"{v:.0f}" if abs(v) >= 100 else f"{v:.2g}" if abs(v) >= 1e-3 or v == 0 else f"{v:.0e}"


print(f"{'last step: mean±spread of the seeds':36}" + "".join(f"{name:>15}" for name in (*CURVES, "distance")))
played = {}
for failure, (_, variants) in CASES.items():
    print(failure)
    for variant in variants:
        runs = played[failure, variant] = [play(failure, variant, seed) for seed in range(SEEDS)]
        last = np.array([[*curves[-1, 1:], far] for _, curves, far in runs])
        cells = [f"{text(mean)}±{text(std)}" for mean, std in zip(last.mean(0), last.std(0, ddof=1))]
        print(f"   {variant:33}" + "".join(f"{cell:>15}" for cell in cells))
print(f"real digits: spread 1, distance {distance(digits[:DRAWN], held_out[:DRAWN]):.4f}; samples of the ring itself: "
      f"{distance(*(eight.sample(DRAWN, np.random.default_rng(seed))[0] for seed in (8, 9))):.4f}")
for variant in CASES["b. mode collapse"][1]:
    found = [metrics.mixture(gan.sample(5 * DRAWN), eight) for gan, *_ in played["b. mode collapse", variant]]
    print(f"ring, {variant}: modes of the seeds", *(f"{m['modes']:.0f}" for m in found),
          " KL divergence over the modes", *(f"{m['reverse_kl']:.2f}" for m in found))
z = np.random.default_rng(1).standard_normal((64, 100), "float32")
gan = played["a. D too strong", "minimax loss"][0][0]
minimax, ns = (records(gan, losses.get(name), z) for name in ("minimax", "non_saturating"))
norms = [np.linalg.norm(flat(found[len(gan.G.layers)].gradient), axis=1) for found in (minimax, ns)]
ratios, exponentials = norms[0] / norms[1], np.exp(minimax[-1].output[:, 0])
print(f"a: ratio of the gradients of a sample, median {np.median(ratios):.1e}; of exp(ℓ) {np.median(exponentials):.1e}")
gan = played["d. dead generator", "ReLU, rate 0.1"][0][0]
print("d: layer, 2-norm of the gradient in its output")
for found in records(gan, gan.loss, z)[1:]:
    print(f"   {found.name:15}{found.norms[1]:9.1e}")

# %%
fig = Figure(figsize=(11, 11), dpi=80)
fig.subplots_adjust(left=0.075, right=0.99, bottom=0.045, top=0.97, hspace=0.22, wspace=0.25)
grid = fig.subplots(len(CASES), 4)
for row, (failure, (_, variants)) in zip(grid, CASES.items()):
    for variant, colour in zip(([*variants][0], [*variants][-1]), ("#d55e00", "#0072b2")):
        runs = np.array([curves for _, curves, _ in played[failure, variant]])
        for ax, columns in zip(row, ((1,), (3, 2), (4, 5), (6,))):
            for k, line in zip(columns, ("-", "--")):
                values = np.maximum(runs[:, :, k], 1e-6) if k in (4, 5) else runs[:, :, k]      # a logarithm has no 0
                ax.plot(runs[0, :, 0], np.median(values, 0), line, color=colour, label=variant)
                ax.fill_between(runs[0, :, 0], values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
    row[0].set(ylabel=failure, yscale="symlog" if failure[0] == "c" else "linear")
    row[0].legend(fontsize=8, frameon=False)
    row[1].set_ylim(-0.05, 1.05)
    row[2].set(yscale="log", ylim=(3e-7, 300))
for ax, title in zip(grid[0], ("d_loss", "D(G(z)), dashed: D(x)", "‖∂L/∂x‖, dashed: ‖∂L/∂h‖", "spread")):
    ax.set_title(title, fontsize=10)
for ax in grid[-1]:
    ax.set_xlabel("step")
fig.savefig("22_failures.png")
