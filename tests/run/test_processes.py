"""Several processes train as one: on a stand-in for MPI in threads, and under mpiexec where there is one."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinygan import GAN, backend, models, optim
from tinygan.data.files import read_npz
from tinygan.errors import ConfigError
from tinygan.ops.random import Source
from tinygan.run import processes

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def needs_mpi():
    pytest.importorskip("mpi4py")
    if not MPIEXEC:
        pytest.skip("no mpiexec")


class Threads(processes.SingleProcess):
    """As `Processes`, each "process" a thread."""

    def __init__(self, rank, size, meeting, table):
        self.rank, self.size, self.meeting, self.table = rank, size, meeting, table

    share = processes.Processes.share

    def average(self, vector):
        self.table[self.rank] = backend.asnumpy(vector)
        self.meeting.wait()
        mean = sum(self.table) / self.size
        self.meeting.wait()
        vector[...] = backend.to(mean.astype(vector.dtype), backend.name_of(vector))


def _game(rank=None, xb="numpy", **options):
    G, D = models.mlp(rng=0, width=0.05, latent=7, dtype="float64", backend=xb)
    gan = GAN(G, D, g_opt=optim.Adam(1e-2, 0.5), d_opt=optim.Adam(1e-2, 0.5), rng=1, **options)
    return processes.share(gan, rank) if rank else gan


def _batches():
    return [np.random.default_rng(s).uniform(-1, 1, (12, 28, 28, 1)) for s in range(3)]


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("options", [{}, dict(loss="relativistic", penalty="r1+r2", gamma=0.5, noise_std=0.1),
                                     dict(average=0.9, g_penalty=0.3, clip=0.5),
                                     dict(loss="wasserstein", penalty="wgan_gp")],
                         ids=["plain", "penalties", "more", "eps"])
def test_shares_make_the_step_of_the_joint_batch(size, options, xb):
    whole = _game(xb=xb, **options)
    whole.train(_batches(), steps=3)
    meeting, table, games = threading.Barrier(size, timeout=60), [None] * size, []

    def work(rank):
        rank = Threads(rank, size, meeting, table)
        game = _game(rank, xb, **options)
        game.train(map(rank.share, _batches()), steps=3)
        games.append(game)
    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(games) == size
    for game in games:
        for ours, joint in ((game.G.theta, whole.G.theta), (game.D.theta, whole.D.theta)):
            np.testing.assert_allclose(backend.asnumpy(ours), backend.asnumpy(joint), rtol=0, atol=1e-9)


def test_each_process_draws_its_own_share():
    """Rows of one draw for the whole batch, and a key of its own for masks; all generators stay alike."""
    like, whole = np.zeros(1), Source(0)
    shares = [processes._Shared(np.random.default_rng(0), Threads(rank, 2, None, None)) for rank in range(2)]
    for draw in (lambda rng, n: rng.normal((n, 3), like), lambda rng, n: rng.integers(0, 9, (n, 1), like),
                 lambda rng, n: rng.uniform((n,), like)):
        np.testing.assert_array_equal(np.concatenate([draw(rng, 4) for rng in shares]), draw(whole, 8))
    first, second = (rng.key(like) for rng in shares)
    assert (first != second).any() and first.shape == second.shape == (2,)
    assert shares[0].generator.bit_generator.state == shares[1].generator.bit_generator.state


def test_alone_is_the_default_and_shares_must_be_equal(monkeypatch):
    for name in processes._SIZES:
        monkeypatch.delenv(name, raising=False)
    assert type(processes.started()) is processes.SingleProcess
    monkeypatch.setenv("PMI_SIZE", "1")
    assert type(processes.started()) is processes.SingleProcess
    with pytest.raises(ConfigError, match="multiple of the 5 processes, got 12"):
        Threads(0, 5, None, None).share(np.zeros(12))


def test_without_mpi4py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(ConfigError, match=r"pip install tinygan\[mpi\]"):
        processes.started()


@pytest.mark.parametrize("size", [2, 4])
def test_under_mpiexec(size, tmp_path):
    """`mpiexec -n 2 tinygan train …` leaves one folder, with the weights of one process on the joint batch."""
    needs_mpi()
    options = ["train", "--model", "mlp", "--width", "0.1", "--batch", "40", "--steps", "6", "--quiet", "--no-report"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command, out in (([sys.executable], "one"), ([MPIEXEC, "-n", str(size), sys.executable], "several")):
        done = subprocess.run([*command, "-m", "tinygan", *options, "--out", str(tmp_path / out)], env=environment,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 8       # the first process alone speaks
    one, several = (read_npz(tmp_path / out / "weights.npz") for out in ("one", "several"))
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=0, atol=2e-5)
    steps = [(tmp_path / out / "log.csv").read_text().splitlines() for out in ("one", "several")]
    assert len(steps[0]) == len(steps[1]) == 7
    for a, b in zip(*(line[1:] for line in steps)):
        np.testing.assert_allclose(*(np.array(row.split(","), float) for row in (a, b)), rtol=1e-4)


def test_a_batch_that_cannot_be_shared_under_mpiexec(tmp_path):
    needs_mpi()
    command = [MPIEXEC, "-n", "2", sys.executable, "-m", "tinygan", "train", "--model", "mlp", "--batch", "41"]
    done = subprocess.run([*command, "--steps", "2", "--out", str(tmp_path / "r")], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode != 0 and "multiple of 2 processes" in done.stderr and not (tmp_path / "r").exists()
