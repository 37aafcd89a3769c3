"""Make the ledger of requirements from what a run of the tests has shown.

    python tools/make_ledger.py SHOWN.json      docs/conformance/ledger.json, README.md and the page of the guides, anew
    python tools/make_ledger.py --check         is the ledger whole, and is there a test behind everything that is met?

`SHOWN.json` is what `pytest --requirements SHOWN.json` writes. A requirement of a side is met when every test that is
marked with it ran and passed, partial when some did, and open when none did. What does not concern us, and what is
known to be lacking, is written down with its reason in `docs/conformance/reasons`, by hand.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "conformance"
LEDGER = FOLDER / "ledger.json"
SUMMARY = FOLDER / "README.md"
PAGE = ROOT / "docs" / "guide" / "conformance.md"
NAMED = ROOT / "tests" / "requirements"
STATUSES = ("met", "partial", "open", "not_applicable")

# Where a block is written: for readers who want to see it, by side.
CODE: dict[str, dict[str, str]] = {
    "csms": {
        "A": "src/pilotwire/csms/admission.py",
        "B": "src/pilotwire/csms/actor.py",
        "C": "src/pilotwire/domain/stations.py",
        "E": "src/pilotwire/domain/sessions_v2.py",
        "J": "src/pilotwire/translate/metering.py",
    },
    "station": {
        "A": "src/pilotwire/station/connection.py",
        "B": "src/pilotwire/station/registration.py",
        "C": "src/pilotwire/station/authorization.py",
        "D": "src/pilotwire/station/blocks/authorization.py",
        "E": "src/pilotwire/station/sessions.py",
        "F": "src/pilotwire/station/blocks/remote_control.py",
        "G": "src/pilotwire/station/blocks/availability.py",
        "H": "src/pilotwire/station/blocks",
        "J": "src/pilotwire/station/energy.py",
        "K": "src/pilotwire/station/blocks/smart_charging.py",
        "L": "src/pilotwire/station/blocks/firmware.py",
        "N": "src/pilotwire/station/blocks",
        "O": "src/pilotwire/station/blocks",
        "P": "src/pilotwire/station/blocks/data_transfer.py",
    },
}
ELSEWHERE = {"csms": "src/pilotwire/csms", "station": "src/pilotwire/station"}


def requirements() -> list[dict[str, str]]:
    """Every requirement of every side that it binds, in order."""
    table: dict[str, dict[str, dict[str, list[str]]]] = json.loads((FOLDER / "requirements.json").read_text())
    return [
        {"version": version, "block": block, "id": name, "side": side}
        for version, blocks in table.items()
        for block, names in blocks.items()
        for name, sides in names.items()
        for side in sides
    ]


def ledger(shown: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """The rows. Raises SystemExit when a test is marked with what the standard does not have."""
    tests: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for test, marked in sorted(shown.items()):
        for text, outcome in marked.items():
            version, side, name = text.split(" ", 2)
            tests[version, side, name][outcome].append(test)
    known = {(row["version"], row["id"]) for row in requirements()}
    unknown = sorted({(version, name) for version, _, name in tests if (version, name) not in known})
    if unknown:
        raise SystemExit(f"tests are marked with requirements that the standard does not have: {unknown}")
    written = reasons()
    places = {table["path"]: table["code"] for table in named() if "code" in table}
    rows: list[dict[str, str]] = []
    for row in requirements():
        found = tests.get((row["version"], row["side"], row["id"]), {})
        passed, missed = found.get("passed", []), found.get("open", [])
        standing, reason = written.get((row["version"], row["side"], row["id"]), ("", ""))
        status = "open" if not passed else "partial" if missed else "met"
        if status == "open" and standing == "not_applicable":
            status = standing
        elif status == "partial":
            reason = f"{len(passed)} of {len(passed) + len(missed)} tests pass; open: {_short(missed[0])}"
        elif status == "open" and not reason:
            reason = f"its test does not pass yet: {_short(missed[0])}" if missed else "no test shows it yet"
        elif status == "met" and standing:
            raise SystemExit(f"{row['version']} {row['id']} ({row['side']}) is met by {passed[0]}: its reason is old")
        usual = CODE[row["side"]].get(row["block"], ELSEWHERE[row["side"]])
        code = places.get(passed[0].partition("::")[0], usual) if passed else ""
        rows.append({**row, "status": status, "code": code, "test": passed[0] if passed else "", "reason": reason})
    return rows


def reasons() -> dict[tuple[str, str, str], tuple[str, str]]:
    """(version, side, id) → `open` or `not_applicable`, and why."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for file in sorted((FOLDER / "reasons").glob("*.toml")):
        read: dict[str, Any] = tomllib.loads(file.read_text())
        for entry in read["requirement"]:
            for version in entry["versions"]:
                for side in entry["sides"]:
                    for name in entry["ids"]:
                        found[version, side, name] = entry["status"], entry["reason"]
    return found


