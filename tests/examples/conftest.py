"""Chapters of the course: each runs once, in its short form, in a folder of its own."""

import contextlib
import functools
import importlib.util
import io
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

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
