"""Help is instant and complete; wrong usage says what would be right."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.cli.cli_kit import pilotwire, process

from pilotwire.cli.main import COMMANDS

HEAVY = ("litestar", "httpx", "duckdb", "uvloop", "rich", "picows", "uvicorn", "cryptography", "pyarrow", "asyncpg")
VERBS = {
    "stations": ("add", "list", "show", "remove"),
    "tokens": ("add", "list", "remove"),
    "users": ("add", "list", "remove", "key", "keys", "revoke"),
    "journal": ("verify", "replay"),
}
PROBE = """
import sys
from pilotwire.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
import json
print("\\0" + json.dumps([status, sorted(sys.modules)]))
"""


def ask(*arguments: str) -> tuple[str, int, list[str]]:
    """(text, exit status, modules that were imported)."""
    run = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=60)
    assert not run.stderr, run.stderr
    text, _, rest = run.stdout.partition("\0")
    status, modules = json.loads(rest)
    return text, status, modules


def test_top_help_imports_nothing_and_lists_every_command():
    text, status, modules = ask("--help")
    assert status == 0
    assert [module for module in modules if module.startswith("pilotwire")] == [
        "pilotwire",
        "pilotwire.cli",
        "pilotwire.cli.main",
    ]
    assert all(f"  {name} " in text for name in COMMANDS)
    assert not {"argparse", "asyncio", "msgspec", *HEAVY} & set(modules)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_commands_help_imports_nothing_heavy(name: str):
    text, status, modules = ask(name, "--help")
    assert status == 0 and text.startswith(f"usage: pilotwire {name}")
    assert "-h, --help" in text and len(text) > 200
    assert not set(HEAVY) & set(modules)
    for verb in VERBS.get(name, ()):
        assert verb in text


@pytest.mark.parametrize(("name", "verb"), [(name, verb) for name, verbs in VERBS.items() for verb in verbs])
def test_each_verb_has_help(name: str, verb: str, capsys: pytest.CaptureFixture[str]):
    from importlib import import_module

    with pytest.raises(SystemExit) as end:
        import_module(f"pilotwire.cli.{COMMANDS[name][0]}").main(name, [verb, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: pilotwire {name} {verb}")


def test_help_names_the_defaults_of_the_interfaces_that_stay():
    text, _, _ = ask("run", "--help")
    for option in ("--data DIR", "--http HOST:PORT", "--ocpp HOST:PORT", "--ocpps HOST:PORT", "--database URL"):
        assert option in text
    assert "--no-demo" in text and "--lab" in text
    assert "127.0.0.1:8080" in text and "127.0.0.1:9000" in text


@pytest.mark.parametrize(("typed", "meant"), [("statoin", "station"), ("docter", "doctor"), ("sesions", "sessions")])
def test_an_unknown_command_suggests_the_near_one(typed: str, meant: str):
    ended = process(typed)
    assert ended.returncode == 2 and not ended.stdout
    assert f"there is no command '{typed}'; did you mean `{meant}`?" in ended.stderr


def test_a_command_like_nothing_points_to_help():
    ended = pilotwire("qqqq")
    assert ended.returncode == 2
    assert ended.stderr == "pilotwire: there is no command 'qqqq'. See `pilotwire --help`.\n"


def test_no_command_is_wrong_usage_and_shows_help():
    ended = process()
    assert ended.returncode == 2 and "usage: pilotwire COMMAND" in ended.stdout


def test_the_version():
    ended = process("--version")
    assert ended.returncode == 0 and ended.stdout.startswith("pilotwire ")


@pytest.mark.parametrize(
    "line",
    [
        ("stations",),
        ("stations", "add"),
        ("stations", "add", "CP", "--profile", "4"),
        ("tail", "--count", "0"),
        ("station", "--count", "-1"),
        ("station", "--version", "1.5"),
        ("csms", "--http", "8080"),
        ("csms", "--ocpp", "127.0.0.1:99999"),
        ("send", "CP-1"),
        ("restore",),
        ("journal", "burn"),
    ],
)
def test_wrong_usage_is_exit_status_2_with_the_usage(line: tuple[str, ...]):
    ended = pilotwire(*line)
    assert ended.returncode == 2 and not ended.stdout
    assert ended.stderr.startswith("usage: pilotwire " + line[0])


def test_a_reader_that_has_enough_is_no_error():
    """`pilotwire decode | head -1`."""
    frame = '[2,"1","Heartbeat",{}]\n'
    writer = subprocess.Popen(
        [sys.executable, "-m", "pilotwire", "decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdin and writer.stdout and writer.stderr
    writer.stdin.write(frame.encode())
    writer.stdin.flush()
    assert writer.stdout.readline().startswith(b"CALL Heartbeat")
    writer.stdout.close()
    writer.stdin.write(frame.encode() * 5)
    writer.stdin.close()
    assert writer.wait(20) == 0
    assert writer.stderr.read() == b""
    writer.stderr.close()
