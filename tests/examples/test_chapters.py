"""Every chapter: its page is up to date, its numbers are recomputed, its picture is drawn, its text states no other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CHAPTERS = sorted(path.stem for path in EXAMPLES.glob("[0-9][0-9]_*.py"))
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def cells(script):
    """The cells of a script in percent format: pairs (is it code, text)."""
    found = []
    for part in re.split(r"^# %%", script, flags=re.M)[1:]:
        kind, _, text = part.partition("\n")
        code = "[markdown]" not in kind
        found.append((code, text.strip() if code else re.sub(r"^# ?", "", text, flags=re.M).strip()))
    return found


def page(stem):
    """The page's text without its code cells and outputs, its code, and its outputs."""
    text = (EXAMPLES / f"{stem}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S))
    rest = re.sub(r"^```python\n.*?^```", "", text, flags=re.M | re.S)
    output = "\n".join(line[4:] for line in rest.split("\n") if line.startswith("    "))
    return text, code, output


def times(output):
    """Whether a chapter measures time: its output says on which machine, in lines that begin with "machine:"."""
    return re.search(r"^ *machine:", output, flags=re.M) is not None


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_page_has_the_text_and_the_code_of_the_script(stem, build):
    text, at = squeezed(page(stem)[0]), 0
    for is_code, cell in cells((EXAMPLES / f"{stem}.py").read_text(encoding="utf-8")):
        found = text.find(squeezed(cell if is_code else build.for_hosts(cell)), at)
        assert found >= 0, f"examples/{stem}.md is stale: run python examples/build.py {stem[:2]}; missing: {cell[:99]}"
        at = found


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_chapter_runs_and_prints_the_numbers_of_its_page(stem, chapter):
    """A chapter with a short form trains less in it, so its numbers differ: then only the words must agree, and of
    those not the names of the machine that the times of a page were measured on."""
    found, expected = chapter(stem).output, page(stem)[2]
    words = lambda text: squeezed(NUMBER.sub("#", re.sub(r"^ *machine:.*\n", "", text, flags=re.M)))
    assert words(found) == words(expected)
    if "TINYGAN_SHORT" not in (EXAMPLES / f"{stem}.py").read_text(encoding="utf-8"):
        compare(found, expected)
    assert all(path.stat().st_size > 5_000 for path in chapter(stem).folder.iterdir())
    assert {path.name for path in chapter(stem).folder.glob("*.[ps][nv]g")} == {
        path.name for path in EXAMPLES.glob(f"{stem}*.[ps][nv]g")}


def compare(found, expected, tolerance=0.0):
    """Each number agrees with the page's to 1.5 units of its last digit, or to the tolerance."""
    for ours, theirs in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        a, b = (float(text.replace("−", "-")) for text in (ours, theirs))
        mantissa, _, exponent = theirs.partition("e")
        unit = 10.0**(int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(a - b) <= max(1.5 * unit * (1 + 1e-9), tolerance * abs(b)), f"{ours} but the page says {theirs}"


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_prose_states_only_numbers_that_the_chapter_prints_or_cites(stem):
    """Decimals in the text stand in the code, in the output, or in a paragraph that cites a publication by its year."""
    script, (_, code, output) = (EXAMPLES / f"{stem}.py").read_text(encoding="utf-8"), page(stem)
    known = set(re.findall(r"\d+\.\d+", code + output))
    for is_code, cell in cells(script):
        for paragraph in () if is_code else cell.split("\n\n"):
            if not re.search(r"\b(19|20)\d\d\b", paragraph):
                assert set(re.findall(r"\d+\.\d+", paragraph)) <= known, paragraph


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_form_of_a_chapter(stem):
    """A question as title, two or three exercises at the end, at most 150 lines of 120 characters."""
    script = (EXAMPLES / f"{stem}.py").read_text(encoding="utf-8")
    title, last = cells(script)[0][1].split("\n")[0], cells(script)[-1][1]
    assert re.match(rf"# {int(stem[:2])}\. .*\?$", title)
    assert len(re.findall(r"^[123]\. ", last.partition("## Exercises")[2], flags=re.M)) in (2, 3)
    assert len([line for line in script.split("\n") if line.strip("# ")]) <= 150


def test_the_contents_ask_what_the_chapters_ask():
    contents = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\((\w+)\.md\) \| (.*) \|$", contents, flags=re.M)
    titles = {stem: cells((EXAMPLES / f"{stem}.py").read_text(encoding="utf-8"))[0][1].split("\n")[0]
              for stem in CHAPTERS}
    assert {stem: f"# {number}. {question}" for number, stem, question in rows} == titles


@pytest.mark.skipif("TINYGAN_FULL" not in os.environ, reason="full length: set TINYGAN_FULL=1")
@pytest.mark.parametrize("stem", CHAPTERS)
def test_full_length(stem, tmp_path):
    """The whole chapter gives the numbers of its page: to a quarter where it trains, since bits depend on the CPU.
    Times depend on the machine, so a chapter that measures them need only run."""
    done = subprocess.run([sys.executable, str(EXAMPLES / f"{stem}.py")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if not times(done.stdout):
        compare(done.stdout, page(stem)[2], tolerance=0.25)
