"""tinygan explain: every name has its derivation, an example whose sums are right, and a check that can fail."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygan
from command import tinygan as command
from tinygan import explain, layers, losses, optim, penalties
from tinygan.errors import ConfigError
from tinygan.explain import cases, formulas, passages
from tinygan.layers import Dense, LeakyReLU, Sequential

PARENT = Path(tinygan.__file__).parents[1]
NAMES = [topic.name for topic in explain.topics()]


@pytest.fixture(scope="module")
def explained():
    """All explanations, by name; each is made once."""
    return {name: explain.about(name) for name in NAMES}


def test_the_list_is_complete():
    public = {name for name in layers.__all__ if inspect.isclass(getattr(layers, name))}
    optimisers = {cls.__name__ for cls in optim.Optimizer.__subclasses__() if cls.__module__ == "tinygan.optim"}
    found = {kind: {name for name, _ in topics} for kind, topics in explain.catalogue().items()}
    assert found["layer"] == public and len(public) > 25
    assert found["loss"] == {*losses.names, "bce", "bce_with_logits"}
    assert found["penalty"] == {*penalties.names, "generator_penalty"}
    assert found["optimiser"] == optimisers and len(optimisers) == 3
    assert found["operation"] >= {"conv", "norm"} and found["game"] == {"step"}
    assert len({passages.plain(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_name(explained, name):
    found, text = explained[name], str(explained[name])
    assert found.ok and found.report.worst < 1e-8 and "ok; they agree with the code" in text
    assert ("GRADIENT CHECK: ok" in text) == (found.topic.kind != "optimiser")
    assert all(len(line) <= 120 for line in text.split("\n"))
    assert found.passages and found.parts and found.topic.summary
    for passage in found.passages:      # the text is the one in the file, in the lines given
        first, last = passage.lines
        lines = (PARENT / passage.file).read_text(encoding="utf-8").split("\n")[first - 1:last]
        assert passage.text.split("\n")[0].strip() in "\n".join(lines) and passage.text in text
    for names, file, (first, last) in found.code:
        lines = (PARENT / file).read_text(encoding="utf-8").split("\n")[first - 1:last]
        assert any(re.search(rf"def {word}\b", "\n".join(lines)) for word in names.split(", "))
    for number, title, file in found.chapters:
        page = (PARENT / file).read_text(encoding="utf-8")
        assert page.startswith(f"# {number}. {title}")


PRODUCTS = re.compile(r"[-+·. \d()e]+")


@pytest.mark.parametrize("name", NAMES)
def test_spelled_out_sums_are_the_entries(explained, name):
    """The printed numbers, multiplied and added up, give the entry of the array, to the digits that are printed."""
    checked = 0
    for part in explained[name].parts:
        for line in part.lines:
            array, _, place = line.quantity.partition("[")
            index = tuple(map(int, place.rstrip("]").split(","))) if place else ()
            if array in part.arrays:
                assert part.arrays[array][index] == pytest.approx(line.result, rel=1e-12, abs=1e-12)
            if PRODUCTS.fullmatch(line.numbers):
                terms = eval(line.numbers.replace("·", "*"))
                size = eval(re.sub(r"\((-?[^()]*)\)", r"abs(\1)", line.numbers.replace("·", "*")))
                assert terms == pytest.approx(line.result, abs=3e-4 * max(1, size))
                checked += 1
    assert checked or explained[name].topic.kind in ("loss", "optimiser")


@pytest.mark.parametrize("name", NAMES)
def test_json(explained, name):
    found = explained[name]
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert back["ok"] and back["name"] == name and back["check"]["errors"]
    for part, there in zip(found.parts, back["example"]["parts"], strict=True):
        assert list(there["arrays"]) == list(part.arrays) and len(there["lines"]) == len(part.lines)
        for key, array in part.arrays.items():
            np.testing.assert_array_equal(there["arrays"][key], array)


def test_formulas_are_stated_for_all_losses_penalties_and_optimisers(explained):
    """A quantity whose formula is missing in the docstring would not be compared with the code."""
    for name in losses.names:
        lines = [{line.quantity.partition("[")[0] for line in part.lines} for part in explained[name].parts]
        assert lines == [{"d_loss", "d_real", "d_fake"}, {"g_loss", "d_fake"}], name
    for name in [*penalties.names, "generator_penalty"]:
        assert {"φ, by its formula", "u, by its formula", "dtx, equal to v"} <= {*explained[name].report}, name
    assert {"θ, by its formula", "m, by its formula", "v, by its formula"} <= {*explained["Adam"].report}
    assert {"θ, by its formula", "u, by its formula"} <= {*explained["SGD"].report}
    assert {"θ, by its formula", "v, by its formula"} <= {*explained["RMSprop"].report}


def test_numbers_of_the_course(explained):
    """The examples of Conv2D and Adam are those of chapters 4 and 7."""
    arrays = explained["Conv2D"].parts[1].arrays
    dx, dW = (re.search(rf"{name} +(\[\[.*)", (PARENT / "examples/04_convolution.md").read_text(encoding="utf-8"))[1]
              for name in ("dx", "dW"))
    assert arrays["dx"][0, :, :, 0].tolist() == eval(dx) and arrays["dW"][:, :, 0, 0].tolist() == eval(dW)
    m_hat = [line.result for part in explained["Adam"].parts for line in part.lines if line.quantity == "m̂"]
    assert m_hat == pytest.approx([4, -4 / 3, 12 / 7])
    v = [line.result for part in explained["Adam"].parts for line in part.lines if line.quantity == "v"]
    assert v == pytest.approx([1, 31 / 16, 721 / 256])      # not corrected, the first step is 2/√1


class Wrong(LeakyReLU):
    """A wrong layer: its backward leaves out a factor."""

    def backward(self, dy, cache, grads=None):
        return 0.5 * super().backward(dy, cache, grads)


class FirstOrder(Dense):
    """A layer without second order."""

    def jvp(self, tx, cache):
        raise NotImplementedError


def test_a_layer_of_ones_own():
    found = explain.about_layer(FirstOrder(2, 1), [[1, 2], [3, -1]], [[1], [2]])
    assert found.ok and len(found.parts) == 2 and "dW[0,0] = Σ dy·∂y/∂W[0,0]" in str(found)
    assert found.parts[1].arrays["dW"].tolist() == [[7], [0]] and found.place[0] == "tests/test_explain.py"
    typed = {"Dense": Dense, "__name__": "typed"}
    exec(compile("class Typed(Dense):\n    'y = x W.'", "<typed>", "exec"), typed)
    text = str(explain.about_layer(typed["Typed"](2, 1), [[1, 2]]))
    assert text.startswith("Typed (layer): typed, without a file\n") and "y = x W." in text
    net = Sequential([Dense(2, 1)], rng=0)      # in float32: a copy in float64 is explained
    assert explain.about_layer(net, np.ones((3, 2), "float32")).ok and net.theta.dtype == "float32"


def test_a_wrong_layer_is_reported():
    found = explain.about_layer(Wrong(0.2), [[1, -2]])
    wrong = {failure.quantity for failure in found.report.failures}
    assert not found.ok and {"dx", "dx, as sums", "adjoint"} <= wrong and not found.to_dict()["ok"]
    assert "CHECK: WRONG" in str(found) and "factor" in str(found)


def test_exit_codes(monkeypatch, capsys):
    assert command("explain", "tanh") == 0
    monkeypatch.setattr("tinygan.ops.pointwise.tanh_d1", lambda t, x, y: 1.001 * (1 - y * y) * t)
    assert command("explain", "tanh") == 1 and command("explain", "tanh", "--json") == 1
    out = capsys.readouterr().out
    assert "WRONG" in out and json.loads(out.rstrip().rsplit("\n", 1)[1])["check"]["failures"]


@pytest.mark.parametrize("cls, name, old, new", [
    (losses.Hinge, "hinge", "= −[r < 1]/N", "= −[r < 1]/M·½"),
    (optim.Adam, "adam", "(1−β₂ᵗ)", "(1−β₁ᵗ)"),
    (losses.Wasserstein, "wasserstein", "mean f −", "mean f +")])
def test_a_docstring_that_says_something_else_is_reported(monkeypatch, cls, name, old, new):
    assert old in cls.__doc__
    monkeypatch.setattr(cls, "__doc__", cls.__doc__.replace(old, new))
    found = explain.about(name)
    assert not found.ok and all("by its formula" in failure.quantity for failure in found.report.failures)


@pytest.mark.parametrize("given, name", [
    ("conv2d", "Conv2D"), ("CONV", "conv"), ("batch-norm", "BatchNorm"), ("wgan-gp", "wgan_gp"), ("R1", "r1"),
    ("Non-Saturating", "non_saturating"), ("bce with logits", "bce_with_logits"), ("rms_prop", "RMSprop"),
    ("R1+r2", "r1+r2"), ("wgan-gp + r2", "wgan_gp+r2")])
def test_spellings(given, name):
    assert explain.find(given).name == name


@pytest.mark.parametrize("given, words", [("cnv2d", "near: Conv2D"), ("pool", "near: AvgPool2D, MaxPool2D"),
                                          ("r1+hinge", "unknown"), ("zzz", "'zzz'; list all"), ("", "unknown name ''")])
def test_unknown_names(capsys, given, words):
    assert command("explain", given) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and "tinygan explain" in err


def test_several_penalties_add_up():
    found = explain.about("r1+r2")
    assert found.ok and found.parts[-1].arrays["dW"].tolist() == [[6], [8]] and found.sources[0].count("eq.") == 2
    assert str(found).count("zero-centred, at") == 2 and "one-sided, at" not in str(found)


def test_the_list_as_text_and_as_json(capsys):
    assert command("explain") == 0
    text = capsys.readouterr().out
    assert command("explain", "--json") == 0
    names = [one["name"] for kind in json.loads(capsys.readouterr().out).values() for one in kind]
    assert sorted(names) == sorted(NAMES) and all(re.search(rf"^  {name} ", text, re.M) for name in NAMES)
    assert all(len(line) <= 120 for line in text.split("\n"))


def test_in_a_pipe_of_an_ascii_terminal():
    done = subprocess.run(f"{sys.executable} -m tinygan explain dense | head -n 1", shell=True, capture_output=True,
                          env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(PARENT)})
    assert done.stdout.startswith(b"Dense (layer): tinygan/layers/dense.py:") and done.stderr == b""


def test_the_command_line_imports_it_only_when_used():
    tree = ast.parse((PARENT / "tinygan/cli.py").read_text(encoding="utf-8"))
    top = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert top and not any("explain" in line or "gradcheck" in line for line in top)


# The parts.

@pytest.mark.parametrize("formula, result, text", [
    ("½ mean (f − 1)²", 1.25, "½·(0 + 2.25 + 5.25)/3"), ("−[r < 1]/N", -0.5, "−[(-1) < 1]/2"),
    ("mg + 2r²", 4.0, "2·1 + 2·(-1)²"), ("log(1 + r²)", np.log(2), "log (1 + (-1)²)"), ("2/2·r", -1.0, "2/2·(-1)"),
    ("−√4 − 1", -3.0, "−√4 − 1"), ("rᵗ", -1.0, "(-1)³"), ("a(−r) − max(r, σ(0))", np.log(1 + np.e) - 0.5, None)])
def test_formulas(formula, result, text):
    values = {"r": -1.0, "f": np.array([1.0, 2.5, 1 + 5.25**0.5]), "N": 2, "t": 3, "m": 2.0, "g": 1.0}
    tree = formulas.parse(formula, values)
    assert formulas.value(tree, values) == pytest.approx(result)
    assert text is None or formulas.text(tree, values) == text


@pytest.mark.parametrize("formula", ["x + 1", "r +", "(r", "r)", "a(r", "r ? 2", "max(r r,"])
def test_what_is_no_formula(formula):
    with pytest.raises(ValueError, match="formula"):
        formulas.parse(formula, {"r": 1.0})


def test_assignments():
    doc = "A line with u = 2.\n\n    u ← μ·u + g      θ = u\n    w = ∂φ/∂v = 2v, and 0 where v = 0,   z = 1"
    assert formulas.assignments(doc, {"u", "θ", "w"}) == [("u", "←", "μ·u + g"), ("θ", "=", "u"), ("w", "=", "2v")]


def test_passages_leave_out_what_is_of_others():
    doc = "All.\n\n    one   1\n          more of one\n    two   2\n\nWhy two is so.\n\nBoth one and two.\n\n>>> 1\n1"
    assert passages.about(doc, ["one"], ["two"]) == "All.\n\n    one   1\n          more of one\n\nBoth one and two."
    assert passages.about(doc, ["two"], ["one"]) == "All.\n\n    two   2\n\nWhy two is so.\n\nBoth one and two."


def test_sources():
    text = ["Mao et al. 2017, eq. 9. Lim & Ye 2017; in 1999 nothing. Arjovsky, Chintala & Bottou 2017",
            "Lin et al. 2018 (PacGAN), section 3 and Mao et al. 2017, section 2, Mao et al. 2017"]
    assert passages.sources(text) == ["Mao et al. 2017, eq. 9, section 2", "Lim & Ye 2017",
                                      "Arjovsky, Chintala & Bottou 2017", "Lin et al. 2018 (PacGAN), section 3"]


def test_chapters(tmp_path):
    for stem, text in [("03_dense_layer", "3. Why?\n"), ("01_first", "1. What?\n# Dense Dense\n"),
                       ("02_one", "2. How?\n# Dense\n"), ("04_more", "4. Where?\n# Dense, Dense, DenseNet\n")]:
        (tmp_path / f"{stem}.py").write_text(f"# %% [markdown]\n# # {text}", encoding="utf-8")
        (tmp_path / f"{stem}.md").touch()       # the page
    assert passages.chapters(["Dense"], tmp_path) == [(3, "Why?", "examples/03_dense_layer.md"),
                                                      (1, "What?", "examples/01_first.md")]
    assert passages.chapters(["ReLU"], tmp_path) == [] == passages.chapters(["Dense"], tmp_path / "gone")


def test_cases(monkeypatch):
    """Each layer that is not abstract has a case of its own; without one the suite's serves; without that, an error."""
    own = {call.partition("(")[0] for call, *_ in cases._CASES}
    assert own == set(NAMES) & {name for name, _ in explain.catalogue()["layer"]} - {"Layer", "Affine", "Pointwise"}
    monkeypatch.setattr(cases, "_CASES", [])
    assert cases.case(Dense).x.shape == (3, 4)
    with pytest.raises(ConfigError, match="add one there"):
        cases.case(Wrong)
