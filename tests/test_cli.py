"""The command line: what it prints, refuses and returns."""

import subprocess
import sys

import numpy as np
import pytest

from command import tinygan
from tinygan import backend, run
from tinygan.run import report
from write_idx import write_idx

pytestmark = pytest.mark.usefixtures("no_curves")
FAST = ["--model", "mlp", "--width", "0.1", "--batch", "50", "--no-report", "--quiet"]


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
        ("train --noise-std a:b", "noise_std as a number"), ("train --pack 3", "a multiple of the pack of 3, got 16"),
        ("train --average 1", "average to be a number ≥ 0 and < 1"), ("train --augment flip", "got 'flip'"),
        ("train --dropout 1", "dropout to be"), ("train --model mlp --dropout 0.1", "unknown option 'dropout' of this"),
        ("train --data ring --model mixture --augment cutout", "expected images to augment, got points, 'ring'"),
        ("train --tf32", "expected backend cupy beside tf32"), ("train --augment=", "augment to be text, got nothing"),
        ("train --lr 1 --g-lr 1 --d-lr 1", "got all three"), ("report gone -n 0 --held-out idx:x", "leave out one of"),
        ("sample gone --out=", "--out to name a place"), ("bench --out=", "--out to name a place"),
        ("bench --profile --batches 4,8", "only --model and one value of --batches beside --profile"),
        ("bench --profile --seconds 1", "beside --profile"), ("bench --profile --out b", "beside --profile"),
        ("train --resume broken/config.json", "is the path right"), ("compare r taken", "config.json of a run at"),
        ("train --image-size 64", "got 'mnist5k', which is used as it is"), ("train --colour", "(images:FOLDER)"),
        ("train --ste 3", "unrecognized arguments: --ste 3; see tinygan train --help"), ("", "COMMAND"),
        ("sample gone", "make one with: tinygan train --out gone"),
        ("sample broken", "damaged or foreign"), ("sample taken -n 0", "≥ 1"),
        ("sample taken --out x.jpg", ".png or .npy"),
    ]


def test_bad_input_is_one_line_and_exit_code_2(here, capsys):
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


def test_gradcheck_and_info(capsys, monkeypatch):
    from tinygan.gradcheck import suite
    check = suite.check_layer           # along one direction: test_suite has the whole check of each
    monkeypatch.setattr(suite, "check_layer", lambda *args, **options: check(
        *args, **options | dict(directions=1, limit=0)))
    monkeypatch.setattr(suite, "NETWORKS", [("mlp", {"width": 0.05})])
    assert tinygan("gradcheck") == 0
    out = capsys.readouterr().out
    for name in ("Dense", "Conv2D", "ConvTranspose2D", "MaxPool2D", "AvgPool2D", "UpSampling2D", "BatchNorm", "Dropout",
                 "Flatten", "Reshape", "LeakyReLU", "ReLU", "Tanh", "Sigmoid", "Softplus", "minimax", "non_saturating",
                 "least_squares", "hinge", "wasserstein", "relativistic", "bce", "D∘G of mlp", "all within tolerance"):
        assert name in out
    monkeypatch.setattr(suite, "LAYERS", [case for case in suite.LAYERS if repr(case[0]) in ("ReLU()", "Tanh()")])
    monkeypatch.setattr(suite, "NETWORKS", [])      # of a wrong one each parameter's worst element would be searched
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


@pytest.mark.parametrize("module", ["numpy", "PIL", "tinygan.cli"])
def test_ctrl_c_while_importing(module):
    """An interrupt raised by an import is one line and exit code 130."""
    code = f"""
import sys

class Interrupt:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
sys.argv = ["tinygan", "info"]
from tinygan.__main__ import main
sys.exit(main())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "tinygan: stopped\n"


def test_module_entry_point():
    done = subprocess.run([sys.executable, "-m", "tinygan", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("tinygan ")


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
    assert len(report.read_log(here / "b")["step"]) == 3


def test_none_takes_any_option_back(here):
    given = ["--gamma", "2", "--penalty", "r1", "--clip", "0.1", "--average", "0.9", "--noise-std", "1", "--k", "2",
             "--g-lr", "1e-3", "--beta1", "0.1", "--latent-dim", "5", "--weight-decay", "0.1", "--smoothing", "0.1"]
    assert tinygan("train", *SHORT, *given, "--out", "a") == 0
    back = [word for name in given[::2] for word in (name, "none")]
    assert tinygan("train", "--config", "a/config.json", *back, "--quiet", "--no-report", "--out", "b") == 0
    assert tinygan("train", *SHORT, "--out", "c") == 0
    assert (here / "b/config.json").read_text() == (here / "c/config.json").read_text()
    assert tinygan("train", "--config", "a/config.json", "--width", "none", "--dropout", "none", "--lr", "none",
                   "--steps", "1", "--quiet", "--no-report", "--out", "d") == 0
    config = run.read_config("d/config.json")[0]
    assert config["width"] is config["dropout"] is None and config["g_lr"] == config["d_lr"] == 2e-4


def test_labels_can_be_taken_back(here):
    assert tinygan("train", *SHORT, "--conditional", "--out", "a") == 0
    assert tinygan("train", "--config", "a/config.json", "--no-conditional", "--quiet", "--no-report", "--out",
                   "b") == 0
    assert run.read_config(here / "b/config.json")[0]["classes"] is None


def test_a_way_to_runs_that_leads_nowhere(here, capsys):
    (here / "runs").symlink_to(here / "gone")
    assert tinygan("train", *SHORT) == 2 and "cannot use the file system" in capsys.readouterr().err


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
