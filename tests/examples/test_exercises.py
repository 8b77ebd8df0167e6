"""The exercises: as they come, solved, and solved wrongly.

The solutions are here: one text for each blank, in order, or pairs (what the file has, what is right).
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "exercises"
BLANK = re.compile(r"^( *)raise NotImplementedError\(.*\)$", re.M)

DENSE = ('grads["W"] += x.T @ dy\ngrads["b"] += dy.sum(0)', "return dy @ W.T",
         'grads["W"] += tx.T @ dty', "return self.backward(dy, cache, grads), dty @ W.T")
CROSS_ENTROPY = """
small = np.exp(-abs(logits))
sigma = np.where(logits > 0, 1, small) / (1 + small)
return (np.maximum(logits, 0) + np.log1p(small) - target * logits).mean(), (sigma - target) / logits.size"""
CONV = ("for u, part in enumerate(self.slices(shape)):\n    dx[:, part] += dy @ W[u].T\nreturn dx",
        'return np.stack([np.einsum("nic,nio->co", x[:, part], dy) for part in self.slices(shape)])')
ADAM = """
self.m = self.beta1 * self.m + (1 - self.beta1) * g
self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
theta -= self.lr * m / (v**0.5 + self.eps)"""
HINGE = ("return loss, np.where(r < 1, -1, 0) / r.size, (f > -1) / f.size", "return loss, 0 * f - 1 / f.size")
R1 = """
l, cache = D.forward(x)
v = D.backward(np.ones_like(l), cache)
_, tcache = D.jvp(gamma / len(x) * v, cache)
D.jvp_backward(np.zeros_like(l), np.ones_like(l), cache, tcache, grads)
return gamma / 2 * (v**2).sum() / len(x)"""

SOLUTIONS = {
    "fill/dense": DENSE,
    "fill/arctan": ("return t / (1 + x**2)", "return -2 * x / (1 + x**2)**2 * t"),
    "fill/cross_entropy": (CROSS_ENTROPY,),
    "fill/conv1d": CONV,
    "fill/batch_norm": ("return (g - g.mean(0) - xhat * (xhat * g).mean(0)) / s",),
    "fill/adam": (ADAM,),
    "fill/hinge": HINGE,
    "fill/r1": (R1,),
    "repair/d_loss": [("p, q = sigmoid(real_logits), sigmoid(fake_logits)", "p, q = real_logits, fake_logits"),
                      ("dp * p * (1 - p), dq * q * (1 - q)", "dp, dq")],
    "repair/transposed": [("[::-1]", "")],
    "repair/pixel_norm": [("return dy / s", "return (dy - xhat * (xhat * dy).mean(-1, keepdims=True)) / s")],
    "repair/rmsprop": [("np.sqrt(self.v + self.eps)", "(np.sqrt(self.v) + self.eps)")],
    "repair/scale": [('"gamma"] = ', '"gamma"] += '), ('"beta"] = ', '"beta"] += ')],
    "repair/sigmoid": [("self.y = 1", "y = 1"), ("return self.y, None", "return y, y"),
                       ("self.y * (1 - self.y)", "cache * (1 - cache)")],
    "repair/leaky_relu": [("        x[x < 0] *= self.slope\n        return x, x > 0",
                           "        return np.where(x > 0, x, self.slope * x), x > 0")],
    "repair/gelu": [("ROOT = np.sqrt(2 / np.pi)", "ROOT = float(np.sqrt(2 / np.pi))")],
    "repair/dropout": [(".astype(x.dtype) if", ".astype(x.dtype) / (1 - self.rate) if")],
    "repair/g_step": [("D.backward(d_logits, fake_cache, d_grads)", "D.backward(d_logits, fake_cache)")],
    "repair/least_squares": [("r - 1, f\n", "(r - 1) / r.size, f / f.size\n"),
                             ("/ 2, f - 1", "/ 2, (f - 1) / f.size")],
    "repair/tanh": [("        return (1 - y**2) * dy, (1", "        d = -2 * y * (1 - y**2) * tcache * dty\n"
                     "        return (1 - y**2) * dy + d, (1")],
    "repair/spectral_norm": [("return x.T @ dy / sigma", "dW, W = x.T @ dy, self.param('W', x)\n"
                              "        return (dW - (dW * W).sum() / sigma * np.outer(v, u)) / sigma")],
    "repair/softmax": [("return y * (1 - y) * dy", "return y * (dy - (y * dy).sum(-1, keepdims=True))")],
}

# What the words of the untouched folder must say.
MISTAKES = {
    "repair/d_loss": "the sigmoid is taken twice", "repair/transposed": "in reversed order along axis 0",
    "repair/pixel_norm": "through a sum, a mean or a norm is missing", "repair/rmsprop": "ε stands inside the root",
    "repair/scale": 'grads["gamma"] = ... instead of grads["gamma"] += ...', "repair/sigmoid": "kept on the layer",
    "repair/leaky_relu": "wrote into x", "repair/gelu": "expected float32", "repair/dropout": "in training y is 0.6",
    "repair/g_step": "the gradient of G's loss is in it as well", "repair/least_squares": "6 = N, the batch size",
    "repair/tanh": "⟨dty, ty⟩ in x is missing", "repair/spectral_norm": "through its largest singular value",
    "repair/softmax": "through a sum, a mean or a norm is missing",
}

# Exercise, what is changed in its solution, and what the words then say.
WRONG = [
    ("fill/dense", '["W"] += x.T', '["W"] = x.T', 'grads["W"] = ... instead of grads["W"] += ...'),
    ("fill/dense", "x.T @ dy\n", "x @ dy\n", "ValueError in line 30, `grads[\"W\"] += x @ dy`: matmul"),
    ("fill/dense", "return dy @ W.T", "dx = dy @ W.T", "backward returned None; end it with: return dx"),
    ("fill/dense", "tx.T @ dty", "0", "jvp_backward adds what backward adds"),
    ("fill/dense", "def backward", "def backwards", "backward"),
    ("fill/dense", "class Dense", "class Full", "expected the name Dense"),
    ("fill/dense", "return dy @ W.T", "return dy @ W.T)", "SyntaxError in line 32, `return dy @ W.T)`: unmatched ')'"),
    ("fill/arctan", "-2 * x", "0 * x", "f″(x)·tx·dty"),
    ("fill/arctan", "np.arctan(x)", "x * 1", "Also wrong"),
    ("fill/cross_entropy", "/ logits.size", "/ 1", "(5 = N, the batch size): summed instead of averaged"),
    ("fill/cross_entropy", "np.maximum(logits, 0) + np.log1p(small)", "np.log(1 + np.exp(logits))", "e to a large"),
    ("fill/conv1d", "dy @ W[u].T", "dy @ W[-1 - u].T", "adjoint (which backward calls) reads W in reversed order"),
    ("fill/conv1d", "dx[:, part] +=", "dx[:, part] =", "dx[0"),
    ("fill/batch_norm", "- g.mean(0)", "", "one number in each channel (all axes but the last): the path through"),
    ("fill/batch_norm", "- xhat * (xhat * g).mean(0)", "", "the path through a variance or a norm"),
    ("fill/batch_norm", "(g - g.mean(0) - xhat * (xhat * g).mean(0))", "g", "also acts on y["),
    ("fill/adam", " / (1 - self.beta2**self.t)", "", "only m is corrected, v is not"),
    ("fill/adam", "(v**0.5 + self.eps)", "(v + self.eps)**0.5", "ε stands inside the root"),
    ("fill/adam", "theta -= ", "theta = theta - ", "θ has not moved: change it in place"),
    ("fill/adam", "self.m = self.beta1", "g *= 1.5\n        self.m = self.beta1", "step must not change g"),
    ("fill/hinge", "(f > -1)", "-(f > -1.0)", "TypeError in line"),
    ("fill/hinge", "(f > -1) / f.size", "(f > -1) / -f.size", "d_fake: by hand is -1 times"),
    ("fill/hinge", "(f > -1) / f.size", "(f > -1) / r.size", "d_fake: by hand is 0.666667 times"),
    ("fill/hinge", "(f > -1) / f.size", "np.ones_like(f) / f.size", "d_fake[3, 0]: by hand 0.25, by differences 0,"),
    ("fill/r1", "gamma / 2", "gamma", "yours is 2 times as large (N = 4)"),
    ("fill/r1", "D.jvp(gamma / len(x) * v", "D.jvp(gamma * v", "by hand is 4 times the numerical value everywhere"),
    ("fill/r1", "np.zeros_like(l)", "np.ones_like(l)", "the gradient of Σ D(x) is in it as well"),
    ("fill/r1", "cache, tcache, grads)", "cache, tcache)", "by hand all elements are 0"),
    ("fill/r1", "return gamma", "gamma", "φ is None; end the function with: return"),
    ("repair/leaky_relu", "np.where(x > 0, x, self.slope * x)", "1.0 * x", "dx"),
    ("repair/dropout", ">= self.rate", ">= 0.5", "mask: 50.3% of the elements are kept in training"),
    ("repair/g_step", "D.backward(d_fake, fake_cache, d_grads)", "", "the gradient of D's loss on fakes is missing"),
    ("repair/g_step", "G.backward(dx,", "G.backward(-dx,", "wrong sign"),
]


def solve(folder, name, solution):
    """Write a solution into a copy of the folder."""
    path = folder / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    if name.startswith("fill"):
        assert len(BLANK.findall(text)) == len(solution), name
        for code in solution:
            indent = BLANK.search(text)[1]
            lines = "\n".join(indent + line for line in code.strip("\n").split("\n"))
            text = BLANK.sub(lambda _: lines, text, count=1)
    for old, new in solution if name.startswith("repair") else ():
        assert text.count(old) == 1, (name, old)
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def copy(folder):
    return Path(shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__")))


def run(*paths):
    """pytest as a student runs it, elsewhere than in the repository: exit code, output, outcomes by name, totals."""
    here = paths[0].parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, paths), "--json", "results.json"], cwd=here, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "OMP_NUM_THREADS": "1"}, encoding="utf-8")
    assert not done.stderr and "Traceback" not in done.stdout, done.stderr + done.stdout
    found = json.loads((here / "results.json").read_text(encoding="utf-8"))
    assert not list(here.glob(".results*"))
    return done.returncode, done.stdout, {o["name"]: o for o in found["exercises"]}, found["totals"]


@pytest.fixture(scope="module")
def grader():
    spec = importlib.util.spec_from_file_location("exercise_grader", FOLDER / "grader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_as_they_come(tmp_path):
    code, output, outcomes, totals = run(copy(tmp_path / "exercises"))
    assert code == 1 and list(outcomes) == list(SOLUTIONS)
    assert totals == {"right": 0, "wrong": len(MISTAKES), "not done": len(SOLUTIONS) - len(MISTAKES)}
    for name, o in outcomes.items():
        assert o["status"] == ("not done" if name.startswith("fill") else "wrong")
        assert "write " in o["message"] if name.startswith("fill") else MISTAKES[name] in o["message"]
        assert f"{name}, chapter {o['chapter']}: {o['message'][:20]}" in output
    assert "8 not done, 14 wrong in " in output.split("\n")[-2] and output.count("\n") < 60


def test_solved(tmp_path):
    folder = copy(tmp_path / "exercises")
    for name, solution in SOLUTIONS.items():
        solve(folder, name, solution)
    code, output, outcomes, totals = run(folder)
    assert code == 0 and totals == {"right": len(SOLUTIONS), "wrong": 0, "not done": 0}, output
    assert all(0 <= error < 1e-8 for o in outcomes.values() for q, error in o["errors"].items() if q != "mean of y")


@pytest.mark.parametrize("name, old, new, words", WRONG, ids=range(len(WRONG)))
def test_solved_wrongly(name, old, new, words, tmp_path, grader):
    """Warnings are errors here, as in the tests of the project; in an exercise they are not."""
    (tmp_path / name).parent.mkdir()
    path = Path(shutil.copy(FOLDER / f"{name}.py", tmp_path / f"{name}.py"))
    solve(tmp_path, name, SOLUTIONS[name])
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(f"{text.replace(old, new)}\nimport warnings\nwarnings.warn('a draft')\n", encoding="utf-8")
    found = grader.grade(name, tmp_path)
    assert found["status"] == "wrong" and words in found["message"], found["message"]


def test_one_at_a_time(tmp_path):
    """A file on the command line: the whole report, and what the code prints."""
    folder = copy(tmp_path / "exercises")
    path = folder / "repair" / "scale.py"
    path.write_text(path.read_text(encoding="utf-8").replace("x = cache\n", "x = cache\n        print(dy.shape)\n"))
    code, output, outcomes, _ = run(path)
    assert code == 1 and list(outcomes) == ["repair/scale"]
    assert "dgamma[" in output and "by differences" in output and "right: dx" in output
    assert "Printed by your code:\n(4, 2, 3)" in output and output.endswith("s\n") and "1 wrong in" in output


def test_no_folder_for_the_outcomes(tmp_path):
    done = subprocess.run([sys.executable, "-m", "pytest", str(FOLDER / "fill"), "--json", "none/results.json"],
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 4 and "got none/results.json; make the folder first" in done.stderr


def test_the_table(grader):
    """It lists every file and each one's chapter, in the order in which they are graded."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.*?)\]\((.*?)\.py\) \| .+ \| \[(\d+)\]\(\.\./(\d\d)_\w+\.md\) \| (?:easy|medium|"
                      r"hard) \|$", text, re.M)
    assert all(name == link and int(chapter) == int(page) for name, link, chapter, page in rows)
    assert {name: int(chapter) for name, _, chapter, _ in rows} == {
        name: chapter for name, (chapter, _) in grader.EXERCISES.items()}
    assert [row[0] for row in rows] == list(grader.EXERCISES) == list(SOLUTIONS)
    assert set(SOLUTIONS) == {f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.py")}
