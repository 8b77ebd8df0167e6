"""The structure of the package: what imports what, what loops, what is documented."""

import ast
import graphlib
from pathlib import Path

import pytest

import tinygan

ROOT = Path(tinygan.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
ids = lambda path: str(path.relative_to(ROOT)).replace("\\", "/")


def _imports(path):
    """The files of tinygan that a file imports."""
    package = ["tinygan", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (_file(alias.name.split(".")) for alias in node.names if alias.name.startswith("tinygan."))
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            full = base + (node.module.split(".") if node.module else [])
            if full[:1] == ["tinygan"]:
                yield from (_file([*full, alias.name]) or _file(full) for alias in node.names)


def _file(parts):
    """The file of a module by the parts of its name, or None: tinygan itself imports its modules only when used."""
    path = ROOT.joinpath(*parts[1:])
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p in TREES and parts[1:]), None)


IMPORTS = {path: {p for p in _imports(path) if p} for path in FILES}


def _reached(*roots):
    """All files that these files or folders import, directly or not, and they themselves."""
    todo = [path for root in roots for path in FILES if path == ROOT / root or ROOT / root in path.parents]
    found = set()
    while todo:
        if (path := todo.pop()) not in found:
            found.add(path)
            todo += IMPORTS[path]
    return found


def _inside(*folders):
    return {path for path in FILES if ids(path).split("/")[0] in folders}


MATHEMATICS = _reached("gan.py", "models.py")


def test_the_mathematics_imports_nothing_else():
    """First circle: all that the game and the models are made of."""
    assert _inside("ops", "layers") - {ROOT / "ops" / "__init__.py"} <= MATHEMATICS and len(MATHEMATICS) > 40
    outside = _inside("kernels", "gradcheck", "data", "metrics", "run", "explain", "cli.py", "bench.py", "inspect.py",
                      "interchange.py", "inversion.py")
    assert len(outside) > 40 and not MATHEMATICS & outside


@pytest.mark.parametrize("folder", ["kernels", "gradcheck"])
def test_speed_and_proof_import_the_mathematics_alone(folder):
    """Second and third circle: neither imports the other, nor what runs need; nobody but runs imports them."""
    assert _reached(folder) <= MATHEMATICS | _inside(folder)
    assert _inside(folder) & _reached(folder) == _inside(folder)


def test_no_part_imports_one_that_imports_it():
    """Parts are the folders and the files at the top; there is an order in which each imports only those before it."""
    part = lambda path: ids(path).split("/")[0]
    graph = {name: {part(p) for path in FILES if part(path) == name for p in IMPORTS[path]} - {name}
             for name in {part(path) for path in FILES}}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    places = [order.index(name) for name in ("ops", "layers", "gan.py", "run", "cli.py")]
    assert places == sorted(places)


def test_the_imports_are_read():
    game = {ids(p) for p in IMPORTS[ROOT / "gan.py"]}
    assert game >= {"backend.py", "losses.py", "layers/labels.py", "ops/random.py"}
    assert {ids(p) for p in IMPORTS[ROOT / "layers" / "dense.py"]} == {"ops/init.py", "ops/products.py",
                                                                       "layers/affine.py"}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_autograd(path):
    for node in ast.walk(TREES[path]):
        names = [a.name for a in node.names] + [getattr(node, "module", None) or ""] if isinstance(
            node, (ast.Import, ast.ImportFrom)) else []
        assert not {"torch", "jax", "autograd", "tensorflow"} & {name.split(".")[0] for name in names}


# The loops of ops and layers: over kernel taps, parameters, parts, axes, frequencies; never samples, pixels, channels.
LOOPS = {"ops/windows.py": 1, "ops/random.py": 1, "ops/registry.py": 1, "layers/base.py": 1, "layers/checks.py": 3,
         "layers/container.py": 6, "layers/params.py": 3, "layers/pool.py": 1, "layers/sequential.py": 4,
         "layers/spectral.py": 1, "layers/augment.py": 1, "layers/fourier.py": 1, "layers/summary.py": 1}


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name in ("ops", "layers")], ids=ids)
def test_no_loop_over_samples_pixels_or_channels(path):
    loops = [node.lineno for node in ast.walk(TREES[path]) if isinstance(node, (ast.For, ast.While))]
    assert len(loops) == LOOPS.get(ids(path).replace("\\", "/"), 0), f"loops at lines {loops}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name in ("ops", "layers")], ids=ids)
def test_data_follows_its_array(path):
    """np.… computes on the host: allowed for what a layer holds before a network owns it, for dtypes, and in the
    kernels for NumPy."""
    allowed = {"init.py": {"random", "zeros", "ones"}, "base.py": {"zeros"}, "norm.py": {"zeros", "ones"},
               "params.py": {"shape"}, "random.py": {"abs"}, "labels.py": {"asarray"}}
    used = {node.attr for node in ast.walk(TREES[path]) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == "np"}
    assert used <= allowed.get(path.name, set())


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_public_things_are_documented(path):
    assert path.name == "__init__.py" and not TREES[path].body or ast.get_docstring(TREES[path]), "the module itself"
    inherited = {"forward", "backward", "jvp", "jvp_backward", "draw", "prepare", "map", "adjoint",
                 "wgrad", "f", "d1",
                 "d2", "copy", "reset", "bind", "direction", "d_loss", "g_loss", "theta", "state", "geometry", "ok",
                 "worst", "update", "share", "average", "agree", "rates", "host", "step", "joined"}
    for node in TREES[path].body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or node.name in inherited, node.name
            for method in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    assert ast.get_docstring(method) or method.name in inherited, f"{node.name}.{method.name}"


def test_every_public_name_is_there():
    for name in tinygan.__all__:
        assert hasattr(tinygan, name)
    for name in tinygan.layers.__all__:
        assert hasattr(tinygan.layers, name)
