"""Runs from Python and from the command line, as a user would."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tinygan import cli, data, run
from tinygan.errors import ConfigError
from tinygan.run import report
from write_idx import write_idx

FILES = ["checkpoint.npz", "checkpoint.previous.npz", "config.json", "log.csv", "losses.png", "progress.gif",
         "samples.png", "weights.npz"]
FAST = ["--model", "mlp", "--width", "0.1", "--batch", "50", "--no-report", "--quiet"]


def tinygan(*args):
    """Exit code of the command line."""
    try:
        return cli.main([str(a) for a in args])
    except SystemExit as end:   # argparse
        return end.code


def read_log(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_leaves_its_folder(here, capsys):
    assert tinygan("train", *FAST, "--steps", 25) == 0
    folder, = (here / "runs").iterdir()
    assert folder.name.endswith("-mlp") and sorted(p.name for p in folder.iterdir()) == FILES
    out, err = capsys.readouterr()
    assert [line.split("/")[-1] for line in out.splitlines()] == FILES and err == ""
    rows = read_log(folder)
    assert [int(row["step"]) for row in rows] == list(range(1, 26))
    assert all(0 < float(row["d_real"]) < 1 and float(row["d_loss"]) > 0 for row in rows)
    config = json.loads((folder / "config.json").read_text())
    assert config["batch"] == 50 and config["g_lr"] == 2e-4 and config["steps"] == 25 and config["seed"] == 0
    with Image.open(folder / "samples.png") as grid, Image.open(folder / "progress.gif") as film:
        assert grid.size == film.size == (480, 480) and film.n_frames == 26
        assert (np.asarray(grid) > 128).any()


def test_same_seed_same_run_and_from_python(here):
    a = run.train("a", quiet=True, model="mlp", width=0.1, steps=5, batch=50)
    assert tinygan("train", *FAST, "--steps", 5, "--out", "b") == 0
    assert tinygan("train", *FAST, "--steps", 5, "--out", "c", "--seed", 1) == 0
    log = lambda folder: (here / folder / "log.csv").read_bytes()
    assert log(a) == log("b") != log("c")
    assert (here / "a/samples.png").read_bytes() == (here / "b/samples.png").read_bytes()


def test_progress_bar_shows_both_losses_and_the_outputs_of_d(here, capsys):
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
def test_options(here, options):
    assert tinygan("train", *options, "--out", "r", "--quiet", "--no-report") == 0
    assert tinygan("sample", "r", "-n", 5, "--seed", 3) == 0
    assert (here / "r/samples-n5-seed3.png").exists()


def test_idx_data(here):
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 8), dtype=np.uint8)
    write_idx(here / "train-images-idx3-ubyte.gz", images)
    assert tinygan("train", "--data", f"idx:{here}", "--batch", 5, "--steps", 2, "--out", "r", "--quiet") == 0
    assert run.sample("r", 3, seed=0).shape == (3, 12, 8, 1)


def test_new_samples(here, capsys):
    folder = run.train("r", quiet=True, model="mlp", width=0.1, steps=3, batch=50)
    a, b, c = run.sample(folder, 300, seed=1), run.sample(folder, 300, seed=1), run.sample(folder, 300, seed=2)
    assert a.shape == (300, 28, 28, 1) and a.dtype == np.float32 and (a == b).all() and (a != c).any()
    assert tinygan("sample", "r", "-n", 300, "--seed", 1, "--out", "s.npy") == 0
    assert (np.load("s.npy") == a).all() and capsys.readouterr().out == "s.npy\n"
    assert tinygan("sample", "r") == 0 and len(list((here / "r").glob("samples-n64-seed*.png"))) == 1


def _bad(here):
    """(arguments, words of the error) of everything that a user can get wrong."""
    array = np.zeros((4, 30, 30), np.uint8)
    for name in ("odd", "cut", "float", "none", "taken"):
        (here / name).mkdir()
    write_idx(here / "odd/train-images-idx3-ubyte", array)
    write_idx(here / "float/train-images-idx3-ubyte", array.astype(np.float32))
    (here / "cut/train-images-idx3-ubyte").write_bytes((here / "odd/train-images-idx3-ubyte").read_bytes()[:-1])
    (here / "taken/mine.txt").write_text("precious")
    (here / "broken").mkdir()
    (here / "broken/config.json").write_text("{not json")
    return [
        ("train --model vae", "unknown model 'vae'; choose one of: mlp"),
        ("train --loss wgan", "'wgan'; choose one of: minimax"),
        ("train --backend tpu", "unknown backend"), ("train --capture", "with CUDA graphs"),
        ("train --backend cupy", "CuPy is"),
        ("train --data cifar", "unknown data 'cifar'; choose one of: mnist5k"),
        ("train --data idx:gone", "gone, which is not there"), ("train --data idx:none", "got an empty folder"),
        ("train --data idx:cut", "is it damaged?"), ("train --data idx:float", "uint8"),
        ("train --data idx:odd --batch 4", "multiples of 4, got (30, 30, 1)"),
        ("train --batch 5001", "at most 5000"), ("train --batch 0", "batch to be an integer ≥ 1"),
        ("train --steps x", "invalid integer value: 'x'"),
        ("train --lr nan", "> 0"), ("train --epochs 1e308", "< 1e+09"), ("train --width 1e30", "> 0 and < 10000"),
        ("train --data ring --batch 99999999999", "< 2³¹"), ("train --out=", "--out to name a place"),
        ("train --resume=", "--resume to name a place"), ("train --g-penalty inf", "g_penalty"),
        ("compare taken --out c.svg", "in .png"), ("train --smoothing 1", "< 1"), ("train --beta1 1.5", "beta1"),
        ("train --data ring --model mlp", "use model 'points'"), ("train --model points", "use another model"),
        ("train --data ring --epochs 2", "give steps instead"), ("train --out taken", "a new or empty folder"),
        ("train --penalty r9", "unknown penalty 'r9'"), ("train --penalty r1 --gamma -1", "gamma as a number ≥ 0"),
        ("train --noise-std a:b", "noise_std as a number"), ("train --pack 3", "a multiple of the pack of 3, got 32"),
        ("train --average 1", "average to be a number ≥ 0 and < 1"), ("train --augment flip", "got 'flip'"),
        ("train --dropout 1", "dropout to be"), ("train --model mlp --dropout 0.1", "unknown option 'dropout' of this"),
        ("train --data ring --model mixture --augment cutout", "expected images to augment, got points, 'ring'"),
        ("train --tf32", "expected backend cupy beside tf32"), ("train --augment=", "augment to be text, got nothing"),
        ("train --lr 1 --g-lr 1 --d-lr 1", "got all three"), ("report gone -n 0 --held-out idx:x", "leave out one of"),
        ("sample gone --out=", "--out to name a place"), ("bench --out=", "--out to name a place"),
        ("bench --profile --batches 4,8", "--profile with --model and one of --batches alone"),
        ("bench --profile --seconds 1", "--profile with"), ("bench --profile --out b", "--profile with"),
        ("train --resume broken/config.json", "is the path right"), ("compare r taken", "config.json of a run at"),
        ("train --image-size 64", "got 'mnist5k', which is used as it is"), ("train --colour", "(images:FOLDER)"),
        ("train --ste 3", "unrecognized arguments: --ste 3; see tinygan train --help"), ("", "COMMAND"),
        ("sample gone", "make one with: tinygan train --out gone"),
        ("sample broken", "damaged or foreign"), ("sample taken -n 0", "≥ 1"),
        ("sample taken --out x.jpg", ".png or .npy"),
    ]


def test_bad_input_is_one_line_and_exit_code_2(here, capsys):
    from tinygan import backend
    for command, words in _bad(here):
        if "cupy" in command and backend.why_not("cupy") is None:
            continue
        before = sorted(here.rglob("*"))
        assert tinygan(*command.split()) == 2, command
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1 and "error: " in err, (command, err)
        assert sorted(here.rglob("*")) == before, command         # nothing half-written
    assert (here / "taken/mine.txt").read_text() == "precious"


def test_file_system_errors(here, capsys):
    (here / "file").write_text("")
    assert tinygan("train", *FAST, "--steps", 2, "--out", "file/run") == 2
    assert "cannot use the file system" in capsys.readouterr().err
    assert tinygan("sample", "file") == 2


def test_config_from_python_is_checked():
    for options, words in [({"model": "mlp", "bogus": 1}, "unknown option 'bogus'"), ({"k": True}, "k to be an int"),
                           ({"augment": 3}, "augment to be text, got 3"), ({"spectral": "no"}, "to be true or false"),
                           ({"gamma": 1.0}, "add --penalty r1"), ({"steps": 0}, "steps"),
                           ({"seed": -1}, "seed"), ({"width": float("inf")}, "width"), ({"batch": 2.5}, "batch")]:
        with pytest.raises(ConfigError, match=words):
            run.train(quiet=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_keeps_what_there_is(here, number):
    code = "import sys; from tinygan.cli import main; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", code, "train", *FAST[:-1], "--steps", "100000", "--out", "r"],
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:      # until the training itself is seen to run
        if "step/s, loss D" in process.stderr.readline(2000):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err and "stopping after this step" in err
    assert sorted(os.listdir("r")) == FILES and len(out.splitlines()) == len(FILES)
    rows = read_log(here / "r")
    assert rows and [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert run.sample("r", 2).shape == (2, 28, 28, 1)


def test_gradcheck_and_info(capsys, monkeypatch):
    from tinygan.gradcheck import suite
    monkeypatch.setattr(suite, "NETWORKS", [("mlp", {"width": 0.05})])
    assert tinygan("gradcheck") == 0
    out = capsys.readouterr().out
    for name in ("Dense", "Conv2D", "ConvTranspose2D", "MaxPool2D", "AvgPool2D", "UpSampling2D", "BatchNorm", "Dropout",
                 "Flatten", "Reshape", "LeakyReLU", "ReLU", "Tanh", "Sigmoid", "Softplus", "minimax", "non_saturating",
                 "least_squares", "hinge", "wasserstein", "relativistic", "bce", "D∘G of mlp", "all within tolerance"):
        assert name in out
    monkeypatch.setattr("tinygan.ops.pointwise.tanh_d1", lambda t, x, y: 1.001 * (1 - y * y) * t)
    assert tinygan("gradcheck") == 1
    out = capsys.readouterr().out
    assert "Tanh()" in out and "WRONG" in out and "by hand" in out
    assert tinygan("info") == 0
    out = capsys.readouterr().out
    assert "numpy: usable" in out and "backend    cupy: " in out


def test_help_and_version(capsys):
    assert tinygan("--version") == 0 and tinygan("train", "--help") == 0 and tinygan("sample", "--help") == 0
    out = capsys.readouterr().out
    assert "tinygan 0." in out and "examples:" in out and "tinygan train --model mlp" in out
    for option in ("model", "data", "loss", "epochs", "steps", "batch", "lr", "seed", "backend", "out"):
        assert f"--{option}" in out


def test_module_entry_point():
    done = subprocess.run([sys.executable, "-m", "tinygan", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("tinygan ")


def test_it_trains_on_the_bundled_digits(here):
    """A short MLP run: the loss moves, D tells real from fake less and less, samples gain the digits' brightness."""
    folder = run.train("r", quiet=True, model="mlp", steps=250)
    rows = read_log(folder)
    late = np.mean([[float(row["d_real"]), float(row["d_fake"])] for row in rows[-50:]], axis=0)
    assert 0.4 < late[0] < 0.99 and 0.01 < late[1] < 0.7
    samples = run.sample(folder, 200, seed=0)
    assert samples.mean() < -0.1            # it began at 0; the digits are at −0.74
    centre, border = samples[:, 8:20, 8:20].mean(), samples[:, [0, 1, -2, -1]].mean()
    assert centre > border + 0.3            # ink in the middle, none at the border


