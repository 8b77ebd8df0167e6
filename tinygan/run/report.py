"""A report of a run as one HTML file, and several runs side by side.

    report.write(folder)                       report.html, with all images in it: no other file, network or script
    report.compare(folders, "compare.png")     an image of all runs, and the rows of a table
"""

import base64
import csv
import html
import io
import shlex
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import backend, inspect
from ..data import Batches, Mixture, Stream
from ..data.files import atomic
from ..errors import DataError, MissingError
from ..layers.labels import with_classes
from ..losses import cotangent, logit
from ..penalties import Penalty
from . import plots
from .config import Config, endpoints, from_options, source
from .results import evaluate, load, read_config

EQUILIBRIUM = "at the equilibrium D's loss is 2·log 2 ≈ 1.386, which is guessing (minimax and non_saturating)"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
img { max-width: 100%; image-rendering: auto; } .row { display: flex; gap: 1rem; } .row figure { flex: 1; }
figure { margin: 0; } figcaption { color: #666; font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: .15rem .8rem .15rem 0;
text-align: right; } td:first-child, th:first-child { text-align: left; } pre { background: #f5f5f5; padding: .6rem;
overflow-x: auto; } @media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; }
pre { background: #222; } img { background: #fff; } }
"""


def write(folder, n=2500, held_out=None):
    """Write report.html into the folder of a run; returns its path.

    n: number of samples for the metrics (see `results.evaluate`); 0: no metrics. Raises MissingError or DataError if
    the folder is not that of a run, or a file in it is damaged.
    """
    folder = Path(folder)
    options, shape = read_config(folder / "config.json")
    config, log = from_options(options), read_log(folder)
    real, _, labels = source(config)
    gan = load(folder, seed=0)
    parts = [f"<h1>{html.escape(str(folder.name))}</h1>",
             f"<p>{html.escape(config.model)} on {html.escape(config.data)}, {len(log['step'])} steps, "
             f"{gan.G.theta.size:,} parameters in G and {gan.D.theta.size:,} in D.</p>",
             '<div class="row">' + _file(folder / "samples.png", "samples, always from the same latent vectors")
             + _file(folder / "progress.gif", "those samples during training") + "</div>"]
    if n and (metrics := _metrics(folder, real, n, held_out)):
        parts += ["<h2>Metrics</h2>", metrics]
    parts += ["<h2>Losses and outputs of D</h2>", _file(folder / "losses.png", EQUILIBRIUM)]
    if len(shape) == 3:
        scale = 1 if shape[0] > 40 else 2
        parts += ["<h2>Interpolations</h2>", _picture(plots.grid(interpolations(gan), 9, scale),
                                                      "from one latent vector to another, in equal steps")]
        parts += ["<h2>Nearest training images</h2>", _picture(plots.grid(nearest(gan, real), 6, scale), (
            "left: a sample; then the five training images nearest to it"))]
    figure = io.BytesIO()
    inspect.figure(inside(gan, config.batch, real, labels)).savefig(figure, format="png")
    parts += ["<h2>Outputs and gradients, layer by layer</h2>", _image(figure.getvalue(), "png", (
        "one step of G: the outputs on the way from z to D's logit, and the gradient of G's loss on the way back"))]
    norms = [[side, name, f"{g:.3g}", f"{t:.3g}"] for side, name, g, t in gradients(gan, config, real, labels)]
    parts += ["<h2>Gradients, layer by layer</h2>", _table(["", "layer", "‖∂loss/∂θ‖", "‖θ‖"], norms)]
    parts += ["<h2>Command and options</h2>", f"<pre>{html.escape(command(config))}</pre>",
              _table(["option", "value"], [[k, str(v)] for k, v in asdict(config).items()])]
    page = (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(folder.name)}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
            + "\n".join(parts) + "</body></html>\n")
    with atomic(folder / "report.html") as file:
        file.write(page.encode("utf-8", "replace"))     # a folder's name may hold bytes that are no text
    return folder / "report.html"


def read_log(folder):
    """log.csv as a mapping column -> list of numbers; DataError when it is damaged."""
    path = Path(folder) / "log.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(header)}
        columns["step"]
    except FileNotFoundError:
        raise MissingError(f"expected log.csv in {folder}, got no file; is the run complete?") from None
    except (ValueError, IndexError, KeyError, UnicodeError) as error:
        raise DataError(f"expected a log as tinygan writes it in {path}, got a damaged one "
                        f"({' '.join(str(error).split())[:80]})") from None
    return columns


def command(config):
    """The command line that repeats a run."""
    words = ["tinygan", "train"]
    for name, value in asdict(config).items():
        if value != getattr(Config(), name) and value is not None and name != "classes":
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    return shlex.join(words)


def interpolations(gan, pairs=6, steps=9):
    """Images (pairs·steps, H, W, C): each row from one latent vector a to another b, at cos(α)·a + sin(α)·b."""
    rng = np.random.default_rng(1)
    a, b = (backend.asnumpy(gan.noise(pairs, rng)) for _ in range(2))
    t = np.linspace(0, 1, steps, dtype=a.dtype)[None, :, None]
    angle = np.pi / 2 * t
    z = np.cos(angle) * a[:, None] + np.sin(angle) * b[:, None]
    return gan.sample(z=z.reshape(pairs * steps, -1).astype(gan.G.theta.dtype))


def nearest(gan, real, n=8, k=5):
    """Images (n·(k + 1), H, W, C): each of n samples, then the k real images at the smallest Euclidean distance."""
    samples = gan.sample(z=gan.noise(n, np.random.default_rng(2)))
    rows = []
    for sample in samples:
        distance = ((real - sample)**2).sum(axis=(1, 2, 3))
        rows += [sample, *real[np.argsort(distance)[:k]]]
    return np.stack(rows)


def inside(gan, n, real, labels=None):
    """What `inspect.layers` records in one step of G on n samples, without an update: of G, then of D."""
    rng, of_d = np.random.default_rng(3), []
    if isinstance(real, Mixture):
        x = real.sample(n, rng)[0]
    else:
        some = rng.integers(len(real), size=n)
        x, labels = real[some], None if labels is None else labels[some]
    x = gan.input_of_d(backend.to(x.astype(gan.G.theta.dtype), backend.name_of(gan.G.theta)), labels)
    real_logits = logit(gan.D.copy().forward(x)[0]) if getattr(gan.loss, "needs_real", False) else None

    def loss(y):
        return cotangent(gan.loss.g_loss(logit(y), real_logits)[1], y)

    def through_d(fake):
        of_d.extend(inspect.layers(gan.D, gan.input_of_d(fake, labels), loss))
        return of_d[0].gradient[..., :fake.shape[-1]]
    of_g = inspect.layers(gan.G, with_classes(gan.noise(n, rng), labels, gan.classes), through_d)
    return [record._replace(name=f"{side}: {record.name}") for side, records in (("G", of_g), ("D", of_d))
            for record in records]


def gradients(gan, config, real, labels=None):
    """(side, layer, norm of its gradient, norm of its parameters) of one step, D before G, without an update.

    Annealed options (γ, instance noise) have their final values.
    """
    norms = []

    class Recorder:
        """An optimiser that records the norms of the gradient and updates nothing."""
        def step(self, net, grads):
            side = "D" if net.layers is gan.D.layers else "G"
            for i, layer in enumerate(net.layers):
                if len(layer.params):
                    vector = np.concatenate([grads[f"{i}.{name}"].ravel() for name in layer.params])
                    norms.append((side, f"{i} {layer}", float(np.linalg.norm(vector)),
                                  float(np.linalg.norm(layer.params.vector))))
    gan.g_opt = gan.d_opt = Recorder()
    gan.average = None
    if isinstance(config.penalty, str):
        gan.penalty = Penalty(config.penalty, config.gamma and endpoints("gamma", config.gamma)[-1])
    if config.noise_std is not None:
        gan.noise_std = endpoints("noise_std", config.noise_std)[-1]
    gan.train(Stream(real, config.batch, 0) if isinstance(real, Mixture) else Batches(real, config.batch, 0, labels), 1)
    return norms


def compare(folders, path):
    """Write an image of several runs to `path`, samples and losses in a column each; returns the rows of a table."""
    runs = [(Path(folder), from_options(read_config(Path(folder) / "config.json")[0]), read_log(folder))
            for folder in folders]
    plots.side_by_side([(folder.name, folder / "samples.png", log) for folder, _, log in runs], path)
    rows = [["", *(folder.name for folder, _, _ in runs)],
            ["steps done", *(str(len(log["step"])) for _, _, log in runs)]]
    for name in asdict(Config()):
        values = [str(getattr(config, name)) for _, config, _ in runs]
        if len(set(values)) > 1:
            rows.append([name, *values])
    for name in ("d_loss", "g_loss", "d_real", "d_fake"):
        rows.append([f"{name}, last tenth",
                     *(f"{np.mean(log[name][-max(1, len(log[name]) // 10):]):.4f}" for _, _, log in runs)])
    return rows


def _metrics(folder, real, n, held_out):
    """The table of metrics with reference values, or "" for data without metrics: other images, or too few."""
    if not isinstance(real, Mixture) and (real.shape[1:] != (28, 28, 1) or len(real) < (100 if held_out else 200)):
        return ""
    metrics, reference = evaluate(folder, n, held_out=held_out)
    rows = [[name, f"{value:.4g}", f"{reference[name]:.4g}"] for name, value in metrics.items()]
    return _table(["", "run", "reference"], rows) + (
        f"<p>{n} samples; the reference value is the same metric of real ones" + (
            "" if held_out else ", one half of the training data against the other") + ".</p>")


def _table(head, rows):
    line = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _file(path, caption):
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return f"<p>{html.escape(path.name)}: missing</p>"
    return _image(content, path.suffix[1:], caption)


def _picture(pixels, caption):
    return _image(plots.png(pixels), "png", caption)


def _image(content, kind, caption):
    data = base64.b64encode(content).decode()
    return (f'<figure><img src="data:image/{kind};base64,{data}" alt="{html.escape(caption)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")
