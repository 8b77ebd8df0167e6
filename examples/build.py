#!/usr/bin/env python3
"""Build the pages of the course: run each chapter as a notebook and write its text, code, output and equations.

    python examples/build.py             all chapters, at full length: examples/NN_name.md, and the pictures beside them
    python examples/build.py 06 13       these chapters
    python examples/build.py --notebooks FOLDER [06 13]     notebooks in FOLDER with all that they need, not run
    python examples/build.py --run FOLDER [06 13]           the same, then each runs from top to bottom and is stored so

A chapter is a script in percent format: cells start with `# %%` (code) or `# %% [markdown]` (text). Needs the extra
`docs`: pip install -e ".[docs]".
"""

import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL = """# Install tinygan where it is not installed yet.
import importlib.util
if importlib.util.find_spec("tinygan") is None:
    %pip install -q tinygan"""


def chapters(*numbers):
    """The paths of all chapters, or of those whose names start with one of these numbers."""
    found = [path for path in sorted(HERE.glob("[0-9][0-9]_*.py")) if not numbers or path.name.startswith(numbers)]
    if not found:
        raise SystemExit(f"expected the numbers of chapters in {HERE}, such as 06, got {' '.join(numbers)}")
    return found


def notebook(path):
    """The chapter as a notebook that has not run, with the name of Python's kernel."""
    import jupytext
    book = jupytext.read(path)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book


def execute(book, folder):
    """Run the notebook from top to bottom in this folder; an error in a cell is raised."""
    from nbconvert.preprocessors import ExecutePreprocessor
    ExecutePreprocessor(timeout=None, coalesce_streams=True).preprocess(book, {"metadata": {"path": str(folder)}})


def for_hosts(text):
    """Markdown whose formulas code hosts leave alone; in plain Markdown a backslash before punctuation is removed.

    $$…$$ becomes a block ```math, and $…$ with such a backslash $`…`$, which GitHub and GitLab show as formulas.
    """
    text = re.sub(r"^ *\$\$(.*?)\$\$", lambda m: f"```math\n{m[1].strip()}\n```", text, flags=re.M | re.S)
    inline = lambda m: f"$`{m[1]}`$" if re.search(r"\\[^A-Za-z0-9\s]", m[1]) else m[0]
    return re.sub(r"(?<![$`])\$(?![$`])([^$]+)\$", inline, text)


def render(path):
    """Run the chapter in its folder and return its page as Markdown."""
    from nbconvert import MarkdownExporter
    book = notebook(path)
    execute(book, path.parent)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = for_hosts(cell.source)
    text, _ = MarkdownExporter().from_notebook_node(book)
    link = f"*Built from [{path.name}]({path.name}) by `build.py`; change the script, not this page.*"
    return "\n".join(line.rstrip() for line in f"{text.strip()}\n\n{link}\n".split("\n"))


def write(path, text):
    """Write the whole file or nothing."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def notebooks(folder, paths, run=False):
    """Write notebooks, and beside them the data and the modules that chapters share; run: execute each."""
    import jupytext
    import nbformat
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "data", folder / "data", dirs_exist_ok=True)
    for module in HERE.glob("[a-z]*.py"):
        shutil.copy(module, folder)
    for path in paths:
        book = notebook(path)
        book.cells.insert(0, nbformat.v4.new_code_cell(INSTALL))
        if run:
            execute(book, folder)
        write(folder / f"{path.stem}.ipynb", jupytext.writes(book, fmt="ipynb"))
        print(folder / f"{path.stem}.ipynb")


def main(arguments):
    if arguments[:1] in (["--notebooks"], ["--run"]):
        if len(arguments) < 2:
            raise SystemExit(f"expected a folder after {arguments[0]}, got nothing; name one")
        notebooks(Path(arguments[1]), chapters(*arguments[2:]), run=arguments[0] == "--run")
        return
    for path in chapters(*arguments):
        write(path.with_suffix(".md"), render(path))
        print(path.with_suffix(".md"))


if __name__ == "__main__":
    main(sys.argv[1:])
