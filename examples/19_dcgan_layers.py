# %% [markdown]
# # 19. What does each layer of a convolutional GAN compute, and what does it learn?
#
# You will follow one latent vector through the generator of a small DCGAN (after Radford et al. 2016) and one digit
# through its discriminator: shapes, receptive fields, parameters and multiplications of each layer. Then three pairs
# are trained, and you will see the gradients in all layers, the filters, what the features of D know about the class of
# a digit, and what each stage of G adds to a picture. (About four minutes on one core.)
#
# **Receptive field.** Let a unit of a layer see $r$ pixels of the picture, on one axis, and let neighbouring units be
# $j$ pixels apart. A unit of the next layer, with kernel $k$ and stride $s$, sees $k$ neighbours. The first sees $r$
# pixels, and each further one adds $j$; its own neighbours are $s$ of these steps apart:
#
# $$ r \leftarrow r + (k - 1)\,j, \qquad j \leftarrow j\,s, \qquad\text{from } r = j = 1 \text{ at the pixels.} $$
#
# A transposed convolution is the transpose of a convolution ([chapter 5](05_transposed_convolution.md)). So the same
# recursion, from G's last layer to the first, gives the pixels that a unit of a layer's *input* can change.
#
# **Multiplications.** Each of the $H'W'$ units of a convolution's output is a sum of $k^2 c_\text{in}$ products for
# each output channel: $k^2 c_\text{in} c_\text{out} H'W'$, with only $k^2 c_\text{in} c_\text{out}$ weights. In a
# transposed convolution each unit of the *input* lays down $k^2 c_\text{out}$ products.

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
STEPS, COUNT, SEEDS = (2, 100, 1) if SHORT else (800, 1000, 3)


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
# In G, $r$ is the number of pixels that a unit of the layer's input changes. The Dense layer has most of G's
# parameters and few of its multiplications, since no weight is used twice; the first transposed convolution has most
# multiplications. A transposed convolution with stride 2 doubles height and width: each unit lays down a 5×5 patch,
# two pixels from the next, so that a pixel gets 9, 6 or 4 of them. Between the convolutions, BatchNorm gives each
# channel mean $\beta$ and standard deviation $\gamma$ over batch and positions: a channel that is the same for all z
# becomes constant, and cannot hide the others.
#
# **Training**: 4,000 digits, batches of 32, both players Adam with rate 0.001 and $\beta_1 = 0.5$, no dropout. Then
# `inspect` follows 64 latent vectors through G and D, and the gradient of G's loss back.

# %%
def trained(seed):
    """G and D after the game."""
    gan = GAN(*models.dcgan_small(rng=seed, dropout=0), g_opt=optim.Adam(0.001), d_opt=optim.Adam(0.001), rng=seed)
    gan.train(Batches(train, 32, rng=seed), STEPS)
    return gan.G, gan.D


games = [trained(seed) for seed in range(SEEDS)]
G, D = games[0]
records = inspect.layers(Sequential([G.copy(), D.copy()]), z, lambda l: losses.get("non_saturating").g_loss(l)[1])
stages = [r for r in records if r.name.split()[0] in ("input", "0.3", "0.5", "0.6", "0.9", "0.11", "1.1", "1.3", "1.5")]
inspect.figure(stages).savefig("19_dcgan_layers-gradients.png")

# %% [markdown]
# ![outputs and gradients of the layers of G and D](19_dcgan_layers-gradients.png)
#
# TEXT
#
# **What does D know about classes?** Nobody tells D the class of a digit. A *linear probe* asks whether its features
# contain it: least squares from the features $f$ (less their mean) to the 10 columns of the one-hot labels,
#
# $$ W = \arg\min_W \lVert fW - t\rVert^2 + \lambda \lVert W\rVert^2 = (f^T f + \lambda I)^{-1} f^T t , $$
#
# and the class is the largest column. (Radford et al. 2016, section 5.1, used D's features so, max-pooled.)
# The probe is fitted on four fifths of the training digits, $\lambda$ is chosen on the rest, and the share of right
# classes is measured on the 1,000 other and on the 200 held-out digits. A D that was never trained is the control.

