# %% [markdown]
# # 19. What does each layer of a convolutional GAN compute, and what does it learn?
#
# You will follow one latent vector through the generator of a small DCGAN (after Radford et al. 2016) and one digit
# through its discriminator. Three pairs are trained for the same time as those of [chapter 18](18_mlp_gan.md). Then you
# will see gradients and filters, what D knows about the class of a digit, and what each stage of G adds. (3 minutes.)
#
# **Receptive field.** On one axis, let a unit see $r$ pixels, and let neighbouring units be $j$ pixels apart. A unit of
# the next layer, with kernel $k$ and stride $s$, sees $k$ of them: $r$ pixels, and $j$ more for each further one. Its
# own neighbours are $s$ such steps apart:
#
# $$ r \leftarrow r + (k - 1)\,j, \qquad j \leftarrow j\,s, \qquad\text{from } r = j = 1 \text{ at the pixels.} $$
#
# A transposed convolution is the transpose of a convolution ([chapter 5](05_transposed_convolution.md)). So in G the
# same recursion, from the last layer to the first, gives the pixels that a unit of a layer's *input* can change.
#
# **Multiplications.** A convolution uses each of its $k^2 c_\text{in} c_\text{out}$ weights at every place of its
# output, a transposed one at every place of its input (counting those in the padding).

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, inspect, losses, models, optim
from tinygan.data import Batches
from tinygan.layers import Conv2D, ConvTranspose2D, MaxPool2D
from digit_samples import differences, draw, sheet, split, spread, table
from restoration import held_out

SHORT = "TINYGAN_SHORT" in os.environ
STEPS, COUNT, SEEDS, GRID = (2, 100, 1, (0.1,)) if SHORT else (1000, 1000, 3, (0.001, 0.01, 0.1, 1, 10))


def layer_table(net, x, up):
    """Print a line for each layer; up: a generator, whose r is counted from the last layer."""
    records, r, j, lines = inspect.layers(net, x, np.ones_like), 1, 1, []
    for given, made in list(zip(records, records[1:]))[::-1 if up else 1]:
        layer, seen, products = made.layer, "", 0
        if "W" in layer.params:
            seen, products = "all", layer.params["W"].size
        if isinstance(layer, (Conv2D, ConvTranspose2D)):
            r, j = r + (layer.kernel[0] - 1) * j, j * layer.stride[0]
            seen, products = r, products * (given if up else made).output[0, :, :, 0].size
        lines.append(f"{layer!r:38}{'×'.join(map(str, made.output.shape[1:])):>10}{seen:>6}"
                     f"{layer.params.vector.size:>12,}{products:>17,}")
    print(f"{'layer':38}{'output':>10}{'r':>6}  parameters  multiplications", *lines[::-1 if up else 1], sep="\n")


train, other, train_labels, other_labels = split(SHORT)
z = np.random.default_rng(0).standard_normal((64, 100), dtype="float32")
new = [models.dcgan_small(rng=seed, dropout=0) for seed in range(SEEDS)]
layer_table(new[0][0], z, up=True)
layer_table(new[0][1], train[:2], up=False)

# %% [markdown]
# Dense has most of G's parameters and few of its multiplications, as it uses no weight twice. A transposed convolution
# with stride 2 doubles height and width: each unit lays down a patch of 5×5, two pixels from the next, so 9, 6 or 4
# patches meet in a pixel. BatchNorm between them gives each channel the mean $\beta$ and the standard deviation
# $\lvert\gamma\rvert$ over batch and positions: what is the same for all z and all positions is removed.
#
# **Training**: 4,000 digits, batches of 32, both players Adam with rate 0.001 and $\beta_1 = \frac12$, no dropout. Then
# `inspect` follows 64 latent vectors through G and D (layers 0.i and 1.i), and the gradient of G's loss back.

# %%
games = [(G.copy(), D.copy()) for G, D in new]
for seed, pair in enumerate(games):
    GAN(*pair, g_opt=optim.Adam(0.001), d_opt=optim.Adam(0.001), rng=seed).train(Batches(train, 32, rng=seed), STEPS)
