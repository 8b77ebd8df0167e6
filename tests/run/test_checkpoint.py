"""Runs that are stopped, killed or damaged resume bit-exactly; weights are read back or refused."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tqdm import tqdm

from kernels.emulator import DEVICES
from tinygan import backend, cli, data, models, run
from tinygan.data import files
from tinygan.errors import ConfigError, DataError, MissingError
from tinygan.run import Config, checkpoint, training

# All that a state has to hold at once: averages, spectral vectors, running statistics, schedules, dropout, noise.
EVERYTHING = dict(model="dcgan", width=0.05, batch=20, steps=12, loss="relativistic", penalty="r1+r2", gamma="1:0.1",
                  average=0.9, spectral=True, noise_std="0.1:0", schedule="cosine", augment="translation", k=2)
PLAIN = dict(model="mlp", width=0.05, batch=50, steps=30)
pytestmark = pytest.mark.usefixtures("small_pictures", "few_digits", "no_curves")
SAME = ("log.csv", "samples.png", "losses.png", "progress.gif")


@pytest.fixture
def small_pictures(monkeypatch):
    """9 samples, drawn at most 8 times: most stops lie between two pictures."""
    monkeypatch.setattr(training, "IMAGES", 9)
    monkeypatch.setattr(training, "FRAMES", 8)


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory):
    return {}, tmp_path_factory.mktemp("whole")


@pytest.fixture
def whole(finished_runs, small_pictures, few_digits, no_curves):
    """A function: options -> the folder of an uninterrupted run with them, made once and only read."""
    made, folder = finished_runs

    def run_with(options):
        key = json.dumps(options, sort_keys=True)
        if key not in made:
            made[key] = run.train(folder / str(len(made)), quiet=True, **options)
        return made[key]
    return run_with


def weights(folder):
    return files.read_npz(folder / "weights.npz")


def assert_same_run(a, b):
    for name in SAME:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    ours, theirs = weights(a), weights(b)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def stop_at(r, step):
    """Run until this step as if Ctrl-C had come then."""
    train = r.gan.train

    def stopped(batches, steps, callbacks):
        return train(batches, step - r.gan.steps, callbacks)
    r.gan.train = stopped
    r.train(quiet=True)


def start(options, folder, stop):
    r = run.Run(Config(**options))
    r.open(folder)
    stop_at(r, stop)


@pytest.mark.parametrize("options, stop", [(EVERYTHING, 1), (EVERYTHING, 5), (EVERYTHING, 11), (PLAIN, 7),
                                           (PLAIN, 0), (dict(data="ring", steps=12, average=0.9), 5)])
def test_resumed_is_the_same_to_the_bit(tmp_path, whole, options, stop):
    start(options, tmp_path / "parts", stop)
    again = run.resume(tmp_path / "parts", quiet=True)
    assert again.gan.steps == options["steps"]
    assert_same_run(whole(options), tmp_path / "parts")
    for name in (*SAME, "weights.npz"):                                     # as if killed after its last checkpoint
        (tmp_path / "parts" / name).unlink()
    run.resume(tmp_path / "parts", quiet=True)
    assert_same_run(whole(options), tmp_path / "parts")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("options", [dict(EVERYTHING, steps=6, width=0.02, batch=8), dict(PLAIN, steps=6, batch=20)])
def test_on_a_device_too_and_captured(tmp_path, options, device):
    """The same seed, the same bits: again, resumed, and with the step as a graph."""
    options = dict(options, backend=device)
    for name, capture in (("whole", True), ("again", True), ("step by step", False)):
        run.train(tmp_path / name, quiet=True, capture=capture, **options)
        assert_same_run(tmp_path / "whole", tmp_path / name)
    start(dict(options, capture=True), tmp_path / "parts", 3)
    run.resume(tmp_path / "parts", quiet=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fifty_kills(tmp_path, monkeypatch):
    """SIGKILL at random moments of a run that is saved after each step: nothing is lost but the steps since."""
    options = dict(PLAIN, steps=60)
    run.train(tmp_path / "whole", quiet=True, **options)
    monkeypatch.setattr(training, "SAVE_EVERY", 0)
    victim, moments = tmp_path / "victim", random.Random(0)
    start(options, victim, 1)
    seen, kills = [], 0
    while kills < 50:
        child = os.fork()
        if child == 0:
            tqdm.set_lock(threading.RLock())    # tqdm's own is shared with the parent, and would die with its holder
            try:
                run.resume(victim, quiet=True)
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        seen.append(checkpoint.load_state(victim / "checkpoint.npz")[1]["steps"])
        if seen[-1] == 60:                     # all steps done before the fiftieth kill: start again
            assert_same_run(tmp_path / "whole", run.resume(victim, quiet=True).folder)
            for path in victim.iterdir():
                path.unlink()
            victim.rmdir()
            start(options, victim, 1)
            seen.append(0)
    assert all(b >= a or b == 0 for a, b in zip(seen, seen[1:]))            # a checkpoint is never lost
    run.resume(victim, quiet=True)
    assert_same_run(tmp_path / "whole", victim)


def test_ctrl_c_then_resume_from_the_command_line(tmp_path):
    # In processes of their own: OpenBLAS shares products out otherwise once a process has forked, as this one has.
    script = ("import sys; from tinygan import cli; from tinygan.run import plots, training\n"
              "training.FRAMES = training.IMAGES = 9; plots.curves = lambda log, path: path.write_text(str(log))\n"
              "sys.exit(max(cli.main(args.split('|')) for args in sys.argv[1:]))")
    command, quiet = [sys.executable, "-c", script], ["--quiet", "--no-report"]
    options = ["train", "--model", "mlp", "--width", "0.05", "--batch", "50", "--steps", "250", *quiet, "--out"]
    process = subprocess.Popen([*command, "|".join([*options, str(tmp_path / "r")])], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "r/checkpoint.npz").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in err
    steps = checkpoint.load_state(tmp_path / "r/checkpoint.npz")[1]["steps"]
    assert 0 < steps < 250
    subprocess.run([*command, "|".join(["train", "--resume", str(tmp_path / "r"), *quiet]),
                    "|".join([*options, str(tmp_path / "whole")])], check=True, capture_output=True, timeout=120)
    assert_same_run(tmp_path / "whole", tmp_path / "r")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, each_tenth_digit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "mnist5k", lambda: each_tenth_digit)
        patch.setattr(training, "IMAGES", 9)
        return run.train(tmp_path_factory.mktemp("run") / "r", quiet=True, **dict(PLAIN, steps=3))


def test_a_thousand_changed_bytes_and_truncations(finished, tmp_path):
    """Each is refused with the clear error, or loads the very values."""
    whole = (finished / "checkpoint.npz").read_bytes()
    arrays, meta = checkpoint.load_state(finished / "checkpoint.npz")
    path, dice, refused = tmp_path / "checkpoint.npz", random.Random(0), 0
    for i in range(1000):
        content = bytearray(whole)
        if i % 5 == 0:
            del content[dice.randrange(len(content)):]
        else:   # half of them near the end, where the directory is
            place = dice.randrange(len(content)) if i % 2 else len(content) - 1 - dice.randrange(3000)
            content[place] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
        try:
            got, got_meta = checkpoint.load_state(path)
        except DataError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
            continue
        assert got_meta == meta and list(got) == list(arrays)
        for name in arrays:
            np.testing.assert_array_equal(got[name], arrays[name])
    assert refused > 900


def test_saving_by_the_clock_changes_nothing(tmp_path, whole, monkeypatch):
    expected = weights(whole(PLAIN))
    monkeypatch.setattr(training, "SAVE_EVERY", 0)
    monkeypatch.setattr(training, "FRAMES", 2)
    run.train(tmp_path / "often", quiet=True, **PLAIN)
    ours, theirs = expected, weights(tmp_path / "often")
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert checkpoint.load_state(checkpoint.previous(tmp_path / "often/checkpoint.npz"))[1]["steps"] in (29, 30)


def test_it_falls_back_to_the_one_before_and_says_so(tmp_path, whole, capsys):
    start(PLAIN, tmp_path / "r", 17)
    path = tmp_path / "r/checkpoint.npz"
    path.write_bytes(path.read_bytes()[:1000])
    run.resume(tmp_path / "r", quiet=True)
    assert "using checkpoint.previous.npz" in capsys.readouterr().err
    assert_same_run(whole(PLAIN), tmp_path / "r")


def test_newer_foreign_and_missing_files(finished, tmp_path):
    arrays, meta = checkpoint.load_state(finished / "checkpoint.npz")
    path = tmp_path / "checkpoint.npz"
    write = lambda meta: np.savez(path, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    write({"format": checkpoint.FORMAT, "version": checkpoint.VERSION + 1})
    checkpoint.previous(path).write_bytes((finished / "checkpoint.npz").read_bytes())
    with pytest.raises(DataError, match="newer tinygan; update"):           # not the old one in silence
        checkpoint.load_state(path)
    checkpoint.previous(path).unlink()
    for foreign in ({"format": "else", "version": 1}, {}, {"format": checkpoint.FORMAT, "version": "1"}, [1]):
        write(foreign)
        with pytest.raises(DataError, match="another kind of file"):
            checkpoint.load_state(path)
    with pytest.raises(MissingError, match="no file"):
        run.resume(tmp_path / "nothing")
    for wrong in ({"config": 3}, {"config": {"model": "no such"}}, {"config": {"unknown": 1}}, {},
                  {"config": meta["config"], "data": meta["data"]},
                  {**{k: v for k, v in meta.items() if k not in ("format", "version")}, "rng": {}}):
        checkpoint.save_state(path, arrays, wrong)
        (tmp_path / "config.json").write_text("{}")
        checkpoint.previous(path).unlink(missing_ok=True)
        with pytest.raises(DataError):
            run.resume(tmp_path)


def test_other_data_is_refused(finished, tmp_path):
    arrays, meta = checkpoint.load_state(finished / "checkpoint.npz")
    checkpoint.save_state(tmp_path / "checkpoint.npz", arrays,
                          {k: v for k, v in meta.items() if k not in ("format", "version")} | {"data": "0" * 64})
    with pytest.raises(DataError, match="is not the data"):
        run.resume(tmp_path)


def test_two_runs_in_one_folder(tmp_path):
    start(PLAIN, tmp_path / "r", 5)
    script = ("import sys, time; from tinygan.data.files import locked\n"
              "with locked(sys.argv[1]): print('held', flush=True); time.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "r")], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        before = {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()}
        for name in (None, "mnist5k"):
            with pytest.raises(ConfigError, match="another run trains in"):
                run.resume(tmp_path / "r", quiet=True, data=name)
        assert {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()} == before
    finally:
        holder.kill()
        holder.communicate()
    run.resume(tmp_path / "r", quiet=True)                                  # the lock died with its process


def test_two_runs_that_begin_in_one_folder(tmp_path, monkeypatch):
    """Both have seen that it is empty; the one that writes its options first has it."""
    late, atomic = run.Run(Config(**PLAIN)), files.atomic

    def beaten(path, *args, **options):
        path.write_text("another's")
        return atomic(path, *args, **options)
    monkeypatch.setattr(training, "atomic", beaten)
    with pytest.raises(ConfigError, match="has content"):
        late.open(tmp_path / "r")
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["config.json"]
    assert (tmp_path / "r/config.json").read_text() == "another's"


def test_killed_before_its_first_checkpoint(tmp_path, whole):
    run.Run(Config(**PLAIN)).open(tmp_path / "r")
    (tmp_path / "r/.checkpoint.npz.0a1b2c3d.tmp").write_bytes(b"half")     # of a writer that was killed
    run.resume(tmp_path / "r", quiet=True)
    assert_same_run(whole(PLAIN), tmp_path / "r")
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == sorted(p.name for p in whole(PLAIN).iterdir())


def test_checkpoints_that_are_gone_are_missed(finished, tmp_path):
    for name in ("config.json", "weights.npz", "log.csv"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    with pytest.raises(MissingError, match="a checkpoint"):
        run.resume(tmp_path, quiet=True)            # what was trained is not started again


def test_only_its_own_leavings_are_removed(tmp_path):
    names = [".notes.december.tmp", ".weights.npz.0a1b2c3d.tmp", ".report.html.0a1b2c3d.tmp",
             ".samples-n64.png.0a1b2c3d.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    files.clean(tmp_path, training.FILES)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(set(names) - {".weights.npz.0a1b2c3d.tmp"})


def test_resume_takes_no_other_option_and_config_takes_them(tmp_path, whole, capsys):
    a = whole(PLAIN)
    assert cli.main(["train", "--resume", str(a), "--g-lr", "1"]) == 2
    assert "--g-lr" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(a), "--seed", "0"]) == 2  # its default, but given
    assert "--seed" in capsys.readouterr().err
    config = ["train", "--quiet", "--no-report", "--config", str(a / "config.json")]
    assert cli.main([*config, "--out", str(tmp_path / "b")]) == 0
    assert_same_run(a, tmp_path / "b")
    assert cli.main([*config, "--out", str(tmp_path / "c"), "--steps", "4", "--lr", "0.01"]) == 0
    options, _ = run.read_config(tmp_path / "c/config.json")
    assert options["steps"] == 4 and options["g_lr"] == options["d_lr"] == 0.01 and options["batch"] == 50
    config[-1] = str(tmp_path / "c/config.json")
    assert cli.main([*config, "--out", str(tmp_path / "d"), "--k", "2", "--d-lr", "0.1", "--lr", "0.2"]) == 0
    config[-1] = str(tmp_path / "d/config.json")
    assert cli.main([*config, "--out", str(tmp_path / "e"), "--k", "1"]) == 0    # what is given wins
    options, _ = run.read_config(tmp_path / "e/config.json")
    assert options["k"] == 1 and options["g_lr"] == 0.2 and options["d_lr"] == 0.1
    for content in ("", "[]", "{", '{"sample_shape": [1]', '{"sample_shape": [1], "unknown": 2}', "[" * 10**5):
        (tmp_path / "x.json").write_text(content)
        assert cli.main(["train", "--config", str(tmp_path / "x.json")]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_leaves_the_earlier_files(tmp_path, monkeypatch, capsys, failure):
    start(PLAIN, tmp_path / "r", 5)
    before = {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()}

    def full(descriptor):
        raise OSError(failure, os.strerror(failure))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert cli.main(["train", "--resume", str(tmp_path / "r"), "--quiet", "--no-report"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and os.strerror(failure) in err
    assert {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()} == before      # and nothing half-written
    assert cli.main(["train", "--resume", str(tmp_path / "r"), "--quiet", "--no-report"]) == 0


def test_writing_replaces_a_link_and_leaves_what_it_points_to(tmp_path):
    start(PLAIN, tmp_path / "r", 5)
    outside = tmp_path / "outside"
    for name in ("samples.png", "weights.npz", "checkpoint.npz"):
        if name != "checkpoint.npz":
            (tmp_path / "r" / name).unlink()
            outside.write_text("mine")
            (tmp_path / "r" / name).symlink_to(outside)
    run.resume(tmp_path / "r", quiet=True)
    assert outside.read_text() == "mine" and not (tmp_path / "r/weights.npz").is_symlink()


def test_weights_round_trip(tmp_path, xb):
    G, D = models.dcgan(rng=0, width=0.05, backend=xb)
    G.state["1.mean"][...] = 3.0
    checkpoint.save(tmp_path / "w.npz", G=G, D=D)
    G2, D2 = models.dcgan(rng=1, width=0.05)
    checkpoint.load(tmp_path / "w.npz", G=G2, D=D2)
    for a, b in [(G, G2), (D, D2)]:
        np.testing.assert_array_equal(backend.asnumpy(a.theta), b.theta)
    assert (G2.state["1.mean"] == 3).all()
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert "G.0.W" in file.files and "G.state.1.mean" in file.files and "D.7.b" in file.files


def test_damaged_missing_and_foreign_weights(tmp_path):
    path = tmp_path / "w.npz"
    G, D = models.mlp(rng=0, width=0.05)
    checkpoint.save(path, G=G, D=D)
    whole, before = path.read_bytes(), G.theta.copy()
    for content in (whole[:100], whole[:-50], b"", b"no zip at all", whole[:300] + b"\xff" * 40 + whole[340:]):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            checkpoint.load(path, G=G)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is it of another model"):
        checkpoint.load(path, G=models.mlp(rng=1, width=0.1)[0])
    with pytest.raises(DataError, match="expected 'E.0.W'"):
        checkpoint.load(path, E=G)
    np.savez(path, **{"G.0.W": np.array([object()])}, allow_pickle=True)
    with pytest.raises(DataError, match="damaged or foreign"):
        checkpoint.load(path, G=G)
    with pytest.raises(MissingError, match="got no file"):
        checkpoint.load(tmp_path / "none.npz", G=G)
    assert (G.theta == before).all()