# %%
def features(D, x):
    """name: what a probe is given of pictures x, (N, n)."""
    found = {r.name: r.output for r in inspect.layers(D, x, np.zeros_like, train=False)}
    pooled, _ = MaxPool2D(2).forward(found["1 LeakyReLU"])
    flat = lambda a: a.reshape(len(a), -1)
    return {"pixels": flat(x), "layer 1, pooled": flat(pooled), "layer 2": found["4 Flatten"]}


def probe(fit, choose, *tests):
    """Shares of right classes in the tests; each argument is (features (N, n), labels (N,))."""
    mean, t = fit[0].mean(0), np.eye(10, dtype="float32")[fit[1]]
    f, share = fit[0] - mean, t.mean(0)
    A, unit = f.T @ f, np.trace(f.T @ f) / f.shape[1] * np.eye(f.shape[1], dtype="float32")
    right = lambda W, x, labels: float((((x - mean) @ W + share).argmax(1) == labels).mean())
    W = max((np.linalg.solve(A + lam * unit, f.T @ t) for lam in (0.01, 0.1, 1, 10)), key=lambda W: right(W, *choose))
    return [right(W, *test) for test in tests]


held, part, found = held_out(200), np.arange(len(train)) % 5 > 0, {}
sets = (train[part], train_labels[part]), (train[~part], train_labels[~part]), (other, other_labels), held
for seed, (_, D) in enumerate(games):
    for name, net in {"new": new[seed][1], "trained": D}.items():
        by_set = [features(net, x) for x, _ in sets]
        for layer in by_set[0]:
            score = probe(*((f[layer], labels) for f, (_, labels) in zip(by_set, sets)))
            found.setdefault((layer, name if layer != "pixels" else ""), []).append(score)
print(f"share of right classes: {len(other)} other and {len(held[0])} held-out digits")
for (layer, name), scores in found.items():
    print(f"{layer:16} {name:20}", spread(scores, 3, 3))

# %% [markdown]
# TEXT
#
# **What does a stage of G add?** Set one channel after a stage to 0 and look at the change of the picture. Its
# *roughness*, the mean squared difference of neighbouring pixels over its mean square, is 0 for a constant and 2 for
# independent pixels.

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
            rows |= {"sample": x[:16], f"no {size.argmax()} of {len(size)}, layer {end - 1}": changed[size.argmax()][:16]}
print("without one channel after layer   change: mean      largest        roughness")
for end, values in numbers.items():
    print(f"{end - 1:31}  ", spread(values, 3, 3, 2))
table({"DCGAN, samples": [draw(G, COUNT, 100 + seed) for seed, (G, _) in enumerate(games)]}, other)

# %%
fig = Figure(figsize=(11, 5), dpi=100, layout="constrained")
tiles = {f"filters of D's first layer, {name}": pairs[0][1].params["0.W"][:, :, 0]
         for name, pairs in {"new": new, "trained": games}.items()}
tiles["a digit after this layer"] = inspect.layers(games[0][1], held[0][60:61], np.zeros_like)[2].output[0]
ax = fig.subplot_mosaic([[*tiles], ["G"] * 3], height_ratios=(1, 1.6))
for name, a in tiles.items():
    a, limit = np.pad(a.transpose(2, 0, 1), ((0, 0), (0, 1), (0, 1)))[..., None], abs(a).max()
    ax[name].imshow(sheet(a.reshape(4, 4, *a.shape[1:])), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax[name].set(title=name, xticks=[], yticks=[])
ax["G"].imshow(sheet(rows.values()), cmap="gray", vmin=-1, vmax=1)
ax["G"].set(xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("19_dcgan_layers.png")

# %% [markdown]
# ![filters, feature maps, and samples without one channel](19_dcgan_layers.png)
#
# TEXT
#
# ## Exercises
# 1. Check the column r: for G, push a tangent that is 1 in one unit in the middle through the layers after it
#    (`jvp` with `train=False`) and count the rows of the picture that it reaches. Why does the first one reach 27?
# 2. Give D dropout (`dropout=0.3`) and repeat the probe. Which layers know more?
# 3. Replace BatchNorm in G by `Identity`. What do the gradients of the first layers do?