both = Sequential([net.copy() for net in games[0]])
records = inspect.layers(both, z, lambda l: losses.get("non_saturating").g_loss(l)[1])
stages = [r for r in records if r.name.split()[0] in ("input", "0.3", "0.5", "0.6", "0.9", "0.11", "1.1", "1.3", "1.5")]
inspect.figure(stages).savefig("19_dcgan_layers-gradients.png")

# %% [markdown]
# ![outputs and gradients of the layers of G and D](19_dcgan_layers-gradients.png)
#
# Read it from below: the gradient in the logits is negative, as each sample should look more real. In D its norm grows
# fourfold, up to the output of the first layer (1.1); that layer's convolution makes it five times smaller (0.11). In G
# it stays within a factor of about three. At 0.9 it is left along the strokes: elsewhere tanh is flat.
#
# **What does D know about classes?** Nobody tells D the class of a digit. A *linear probe* asks whether its features
# contain it: least squares from the features $f$ (less their mean) to the 10 columns of the one-hot labels,
#
# $$ W = \arg\min_W \lVert fW - t\rVert^2 + \lambda \lVert W\rVert^2 = (f^T f + \lambda I)^{-1} f^T t , $$
#
# and the class is the largest column of $fW$ plus the mean of $t$ (after Radford et al. 2016, section 5.1). In the code
# $\lambda$ is in units of $\mathrm{trace}(f^T f)/n$. Four fifths of the training digits fit $W$, the rest choose
# $\lambda$; 1,000 other and 200 held-out digits give the share of right classes. Control: new Ds.

# %%
def features(D, x):
    """name: what a probe is given of pictures x, (N, n)."""
    found = {r.name: r.output for r in inspect.layers(D, x, np.zeros_like, train=False)}
    pooled = MaxPool2D(2).forward(found["1 LeakyReLU"])[0].reshape(len(x), -1)
    return {"pixels": x.reshape(len(x), -1), "layer 1, pooled": pooled, "layer 2": found["4 Flatten"]}


def probe(fit, choose, *tests):
    """Shares of right classes in the tests; each argument is (features (N, n), labels (N,))."""
    mean, t = fit[0].mean(0), np.eye(10, dtype="float32")[fit[1]]
    f, share = fit[0] - mean, t.mean(0)
    A, unit = f.T @ f, np.trace(f.T @ f) / f.shape[1] * np.eye(f.shape[1], dtype="float32")
    right = lambda W, x, labels: float((((x - mean) @ W + share).argmax(1) == labels).mean())
    W = max((np.linalg.solve(A + lam * unit, f.T @ t) for lam in GRID), key=lambda W: right(W, *choose))
    return [right(W, *test) for test in tests]


held, part, found = held_out(80 if SHORT else 200), np.arange(len(train)) % 5 > 0, {}
sets = (train[part], train_labels[part]), (train[~part], train_labels[~part]), (other, other_labels), held
for seed, (_, D) in enumerate(games):
    for name, net in {"new": new[seed][1], "trained": D}.items():
        by_set = [features(net, x) for x, _ in sets]
        for key in by_set[0]:
            score = probe(*((f[key], labels) for f, (_, labels) in zip(by_set, sets)))
            found.setdefault((key, name if key != "pixels" else ""), []).append(score)
print(f"share of right classes: {len(other)} other and {len(held[0])} held-out digits")
for (layer, name), scores in found.items():
    print(f"{layer:16} {name:20}", spread(scores, 3, 3))

# %% [markdown]
# Both layers of a D that was **not** trained are far better than pixels: most of the gain is that of the architecture.
# Training adds a little in layer 2 (0.951 against 0.942, three times the spread) and nothing clear in layer 1. The
# held-out digits agree, but 200 are too few for such a difference: two digits are a hundredth.
#
# **What does a stage of G add?** Set one channel after a stage to 0. The *roughness* of the change, the mean squared
# difference of neighbouring pixels over its mean square, is 0 for a constant and 2 for independent pixels of mean 0.

