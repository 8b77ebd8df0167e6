"""Training in a folder that holds everything needed to look at the run, repeat it and resume it.

The folder holds
    config.json     every option, with defaults filled in: enough to repeat the run
    log.csv         step, d_loss, g_loss, d_real, d_fake; a row each step
    samples.png     a grid of samples, always from the same latent vectors
    progress.gif    those samples during training
    losses.png      the log as curves
    weights.npz     parameters and running statistics of G and D
    checkpoint.npz  the whole state, from which the run resumes bit-exactly; the previous one is
                    checkpoint.previous.npz
"""

import csv
import hashlib
import json
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import __version__, backend, data, kernels
from ..data.files import atomic, clean, locked
from ..errors import ConfigError, DataError
from ..kernels import graphs
from ..layers import with_classes
from . import checkpoint, plots, processes
from .config import build, check_effect, from_options, source
from .monitor import Monitor
from .results import read_config

FILES = ("config.json", "log.csv", "samples.png", "progress.gif", "losses.png", "weights.npz", "checkpoint.npz",
         "checkpoint.previous.npz")
COLUMNS = ("step", "d_loss", "g_loss", "d_real", "d_fake")
FRAMES = 40         # of progress.gif, over the whole run
SAVE_EVERY = 60     # seconds between checkpoints, at most
IMAGES, POINTS = 64, 1000       # samples in samples.png and progress.gif


def train(out=None, quiet=False, **options):
    """Train with these options (fields of Config); returns the run's folder as a Path.

    out: the folder to create, default runs/<time>-<model>. All options are checked before it is created. Ctrl-C (or
    SIGTERM) stops after the current step and keeps all results; a second one stops at once.
    """
    return launch(from_options(options), out, quiet).folder


def launch(config, out=None, quiet=False):
    """As `train`, from a Config; returns the Run."""
    check_effect(config)
    run = Run(config)
    run.open(out)
    run.train(quiet)
    return run


def resume(folder, quiet=False, data=None):
    """Continue the run in this folder from its last checkpoint; returns the Run.

    It resumes bit-exactly: the results equal those of an uninterrupted run on the same machine with the same number of
    threads. data: the new name of the same data, if it has moved; the run's config.json is updated. A damaged
    checkpoint is replaced by the previous one, with a warning; a run stopped before its first checkpoint starts again
    from step 0. Raises MissingError or DataError if no checkpoint can be read or the data has changed, ConfigError if
    another process trains in this folder.
    """
    folder = Path(folder)
    path, state = folder / "checkpoint.npz", None
    if (folder / "config.json").exists() and not any(
            file.exists() for file in (path, checkpoint.previous(path), folder / "weights.npz")):
        options = read_config(folder / "config.json")[0]
    else:
        state = checkpoint.load_state(path, lambda text: print(f"tinygan: warning: {text}", file=sys.stderr))
        options = state[1].get("config")
    try:
        run = Run(from_options({"plain": True} | options | ({} if data is None else {"data": data})))
    except (TypeError, AttributeError, ConfigError) as error:
        raise DataError(f"expected the options of a run in {path}, got {' '.join(str(error).split())[:100]}; is it of "
                        f"another version?") from None
    run.folder = folder
    if state:
        run.restore(*state, path)
    run.moved = data is not None
    run.train(quiet)    # even with no step left: it may have been killed before it wrote its last images
    return run


