"""What the README says is so."""

import re
import shlex
from pathlib import Path

import pytest

from tinygan import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
JOINED = re.sub(r" \\\n +", " ", README)       # a command that goes on in the next line is one command
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code, words", [*zip(CODE, ("of real digits 10", "step 100: loss", "second dx"))],
                         ids=range(len(CODE)))
def test_its_python_runs(code, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert words in capsys.readouterr().out


def test_its_python_is_there():
    assert len(CODE) == 3 and "D.backward(d_fake" in CODE[1]


def test_its_links_and_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    block = README.split("## The map")[1].split("To read it")[0]
    for name in re.findall(r"\b([a-z0-9_]+\.py|[a-z]+/)", block):
        places = [ROOT / name, ROOT / "benchmarks" / name, *(ROOT / "tinygan").rglob(name.strip("/"))]
        assert any(place.exists() for place in places), name
    for path in (ROOT / "tinygan").glob("*.py"):
        assert path.name in block or path.name.startswith("__"), f"{path.name} is missing from the map"


def test_its_commands_parse():
    """Every `tinygan …` line is one that the command line takes."""
    commands = re.findall(r"^    tinygan (.*?)(?:   .*)?$", JOINED, re.MULTILINE)
    assert len(commands) >= 6
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
