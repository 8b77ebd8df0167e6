"""A training run and its folder: everything that `tinygan train` does, from Python.

    from tinygan import run
    folder = run.train(model="mlp", steps=2000, out="my-run")
    images = run.sample(folder, 64)

The folder holds
    config.json     every option, with defaults filled in: what repeats the run
    log.csv         step, d_loss, g_loss, d_real, d_fake; a row each step
    samples.png     a grid of samples, of the same latents each time
    progress.gif    those latents through training
    losses.png      the log as curves
    weights.npz     parameters and running statistics of G and D
    checkpoint.npz  all that the run needs to go on to the very same bits; the one before is checkpoint.previous.npz
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
from . import checkpoint, plots, processes
from .config import Config, build, check_effect, from_options, source
from ..errors import ConfigError, DataError
from ..data.files import atomic, clean, locked
from ..gan import steps_of
from .monitor import Monitor
from .results import read_config

FILES = ("config.json", "log.csv", "samples.png", "progress.gif", "losses.png", "weights.npz", "checkpoint.npz",
         "checkpoint.previous.npz")
COLUMNS = ("step", "d_loss", "g_loss", "d_real", "d_fake")
FRAMES = 40     # of progress.gif, over the whole run
SAVE_EVERY = 60     # seconds between checkpoints, at most
SHOWN = 64      # images in samples.png and progress.gif; of points 1,000


def train(out=None, quiet=False, **options):
    """Train as the options (fields of Config) say; returns the run's folder as a Path.

    out: the folder to make, default runs/<time>-<model>. Everything is checked before the folder is made.
    Ctrl-C (or SIGTERM) ends training after the step under way and keeps all results; a second one stops at once.
    """
    return launch(from_options(options), out, quiet).folder


def launch(config, out=None, quiet=False):
    """As `train`, from a Config; returns the Run with its log, its networks and whether it was interrupted."""
    check_effect(config)
    run = Run(config)
    run.open(out)
    run.go(quiet)
    return run


def resume(folder, quiet=False, data=None):
    """Go on with the run in this folder from its last checkpoint, to the very bits of a run that was never stopped.

    The bits are those of the same machine with as many threads. data: the name of the same data, if it lies elsewhere
    by now; from then on it is the run's own. Returns the Run. On a damaged checkpoint it goes back to the one before
    and says so; stopped before its first one, the run begins anew. Raises MissingError or DataError when there is none
    that can be read, or the data is no longer the same; ConfigError while another process is at work there.
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
        run = Run(from_options(options | ({} if data is None else {"data": data})))
    except (TypeError, AttributeError, ConfigError) as error:
        raise DataError(f"expected the options of a run in {path}, got {' '.join(str(error).split())[:100]}; is it of "
                        f"another version?") from None
    run.folder = folder
    if state:
        run.restore(*state, path)
    run.moved = data is not None
    run.go(quiet)       # even with no step left: it may have been killed before its last pictures were made
    return run


