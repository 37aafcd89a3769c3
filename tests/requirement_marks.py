"""Which requirements of the standard a run has shown: what `tests/conftest.py` takes its hooks from.

    @pytest.mark.requirement("2.0.1", "B01.FR.02", side="csms")

says that the test shows this requirement on this side; the files of
`tests/requirements` say the same of tests by their names. `--requirements FILE` writes what was marked and how it went,
for `tools/make_ledger.py`. Only a test that ran and passed counts; one that was skipped or failed as expected does not.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

_NAME = "requirement"
_ROOT = Path(__file__).parents[1]
_WRITES: pytest.StashKey[dict[str, dict[str, str]]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requirements", metavar="FILE", help="write which requirements were shown, for the ledger")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requirement(version, *ids, side): the test shows these requirements of the standard on this side"
    )
    config.stash[_WRITES] = {}
    config.pluginmanager.register(_Recorder(config), "requirement-recorder")


def _known() -> dict[str, dict[str, list[str]]]:
    """version → requirement → the sides that it binds."""
    table: dict[str, dict[str, dict[str, list[str]]]] = json.loads(
        (_ROOT / "docs" / "conformance" / "requirements.json").read_text()
    )
    return {
        version: {name: sides for names in blocks.values() for name, sides in names.items()}
        for version, blocks in table.items()
    }


def _named() -> dict[str, list[dict[str, Any]]]:
    """Path of a test file → what stands of it in `tests/requirements`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((_ROOT / "tests" / "requirements").glob("*.toml")):
        for table in tomllib.loads(file.read_text())["tests"]:
            found.setdefault(table["path"], []).append(table)
    return found


NAMED = _named()
KNOWN = _known()


def _mark_by_name(item: pytest.Item) -> None:
    path, _, name = item.nodeid.partition("::")
    if path not in NAMED or not isinstance(item, pytest.Function):
        return
    given = item.callspec.params.get("version") if hasattr(item, "callspec") else None
    for table in NAMED[path]:
        ids = table["shows"].get(name.partition("[")[0], ())
        for version in [] if not ids else [str(given)] if given else table["versions"]:
            for each in ids:
                alone, _, requirement = each.rpartition(":")
                if alone in ("", version) and table["side"] in KNOWN[version].get(requirement, ()):
                    item.add_marker(pytest.mark.requirement(version, requirement, side=table["side"]))


def pytest_itemcollected(item: pytest.Item) -> None:
    _mark_by_name(item)
    for mark in item.iter_markers(_NAME):
        version, *ids = mark.args
        for each in ids:
            item.user_properties.append((_NAME, f"{version} {mark.kwargs['side']} {each}"))


class _Recorder:
    """Keeps the outcome of every marked test, on the controller where workers run them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        marked = [value for name, value in report.user_properties if name == _NAME]
        # A failing set-up is the whole test's; what passes, passes in its call.
        if not marked or (report.when != "call" and report.passed):
            return
        outcome = "passed" if report.passed and not hasattr(report, "wasxfail") else "open"
        shown = self._config.stash[_WRITES].setdefault(report.nodeid, {})
        for each in marked:
            shown[str(each)] = "open" if shown.get(str(each)) == "open" else outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        target: Any = self._config.getoption("--requirements")
        if not target or hasattr(self._config, "workerinput"):
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(json.dumps(self._config.stash[_WRITES], indent=1, sort_keys=True) + "\n")
