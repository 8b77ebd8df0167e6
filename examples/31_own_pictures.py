# %% [markdown]
# # 31. How does one train on a folder of colour pictures, and are the samples copies?
#
# You will see `tinygan train --data images:FOLDER --colour` from end to end: 113 faces of an emoji font are written
# into a folder, a DCGAN trains on it, and its samples are compared with the pictures. The set is so small that two
# questions matter more than a score: is the colour clean, and is a sample more than a copy of a training picture?
# (Three seeds with augmentation and one run without, in all about eight minutes on one thread.)
#
# **Pictures.** Each picture of the folder is cropped to its central square, resized, and scaled from bytes $p$ to
# $x = 2p/255 - 1$; transparent pixels become white. A colour picture is an array $(H, W, 3)$, and the networks differ
# from those for digits in two weights only: $D$'s first convolution has three input channels, $G$'s last has three
# output channels. Without `--model` the size of the pictures chooses: `dcgan_small` below 48 pixels, then `dcgan64`.
#
# **Colour noise.** Split each pixel into its mean $\bar x = (x_r + x_g + x_b)/3$ and the rest, its colour
# $c = x - \bar x$. Grey pixels have $c = 0$, and faces have large areas of one colour, so the discrete Laplacian
#
# $$ (\Delta c)_{ij} = 4c_{ij} - c_{i-1,j} - c_{i+1,j} - c_{i,j-1} - c_{i,j+1} $$
#
# is 0 there and large where neighbouring pixels have different tints. Its root mean square is the measure; that of the
# pictures is the reference value.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tinygan import data, run
from tinygan.metrics.distances import euclidean

here = Path(__file__).parent if "__file__" in globals() else Path()
SHORT = "TINYGAN_SHORT" in os.environ
STEPS, SEEDS, N = 2 if SHORT else 1500, 1 if SHORT else 3, 64 if SHORT else 256
folder = Path(tempfile.mkdtemp())


def write_pictures(sheet, folder, size=32):
    """Cut a sheet of size × size pictures, row by row, into files; white ones at its end are left out."""
    pixels = np.asarray(Image.open(sheet).convert("RGB"))
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    pictures = pixels.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)
    for i, picture in enumerate(pictures[(pictures < 255).any((1, 2, 3))]):
        Image.fromarray(picture).save(folder / f"{i:03}.png")


write_pictures(here / "data/emoji_faces.png", folder)
x, _ = data.load(f"images:{folder}", 32, colour=True)
print(f"{len(x)} pictures {x.shape[1:]}, from {x.min():.0f} to {x.max():.0f}")


def colour_noise(x):
    """The root mean square of the Laplacian of the colour."""
    c = x - x.mean(-1, keepdims=True)
    laplacian = (4 * c[:, 1:-1, 1:-1] - c[:, :-2, 1:-1] - c[:, 2:, 1:-1] - c[:, 1:-1, :-2] - c[:, 1:-1, 2:])
    return np.sqrt((laplacian**2).mean())


grey, flat = np.zeros((1, 3, 3, 3)), np.full((1, 3, 3, 3), (1.0, 0, -1))
dot = grey.copy()
dot[0, 1, 1] = 0.5, 0, -0.5
print(f"colour noise: grey {colour_noise(grey):.0f}, one colour {colour_noise(flat):.0f}, a tinted pixel between grey "
      f"ones {colour_noise(dot):.2f} (by hand: 4·√((0.5² + 0 + 0.5²)/3) = {4 * np.sqrt(0.5 / 3):.2f})")

# %% [markdown]
# **Why augment.** With 113 pictures $D$ soon knows each by heart: its logit is high on them and low on everything else,
# and the gradient that $G$ gets points to the nearest training picture. *Differentiable augmentation* (Zhao et al.
# 2020) shows $D$ only $T(x)$ with a random map $T$, for real and generated pictures alike:
#
# $$ d_{\text{real}} = D(T(x)), \qquad d_{\text{fake}} = D(T'(G(z))), \qquad
#    \frac{\partial L_G}{\partial G} = T'^{\top}\, \frac{\partial L_G}{\partial\, T'(G(z))} . $$
#
# Here $T$ moves a picture by up to an eighth of its size. It is affine, so its backward pass is its adjoint: the move
# back. Then $D$ compares the distributions of $T(x)$ and $T'(G(z))$, and these agree only if $x$ and $G(z)$ do, as long
# as the map from the distribution of $x$ to that of $T(x)$ can be inverted (Karras et al. 2020, section 2.2).
#
# **The command** (the chapter calls the same from Python):
#
# ```
# tinygan train --data images:FOLDER --image-size 32 --colour --augment translation --model dcgan_deep --width 0.25
#   --dropout 0 --batch 16 --loss relativistic --penalty r1+r2 --gamma 2:0.2 --beta1 0 --beta2 0.99 --lr 1e-3
#   --schedule cosine --average 0.998 --steps 1500 --epochs 1000
# ```
#
# *The last layer.* `dcgan_small` ends in a transposed convolution of stride 2. As chapter 5 shows, its outputs fall
# into four classes of pixels, each with its own taps of the kernel: to give neighbours one colour, four sets of weights
# must agree. `dcgan_deep` has one more layer, and its last one has stride 1: all pixels share one set of weights. For
# comparison one run uses `dcgan_small` and no augmentation.

