"""What the README says is so."""

import re
import shlex
from pathlib import Path

import pytest

from tinygan import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
JOINED = re.sub(r" \\\n +", " ", README + TABLES)      # a command that goes on in the next line is one command
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


# What each example prints, and its number of steps with the few that are taken here.
WORDS = [["step 4: loss"], ["RMSNorm(): ok", "second dgamma", "loss of D"], ["of real digits 10"]]
STEPS = [("range(100)", "range(4)"), ("steps=20", "steps=2"), ("steps=50", "steps=3")]


@pytest.mark.parametrize("code, words, steps", [*zip(CODE, WORDS, STEPS)], ids=range(len(CODE)))
def test_its_python_runs(code, words, steps, few_digits, no_curves, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code.count(steps[0]) == 1
    code = code.replace(*steps)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert all(word in out for word in words)


def test_its_python_is_there():
    assert len(CODE) == 3 and "D.backward(d_fake" in CODE[0] and "def jvp_backward" in CODE[1]


def test_it_is_short():
    lines = README.splitlines()
    assert len(lines) < 180 and all(len(line) <= 120 for line in lines)


def anchors(text):
    """The anchors that a code host gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ["README.md", "benchmarks/README.md", "examples/README.md",
                                  "examples/exercises/README.md"])
def test_links_lead_somewhere(page):
    folder, text = (ROOT / page).parent, (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = folder / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def test_its_files_exist():
    for name in re.findall(r"`((?:[\w{},]+/)*\w+\.(?:py|sh))`", README + TABLES):
        assert any((ROOT / folder / name).exists() for folder in ("", "tinygan", "benchmarks")), name
    block = README.split("## Map")[1].split("Reading path")[0]
    for name in re.findall(r"\b([a-z0-9_]+\.py|[a-z]+/)", block):
        places = [ROOT / name, ROOT / "benchmarks" / name, *(ROOT / "tinygan").rglob(name.strip("/"))]
        assert any(place.exists() for place in places), name
    for path in (ROOT / "tinygan").iterdir():
        if not path.name.startswith("__"):
            name = path.name + "/" * path.is_dir()
            assert name in block, f"{name} is missing from the map"


def test_its_commands_parse():
    """Every `tinygan …` line is one that the command line takes."""
    commands = re.findall(r"^    tinygan (.*?)(?:   .*)?$", JOINED, re.MULTILINE)
    assert len(commands) >= 11
    for command in commands:
        cli._parser().parse_args(shlex.split(command))


def test_its_set_up_is_two_single_lines():
    lines = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(lines) == 2 and lines[0].endswith("tinygan train") and lines[1].endswith("python -m pytest")
    assert "grep -m1 -E '^ +python3 -m venv .* -m pytest$' README.md" in (ROOT / ".ci/run").read_text()


def test_the_project_speaks_of_itself_alone():
    texts = [path for folder in ("tinygan", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*")]
    for path in [*texts, *ROOT.glob("*.*"), ROOT / ".ci/run"]:
        if path.suffix in (".py", ".md", ".cfg", ".toml", ".in", ".sh", ".cu", ".txt", ".json", ".csv", ""):
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            assert not re.search(r"(pypi|pythonhosted|conda)\.(org|com)", text), path
