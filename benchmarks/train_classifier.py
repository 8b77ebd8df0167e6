"""Train the digit classifier of the metrics on the bundled digits, with tinygan alone.

    python benchmarks/train_classifier.py --test path/to/mnist     (a folder with MNIST's t10k IDX files)

5,000 images are few, so each is distorted anew every time: rotation, scale, shear, shift and a smooth random warp
(Simard et al. 2003). The weights that are kept are a moving average. Writes
tinygan/metrics/classifier.npz (float16) and classifier.txt with the accuracy on the test images, used once, at the end.
"""

import argparse
import hashlib
import time

import numpy as np
from tqdm import tqdm

from tinygan import data, optim
from tinygan.data.files import atomic
from tinygan.metrics.classifier import WEIGHTS, build, cross_entropy, predict
from tinygan.run import checkpoint


def distort(images, rng):
    """Each image (N, 28, 28, 1) through its own random affine map and warp, by bilinear interpolation."""
    n, h, w, _ = images.shape
    angle, shear = rng.uniform(-0.26, 0.26, n), rng.uniform(-0.2, 0.2, n)
    scale_y, scale_x = rng.uniform(0.87, 1.15, (2, n))
    y, x = np.mgrid[:h, :w] - (h - 1) / 2
    rows = (np.cos(angle)[:, None, None] * y + (np.sin(angle) + shear)[:, None, None] * x) * scale_y[:, None, None]
    columns = (np.cos(angle)[:, None, None] * x - np.sin(angle)[:, None, None] * y) * scale_x[:, None, None]
    shift = rng.uniform(-2.5, 2.5, (2, n, 1, 1))
    coarse = rng.normal(0, 1.1, (2, n, 5, 5))             # a displacement at 5 × 5 points, bilinear between
    weight = np.clip(1 - abs(np.linspace(0, 4, h)[:, None] - np.arange(5)), 0, None)
    warp = np.einsum("ia,snab,jb->snij", weight, coarse, weight)
    rows, columns = rows + shift[0] + warp[0] + (h - 1) / 2, columns + shift[1] + warp[1] + (w - 1) / 2
    padded = np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    rows, columns = np.clip(rows + 1, 0, h + 0.999), np.clip(columns + 1, 0, w + 0.999)
    i, j = rows.astype(int), columns.astype(int)
    a, b, k = rows - i, columns - j, np.arange(n)[:, None, None]
    result = ((1 - a) * ((1 - b) * padded[k, i, j] + b * padded[k, i, j + 1])
              + a * ((1 - b) * padded[k, i + 1, j] + b * padded[k, i + 1, j + 1]))
    return result.astype(np.float32)[..., None]


def train(epochs, seed=0, batch=50, lr=2e-3):
    """The averaged network after so many epochs."""
    rng = np.random.default_rng(seed)
    images, labels = data.load("mnist5k")
    net, per_epoch = build(rng), len(images) // batch
    adam = optim.Adam(optim.cosine(lr, epochs * per_epoch, end=0.005), beta1=0.9, weight_decay=1e-5)
    average = optim.Average(net, 0.998)
    for epoch in (bar := tqdm(range(epochs), unit="epoch")):
        order, total = rng.permutation(len(images)), 0.0
        for k in range(per_epoch):
            pick = order[k * batch:(k + 1) * batch]
            logits, cache = net.forward(distort(images[pick], rng), rng=rng)
            loss, d = cross_entropy(logits, labels[pick])
            grads = net.zero_grads()
            net.backward(d, cache, grads)
            adam.step(net, grads)
            average.update(net)
            total += float(loss)
        bar.set_postfix_str(f"loss {total / per_epoch:.4f}")
    return average.net


def accuracy(net, images, labels):
    return float((predict(images, net)[1].argmax(1) == labels).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", required=True, help="folder with t10k-images-idx3-ubyte and its labels")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    images, labels = data.load(f"idx:{args.test}", held_out=True)
    start = time.time()
    net = train(args.epochs, args.seed)
    arrays = {f"classifier.{name}": array.astype(np.float16) for name, array in net.params.items()}
    # Variances and means of normalisation keep their digits; they are few.
    arrays.update({f"classifier.state.{name}": array for name, array in net.state.items()})
    with atomic(WEIGHTS) as file:
        np.savez_compressed(file, **arrays)
    checkpoint.load(WEIGHTS, classifier=net)      # what is stated is the accuracy of what is stored
    score = accuracy(net, images, labels)
    text = (f"classifier.npz: the digit classifier of tinygan/metrics/classifier.py\n\n"
            f"made by    python benchmarks/train_classifier.py --test FOLDER --epochs {args.epochs} "
            f"--seed {args.seed}\n"
            f"trained on the 5,000 bundled digits only, distorted at random\n"
            f"accuracy   {100 * score:.2f}% on MNIST's 10,000 test images, which training never saw\n"
            f"SHA-256    {hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}\n")
    with atomic(WEIGHTS.with_suffix(".txt"), "w") as file:
        file.write(text)
    print(text, f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