# %%
def without(G, z, end):
    """The picture, and the pictures without each channel of the output of G.layers[:end] (c, N, 28, 28, 1)."""
    first, rest = (Sequential([layer.copy() for layer in part]) for part in (G.layers[:end], G.layers[end:]))
    a, _ = first.forward(z, train=False)
    keep = 1 - np.eye(a.shape[-1], dtype="float32")
    return rest.forward(a, train=False)[0], np.array([rest.forward(a * k, train=False)[0] for k in keep])


rows, numbers = {}, {}
for G, _ in games:
    for end in (4, 7, 10):
        x, changed = without(G, z[:20], end)
        size = ((changed - x)**2).mean((1, 2, 3, 4))
        rough = [differences(change) / max(s, 1e-9) for change, s in zip(changed - x, size)]
        numbers.setdefault(end, []).append((np.sqrt(size).mean(), np.sqrt(size).max(), np.median(rough)))
        if G is games[0][0]:
            change = (changed[size.argmax()] - x)[:12]
            rows |= {"sample": x[:12], f"change by layer {end - 1}": change / abs(change).max()}
print("without one channel after layer   change: mean      largest        roughness")
for end, values in numbers.items():
    print(f"{end - 1:31}  ", spread(values, 3, 3, 2))
print(f"digits less their mean: roughness {differences(train - train.mean(0)) / train.var(0).mean():.2f}")
table({"DCGAN, samples": [draw(G, COUNT, 100 + seed) for seed, (G, _) in enumerate(games)],
       "training digits": [train[k::4][:COUNT] for k in range(SEEDS)]}, other)
print("MLP GAN of chapter 18      28.36 ± 0.38    0.65 ± 0.03    0.03 ± 0.01   0.243 ± 0.008    6.30 ± 0.93")

# %%
fig = Figure(figsize=(11, 6), dpi=100, layout="constrained")
tiles = {f"filters of D's first layer, {name}": pairs[0][1].params["0.W"][:, :, 0]
         for name, pairs in {"new": new, "trained": games}.items()}
tiles["a digit after this layer"] = inspect.layers(games[0][1], held[0][60:61], np.zeros_like)[2].output[0]
ax = fig.subplot_mosaic([[*tiles], ["G"] * 3], height_ratios=(1, 1.9))
for name, a in tiles.items():
    a, limit = np.pad(a.transpose(2, 0, 1), ((0, 0), (0, 1), (0, 1)))[..., None], abs(a).max()
    ax[name].imshow(sheet(a.reshape(4, 4, *a.shape[1:])), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax[name].set(title=name, xticks=[], yticks=[])
ax["G"].imshow(sheet(rows.values()), cmap="RdBu_r", vmin=-1, vmax=1)
ax["G"].set(xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("19_dcgan_layers.png")
alike = [[np.corrcoef(*(pair[1].params["0.W"].ravel() for pair in pairs))[0, 1]] for pairs in zip(new, games)]
print("correlation of the filters, new and trained:", spread(alike, 2))

# %% [markdown]
# ![filters, feature maps, and samples without one channel](19_dcgan_layers.png)
#
# Trained filters resemble their initial values (correlation 0.85). The frames in the maps come from the padding: it is
# 0, the background is −1. No channel of G carries a digit: the changes (each row at its own scale) are small, along
# the strokes, and rougher than digits. After layer 9 they are finer; layers 3 and 6 do not differ clearly.
#
# **Beside dense layers**, after the same time (42 seconds a pair), the Fréchet distance is 16.37 instead of 28.36, the
# recall 0.43 instead of 0.03, and the salt is gone; the precision is lower. Both are far from the reference, 0.31.
#
# ## Exercises
# 1. Check r in G: push a tangent that is 1 in one unit through the layers after it (`jvp`, with `train=False`) and
#    count the rows that it reaches. Why does a unit in the middle of layer 3 reach only 27?
# 2. Give D dropout (`dropout=0.3`) and repeat the probe. Which layers know more?
# 3. Replace BatchNorm in G by `Identity`. What do the gradients of the first layers do?
