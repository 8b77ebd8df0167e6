"""The command line: tinygan train | sample | evaluate | report | compare | gradcheck | bench | info.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a check failed, 2 bad input, 3 training
diverged (the last good weights are kept), 130 stopped by Ctrl-C (what there was is kept).
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

from . import __version__, backend, data, latent, losses, models, optim, penalties
from . import run as runs
from .data.files import atomic
from .errors import ConfigError, TinyganError
from .run import plots, report
from .run.monitor import Diverged


def main(argv=None):
    """Entry point; returns the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:      # closed by whoever called
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        if hasattr(getattr(sys, name), "reconfigure"):   # a terminal without these letters shows "?", nothing fails
            getattr(sys, name).reconfigure(errors="replace")
    try:
        args = _parser().parse_args(argv)
        return args.command(args) or 0
    except Diverged as error:
        print(f"tinygan: error: {error}", file=sys.stderr)
        return 3
    except TinyganError as error:
        print(f"tinygan: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:    # whoever read the output has seen enough (… | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        print(f"tinygan: error: not enough memory: {' '.join(str(error).split()) or 'none left'}; take a smaller "
              f"--batch or --width", file=sys.stderr)
        return 2
    except OSError as error:   # no space, no permission, a folder in the place of a file
        where = f" {error.filename}" if error.filename else ""
        print(f"tinygan: error: cannot use the file system{where}: {error.strerror or error}; "
              f"name another place, or make room there", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinygan: stopped", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Errors in one line, without the usage of thirty options before it; no abbreviated options."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, *args, **kwargs):    # of a command, whose own help then is the one to see
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
    _add_train(commands)
    _add_sample(commands)
    score = commands.add_parser(
        "evaluate", help="how good a run is: figures beside their floors",
        formatter_class=argparse.RawTextHelpFormatter,
        description="Draw samples from a run and measure them; each figure stands beside its floor, the same figure\n"
        "for as many real samples, or all there are. 2-D mixtures: modes, quality, KL, energy distance. Digits:\n"
        "classes, Fréchet distance, KID, precision, recall, nearest training image, seen by a small classifier.",
        epilog="example:\n  tinygan evaluate my-run --held-out idx:my/mnist")
    score.add_argument("run", metavar="RUN", help="the run's folder")
    score.add_argument("-n", type=_at_least(int, 1), default=2500, help="how many samples (default 2500)")
    score.add_argument("--seed", type=_at_least(int, 0), default=0, help="of all draws (default 0)")
    score.add_argument("--held-out", metavar="NAME", help="unseen real images for the floor, such as idx:FOLDER\n"
                       "(default: one half of the training data is compared with the other)")
    score.set_defaults(command=_evaluate)
    check = commands.add_parser("gradcheck", help="check every gradient of the library numerically", description=(
        "Check every layer, every loss and D∘G end to end against five-point differences in float64: backward, jvp, "
        "the adjoint identity, and second order. Exit code 1 if any is wrong."),
        epilog="example: tinygan gradcheck --seed 3")
    check.add_argument("--seed", type=_at_least(int, 0), default=0, help="of inputs and cotangents (default 0)")
    check.set_defaults(command=_gradcheck)
    page = commands.add_parser(
        "report", help="make report.html of a run again", formatter_class=argparse.RawTextHelpFormatter,
        description="One page that needs nothing else: samples, animation, curves, figures beside their floors,\n"
        "gradients, pictures between two latents, nearest training images, options.",
        epilog="example:\n  tinygan report my-run")
    page.add_argument("run", metavar="RUN", help="the run's folder")
    page.add_argument("-n", type=_at_least(int, 0), default=2500, help="samples behind the figures; 0: none "
                      "(default 2500)")
    page.add_argument("--held-out", metavar="NAME", help="unseen real images for the floor, such as idx:FOLDER")
    page.set_defaults(command=_report)
    several = commands.add_parser(
        "compare", help="several runs side by side", formatter_class=argparse.RawTextHelpFormatter,
        description="What differs in the options of several runs, how their losses ended, and a picture of all.",
        epilog="example:\n  tinygan compare runs/a runs/b --out compare.png")
    several.add_argument("runs", metavar="RUN", nargs="+", help="folders of runs")
    several.add_argument("--out", metavar="FILE", default="compare.png", help="the picture (default compare.png)")
    several.set_defaults(command=_compare)
    _add_bench(commands)
    info = commands.add_parser("info", help="versions, and which backends are usable here, and why not",
                               description="Versions, and which backends are usable here and, if not, why.",
                               epilog="example: tinygan info")
    info.set_defaults(command=_info)
    return parser


