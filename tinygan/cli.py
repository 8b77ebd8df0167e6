"""The command line: tinygan train | sample | restore | evaluate | report | compare | gradcheck | explain | bench |
info.

Results go to stdout, progress and errors to stderr. Exit codes: 0 success, 1 a check failed, 2 bad input, 3 training
diverged (the last finite weights are kept), 130 stopped by Ctrl-C (the results so far are kept).
"""

import argparse
import json
import os
import platform
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from . import __version__, backend, models
from . import run as runs
from .data import load_picture
from .data.files import atomic
from .errors import ConfigError, TinyganError
from .run import Config, plots, report
from .run.monitor import Diverged
from .run.options import add_options


def main(argv=None):
    """Parse the arguments and run the command; returns the exit code. (Ctrl-C is handled in __main__.)"""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:      # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        if hasattr(getattr(sys, name), "reconfigure"):   # a terminal that lacks a character shows "?"
            getattr(sys, name).reconfigure(errors="replace")
    try:
        args = _parser().parse_args(argv)
        return args.command(args) or 0
    except TinyganError as error:
        print(f"tinygan: error: {error}", file=sys.stderr)
        return 3 if isinstance(error, Diverged) else 2
    except BrokenPipeError:    # the reader of the output has closed it (… | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        print(f"tinygan: error: not enough memory: {' '.join(str(error).split()) or 'none left'}; use a smaller "
              f"--batch or --width", file=sys.stderr)
        return 2
    except OSError as error:   # no space, no permission, a folder in the place of a file
        where = f" {error.filename}" if error.filename else ""
        print(f"tinygan: error: cannot use the file system{where}: {error.strerror or error}; "
              f"name another place, or make room there", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """Errors in one line, without the usage of all options; no abbreviated options; help texts keep their lines."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawTextHelpFormatter, **options)

    def parse_known_args(self, *args, **kwargs):    # here, so that an error names the command whose help is wanted
        known, others = super().parse_known_args(*args, **kwargs)
        if others:
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return known, others

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parser():
    parser = _Parser(
        prog="tinygan", description="Generative adversarial networks with nothing hidden.",
        epilog="tinygan COMMAND --help shows the options and examples of a command.")
    parser.add_argument("--version", action="version", version=f"tinygan {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(function, help, description, examples, **options):
        """A command and its function; returns its add_argument."""
        added = commands.add_parser(function.__name__[1:], help=help, description=description, **options,
                                    epilog="examples:\n" + "\n".join(f"  tinygan {line}" for line in examples))
        added.set_defaults(command=function)
        return added.add_argument

    add = command(_train, "train on the bundled digits, or on your data",
                  "Train a GAN and leave samples, an animation, curves, a log and weights in a run folder.", [
                      "train                                        small DCGAN on the bundled digits: 2 minutes",
                      "train --model mlp --epochs 100               the MLP GAN",
                      "train --model dcgan --data idx:my/mnist      the full DCGAN on IDX files",
                      "train --data ring --steps 5000               a mixture of 8 Gaussians",
                      "train --resume my-run                        continue a stopped run; it resumes bit-exactly",
                      "train --config my-run/config.json --seed 1   the same options, another seed",
                      "train --plain                                settings as in Radford et al. 2016"],
                  argument_default=argparse.SUPPRESS)       # what is not given is left to Config, or to --config
    add_options(add)
    add("--out", metavar="FOLDER", help="the run's folder, new or empty (default runs/<time>-<model>)")
    add("--config", metavar="FILE", help="take options from the config.json of a run; those given here override it:\n"
        "--no-spectral, --penalty none, --dropout none and the like set one back to its default")
    add("--resume", metavar="RUN", help="continue the run in this folder, with its own options\n"
        "(and --data, if its data has moved)")
    add("--no-report", action="store_true", help="do not make report.html at the end")
    add("--quiet", action="store_true", help="no progress bar")

    add = command(_sample, "draw new samples from a run", "Draw new samples from the generator of a run.", [
        "sample runs/20260101-120000-dcgan_small -n 64", "sample my-run -n 10000 --seed 1 --out samples.npy"])
    add("run", metavar="RUN", help="the run's folder")
    add("-n", type=_at_least(1), default=64, help="number of samples (default 64)")
    add("--seed", type=_at_least(0), help="of the latent vectors (default: a random one)")
    add("--label", type=_at_least(0), metavar="K", help="of class K, from a conditional run\n"
        "(default: each class in turn)")
    add("--out", metavar="FILE", help=".png for an image, .npy for the array\n"
        "(default RUN/samples-n<N>-seed<SEED>.png)")

    add = command(_restore, "fill in missing pixels of a picture",
                  "Fill in the missing pixels of a picture with the generator of a run, by a search in its latent\n"
                  "space. The picture has the size of the run's samples.", ["restore my-run digit.png --mask mask.png"])
    add("run", metavar="RUN", help="the run's folder")
    add("picture", metavar="PICTURE", help="a .png or .jpg file")
    add("--mask", metavar="MASK", required=True, help="a picture of the same size: white where pixels are known, black "
        "where\nthey are missing")
    add("--seed", type=_at_least(0), default=0, help="of the starts of the search (default 0)")
    add("--out", metavar="FILE", default="restored.png", help="the image (default restored.png)")

    add = command(_evaluate, "metrics of a run, with reference values measured on real data",
                  "Draw samples from a run and compute their metrics, each beside its reference value: the same\n"
                  "metric of as many real samples, or all there are. Mixtures: modes, quality, KL, energy distance.\n"
                  "Digits: classes, Fréchet distance, KID, precision, recall, distance to the nearest training image,\n"
                  "in the features of a small classifier.", ["evaluate my-run --held-out idx:my/mnist"])
    add("run", metavar="RUN", help="the run's folder")
    add("-n", type=_at_least(1), default=2500, help="number of samples (default 2500)")
    add("--seed", type=_at_least(0), default=0, help="of all draws (default 0)")
    add("--held-out", metavar="NAME", help="held-out real images for the reference values, such as idx:FOLDER\n"
        "(default: one half of the training data is compared with the other)")

    add = command(_report, "make report.html of a run again",
                  "A single file with samples, animation, curves, metrics with reference values, gradients,\n"
                  "interpolations, nearest training images, options.", ["report my-run"])
    add("run", metavar="RUN", help="the run's folder")
    add("-n", type=_at_least(0), default=2500, help="samples for the metrics; 0: no metrics (default 2500)")
    add("--held-out", metavar="NAME", help="held-out real images for the reference values, such as idx:FOLDER")

    add = command(_compare, "several runs side by side",
                  "Differences between the options of several runs, their final losses, and an image of all.",
                  ["compare runs/a runs/b --out compare.png"])
    add("runs", metavar="RUN", nargs="+", help="folders of runs")
    add("--out", metavar="FILE", default="compare.png", help="the image (default compare.png)")

    add = command(_gradcheck, "check every gradient of the library numerically",
                  "Check every layer, every loss and D∘G end to end against five-point differences in float64:\n"
                  "backward, jvp, the adjoint identity, and second order. Exit code 1 if any is wrong.",
                  ["gradcheck --seed 3"])
    add("--seed", type=_at_least(0), default=0, help="of inputs and cotangents (default 0)")

    add = command(_explain, "explain a layer, loss, penalty, optimiser, or one step of the game",
                  "The derivation as it stands beside the code, an example on small integers with entries spelled out\n"
                  "as sums, the gradient check, file and lines, chapters of the course, source. Exit code 1 if a\n"
                  "check fails.", [
                      "explain                      all names",
                      "explain conv2d               a layer; also dense, batchnorm, softmax, parallel, …",
                      "explain non-saturating       a loss; also hinge, wasserstein, bce_with_logits, …",
                      "explain r1+r2                penalties; adam: an optimiser; step: one step of D and one of G",
                      "explain adam --json | jq .ok"])
    add("name", metavar="NAME", nargs="?", help="in upper or lower case, with or without - and _ (default: list names)")
    add("--json", action="store_true", help="one JSON object instead of text")

    add = command(_bench, "time layers and training steps, on the CPU and on the GPU",
                  "Time each layer and whole training steps over batch sizes on every usable backend: a table, the\n"
                  "batch size from which the GPU is faster, a plot, and the times as JSON and CSV with the\n"
                  "hardware. Without a GPU it measures the CPU.", [
                      "bench                                  all layers and the dcgan's step, a few minutes",
                      "bench --model mlp --batches 1,32,128 --no-layers",
                      "bench --profile --batches 128          where the time of a step goes"])
    add("--model", default="dcgan", choices=models.names, metavar="NAME",
        help=f"{', '.join(models.names)} (default dcgan)")
    add("--batches", type=_integers, metavar="N,N,…", help="batch sizes (default 1,4,16,64,256,1024)")
    add("--seconds", type=_seconds, metavar="X", help="how long to repeat each call (default 0.3)")
    add("--no-layers", action="store_true", help="only whole training steps")
    add("--profile", action="store_true", help="profile one training step on the CPU instead, at the batch size given "
        "(or 128)")
    add("--out", metavar="FOLDER", help="where bench.json, .csv and .png go (default bench)")

    command(_info, "versions and usable backends", "Versions, and which backends are usable here and, if not, why.",
            ["info"])
    return parser


def _at_least(least):
    def integer(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"expected an integer ≥ {least}, got {text}")
        return int(text)
    return integer


def _integers(text):
    return tuple(_at_least(1)(part) for part in text.split(","))


def _seconds(text):
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number > 0, got {text}")
    return float(text)


_integers.__name__, _seconds.__name__ = "list of integers", "number"     # as in "invalid number value"


def _place(option, path):
    """A path that is not empty: an empty one comes from an unset variable of the shell."""
    if path == "":
        raise ConfigError(f"expected --{option} to name a place, got nothing; is a variable of the shell empty?")
    return path


def _train(args):
    options = {f.name: getattr(args, f.name) for f in fields(Config) if hasattr(args, f.name)}
    resume, config, out = (_place(name, getattr(args, name, None)) for name in ("resume", "config", "out"))
    quiet = hasattr(args, "quiet")
    if resume:
        others = [name for name in vars(args) if name not in ("command", "resume", "data", "quiet", "no_report")]
        if others:
            raise ConfigError(f"--resume continues with the run's own options, got --{others[0].replace('_', '-')} "
                              f"too; leave it out, or start a new run with --config {resume}/config.json")
        run = runs.resume(resume, quiet, options.get("data"))
    else:
        if hasattr(args, "lr"):
            if {"g_lr", "d_lr"} <= set(options):
                raise ConfigError("expected --lr, or --g-lr and --d-lr, got all three; leave --lr out")
            options = {"g_lr": args.lr, "d_lr": args.lr, **options}
        stored = runs.read_config(config)[0] if config else {}
        run = runs.launch(runs.from_options(stored | options), out, quiet)
    if not run.first:
        return 130 if run.interrupted else 0
    if not hasattr(args, "no_report"):
        report.write(run.folder, n=1000)
    for path in sorted(run.folder.iterdir()):
        print(path)
    if run.interrupted:
        print(f"tinygan: stopped at step {run.gan.steps} of {run.steps}; continue with: "
              f"tinygan train --resume {run.folder}", file=sys.stderr)
    return 130 if run.interrupted else 0


def _sample(args):
    seed = np.random.SeedSequence().entropy % 2**32 if args.seed is None else args.seed
    out = Path(_place("out", args.out) or Path(args.run) / f"samples-n{args.n}-seed{seed}.png")
    if out.suffix not in (".png", ".npy"):
        raise ConfigError(f"expected --out to end in .png or .npy, got {out}; name the file so")
    samples = runs.sample(args.run, args.n, seed, args.label)
    if out.suffix == ".npy":
        with atomic(out) as file:
            np.save(file, samples)
    else:
        plots.save_png(plots.picture(samples), out)
    print(out)


def _restore(args):
    if Path(args.out).suffix != ".png":
        raise ConfigError(f"expected --out to end in .png, got {args.out}; name the file so")
    colours = runs.read_config(Path(args.run) / "config.json")[1][-1]
    picture = load_picture(args.picture, "colour" if colours == 3 else "grey")
    restored = runs.restore(args.run, picture, load_picture(args.mask)[..., 0] > 0, seed=args.seed)
    plots.save_png(((restored + 1) * 127.5).round().astype("uint8").squeeze(), args.out)
    print(args.out)


def _evaluate(args):
    metrics, reference = runs.evaluate(args.run, args.n, args.seed, args.held_out)
    print(f"{'':<18} {'run':>10} {'reference':>10}")
    for name, value in metrics.items():
        print(f"{name:<18} {value:>10.4g} {reference[name]:>10.4g}")


def _report(args):
    if args.held_out and not args.n:
        raise ConfigError(f"expected samples to compare with {args.held_out}, got -n 0; leave out one of the two")
    print(report.write(args.run, args.n, args.held_out))


def _compare(args):
    if Path(args.out).suffix != ".png":
        raise ConfigError(f"expected --out to end in .png, got {args.out}; name the file so")
    rows = report.compare(args.runs, args.out)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())
    print(report.EQUILIBRIUM)
    print(args.out)


def _gradcheck(args):
    from .gradcheck import suite
    header = f"{'':<8} {'':<62} {'backward':>9} {'jvp':>9} {'adjoint':>9} {'2nd order':>9}"
    print(header + "\n" + "─" * len(header))
    wrong = []
    for group, found in suite.run(args.seed):
        columns = [[error for quantity, error in found.items() if _column(quantity) == column] for column in range(4)]
        cells = " ".join(f"{max(errors):>9.1e}" if errors else f"{'':>9}" for errors in columns)
        print(f"{group:<8} {found.name:<62} {cells}{'' if found.ok else '  WRONG'}", flush=True)
        wrong += [] if found.ok else [found]
    for found in wrong:
        print(f"\n{found}")
    print(f"\nlargest relative errors; {'all within' if not wrong else f'{len(wrong)} beyond'} tolerance "
          f"(1e-8 against five-point differences, 1e-12 for the adjoint identity)")
    return 1 if wrong else 0


def _explain(args):
    from . import explain
    if args.name is None:
        names = {kind: [{"name": name, "summary": text} for name, text in found]
                 for kind, found in explain.catalogue().items()}
        print(json.dumps(names) if args.json else explain.listed(), flush=True)
        return 0
    found = explain.about(args.name)
    print(json.dumps(found.to_dict(), allow_nan=False) if args.json else found, flush=True)
    return 0 if found.ok else 1


def _column(quantity):
    return {"ty": 1, "adjoint": 2}.get(quantity, 3 if quantity.startswith("second") else 0)


def _bench(args):
    from . import bench
    _place("out", args.out)
    if args.profile:
        if args.seconds or args.out or args.no_layers or len(args.batches or ()) > 1:
            raise ConfigError("expected only --model and one value of --batches beside --profile, which prints a table "
                              "and writes no files; leave out the others")
        print(bench.profile_table(bench.profile(args.model, args.batches[-1] if args.batches else 128)))
        return
    for name, value in bench.hardware().items():
        print(f"{name:<8} {value}")
    folder = Path(args.out or "bench")
    folder.mkdir(parents=True, exist_ok=True)       # before minutes of measuring
    log = lambda row: print(f"  {row['what']}, batch {row['batch']}, {row['backend']}: {1e3 * row['median_s']:.3f} ms",
                            file=sys.stderr)
    results = bench.measure(args.model, args.batches or (1, 4, 16, 64, 256, 1024), seconds=args.seconds or 0.3,
                            layers=not args.no_layers, log=log, folder=folder)
    print(bench.table(results))
    for path in bench.save(results, folder) if results["rows"] else ():
        print(path)
    return 1 if results["failed"] else 0


def _info(args):
    from . import bench, kernels
    mode = kernels.mode()       # first: raises for a wrong TINYGAN_KERNELS
    print(f"tinygan    {__version__}\npython     {platform.python_version()} on {platform.platform()}")
    print(f"processors {os.cpu_count()}")
    print(f"numpy      {np.__version__}, {bench.blas()}")
    print(f"kernels    {mode}")
    for name in backend.names():
        reason = backend.why_not(name)
        print(f"backend    {name}: {'usable' if reason is None else f'not usable: {reason}'}")
    if backend.why_not("cupy") is None:
        print("           " + backend.describe("cupy"))
