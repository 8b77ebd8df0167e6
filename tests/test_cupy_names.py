"""Every name and keyword that the library uses on an array module exists in CuPy, seen without a GPU."""

import ast
import inspect
from pathlib import Path

import pytest

import strict
import tinygan

ROOT = Path(tinygan.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
XP = {"xp", "array_module"}


def _chain(node):
    """"xp.linalg.norm" -> ["linalg", "norm"], also for array_module(x).exp; None for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    return names[::-1] if names and name in XP else None


def _uses():
    """(file, chain, keywords) of every use of xp.… in the library."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {id(node.func): [k.arg for k in node.keywords] for node in ast.walk(tree) if isinstance(node, ast.Call)}
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and id(node) not in inner and (chain := _chain(node)):
                yield path.relative_to(ROOT), chain, calls.get(id(node), [])


def test_names_exist_in_cupy():
    uses = list(_uses())
    assert len(uses) > 20
    known = {name for name in strict._NAMES if not name.startswith("ndarray.")}
    missing = {f"{path}: xp.{'.'.join(chain)}" for path, chain, _ in uses if ".".join(chain) not in known}
    assert not missing


def test_names_and_keywords_against_cupy_itself():
    cupy = pytest.importorskip("cupy")
    import cupy.lib.stride_tricks   # noqa: F401
    for path, chain, keywords in _uses():
        target = cupy
        for name in chain:
            target = getattr(target, name)
        try:
            parameters = inspect.signature(target).parameters
        except (TypeError, ValueError):
            continue
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        assert takes_any or set(keywords) <= set(parameters), (path, chain, keywords)


def test_only_the_backend_imports_cupy():
    for path in FILES:
        imported = [name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, (ast.Import, ast.ImportFrom))
                    for name in [getattr(node, "module", None), *(alias.name for alias in node.names)] if name]
        assert path.name == "backend.py" or not any(name.split(".")[0] == "cupy" for name in imported), path
