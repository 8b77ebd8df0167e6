"""pytest for the exercises: one item for each file, words for each outcome, and --json for a course's grader."""

import json
import os
import shutil
import textwrap

import pytest

import grader


def pytest_addoption(parser):
    parser.addoption("--json", metavar="PATH", help="write the outcomes of the exercises into this file")


def _exercise(path):
    """The name of the exercise in a file, or None."""
    name = f"{path.parent.name}/{path.stem}"
    return name if path.suffix == ".py" and path.parents[1] == grader.HERE and name in grader.EXERCISES else None


def pytest_collect_file(file_path, parent):
    if _exercise(file_path) and not parent.session.isinitpath(file_path):
        return File.from_parent(parent, path=file_path)


def pytest_pycollect_makemodule(module_path, parent):
    """A file named on the command line, which pytest would import."""
    if _exercise(module_path):
        return File.from_parent(parent, path=module_path)


class File(pytest.File):
    """One exercise."""

    def collect(self):
        yield Item.from_parent(self, name=_exercise(self.path))


class Item(pytest.Item):
    """Grades it."""

    def runtest(self):
        outcome = grader.grade(self.name)
        self.user_properties.append(("exercise", outcome))
        if outcome["status"] != "right":
            pytest.fail(f"{outcome['status']}: {outcome['message']}", pytrace=False)

    def reportinfo(self):
        return self.path, None, self.name


def pytest_collection_modifyitems(items):
    """In the order of the table in README.md."""
    order = list(grader.EXERCISES)
    items.sort(key=lambda item: order.index(item.name) if isinstance(item, Item) else -1)


def _outcome(report):
    return dict(report.user_properties).get("exercise") if report.when == "call" else None


def pytest_report_teststatus(report):
    if outcome := _outcome(report):
        status, colour = outcome["status"], {"right": "green", "wrong": "red", "not done": "yellow"}
        return status, {"right": ".", "wrong": "w", "not done": "-"}[status], (
            status.upper(), {colour[status]: True})


class Outcomes:
    """Collects them, prints them, writes them."""

    def __init__(self, config):
        self.config, self.reports = config, []

    def pytest_runtest_logreport(self, report):
        if _outcome(report):
            self.reports.append(report)

    def pytest_terminal_summary(self, terminalreporter):
        width = max(shutil.get_terminal_size((110, 24)).columns, 60)
        for report in self.reports:
            o = _outcome(report)
            text = o["message"] or f"errors up to {max(o['errors'].values()):.0e}"
            line = f"{o['status']:8}  {o['name']}, chapter {o['chapter']}: {text}"
            terminalreporter.write_line(textwrap.fill(line, width, subsequent_indent=10 * " ", break_long_words=False))
        if len(self.reports) == 1 and _outcome(self.reports[0])["status"] == "wrong":
            terminalreporter.write_line("\n" + _outcome(self.reports[0])["report"])
            if printed := self.reports[0].capstdout:
                terminalreporter.write_line(f"\nPrinted by your code:\n{printed}")

    def pytest_sessionfinish(self):
        if path := self.config.getoption("json"):
            outcomes = [{key: o[key] for key in ("name", "status", "message", "chapter", "errors")}
                        for o in map(_outcome, self.reports)]
            totals = {status: sum(o["status"] == status for o in outcomes) for status in ("right", "wrong", "not done")}
            path = self.config.invocation_params.dir / path
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_text(json.dumps({"exercises": outcomes, "totals": totals}, indent=1, ensure_ascii=False),
                                 encoding="utf-8")
            os.replace(temporary, path)


def pytest_configure(config):
    if (path := config.getoption("json")) and not (config.invocation_params.dir / path).parent.is_dir():
        raise pytest.UsageError(f"expected --json with a file in a folder that is there, got {path}; make the folder "
                                f"first")
    config.pluginmanager.register(Outcomes(config), "outcomes")