# %%
OPTIONS = {"data": f"images:{folder}", "image_size": 32, "colour": True, "model": "dcgan_deep", "width": 0.25,
           "dropout": 0.0, "batch": 16, "loss": "relativistic", "penalty": "r1+r2", "gamma": "2:0.2", "beta1": 0.0,
           "beta2": 0.99, "g_lr": 1e-3, "d_lr": 1e-3, "schedule": "cosine", "average": 0.998, "steps": STEPS,
           "epochs": 1000.0}


def trained(name, **more):
    """N samples of a new run."""
    place = run.train(folder / name, quiet=True, **OPTIONS | more)
    return run.sample(place, N, seed=0)


def nearest(a, b, skip=False):
    """Root mean square difference of each picture in a to the nearest in b, and its index; skip: to another one."""
    distance = euclidean(*(p.reshape(len(p), -1).astype("float64") for p in (a, b))) / np.sqrt(a[0].size)
    if skip:
        np.fill_diagonal(distance, np.inf)
    return distance.min(1), distance.argmin(1)


def measures(a, skip=False):
    """Colour noise; median distance to the nearest picture and, of samples, to the nearest other one."""
    return np.array([colour_noise(a), np.median(nearest(a, x, skip)[0]), np.median(nearest(a, a, skip=True)[0])])


augmented = [trained(f"augmented-{seed}", augment="translation", seed=seed) for seed in range(SEEDS)]
plain = trained("plain", model="dcgan_small", plain=True, seed=0)
found = np.array([measures(a) for a in augmented])
print(f"{'':36}{'colour noise':>14}{'nearest picture':>17}{'nearest sample':>16}")
rows = {"with augmentation, mean": found.mean(0), "  spread of the seeds": found.std(0),
        "dcgan_small, not augmented, seed 0": measures(plain), "the pictures": measures(x, skip=True)}
for name, row in rows.items():
    print(f"{name:36}{row[0]:14.3f}{row[1]:17.3f}{row[2]:16.3f}")

# %%
fig = Figure(figsize=(11, 7.2), dpi=100, layout="constrained")
show = lambda a, columns: np.concatenate([np.concatenate(list(row), 1) for row in a.reshape(-1, columns, 32, 32, 3)])
left, middle, right = fig.subplots(1, 3, gridspec_kw={"width_ratios": (6, 6, 4)})
near = x[nearest(augmented[0][48:60], x)[1]]
pairs = np.stack([augmented[0][48:60], near], 1).reshape(-1, 32, 32, 3)
for ax, images, columns, title in ((left, x[:48], 6, "pictures"), (middle, augmented[0][:48], 6, "samples, seed 0"),
                                   (right, pairs, 4, "samples, each with its\nnearest picture on its right")):
    ax.imshow((show(images, columns) + 1) / 2)
    ax.set_title(title)
    ax.axis("off")
fig.savefig("31_own_pictures.png")

# %% [markdown]
# ![pictures, samples, and samples beside their nearest picture](31_own_pictures.png)
#
# **Colour.** The augmented runs have a colour noise of 0.428, the pictures 0.371, which come from the edges of eyes,
# tears and tongues. The plain run has 0.604, and it is where no picture has any: in the middle of a face. What is left
# of it is in the rare faces.
#
# **Copies?** A sample lies farther from its nearest picture than a picture from its nearest other picture, in every
# run (0.303 and 0.295 against 0.223): no copies, but also no sharp drawing. The right part of the figure shows what the
# number cannot: samples take mouth, eyes and colour from different pictures. The last column says how different two
# samples are; it is not below that of the pictures, so G does not repeat itself.
#
# **What is missing.** Rare faces (the cats, the blue and the red ones) come out blurred: each is one picture of 113. No
# held-out pictures are left to test against, so these figures do not say how well the generator generalises.
#
# **Your own pictures.** Give `--data images:FOLDER` any folder of PNG or JPEG files; a few thousand of one kind are
# better than a hundred. For photographs of faces write `--image-size 64 --colour`, which chooses `dcgan64`; use only
# pictures that you may use. Subfolders are classes, for `--conditional`.
#
# ## Exercises
# 1. Why is the colour noise of one colour everywhere 0, but that of the pictures not? Which pixels of a face
#    contribute?
# 2. Mirror each picture and double the set. Is a mirrored face a valid sample here? For which data would it not be?
# 3. Train with `--augment brightness`. Predict what happens to the white background, then look.