class Run:
    """A run: its gan, its log (mapping column -> list), its frames (PNG files, as bytes), its folder."""

    def __init__(self, config):
        self.config = config
        backend.get(config.backend)
        kernels.tf32(config.tf32)
        config.data = data.located(config.data)
        weights, training, shuffle = (np.random.default_rng(s)
                                      for s in np.random.SeedSequence(config.seed).spawn(3))
        self.source, shape, labels = source(config)
        recipe = config.resolve(shape)
        self.processes = processes.started()
        self.first = self.processes.rank == 0           # it alone writes and speaks
        if config.batch % (self.processes.size * config.pack):
            raise ConfigError(f"expected a batch that is a multiple of {self.processes.size} processes times packs of "
                              f"{config.pack}, got {config.batch}; choose another batch")
        self.batches = (data.Stream(self.source, config.batch, shuffle) if isinstance(self.source, data.Mixture) else
                        data.Batches(self.source, config.batch, shuffle, labels))
        self.steps = self._length(recipe)
        self.gan = gan = build(config, recipe, shape, weights, training, self.steps, self.processes)
        for optimiser, net in ((gan.g_opt, gan.G), (gan.d_opt, gan.D)):
            optimiser.prepare(net)      # its slots are part of every checkpoint, the first one too
        self.z = self.gan.noise(SHOWN if len(shape) == 3 else 1000, self.gan.sample_rng)
        # What the options made of D must take what G draws; if not, say so before there is a folder.
        self.gan.tell(np.zeros(config.pack, int))
        self.gan.D.forward(self.gan.sample(z=self.z[:config.pack]), train=False)
        self.log, self.pending, self.frames = {name: [] for name in COLUMNS}, [], []
        self.monitor = Monitor(self.gan, lambda text: tqdm.write(f"tinygan: warning: {text}", file=sys.stderr))
        self.interrupted = self.moved = False

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
        ends += [steps_of(c.epochs, per_epoch, c.k)] if c.epochs else []
        return min(ends)

    def open(self, out):
        """Make the folder; refuse one that has something in it."""
        self.folder, trouble = None, None
        try:
            if self.first:
                self._open(out)
        except (ConfigError, OSError) as error:
            trouble = error
        if self.processes.agree(trouble):       # or the others would wait for the first one for ever
            raise trouble or ConfigError("the first process could not make the run's folder; see what it says")

    def _open(self, out):
        self.folder = self._new_folder() if out is None else Path(out)
        taken = ConfigError(f"expected a new or empty folder for the run, got {self.folder}, which has content; "
                            f"name another one, or go on with it: --resume {self.folder}")
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise taken
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.save_config(new=True)
        except FileExistsError:         # another run was a moment earlier
            raise taken from None

    def save_config(self, new=False):
        """Write config.json; new: FileExistsError if there is one."""
        with atomic(self.folder / "config.json", "w", new=new) as file:
            json.dump({**asdict(self.config), "sample_shape": list(self.gan.D.input_shape)}, file, indent=2)

    def _new_folder(self):
        """runs/<time>-<model>, made just now, with a number if there is one of that name."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{self.config.model}"
        Path("runs").mkdir(exist_ok=True)
        for n in count(1):
            folder = Path("runs", name if n == 1 else f"{name}-{n}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder

    def go(self, quiet=False):
        """The training itself, with a look at the samples FRAMES times, and a checkpoint then and each minute."""
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
                self.look()
                self.save_state()
            try:
                self.gan.train(self.batches, steps=self.steps - self.gan.steps, callbacks=[self.record],
                               stop=lambda gan, metrics: self.processes.agree(interrupted))
                self.read_log()
                self.save_state()
            finally:   # whatever happens, what there is stays; after an error the last checkpoint stands
                self.interrupted = bool(interrupted)
                if self.gan.steps % self.every:
                    self.look()
                self.save()
                if self.first and self.log["step"]:
                    plots.curves(self.log, self.folder / "losses.png")
                if self.first:
                    plots.save_gif(self.frames, self.folder / "progress.gif")

    def record(self, gan, metrics):
        """After each step: keep the metrics, unread; look and save at intervals."""
        self.pending.append((gan.steps, metrics))
        if len(self.pending) >= 10 or gan.steps == self.steps or gan.steps % self.every == 0:
            self.read_log()
        if gan.steps % self.every == 0:
            self.look()
            self.save()
            self.save_state()
        elif self.processes.size == 1 and time.monotonic() - self.saved > SAVE_EVERY:   # (clocks of several differ)
            self.read_log()
            self.save_state()

    def read_log(self):
        """Read the pending metrics from the device into the log, and show the last."""
        for step, values in self.pending:
            figures = np.array([float(value) for value in values.values()])
            self.processes.average(figures)
            read = dict(zip(values, figures.tolist()))
            for name in COLUMNS:
                self.log[name].append(step if name == "step" else read[name])
        if self.pending:
            self.bar.set_postfix_str("  ".join(f"{label} {self.log[name][-1]:.3f}" for name, label in [
                ("d_loss", "loss D"), ("g_loss", "G"), ("d_real", "D(x)"), ("d_fake", "D(G(z))")]), refresh=False)
            self.bar.update(len(self.pending))
            self.pending = []
            self.monitor.check(step, read)

    def look(self):
        """The same latents through G as it is now."""
        samples = backend.asnumpy(self.gan.sample(z=self.z))
        real = self.source.sample(1000, np.random.default_rng(0))[0] if samples.ndim == 2 else None
        self.frames.append(plots.png(plots.picture(samples, real)))
        self.monitor.check_samples(self.gan.steps, samples, self.source[:500] if real is None else real)

    def save(self):
        """The last look, the weights and the log, each file whole."""
        if not self.first:
            return
        with atomic(self.folder / "samples.png") as file:
            file.write(self.frames[-1])
        checkpoint.save(self.folder / "weights.npz", **self._networks())
        with atomic(self.folder / "log.csv", "w") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(self.log[name] for name in COLUMNS)))

    # The state of the run: everything that the next step depends on, and what has been seen so far.

    def save_state(self):
        """Write checkpoint.npz, as it stands between two steps."""
        self.saved = time.monotonic()
        if not self.first:
            return
        gan = self.gan
        meta = {"tinygan": __version__, "config": asdict(self.config), "steps": gan.steps,
                "t": {name: thing.t for name, thing in self._clocks().items()},
                "rng": {name: rng.bit_generator.state for name, rng in self._generators().items()},
                "batches": self.batches.state(), "data": self._fingerprint(),
                "warned": sorted(self.monitor.warned), "recent": self.monitor.recent}
        arrays = {name: backend.asnumpy(array) for name, array in self._arrays().items()}
        arrays |= {f"log.{name}": np.array(values, np.float64) for name, values in self.log.items()}
        arrays |= {f"frame.{i}": np.frombuffer(frame, np.uint8) for i, frame in enumerate(self.frames)}
        checkpoint.save_state(self.folder / "checkpoint.npz", arrays, meta)

    def restore(self, arrays, meta, path):
        """Become what `save_state` saved; DataError if it does not fit."""
        if meta.get("data") != self._fingerprint():
            raise DataError(f"the data {self.config.data!r} is not the data that the run in {path} was trained on; put "
                            f"it back, or start a new run")
        try:
            checkpoint.put(self._arrays(), arrays, path)
            for name, thing in self._clocks().items():
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
                f"expected the state of a run in {path}, got one with a part missing or changed "
                f"({' '.join(str(error).split())[:100]}); start anew") from None

    def _networks(self):
        return {"G": self.gan.G, "D": self.gan.D, **({"average": self.gan.average.net} if self.gan.average else {})}

    def _clocks(self):
        return {"g_opt": self.gan.g_opt, "d_opt": self.gan.d_opt,
                **({"average": self.gan.average} if self.gan.average else {})}

    def _generators(self):
        return {"training": self.gan.rng, "samples": self.gan.sample_rng}

    def _arrays(self):
        slots = {f"{name}.{slot}": array for name, optimiser in (("g_opt", self.gan.g_opt), ("d_opt", self.gan.d_opt))
                 for slot, array in optimiser.state.items()}
        return checkpoint.arrays_of(self._networks()) | slots | {"z": self.z}

    def _fingerprint(self):
        """SHA-256 of the data, so that nobody goes on with other data unawares; of a mixture, its name."""
        if not hasattr(self, "_data"):
            self._data = (self.config.data if isinstance(self.source, data.Mixture) else
                          hashlib.sha256(np.ascontiguousarray(self.source)).hexdigest())
        return self._data


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
