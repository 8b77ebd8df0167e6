# %% [markdown]
# # 22. Which curve tells which failure, and what cures it?
#
# You will see five failures, each produced on purpose by wrong choices, beside the same game with the choices that cure
# it, and for each a formula that says why it fails. The curves include the gradients that come back to the samples
# $x = G(z)$ and to $h$, the output of G's first layer. (It trains 39 small games, for two minutes on one core.)
#
# **a. D too strong**: five steps of D for each one of G, at twice the rate. With the logit $\ell$ of a sample $x$ and a
# batch of $N$, the two losses of chapter 10 give the sample the gradients
#
# $$ \frac{\partial L_{\text{minimax}}}{\partial x} = -\frac{\sigma(\ell)}{N}\nabla_x\ell , \qquad
#    \frac{\partial L_{\text{ns}}}{\partial x} = -\frac{\sigma(-\ell)}{N}\nabla_x\ell ; \qquad
#    \text{their ratio is } \frac{\sigma(\ell)}{\sigma(-\ell)} = e^{\ell} \to 0 \text{ for a D that is sure.} $$
#
# **b. Mode collapse** on the ring of chapter 14: against a fixed D the best G sends all $z$ to one point,
# $\min_G \mathbb E[-\log D(G(z))] = -\log\max_x D(x)$. No sample's loss asks where the others are.
#
# **c. A critic without bound** (chapter 16), with Dense layers $W_1$ and $W_2$, LeakyReLU and biases 0. For $s > 0$
#
# $$ f_{sW_1,\,sW_2}(x) = s^2 f_{W_1, W_2}(x) , \qquad
#    L(s) = s^2\,\big(\mathbb E f(G(z)) - \mathbb E f(x)\big) : $$
#
# once the bracket is negative, the critic lowers its loss without end by growing, and its slope grows with it.
#
# **d. A dead generator.** For $y = \tanh a$ backward gives $da = (1 - y^2)\,dy$, in float32 exactly 0 from $|a| = 10$
# on. A ReLU unit that is negative for all $z$ also passes back 0. A few steps of Adam at the rate 0.1 bring G there.
#
# **e. The range of the pixels**: [0, 255] for a G that ends in tanh. A real sample gives D's weights the gradient
# $-\sigma(-\ell)\,\partial\ell/\partial\theta$. Large pixels make $\ell$ large, so it is 0 after a few steps: D learns
# no more from the data, only from the fakes, and no fake can come near the data.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, inspect, losses, metrics, models, optim
from tinygan.errors import choose
from tinygan.layers import Dense, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.metrics.distances import euclidean

SHORT = "TINYGAN_SHORT" in os.environ
SEEDS, LOOKS, DRAWN = (3, 1, 50) if SHORT else (3, 25, 500)     # LOOKS: points of each curve
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


text = lambda v: f"{v:.0f}" if abs(v) >= 100 else f"{v:.2g}" if abs(v) >= 1e-3 or v == 0 else f"{v:.0e}"
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
found = [records(gan, losses.get(name), z) for name in ("minimax", "non_saturating")]
minimax, ns = (np.linalg.norm(flat(rows[len(gan.G.layers)].gradient), axis=1) for rows in found)
ratios, exponentials = minimax / ns, np.exp(found[0][-1].output[:, 0])
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

# %% [markdown]
# ![curves of five failures and of their cures](22_failures.png)
#
# Orange: the failure; blue: the cure (median and range of three seeds). Norms below 1e-6 are drawn at the bottom.
# *Spread*: mean distance of two samples; *distance*: energy distance to held-out data, as shares of the data's spread.
#
# * **a.** d_loss and D(G(z)) fall alike with both losses. The gradients differ: 0.0015 with minimax, as $e^\ell$ says,
#   and 0.38. But the non-saturating loss alone is no cure: its samples stay as far from the data (1.3) for as many
#   steps. With R1 D is no longer sure, and the distance falls to 0.071.
# * **b.** The losses only show a D that is ahead. Spread (0.66) and modes (3 or 4 of 8) show the failure; with R1 + R2
#   all modes are there, and the gradient at the samples is a hundred times smaller (4 and 0.037).
# * **c.** The loss reaches thousands, the gradient 72. With the penalty the gradient stays near 1/8, which is slope 1
#   at each of 64 samples. The samples do not tell (0.24 and 0.21), as Adam divides by the gradient's size.
# * **d.** D wins as in a, but the gradient is alive at the samples and exactly 0 below the tanh (list). All samples are
#   equal. LeakyReLU alone (0.93) and the small rate alone (0.85) are each worse than both (0.44).
# * **e.** One would expect that D wins at once. D(x) is 1 from the start, but d_loss does not fall to 0, and gradients
#   look healthy, as D never sees a fake beside the data. Compare the range of samples and data first.
#
# | what one sees | cause | cure |
# |---|---|---|
# | d_loss, D(G(z)) and all gradients of G go to 0 | saturating loss, D ahead | non-saturating loss and R1 |
# | spread and modes fall, the gradient at x is large | a steep D | R1 + R2 (chapter 14) |
# | d_loss and the gradient at x grow without end | no bound on the critic | gradient penalty (chapter 16) |
# | gradient at x alive, 0 in layers below; spread 0 | saturated tanh, dead ReLU | smaller rate and LeakyReLU |
# | D(x) = 1, d_loss not near 0, spread near 0 | data in another range | data in [−1, 1] |
#
# ## Exercises
# 1. Let D have BatchNorm and see real and fake samples as one batch. Which statistics does a fake meet in D's step, and
#    which in G's? Which curve shows the difference?
# 2. Multiply G's last weights by 100 at the start. Predict which norms of `inspect.layers` are smallest, then check.
