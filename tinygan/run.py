"""A training run and its folder: everything that `tinygan train` does, from Python.

    from tinygan import run
    folder = run.train(model="mlp", steps=2000, out="my-run")
    images = run.sample(folder, 64)

The folder holds
    config.json    every option, with defaults filled in: what repeats the run
    log.csv        step, d_loss, g_loss, d_real, d_fake; a row each step
    samples.png    a grid of samples, of the same latents each time
    progress.gif   those latents through training
    losses.png     the log as curves
    weights.npz    parameters and running statistics of G and D
"""

import csv
import json
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import backend, checkpoint, data, losses, metrics, models, optim, plots
from .errors import ConfigError, DataError, MissingError
from .files import atomic
from .gan import GAN
from .guards import Guard

COLUMNS = ("step", "d_loss", "g_loss", "d_real", "d_fake")
FRAMES = 40     # of progress.gif, over the whole run
SHOWN = 64      # images in samples.png and progress.gif; of points 1,000


@dataclass
class Config:
    """The options of a run. None: the model's own default (see `models`)."""
    model: str = None
    width: float = None
    data: str = "mnist5k"
    loss: str = "non_saturating"
    smoothing: float = 0.0
    latent: str = "normal"
    latent_dim: int = None
    steps: int = None
    epochs: float = None
    batch: int = None
    g_lr: float = None
    d_lr: float = None
    beta1: float = None
    beta2: float = 0.999
    schedule: str = "constant"
    weight_decay: float = 0.0
    k: int = 1
    m: int = 1
    seed: int = 0
    backend: str = "numpy"
    penalty: str = None
    gamma: str = None          # a number, or "start:end" over the run
    g_penalty: float = 0.0
    average: float = 0.0
    noise_std: str = None      # likewise
    clip: float = None
    augment: str = None
    pack: int = 1
    spectral: bool = False
    minibatch_std: bool = False

    def __post_init__(self):
        for name, least in [("steps", 1), ("batch", 1), ("k", 1), ("m", 1), ("latent_dim", 1), ("seed", 0),
                            ("pack", 1)]:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise ConfigError(f"expected {name} to be an integer ≥ {least}, got {value!r}")
        for name in ("width", "epochs", "g_lr", "d_lr"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < float("inf")):
                raise ConfigError(f"expected {name} to be a number above 0, got {value!r}")

    def resolve(self, samples):
        """Fill in what depends on the model and the data; samples: the shape of one sample."""
        if self.model is None:
            self.model = "points" if len(samples) == 1 else "dcgan_small"
        recipe = models.get(self.model)
        flat = ("points", "mixture")
        if len(samples) == 1 and self.model not in flat:
            raise ConfigError(f"model {self.model!r} expected images, got data {self.data!r} of shape {samples} a "
                              f"sample; use model 'points' or 'mixture'")
        if len(samples) == 3 and self.model in flat:
            raise ConfigError(f"model {self.model!r} expected data of 2-D points (ring, grid), got {self.data!r}; use "
                              f"another model: {', '.join(n for n in models.names if n not in flat)}")
        self.batch = self.batch or recipe.batch
        if self.batch % self.pack:
            raise ConfigError(f"expected a batch that is a multiple of the pack of {self.pack}, got {self.batch}; "
                              f"choose another batch or pack")
        self.g_lr, self.d_lr = self.g_lr or recipe.lr, self.d_lr or recipe.lr
        self.beta1 = recipe.beta1 if self.beta1 is None else self.beta1
        return recipe


def train(out=None, quiet=False, **options):
    """Train as the options (fields of Config) say; returns the run's folder as a Path.

    out: the folder to make, default runs/<time>-<model>. Everything is checked before the folder is made.
    Ctrl-C (or SIGTERM) ends training after the step under way and keeps all results; a second one stops at once.
    """
    return launch(_config(options), out, quiet).folder


def launch(config, out=None, quiet=False):
    """As `train`, from a Config; returns the Run with its log, its networks and whether it was interrupted."""
    run = Run(config)
    run.open(out)
    with _interruptible() as interrupted:
        run.go(interrupted, quiet)
    return run


def _config(options):
    known = {field.name for field in fields(Config)}
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}; choose among: {', '.join(sorted(known))}")
    return Config(**options)


