"""Chapters of the course: each runs once, in its short form, in a folder of its own."""

import contextlib
import functools
import importlib.util
import io
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinygan import gradcheck, losses, penalties

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def build():
    """examples/build.py as a module."""
    spec = importlib.util.spec_from_file_location("build_course", EXAMPLES / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chapter(tmp_path_factory):
    """chapter("13_dirac_gan"): what it printed (`output`), its names (`names`) and the `folder` of its pictures."""

    @functools.cache
    def run(stem):
        folder, printed = tmp_path_factory.mktemp(stem), io.StringIO()
        sys.path.insert(0, str(EXAMPLES))           # as Python itself does for a script
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.setenv("TINYGAN_SHORT", "1")
            patch.chdir(folder)
            names = runpy.run_path(str(EXAMPLES / f"{stem}.py"), run_name="__main__")
        sys.path.remove(str(EXAMPLES))
        return SimpleNamespace(output=printed.getvalue(), names=names, folder=folder)

    return run


def vector(grads):
    """Gradients as one vector."""
    return np.concatenate([g.reshape(-1) for g in grads.values()])


@pytest.fixture
def check_player():
    """check_player("D", G, D, x, z): loss and penalty in D's parameters; "G": its loss in G's parameters and in z."""

    def check(player, G, D, x, z, loss="relativistic", penalty="r1+r2"):
        loss, fake = losses.get(loss), G.forward(z)[0]

        def d_objective(theta):
            D.theta = theta
            (real, real_cache), (y, cache), grads = D.forward(x), D.forward(fake), D.zero_grads()
            value, d_real, d_fake = loss.d_loss(real, y)
            players = (x, d_real, real_cache), (fake, d_fake, cache)
            value += penalties.Penalty(penalty, 0.3).backward(D, *players, grads, np.random.default_rng(0))
            return value, vector(grads)

        def g_objective(theta, z):
            G.theta = theta
            y, g_cache = G.forward(z)
            logits, d_cache = D.forward(y)
            value, d_logits = loss.g_loss(logits, D.forward(x)[0])
            grads = G.zero_grads()
            dz = G.backward(D.backward(d_logits, d_cache), g_cache, grads)
            return value, vector(grads), dz
        report = (gradcheck.check_loss(d_objective, D.theta.copy()) if player == "D" else
                  gradcheck.check_loss(g_objective, G.theta.copy(), z)).raise_if_wrong()
        assert max(report.values()) <= 1e-8
    return check