SHORT = "--model mlp --width 0.05 --batch 50 --steps 2 --quiet --no-report".split()


def test_options_of_a_config_can_be_taken_back(here):
    assert tinygan("train", *SHORT, "--spectral", "--penalty", "r1", "--gamma", 2, "--clip", 0.1, "--out", "a") == 0
    assert tinygan("train", "--config", "a/config.json", "--no-spectral", "--penalty", "none", "--gamma", "none",
                   "--clip", "none", "--quiet", "--no-report", "--out", "b") == 0
    assert tinygan("train", *SHORT, "--out", "c") == 0
    assert (here / "b/config.json").read_text() == (here / "c/config.json").read_text()
    assert (here / "b/weights.npz").read_bytes() == (here / "c/weights.npz").read_bytes()


def test_words_that_are_names_elsewhere(here, capsys):
    assert tinygan("train", *SHORT, "--out", "none") == 0 and (here / "none/weights.npz").exists()
    assert tinygan("train", "--resume", "gone") == 2 and tinygan("train", *SHORT, "--data", "none") == 2
    assert "unknown data 'none'" in capsys.readouterr().err
    assert tinygan("train", "--config", "none/config.json", "--steps", "none", "--epochs", "0.03", "--quiet",
                   "--no-report", "--out", "b") == 0
    assert len(read_log(here / "b")) == 3


