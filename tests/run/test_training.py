"""Runs from Python and from the command line, as a user would."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import tinygan
from tinygan import data, run
from tinygan.errors import ConfigError
from tinygan.run import report, training
from write_idx import write_idx

FILES = ["checkpoint.npz", "checkpoint.previous.npz", "config.json", "log.csv", "losses.png", "progress.gif",
         "samples.png", "weights.npz"]
FAST = ["--model", "mlp", "--width", "0.1", "--batch", "50", "--no-report", "--quiet"]


@pytest.fixture
def few_frames(monkeypatch):
    """The samples are drawn three or four times in a run: drawing them takes longer than a short run's steps."""
    monkeypatch.setattr(training, "FRAMES", 3)


def read_log(folder):
    return list(csv.DictReader((Path(folder) / "log.csv").read_text().splitlines()))


def test_a_run_leaves_its_folder(here, capsys):
    assert tinygan("train", *FAST, "--steps", 7) == 0
    folder, = (here / "runs").iterdir()
    assert folder.name.endswith("-mlp") and sorted(p.name for p in folder.iterdir()) == FILES
    out, err = capsys.readouterr()
    assert [line.split("/")[-1] for line in out.splitlines()] == FILES and err == ""
    rows = read_log(folder)
    assert [int(row["step"]) for row in rows] == list(range(1, 8))
    assert all(0 < float(row["d_real"]) < 1 and float(row["d_loss"]) > 0 for row in rows)
    config = json.loads((folder / "config.json").read_text())
    assert config["batch"] == 50 and config["g_lr"] == 2e-4 and config["steps"] == 7 and config["seed"] == 0
    with Image.open(folder / "samples.png") as grid, Image.open(folder / "progress.gif") as film:
        assert grid.size == film.size == (480, 480) and film.n_frames == 8
        assert (np.asarray(grid) > 128).any()


def test_same_seed_same_run_and_from_python(here, no_curves):
    a = run.train("a", quiet=True, model="mlp", width=0.1, steps=5, batch=50)
    assert tinygan("train", *FAST, "--steps", 5, "--out", "b") == 0
    assert tinygan("train", *FAST, "--steps", 5, "--out", "c", "--seed", 1) == 0
    log = lambda folder: (here / folder / "log.csv").read_bytes()
    assert log(a) == log("b") != log("c")
    assert (here / "a/samples.png").read_bytes() == (here / "b/samples.png").read_bytes()


def test_progress_bar_shows_both_losses_and_the_outputs_of_d(here, no_curves, capsys):
    assert tinygan("train", *FAST[:-1], "--steps", 12, "--out", "r") == 0
    err = capsys.readouterr().err
    assert "12/12" in err and all(label in err for label in ("loss D", "G ", "D(x)", "D(G(z))"))


@pytest.mark.parametrize("options", [
    ["--data", "ring", "--steps", "30"], ["--model", "points", "--data", "grid", "--steps", "3", "--loss", "hinge"],
    ["--model", "dcgan", "--width", "0.05", "--batch", "8", "--steps", "2", "--loss", "relativistic", "--k", "2"],
    ["--model", "dcgan_deep", "--width", "0.05", "--batch", "8", "--steps", "2", "--latent", "truncated",
     "--latent-dim", "5", "--schedule", "cosine", "--weight-decay", "1e-4", "--g-lr", "1e-4", "--lr", "3e-4"],
    ["--width", "0.05", "--batch", "8", "--steps", "2", "--loss", "relativistic", "--penalty", "r1+r2", "--gamma",
     "1:0.1", "--average", "0.9", "--noise-std", "0.1:0", "--pack", "2", "--spectral", "--minibatch-std", "--augment",
     "translation,cutout", "--clip", "1", "--g-penalty", "0.1", "--dropout", "0"],
    ["--data", "ring", "--model", "mixture", "--penalty", "wgan_gp", "--loss", "wasserstein", "--steps", "3"],
    ["--model", "mlp", "--width", "0.05", "--epochs", "0.02", "--smoothing", "0.1", "--latent", "uniform"]])
def test_options(here, no_curves, few_frames, options):
    assert tinygan("train", *options, "--out", "r", "--quiet", "--no-report") == 0
    assert tinygan("sample", "r", "-n", 5, "--seed", 3) == 0
    assert (here / "r/samples-n5-seed3.png").exists()


def test_idx_data(here, no_figures):
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 8), dtype=np.uint8)
    write_idx(here / "train-images-idx3-ubyte.gz", images)
    assert tinygan("train", "--data", f"idx:{here}", "--batch", 5, "--steps", 2, "--out", "r", "--quiet") == 0
    assert (here / "r/report.html").exists()        # unless --no-report is given
    assert run.sample("r", 3, seed=0).shape == (3, 12, 8, 1)


def test_new_samples(here, no_curves, capsys):
    folder = run.train("r", quiet=True, model="mlp", width=0.1, steps=3, batch=50)
    a, b, c = run.sample(folder, 300, seed=1), run.sample(folder, 300, seed=1), run.sample(folder, 300, seed=2)
    assert a.shape == (300, 28, 28, 1) and a.dtype == np.float32 and (a == b).all() and (a != c).any()
    assert tinygan("sample", "r", "-n", 300, "--seed", 1, "--out", "s.npy") == 0
    assert (np.load("s.npy") == a).all() and capsys.readouterr().out == "s.npy\n"
    assert tinygan("sample", "r") == 0 and len(list((here / "r").glob("samples-n64-seed*.png"))) == 1