class Run:
    """A run.

    gan          the GAN that is trained;  steps: the length of the run
    log          mapping column -> list of numbers, a row each step
    frames       contents of PNG files: samples during training
    folder       where it writes
    interrupted  whether Ctrl-C or SIGTERM has stopped it
    """

    def __init__(self, config):
        self.config = config
        backend.get(config.backend)
        kernels.tf32(config.tf32)
        config.data = data.located(config.data)
        weights, training, shuffle = (np.random.default_rng(s)
                                      for s in np.random.SeedSequence(config.seed).spawn(3))
        self.source, self.shape, labels = source(config)
        recipe = config.resolve(self.shape)
        self.processes = processes.started()
        self.first = self.processes.rank == 0           # it alone writes and prints
        if config.batch % (self.processes.size * config.pack):
            raise ConfigError(f"expected a batch that is a multiple of {self.processes.size} processes times packs of "
                              f"{config.pack}, got {config.batch}; choose another batch")
        self.batches = (data.Stream(self.source, config.batch, shuffle) if isinstance(self.source, data.Mixture) else
                        data.Batches(self.source, config.batch, shuffle, labels))
        self.steps = self._length(recipe)
        self.gan = gan = build(config, recipe, self.shape, weights, training, self.steps)
        for optimiser, net in ((gan.g_opt, gan.G), (gan.d_opt, gan.D)):
            optimiser.prepare(net)      # its state is part of every checkpoint, the first one too
        self.z = gan.noise(IMAGES if len(self.shape) == 3 else POINTS, gan.sample_rng)
        # One forward pass of each network: a D that does not accept G's samples is reported before there is a folder.
        labels = [0] * config.pack
        samples = gan.sample(z=self.z[:config.pack], labels=labels)
        gan.D.forward(with_classes(samples, labels, gan.classes), train=False)
        if self.processes.size > 1:
            processes.share(gan, self.processes)
        if config.capture:
            graphs.capture(gan)
        self.log, self.pending, self.frames = {name: [] for name in COLUMNS}, [], []
        self.monitor = Monitor(gan, lambda text: tqdm.write(f"tinygan: warning: {text}", file=sys.stderr))
        self.interrupted = self.moved = False

    def _length(self, recipe):
        per_epoch, c = self.batches.steps_per_epoch, self.config
        if c.epochs and not per_epoch:
            raise ConfigError(f"expected steps for the endless data {c.data!r}, got {c.epochs} epochs; give steps "
                              f"instead")
        if not c.steps and not c.epochs:
            if per_epoch:
                c.epochs = recipe.epochs
            else:
                c.steps = 5000
        ends = [c.steps] if c.steps else []
        ends += [steps_of(c.epochs, per_epoch, c.k)] if c.epochs else []
        return min(ends)

    def open(self, out):
        """Create the folder; ConfigError if it exists and is not empty."""
        self.folder, trouble = None, None
        try:
            if self.first:
                self._open(out)
        except (ConfigError, OSError) as error:
            trouble = error
        if self.processes.agree(trouble):       # all processes raise: none waits for the first one forever
            raise trouble or ConfigError("the first process could not create the run's folder; see its message")

    def _open(self, out):
        self.folder = self._new_folder() if out is None else Path(out)
        taken = ConfigError(f"expected a new or empty folder for the run, got {self.folder}, which has content; "
                            f"name another one, or continue the run in it: --resume {self.folder}")
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise taken
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.save_config(new=True)
        except FileExistsError:         # another run has created it since the check
            raise taken from None

    def save_config(self, new=False):
        """Write config.json; new: FileExistsError if there is one."""
        with atomic(self.folder / "config.json", "w", new=new) as file:
            json.dump({**asdict(self.config), "sample_shape": list(self.shape)}, file, indent=2)

    def _new_folder(self):
        """Create runs/<time>-<model>, with a number if that exists."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{self.config.model}"
        Path("runs").mkdir(exist_ok=True)
        for n in count(1):
            folder = Path("runs", name if n == 1 else f"{name}-{n}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder

    def train(self, quiet=False):
        """Train to the end; draw samples FRAMES times, write a checkpoint with them and each minute."""
        self.every, self.saved = max(1, -(-self.steps // FRAMES)), time.monotonic()
        lock = locked(self.folder) if self.first else nullcontext()
        with lock, _interruptible() as interrupted, tqdm(
                total=self.steps, initial=self.gan.steps, unit="step", disable=quiet or not self.first,
                file=sys.stderr, dynamic_ncols=True, mininterval=0.1 if sys.stderr.isatty() else 10) as self.bar:
            if self.first:
                clean(self.folder, FILES)
                if self.moved:
                    self.save_config()
            if not self.frames:
                self.draw_samples()
                self.save_state()
            try:
                self.gan.train(map(self.processes.share, self.batches), self.steps - self.gan.steps,
                               [self.record, lambda gan, metrics: self.processes.agree(interrupted)])
                self.read_log()
                self.save_state()
            finally:   # after an error too: results are written, the last checkpoint is left as it is
                self.interrupted = bool(interrupted)
                if self.gan.steps % self.every:
                    self.draw_samples()
                self.save()
                if self.first and self.log["step"]:
                    plots.curves(self.log, self.folder / "losses.png")
                if self.first:
                    plots.save_gif(self.frames, self.folder / "progress.gif")

    def record(self, gan, metrics):
        """Callback after each step: keep the metrics without reading them from the device; save at intervals."""
        self.pending.append((gan.steps, metrics))
        if len(self.pending) >= 10 or gan.steps == self.steps or gan.steps % self.every == 0:
            self.read_log()
        if gan.steps % self.every == 0:
            self.draw_samples()
            self.save()
            self.save_state()
        elif self.processes.size == 1 and time.monotonic() - self.saved > SAVE_EVERY:   # (clocks of processes differ)
            self.read_log()
            self.save_state()

    def read_log(self):
        """Read the pending metrics from the device into the log, show the last ones and check them."""
        for step, values in self.pending:
            numbers = np.array([float(value) for value in values.values()])
            self.processes.average(numbers)
            read = dict(zip(values, numbers.tolist()))
            for name in COLUMNS:
                self.log[name].append(step if name == "step" else read[name])
        if self.pending:
            self.bar.set_postfix_str("  ".join(f"{label} {self.log[name][-1]:.3f}" for name, label in [
                ("d_loss", "loss D"), ("g_loss", "G"), ("d_real", "D(x)"), ("d_fake", "D(G(z))")]), refresh=False)
            self.bar.update(len(self.pending))
            self.pending = []
            self.monitor.check(step, read)

    def draw_samples(self):
        """Add a frame: samples of the current G from the run's latent vectors."""
        samples = backend.asnumpy(self.gan.sample(z=self.z))
        real = self.source.sample(1000, np.random.default_rng(0))[0] if samples.ndim == 2 else None
        self.frames.append(plots.png(plots.picture(samples, real)))
        self.monitor.check_samples(self.gan.steps, samples, self.source[:500] if real is None else real)

    def save(self):
        """Write the last frame, the weights and the log, each file atomically."""
        if not self.first:
            return
        with atomic(self.folder / "samples.png") as file:
            file.write(self.frames[-1])
        checkpoint.save(self.folder / "weights.npz", **self._networks())
        with atomic(self.folder / "log.csv", "w") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(self.log[name] for name in COLUMNS)))

    # The state of the run: everything that the next step depends on, and the log and frames so far.

    def save_state(self):
        """Write checkpoint.npz; call it between two steps."""
        self.saved = time.monotonic()
        if not self.first:
            return
        gan = self.gan
        meta = {"tinygan": __version__, "config": asdict(self.config), "steps": gan.steps,
                "t": {name: thing.t for name, thing in self._counters().items()},
                "rng": {name: rng.bit_generator.state for name, rng in self._generators().items()},
                "batches": self.batches.state(), "data": self._fingerprint(),
                "warned": sorted(self.monitor.warned), "recent": self.monitor.recent}
        arrays = {name: backend.asnumpy(array) for name, array in self._arrays().items()}
        arrays |= {f"log.{name}": np.array(values, np.float64) for name, values in self.log.items()}
        arrays |= {f"frame.{i}": np.frombuffer(frame, np.uint8) for i, frame in enumerate(self.frames)}
        checkpoint.save_state(self.folder / "checkpoint.npz", arrays, meta)

    def restore(self, arrays, meta, path):
        """Restore what `save_state` wrote; DataError if it does not fit."""
        if meta.get("data") != self._fingerprint():
            raise DataError(f"the data {self.config.data!r} is not the data that the run in {path} was trained on; "
                            f"restore it, or start a new run")
        try:
            checkpoint.put(self._arrays(), arrays, path)
            for name, thing in self._counters().items():
                thing.t = int(meta["t"][name])
            for name, rng in self._generators().items():
                rng.bit_generator.state = meta["rng"][name]
            self.batches.set_state(meta["batches"])
            self.gan.steps = int(meta["steps"])
            self.log = {name: arrays[f"log.{name}"].tolist() for name in COLUMNS}
            self.log["step"] = [int(step) for step in self.log["step"]]
            frames = sorted((int(name.split(".")[1]), name) for name in arrays if name.startswith("frame."))
            self.frames = [arrays[name].tobytes() for _, name in frames]
            self.monitor = Monitor(self.gan, self.monitor.warn)
            self.monitor.warned, self.monitor.recent = set(meta["warned"]), list(meta["recent"])
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise error if isinstance(error, DataError) else DataError(
                f"expected the state of a run in {path}, got one with a missing or changed part "
                f"({' '.join(str(error).split())[:100]}); start a new run") from None

    def _networks(self):
        return {"G": self.gan.G, "D": self.gan.D, **({"average": self.gan.average.net} if self.gan.average else {})}

    def _counters(self):
        return {"g_opt": self.gan.g_opt, "d_opt": self.gan.d_opt,
                **({"average": self.gan.average} if self.gan.average else {})}

    def _generators(self):
        return {"training": self.gan.rng.generator, "samples": self.gan.sample_rng.generator}

    def _arrays(self):
        slots = {f"{name}.{slot}": array for name, optimiser in (("g_opt", self.gan.g_opt), ("d_opt", self.gan.d_opt))
                 for slot, array in optimiser.state.items()}
        return checkpoint.arrays_of(self._networks()) | slots | {"z": self.z}

    def _fingerprint(self):
        """SHA-256 of the data, or the name of a mixture: a run must not continue on other data unnoticed."""
        if not hasattr(self, "_data"):
            self._data = (self.config.data if isinstance(self.source, data.Mixture) else
                          hashlib.sha256(np.ascontiguousarray(self.source)).hexdigest())
        return self._data


def steps_of(epochs, per_epoch, k=1):
    """The number of steps, each of k batches, nearest to so many epochs of `per_epoch` batches; at least one."""
    return max(1, round(epochs * per_epoch / k))


@contextmanager
def _interruptible():
    """Yields a list that is not empty after Ctrl-C or SIGTERM. A second signal interrupts as usual."""
    flag, before = [], {}

    def note(number, frame):
        if flag:
            raise KeyboardInterrupt
        flag.append(number)
        print("\nstopping after this step; press Ctrl-C again to stop at once", file=sys.stderr)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