def named() -> list[dict[str, Any]]:
    """What `tests/requirements` says of tests, table by table."""
    return [
        table for file in sorted(NAMED.glob("*.toml")) for table in tomllib.loads(file.read_text()).get("tests", ())
    ]


def _short(test: str) -> str:
    return test.rpartition("[")[2].rstrip("]") if "[" in test else test.rpartition("::")[2]


def counts(rows: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, Counter[str]]]:
    """(version, side) → block → statuses."""
    found: dict[tuple[str, str], dict[str, Counter[str]]] = {}
    for row in rows:
        blocks = found.setdefault((row["version"], row["side"]), {})
        blocks.setdefault(row["block"], Counter())[row["status"]] += 1
    return found


def tables(rows: list[dict[str, str]]) -> str:
    """The counts by version, side and block, as Markdown."""
    parts: list[str] = []
    for (version, side), blocks in sorted(counts(rows).items()):
        whole: Counter[str] = sum(blocks.values(), Counter())
        words = "central system" if side == "csms" else "station"
        parts += [
            f"### OCPP {version}, {words}",
            "",
            "| block | met | partial | open | not applicable | in all |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        parts += [_row(block, count) for block, count in blocks.items()]
        parts += [_row("all", whole), ""]
    return "\n".join(parts)


def _row(name: str, count: Counter[str]) -> str:
    return f"| {name} | " + " | ".join(str(count[status]) for status in STATUSES) + f" | {sum(count.values())} |"


def render(rows: list[dict[str, str]]) -> tuple[str, str, str]:
    """The three files: ledger, summary, page of the guides."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    head = (FOLDER / "page.md").read_text()
    summary = (FOLDER / "summary.md").read_text()
    return f"[\n{lines}\n]\n", summary + "\n" + tables(rows), head + "\n" + tables(rows)


def faults() -> list[str]:
    """What is wrong with the ledger as it lies there, found without running anything."""
    rows: list[dict[str, str]] = json.loads(LEDGER.read_text())
    wanted = [(row["version"], row["block"], row["id"], row["side"]) for row in requirements()]
    found: list[str] = []
    if [(row["version"], row["block"], row["id"], row["side"]) for row in rows] != wanted:
        found.append("the rows are not those of requirements.json: make ledger")
    tests: dict[Path, set[str]] = {}
    for row in rows:
        what = f"{row['version']} {row['id']} ({row['side']})"
        if row["status"] not in STATUSES:
            found.append(f"{what}: {row['status']} is no status")
        if row["status"] == "not_applicable" and not row["reason"]:
            found.append(f"{what}: not applicable without a reason")
        if row["status"] not in ("met", "partial"):
            continue
        path, _, name = row["test"].partition("::")
        if not _has(ROOT / path, name.partition("[")[0], tests):
            found.append(f"{what} is {row['status']}, and its test {row['test']} is not there")
        if not (ROOT / row["code"]).exists():
            found.append(f"{what}: {row['code']} is not there")
    found += _wrong_names(tests)
    made = render(rows)
    for path, text in ((SUMMARY, made[1]), (PAGE, made[2])):
        if path.read_text() != text:
            found.append(f"{path.name} is not what the ledger says: make ledger")
    return found


def _wrong_names(seen: dict[Path, set[str]]) -> list[str]:
    """Tests and requirements that are named by hand and are not there."""
    sides: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in requirements():
        sides[row["id"]].add((row["version"], row["side"]))
    found = [
        f"the reason for {version} {name} ({side}): there is no such requirement, or {status} is no status for one"
        for (version, side, name), (status, _) in reasons().items()
        if (version, side) not in sides[name] or status not in ("open", "not_applicable")
    ]
    for table in named():
        path = table["path"]
        if "code" in table and not (ROOT / table["code"]).exists():
            found.append(f"{path}: {table['code']} is not there")
        for test, ids in table["shows"].items():
            if not _has(ROOT / path, test, seen):
                found.append(f"{path}: there is no {test}")
            for each in ids:
                alone, _, name = each.rpartition(":")
                if not any(side == table["side"] and alone in ("", version) for version, side in sides[name]):
                    found.append(f"{path}: {test} is said to show {each}, which does not bind the {table['side']}")
    return found


def _has(path: Path, name: str, seen: dict[Path, set[str]]) -> bool:
    if path not in seen:
        try:
            tree = ast.parse(path.read_text())
        except OSError:
            tree = ast.Module([], [])
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        seen[path] = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    return name.rpartition("::")[2] in seen[path]


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = faults()
        print("\n".join(found) or "the ledger is whole")
        return 1 if found else 0
    if len(arguments) != 1:
        print(__doc__)
        return 2
    rows = ledger(json.loads(Path(arguments[0]).read_text()))
    for path, text in zip((LEDGER, SUMMARY, PAGE), render(rows), strict=True):
        path.write_text(text)
    whole = Counter((row["version"], row["side"], row["status"]) for row in rows)
    for (version, side, status), number in sorted(whole.items()):
        print(f"{version:<6} {side:<8} {status:<15} {number:>5}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
