"""The house keeps its order: what may import what, what may loop, what is documented."""

import ast
from pathlib import Path

import pytest

import tinygan

ROOT = Path(tinygan.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Each imports only from those before it.
ORDER = ["errors", "backend", "params", "ops", "kernels", "layers", "net", "losses", "optim", "latent",
         "penalties", "capture", "gan", "gradreport", "gradcheck", "models", "interchange", "selfcheck",
         "data", "metrics", "run", "bench", "cli", "__init__", "__main__"]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
ids = lambda path: str(path.relative_to(ROOT))


def _place(path):
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert first in ORDER, f"{first} has no place in the order of the house; give it one in ORDER"
    return ORDER.index(first)


def _imported(path):
    """The parts of tinygan that a file imports, by name."""
    package = ["tinygan", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tinygan."))
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            full = base + (node.module.split(".") if node.module else [])
            if full[:1] == ["tinygan"]:
                yield from [full[1]] if len(full) > 1 else (a.name for a in node.names if a.name in ORDER)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_lower_lines_import_only_from_higher_ones(path):
    wrong = [name for name in _imported(path) if ORDER.index(name) > _place(path)]
    assert not wrong, f"{path.name} imports {wrong}, which stand below it"


def test_the_order_is_seen():
    assert set(_imported(ROOT / "gan.py")) >= {"backend", "latent", "losses", "errors", "ops", "optim"}
    assert set(_imported(ROOT / "layers" / "dense.py")) == {"ops", "kernels", "layers"}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_autograd(path):
    for node in ast.walk(TREES[path]):
        names = [a.name for a in node.names] + [getattr(node, "module", None) or ""] if isinstance(
            node, (ast.Import, ast.ImportFrom)) else []
        assert not {"torch", "jax", "autograd", "tensorflow"} & {name.split(".")[0] for name in names}


# The loops of ops and layers: over kernel taps, parameters, parts, axes, frequencies; never samples, pixels, channels.
LOOPS = {"ops/windows.py": 3, "ops/random.py": 1, "layers/base.py": 3, "layers/pool.py": 1,
         "layers/spectral.py": 1, "layers/augment.py": 1, "layers/fourier.py": 1}


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name in ("ops", "layers")], ids=ids)
def test_no_loop_over_samples_pixels_or_channels(path):
    loops = [node.lineno for node in ast.walk(TREES[path]) if isinstance(node, (ast.For, ast.While))]
    assert len(loops) == LOOPS.get(ids(path).replace("\\", "/"), 0), f"loops at lines {loops}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name in ("ops", "layers")], ids=ids)
def test_data_follows_its_array(path):
    """np.… computes on the host: allowed for what a layer holds before a network owns it, for dtypes, and in the
    kernels for NumPy."""
    allowed = {"init.py": {"random", "zeros", "ones"}, "base.py": {"zeros", "float32", "float64"},
               "norm.py": {"zeros", "ones"}}
    used = {node.attr for node in ast.walk(TREES[path]) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == "np"}
    assert used <= allowed.get(path.name, set())


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_public_things_are_documented(path):
    assert path.name == "__init__.py" and not TREES[path].body or ast.get_docstring(TREES[path]), "the module itself"
    inherited = {"forward", "backward", "backward_params", "jvp", "jvp_backward", "draw", "prepare", "map", "adjoint",
                 "wgrad", "f", "d1",
                 "d2", "copy", "reset", "bind", "direction", "d_loss", "g_loss", "theta", "state", "geometry", "ok",
                 "worst", "update", "share", "average", "agree", "forward_leaky", "rates"}
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