class Run:
    """A run: its gan, its log (mapping column -> list), its frames, its folder."""

    def __init__(self, config):
        self.config = config
        backend.get(config.backend)
        weights, training, shuffle = (np.random.default_rng(s)
                                      for s in np.random.SeedSequence(config.seed).spawn(3))
        self.source, shape = _source(config.data)
        recipe = config.resolve(shape)
        self.batches = (data.Stream if isinstance(self.source, data.Mixture) else data.Batches)(
            self.source, config.batch, shuffle)
        self.steps = self._length(recipe)
        self.gan = _build(config, recipe, shape, weights, training, self.steps)
        self.z = self.gan.noise(SHOWN if len(shape) == 3 else 1000, self.gan.sample_rng)
        # What the options made of D must take what G draws; if not, say so before there is a folder.
        self.gan.D.forward(self.gan.sample(z=self.z[:config.pack]), train=False)
        self.log, self.pending, self.frames = {name: [] for name in COLUMNS}, [], []
        self.guard = Guard(self.gan, lambda text: tqdm.write(f"tinygan: warning: {text}", file=sys.stderr))
        self.interrupted = False

    def _length(self, recipe):
        per_epoch, c = self.batches.steps_per_epoch, self.config
        if c.epochs and not per_epoch:
            raise ConfigError(f"epochs need data that ends, got the endless stream {c.data!r}; give steps instead")
        if not c.steps and not c.epochs:
            if per_epoch:
                c.epochs = recipe.epochs
            else:
                c.steps = 5000
        ends = [c.steps] if c.steps else []
        ends += [max(1, round(c.epochs * per_epoch / c.k))] if c.epochs else []
        return min(ends)

    def open(self, out):
        """Make the folder; refuse one that has something in it."""
        if out is None:
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{self.config.model}"
            out = next(p for n in range(1, 1000)
                       if not (p := Path("runs", name if n == 1 else f"{name}-{n}")).exists())
        self.folder = Path(out)
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ConfigError(f"expected a new or empty folder for the run, got {self.folder}, which has content; "
                              f"name another one")
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self.folder / "config.json", "w") as file:
            json.dump({**asdict(self.config), "sample_shape": list(self.gan.D.input_shape)}, file, indent=2)

    def go(self, interrupted, quiet):
        """The training itself, with a look at the samples FRAMES times."""
        self.every = max(1, -(-self.steps // FRAMES))
        self.look()
        with tqdm(total=self.steps, unit="step", disable=quiet, file=sys.stderr, dynamic_ncols=True) as self.bar:
            try:
                self.gan.train(self.batches, steps=self.steps, stop=lambda gan, metrics: bool(interrupted),
                               callbacks=[self.record])
            finally:   # whatever happens, what there is stays
                self.interrupted = bool(interrupted)
                if not self.log["step"] or self.gan.steps % self.every:
                    self.look()
                self.save()
                if self.log["step"]:
                    plots.curves(self.log, self.folder / "losses.png")
                plots.save_gif(self.frames, self.folder / "progress.gif")

    def record(self, gan, metrics):
        """After each step: keep the metrics, unread; look at intervals."""
        self.pending.append((gan.steps, metrics))
        if len(self.pending) >= 10 or gan.steps == self.steps:
            self.read_log()
        if gan.steps % self.every == 0:
            self.look()
            self.save()

    def read_log(self):
        """Read the pending metrics from the device into the log, and show the last."""
        for step, values in self.pending:
            read = {name: float(value) for name, value in values.items()}
            for name in COLUMNS:
                self.log[name].append(step if name == "step" else read[name])
        if self.pending:
            self.bar.set_postfix_str("  ".join(f"{label} {self.log[name][-1]:.3f}" for name, label in [
                ("d_loss", "loss D"), ("g_loss", "G"), ("d_real", "D(x)"), ("d_fake", "D(G(z))")]), refresh=False)
            self.bar.update(len(self.pending))
            self.pending = []
            self.guard.check(step, read)

    def look(self):
        """The same latents through G as it is now."""
        samples = backend.asnumpy(self.gan.sample(z=self.z))
        real = self.source.sample(1000, np.random.default_rng(0))[0] if samples.ndim == 2 else None
        self.frames.append(plots.picture(samples, real))
        self.guard.look(self.gan.steps, samples, self.source[:500] if real is None else real)

    def save(self):
        """The last look, the weights and the log, each file whole."""
        plots.save_png(self.frames[-1], self.folder / "samples.png")
        checkpoint.save(self.folder / "weights.npz", D=self.gan.D, G=self.gan.G,
                        **({"average": self.gan.average.net} if self.gan.average else {}))
        with atomic(self.folder / "log.csv", "w") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(self.log[name] for name in COLUMNS)))