def test_stopped_in_the_middle_it_keeps_what_there_is(here):
    code = ("import sys; from tinygan.cli import main; "
            "sys.stderr.isatty = lambda: True; sys.exit(main())")       # a terminal's bar moves at once
    process = subprocess.Popen([sys.executable, "-c", code, "train", *FAST[:-1], "--steps", "100000", "--out", "r"],
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:      # until the training itself is seen to run
        if "step/s, loss D" in process.stderr.readline(2000):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    _stopped(process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_stops_after_the_step(here, no_curves, monkeypatch, capsys, number):
    def record(self, gan, metrics, inner=training.Run.record):
        inner(self, gan, metrics)
        if gan.steps == 5:
            signal.raise_signal(number)

    def missed(number, frame):
        raise AssertionError("the run has no handler of its own")
    monkeypatch.setattr(training.Run, "record", record)
    before = signal.signal(number, missed)
    try:
        code = tinygan("train", *FAST, "--steps", 100000, "--out", "r")
        assert signal.getsignal(number) is missed       # the caller's is there again
    finally:
        signal.signal(number, before)
    _stopped(code, *capsys.readouterr())
    assert len(read_log(here / "r")) == 5


def _stopped(code, out, err):
    assert code == 130 and "Traceback" not in err and "stopping after this step" in err
    assert sorted(os.listdir("r")) == FILES and len(out.splitlines()) == len(FILES)
    rows = read_log("r")
    assert rows and [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert run.sample("r", 2).shape == (2, 28, 28, 1)


def test_it_trains_on_the_bundled_digits(here, no_curves, few_frames):
    """A short MLP run: the loss moves, D tells real from fake less and less, samples gain the digits' brightness."""
    folder = run.train("r", quiet=True, model="mlp", batch=32, steps=250)
    rows = read_log(folder)
    late = np.mean([[float(row["d_real"]), float(row["d_fake"])] for row in rows[-50:]], axis=0)
    assert 0.4 < late[0] < 0.99 and 0.01 < late[1] < 0.7
    samples = run.sample(folder, 200, seed=0)
    assert samples.mean() < -0.1            # it began at 0; the digits are at −0.74
    centre, border = samples[:, 8:20, 8:20].mean(), samples[:, [0, 1, -2, -1]].mean()
    assert centre > border + 0.3            # ink in the middle, none at the border


SHORT = "--model mlp --width 0.05 --batch 50 --steps 2 --quiet --no-report".split()


def test_data_that_has_moved(here, no_figures):
    images, _ = data.load("mnist5k")
    (here / "before").mkdir()
    np.save(here / "before/x.npy", images[:300])
    assert tinygan("train", *SHORT, "--data", "before/x.npy", "--out", "r") == 0
    (here / "before").rename(here / "after")
    assert tinygan("train", "--resume", "r", "--quiet", "--no-report") == 2
    assert tinygan("train", "--resume", "r", "--data", "after/x.npy", "--quiet", "--no-report") == 0
    assert run.read_config("r/config.json")[0]["data"] == str(here / "after/x.npy")
    assert tinygan("report", "r", "-n", 0) == 0 and tinygan("train", "--resume", "r", "--quiet", "--no-report") == 0
    (here / "new").mkdir()              # stopped before its first checkpoint
    (here / "new/config.json").write_text((here / "r/config.json").read_text())
    (here / "after").rename(here / "later")
    assert tinygan("train", "--resume", "new", "--data", "later/x.npy", "--quiet", "--no-report") == 0
    assert run.read_config("new/config.json")[0]["data"] == str(here / "later/x.npy")
    assert (here / "new/weights.npz").read_bytes() == (here / "r/weights.npz").read_bytes()
    np.save(here / "other.npy", images[300:600])
    assert tinygan("train", "--resume", "r", "--data", "other.npy", "--quiet", "--no-report") == 2


def test_options_without_effect_do_not_spoil_a_run_that_has_them(here, few_digits, no_figures):
    assert tinygan("train", *SHORT, "--out", "r") == 0
    config = json.loads((here / "r/config.json").read_text()) | {"image_size": 32, "colour": True, "tf32": True}
    (here / "r/config.json").write_text(json.dumps(config))
    assert tinygan("report", "r", "-n", 0) == 0 and run.evaluate("r", n=100)


def test_a_run_knows_its_data_from_anywhere(here, no_figures, monkeypatch):
    images, labels = data.load("mnist5k")
    np.savez(here / "mine.npz", images=images[:300], labels=labels[:300])
    assert tinygan("train", *SHORT, "--data", "mine.npz", "--out", "r") == 0
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert tinygan("report", "../r", "-n", 0) == 0
    with pytest.raises(ConfigError, match="expected held-out images, got"):
        run.evaluate("../r", n=50, held_out=str(here / "mine.npz"))


def test_classes_are_counted_from_0(here):
    np.savez(here / "gaps.npz", images=np.zeros((60, 28, 28), np.uint8), labels=np.arange(60) * 1000)
    with pytest.raises(ConfigError, match="no more classes than the 60 samples in .*, got one of 59000"):
        run.train(model="mlp", data="gaps.npz", conditional=True, batch=20, steps=1)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are letters elsewhere")
def test_a_folder_whose_name_is_not_of_letters(here, no_figures):
    folder = here / os.fsdecode(b"r\xe9sum\xe9")
    run.train(folder, quiet=True, model="mlp", width=0.05, batch=50, steps=2)
    assert report.write(folder, n=0).exists()