def _add_train(commands):
    train = commands.add_parser(
        "train", help="train on the bundled digits, or on your data", formatter_class=argparse.RawTextHelpFormatter,
        argument_default=argparse.SUPPRESS,     # what is not given is left to config.Config, or to --config
        description="Train a GAN and leave samples, an animation, curves, a log and weights in a run folder.",
        epilog="""examples:
  tinygan train                                        a small DCGAN on the bundled digits, a minute or two
  tinygan train --model mlp --epochs 100               the MLP GAN
  tinygan train --model dcgan --data idx:my/mnist      the full DCGAN on IDX files
  tinygan train --data ring --steps 5000               a mixture of 8 Gaussians
  tinygan train --resume my-run                        go on where it was stopped, to the same bits
  tinygan train --config my-run/config.json --seed 1   the same again from another seed; --no-spectral, --penalty none
                                                       and their like take an option of it back
  tinygan train --loss relativistic --penalty r1+r2 --gamma 1:0.1 --beta1 0 --average 0.999 --dropout 0""")
    add = train.add_argument
    add("--model", choices=models.names, metavar="NAME", help=f"{', '.join(models.names)}\n"
        "(default dcgan_small, and points for 2-D data)")
    add("--width", type=_above(0), help="factor on channels and hidden units (default 1; dcgan_small 0.25)")
    add("--data", metavar="NAME", help=data.HELP + "\n"
        "(default mnist5k; sets are looked for in the folder $TINYGAN_DATA first)")
    add("--image-size", type=_at_least(int, 1), metavar="N", help="pictures of a folder become N × N "
        "(default 28)")
    flag = argparse.BooleanOptionalAction
    add("--colour", action=flag, help="pictures of a folder keep their colour")
    add("--loss", metavar="NAME", help=", ".join(losses.names) + "\n(default non_saturating)")
    add("--smoothing", type=float, help="one-sided label smoothing: real target 1 − this (default 0)")
    add("--latent", choices=latent.kinds, metavar="KIND", help=", ".join(latent.kinds))
    add("--latent-dim", type=_at_least(int, 1), help="numbers in a latent vector (default: the model's, 100)")
    add("--epochs", type=_above(0, "none"), help="passes over the data (default: the model's)")
    add("--steps", type=_at_least(int, 1, "none"), help="stop after so many steps, if that comes first")
    add("--batch", type=_at_least(int, 1), help="samples in a minibatch (default: the model's)")
    add("--lr", type=_above(0), help="learning rate of both networks (default: the model's)")
    add("--g-lr", type=_above(0), help="learning rate of G, in the place of --lr")
    add("--d-lr", type=_above(0), help="learning rate of D, in the place of --lr")
    add("--beta1", type=float, help="Adam's β₁ (default: the model's, 0.5)")
    add("--beta2", type=float, help="Adam's β₂ (default 0.999)")
    add("--schedule", choices=optim.schedules, metavar="NAME",
        help="learning rate over the run: " + ", ".join(optim.schedules))
    add("--weight-decay", type=float, help="factor of the L2 penalty ½·factor·‖θ‖² (default 0)")
    add("--k", type=_at_least(int, 1), help="discriminator steps in each step (default 1)")
    add("--m", type=_at_least(int, 1), help="generator steps in each step (default 1)")
    add("--seed", type=_at_least(int, 0), help="the same seed gives the same run (default 0)")
    add("--penalty", metavar="NAMES", help="gradient penalties on D, joined by +: " + ", ".join(penalties.names))
    add("--gamma", metavar="γ", help="weight of the penalties: a number, or start:end over the run\n"
        "(default 1 for r1, r2; 10 for the others)")
    add("--g-penalty", type=float, metavar="λ", help="of λ·E‖∇ log D(x)‖² at x = G(z), for G (default 0)")
    add("--average", type=float, metavar="DECAY", help="sample from a moving average of G's weights")
    add("--noise-std", metavar="σ", help="instance noise on all that D sees: a number, or start:end")
    add("--clip", type=_above(0, "none"), metavar="C", help="clip D's weights to [−C, C]")
    add("--augment", metavar="KINDS", help="what D sees is changed at random: some of translation,cutout,brightness")
    add("--pack", type=_at_least(int, 1), metavar="M", help="D judges M samples at once (default 1)")
    add("--spectral", action=flag, help="spectral normalisation in D")
    add("--minibatch-std", action=flag, help="D sees how much the samples of a batch differ")
    add("--dropout", type=float, metavar="RATE", help="after D's convolutions; 0: none (default 0.3)")
    add("--conditional", action=flag, help="on the labels of the data: G makes the class that it is asked for")
    add("--backend", metavar="NAME", help="numpy or cupy (default numpy)")
    add("--capture", action=flag, help="replay the training step as a CUDA graph (cupy)")
    add("--tf32", action=flag, help="let the GPU round the factors of products to TF32: faster, 3 digits")
    add("--out", metavar="FOLDER", help="the run's folder, new or empty (default runs/<time>-<model>)")
    add("--config", metavar="FILE", help="take the options from the config.json of a run; those given here win")
    add("--resume", metavar="RUN", help="go on with the run in this folder, with its own options\n"
        "(and --data, if its data lies elsewhere by now)")
    add("--no-report", action="store_true", help="do not make report.html at the end")
    add("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(command=_train)


def _add_sample(commands):
    sample = commands.add_parser(
        "sample", help="draw new samples from a run", formatter_class=argparse.RawTextHelpFormatter,
        description="Draw new samples from the generator of a run.",
        epilog="""examples:
  tinygan sample runs/20260101-120000-dcgan_small -n 64
  tinygan sample my-run -n 10000 --seed 1 --out samples.npy""")
    sample.add_argument("run", metavar="RUN", help="the run's folder")
    sample.add_argument("-n", type=_at_least(int, 1), default=64, help="how many (default 64)")
    sample.add_argument("--seed", type=_at_least(int, 0), help="of the latents (default: fresh)")
    sample.add_argument("--label", type=_at_least(int, 0), metavar="K", help="of class K, from a conditional run "
                        "(default: each class in turn)")
    sample.add_argument("--out", metavar="FILE", help=".png for a picture, .npy for the array\n"
                        "(default RUN/samples-n<N>-seed<SEED>.png)")
    sample.set_defaults(command=_sample)


def _add_bench(commands):
    bench = commands.add_parser(
        "bench", help="how long layers and training steps take, on the CPU and on the GPU",
        formatter_class=argparse.RawTextHelpFormatter,
        description="Time each layer and whole training steps over batch sizes on every usable backend: a table,\n"
        "where CPU and GPU cross, a plot, and the figures as JSON and CSV with the hardware.\n"
        "Without a GPU it measures the CPU.",
        epilog="""examples:
  tinygan bench                                  all layers and the dcgan's step, a few minutes
  tinygan bench --model mlp --batches 1,32,128 --no-layers
  tinygan bench --profile --batches 128          what takes the time within a step""")
    bench.add_argument("--model", default="dcgan", choices=models.names, metavar="NAME",
                       help=f"{', '.join(models.names)} (default dcgan)")
    bench.add_argument("--batches", type=_integers, metavar="N,N,…",
                       help="batch sizes (default 1,4,16,64,256,1024)")
    bench.add_argument("--seconds", type=_above(0), help="how long to repeat each call (default 0.3)")
    bench.add_argument("--no-layers", action="store_true", help="only whole training steps")
    bench.add_argument("--profile", action="store_true", help="take one training step on the CPU apart instead, at\n"
                       "the batch size given (or 128)")
    bench.add_argument("--out", metavar="FOLDER",
                       help="where bench.json, .csv and .png go (default bench)")
    bench.set_defaults(command=_bench)


def _integers(text):
    return tuple(_at_least(int, 1)(part) for part in text.split(","))


_integers.__name__ = "list of integers"     # argparse's word, as below


def _at_least(kind, least, word=None):
    def parse(text):
        if text == word:
            return text
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a number of at least {least}, got {text}")
        return value
    parse.__name__ = "integer" if kind is int else "number"   # argparse's word in "invalid integer value"
    return parse


def _above(limit, word=None):
    def parse(text):
        if text == word:
            return text
        value = float(text)
        if not limit < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above {limit}, got {text}")
        return value
    parse.__name__ = "number"
    return parse


def _place(option, path):
    """A path that names something: an empty one is a slip of the shell's."""
    if path == "":
        raise ConfigError(f"expected --{option} to name a place, got nothing; is a variable of the shell empty?")
    return path


def _train(args):
    given = {name: value for name, value in vars(args).items() if name != "command"}
    for name in ("penalty", "gamma", "noise_std", "clip", "augment", "steps", "epochs"):
        if given.get(name) == "none":       # takes back what --config says
            given[name] = None
    about = {name: given.pop(name, None) for name in ("resume", "config", "out", "quiet", "no_report", "lr")}
    for name in ("resume", "config", "out"):
        _place(name, about[name])
    if about["resume"]:
        moved = given.pop("data", None)
        others = [*given, *(name for name in ("config", "out", "lr") if about[name] is not None)]
        if others:
            raise ConfigError(f"--resume goes on with the run's own options, got --{others[0].replace('_', '-')} too; "
                              f"leave it out, or start a new run with --config {about['resume']}/config.json")
        run = runs.resume(about["resume"], about["quiet"], moved)
    else:
        options = runs.read_config(about["config"])[0] if about["config"] else {}
        if about["lr"] and {"g_lr", "d_lr"} <= set(given):
            raise ConfigError("expected --lr, or --g-lr and --d-lr, got all three; leave --lr out")
        if about["lr"]:
            options |= {"g_lr": about["lr"], "d_lr": about["lr"]}
        options |= given
        run = runs.launch(runs.from_options(options), about["out"], about["quiet"])
    if not run.first:
        return 130 if run.interrupted else 0
    if not about["no_report"]:
        report.write(run.folder, n=1000)
    for path in sorted(run.folder.iterdir()):
        print(path)
    if run.interrupted:
        print(f"tinygan: stopped at step {run.gan.steps} of {run.steps}; go on with: "
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


def _evaluate(args):
    figures, floors = runs.evaluate(args.run, args.n, args.seed, args.held_out)
    print(f"{'':<18} {'run':>10} {'floor':>10}")
    for name, value in figures.items():
        print(f"{name:<18} {value:>10.4g} {floors[name]:>10.4g}")


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
    print(args.out)


def _gradcheck(args):
    from . import selfcheck
    header = f"{'':<8} {'':<62} {'backward':>9} {'jvp':>9} {'adjoint':>9} {'2nd order':>9}"
    print(header + "\n" + "─" * len(header))
    wrong = []
    for group, found in selfcheck.run(args.seed):
        columns = [[error for quantity, error in found.items() if _column(quantity) == column] for column in range(4)]
        cells = " ".join(f"{max(errors):>9.1e}" if errors else f"{'':>9}" for errors in columns)
        print(f"{group:<8} {found.name:<62} {cells}{'' if found.ok else '  WRONG'}", flush=True)
        wrong += [] if found.ok else [found]
    for found in wrong:
        print(f"\n{found}")
    print(f"\nlargest relative errors; {'all within' if not wrong else f'{len(wrong)} beyond'} tolerance "
          f"(1e-8 against five-point differences, 1e-12 for the adjoint identity)")
    return 1 if wrong else 0


def _column(quantity):
    return {"ty": 1, "adjoint": 2}.get(quantity, 3 if quantity.startswith("second") else 0)


def _bench(args):
    from . import bench
    _place("out", args.out)
    if args.profile:
        if args.seconds or args.out or args.no_layers or len(args.batches or ()) > 1:
            raise ConfigError("expected --profile with --model and one of --batches alone, as it prints its table and "
                              "leaves no files; leave out the others")
        print(bench.profile_table(bench.profile(args.model, args.batches[-1] if args.batches else 128)))
        return
    for name, value in bench.hardware().items():
        print(f"{name:<8} {value}")
    log = lambda row: print(f"  {row['what']}, batch {row['batch']}, {row['backend']}: {1e3 * row['median_s']:.3f} ms",
                            file=sys.stderr)
    folder = Path(args.out or "bench")
    folder.mkdir(parents=True, exist_ok=True)       # before minutes of measuring
    results = bench.measure(args.model, args.batches or (1, 4, 16, 64, 256, 1024), seconds=args.seconds or 0.3,
                            layers=not args.no_layers, log=log)
    print(bench.table(results))
    with atomic(folder / "bench.json", "w") as file:
        json.dump(results, file, indent=2)
    with atomic(folder / "bench.csv", "w") as file:
        file.write(bench.as_csv(results))
    plots.bench(results, folder / "bench.png")
    for name in ("bench.json", "bench.csv", "bench.png"):
        print(folder / name)


def _info(args):
    from . import bench
    print(f"tinygan    {__version__}\npython     {platform.python_version()} on {platform.platform()}")
    print(f"processors {os.cpu_count()}")
    print(f"numpy      {np.__version__}, {bench.blas()}")
    for name in backend.names():
        reason = backend.why_not(name)
        print(f"backend    {name}: {'usable' if reason is None else f'not usable: {reason}'}")
    if backend.why_not("cupy") is None:
        print("           " + backend.describe("cupy"))
