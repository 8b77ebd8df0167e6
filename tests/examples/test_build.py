"""Pages and notebooks of the course: two notebooks run from top to bottom, in their short form: of a
chapter that needs nothing else, and of one that needs data and modules beside it."""

import json

import pytest


def test_a_number_without_a_chapter(build):
    with pytest.raises(SystemExit, match="expected the numbers of chapters in .*, got 99"):
        build.chapters("99")
    with pytest.raises(SystemExit, match="expected a folder after --run, got nothing"):
        build.main(["--run"])


def test_formulas_for_code_hosts(build):
    """Displays become blocks; inline only where Markdown would change the formula; code stays."""
    text = "With $x$ and $a\\,b$,\n\n   $$ \\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix},\n   y $$\nso."
    hosted = "With $x$ and $`a\\,b`$,\n\n```math\n\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix},\n   y\n```\nso."
    assert build.for_hosts(text) == build.for_hosts(hosted) == hosted


@pytest.fixture
def short(monkeypatch):
    for needed in ("jupytext", "nbconvert", "ipykernel"):
        pytest.importorskip(needed)
    monkeypatch.setenv("TINYGAN_SHORT", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")


@pytest.mark.filterwarnings("default")      # of what executes notebooks
@pytest.mark.parametrize("number", ["01", "25"])
def test_a_notebook_runs_from_top_to_bottom(number, short, build, tmp_path):
    """In a folder of its own, with the data and the modules that it needs; its first cell installs tinygan."""
    build.main(["--run", str(tmp_path / "notebooks"), number])
    (path,) = (tmp_path / "notebooks").glob("*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert "%pip install" in "".join(code[0]["source"])
    assert all(cell["execution_count"] for cell in code) and any(cell["outputs"] for cell in code)
    assert [*path.parent.glob(f"{path.stem}*.[ps][nv]g")]


@pytest.mark.filterwarnings("default")
def test_a_notebook_that_fails_is_an_error(short, build, tmp_path, monkeypatch):
    (tmp_path / "99_wrong.py").write_text("# %% [markdown]\n# # 99. Wrong?\n\n# %%\nraise ValueError('wrong')\n")
    with pytest.raises(Exception, match="ValueError"):
        build.execute(build.notebook(tmp_path / "99_wrong.py"), tmp_path)