def test_labels_can_be_taken_back(here):
    assert tinygan("train", *SHORT, "--conditional", "--out", "a") == 0
    assert tinygan("train", "--config", "a/config.json", "--no-conditional", "--quiet", "--no-report", "--out",
                   "b") == 0
    assert run.read_config(here / "b/config.json")[0]["classes"] is None


def test_a_way_to_runs_that_leads_nowhere(here, capsys):
    (here / "runs").symlink_to(here / "gone")
    assert tinygan("train", *SHORT) == 2 and "cannot use the file system" in capsys.readouterr().err


def test_data_that_has_moved(here):
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


def test_options_without_effect_do_not_spoil_a_run_that_has_them(here):
    assert tinygan("train", *SHORT, "--out", "r") == 0
    config = json.loads((here / "r/config.json").read_text()) | {"image_size": 32, "colour": True, "tf32": True}
    (here / "r/config.json").write_text(json.dumps(config))
    assert tinygan("report", "r", "-n", 0) == 0 and run.evaluate("r", n=100)


def test_a_run_knows_its_data_from_anywhere(here, monkeypatch):
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


def test_streams_that_are_closed(here):
    """As by `2>&-` in a shell."""
    code = ("import sys; sys.stdout = sys.stderr = None; from tinygan import cli; "
            f"sys.exit(cli.main(['train', *{SHORT}, '--out', 'r']))")
    assert subprocess.run([sys.executable, "-c", code], cwd=here).returncode == 0
    assert (here / "r/weights.npz").exists()


def test_comparing_what_is_not_complete(here, capsys):
    assert tinygan("train", *SHORT, "--out", "r") == 0
    (here / "r/samples.png").write_bytes(b"no picture")
    assert tinygan("compare", "r") == 2
    assert "expected the samples.png of a run at r/samples.png" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are letters elsewhere")
def test_a_folder_whose_name_is_not_of_letters(here):
    folder = here / os.fsdecode(b"r\xe9sum\xe9")
    run.train(folder, quiet=True, model="mlp", width=0.05, batch=50, steps=2)
    assert report.write(folder, n=0).exists()