def _source(name):
    """The data by name, as images (N, H, W, C) or as a Mixture, and the shape of one sample."""
    if name in data.streams:
        mixture = data.stream(name)
        return mixture, (2,)
    images, _ = data.load(name)
    return images, images.shape[1:]


def _build(config, recipe, shape, weights, training, steps):
    c = config
    options = {"width": c.width, "latent": c.latent_dim, "image": tuple(shape), "augment": c.augment, "pack": c.pack,
               "spectral": c.spectral, "minibatch_std": c.minibatch_std}
    G, D = recipe.build(rng=weights, backend=c.backend, **{k: v for k, v in options.items() if v is not None})
    g_opt, d_opt = (optim.Adam(optim.schedule(c.schedule, lr, n), c.beta1, c.beta2, weight_decay=c.weight_decay)
                    for lr, n in [(c.g_lr, steps * c.m), (c.d_lr, steps * c.k)])
    return GAN(G, D, losses.get(c.loss, c.smoothing), g_opt, d_opt, c.latent, k=c.k, m=c.m, rng=training,
               penalty=c.penalty, gamma=_annealed("gamma", c.gamma, steps), g_penalty=c.g_penalty, average=c.average,
               noise_std=_annealed("noise_std", c.noise_std, steps) or 0.0, clip=c.clip)


def _annealed(name, value, steps):
    """A number, or "start:end" as a schedule over the run."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in str(value).split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or not all(0 <= n < float("inf") for n in numbers):
        raise ConfigError(f"expected {name} as a number ≥ 0, or start:end of them, got {value!r}")
    return numbers[0] if len(numbers) == 1 else optim.anneal(*numbers, steps)


def sample(folder, n, seed=None):
    """n new samples (n, …) float32 from a run's folder, on the host; seed None: fresh noise.

    Raises MissingError when it is not a run's folder, DataError when a file in it is damaged.
    """
    folder = Path(folder)
    try:
        options = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        shape = tuple(options.pop("sample_shape"))
        config = _config(options)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected the folder of a run (with config.json in it), got {folder}; "
                           f"make one with: tinygan train --out {folder}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"expected a config.json as tinygan writes it in {folder}, got a damaged or foreign one "
                        f"({' '.join(str(error).split())[:100]})") from None
    if not (isinstance(n, int) and n >= 1):
        raise ConfigError(f"expected a number of samples ≥ 1, got {n!r}")
    recipe, config.backend = models.get(config.model), "numpy"
    gan = _build(config, recipe, shape, 0, seed, 1)
    if gan.average:
        checkpoint.load(folder / "weights.npz", average=gan.average.net)
    else:
        checkpoint.load(folder / "weights.npz", G=gan.G)
    rng = np.random.default_rng(seed)
    batches = [gan.sample(z=gan.noise(min(256, n - i), rng)) for i in range(0, n, 256)]
    return np.concatenate(batches)


def evaluate(folder, n=2500, seed=0, held_out=None):
    """How good a run is: (figures, floors), two dicts of the same names (see `metrics`).

    n: samples to draw; seed: of all draws. The floors are the same figures for as many real samples. For digits,
    samples and floor are compared with the training images, the floor being n images of held_out, a data name such
    as idx:FOLDER; without it, one random half of the data is compared with the other.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    samples = sample(folder, n, seed)
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"]
    source, _ = _source(name)
    if isinstance(source, data.Mixture):
        real = source.sample(n, rng)[0]
        return metrics.mixture(samples, source, real), metrics.mixture(source.sample(n, rng)[0], source, real)
    if held_out:
        unseen, reference = data.load(held_out)[0], source
        unseen = unseen[rng.permutation(len(unseen))[:n]]
    else:
        order = rng.permutation(len(source))
        reference, unseen = source[order[:len(order) // 2]], source[order[len(order) // 2:]][:n]
    return metrics.digits(samples, reference), metrics.digits(unseen, reference)


@contextmanager
def _interruptible():
    """Gives a list that is no longer empty after Ctrl-C or SIGTERM. A second one interrupts as usual."""
    flag, before = [], {}

    def note(number, frame):
        if flag:
            raise KeyboardInterrupt
        flag.append(number)
        print("\nstopping after this step; once more stops at once", file=sys.stderr)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
