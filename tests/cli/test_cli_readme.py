"""Every command line of the README is one that the program takes, and every file that it names is there."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from pilotwire.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^ {4}(\S.*)$", README, re.M)
INLINE = [text.replace("\n", " ") for text in re.findall(r"`([^`]+)`", README)]
LINES = sorted(
    {
        text.removeprefix(".venv/bin/")
        for text in [*BLOCKS, *INLINE, *re.findall(r"\$\((pilotwire [^)]*)\)", README)]
        if text.removeprefix(".venv/bin/").startswith("pilotwire ")
    }
)


class Taken(Exception):
    """The options are as the parser wants them."""


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_is_taken(line: str, monkeypatch: pytest.MonkeyPatch):
    name, *rest = shlex.split(line, comments=True)[1:]
    assert name in COMMANDS
    if not rest:
        return  # only its name is told
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *arguments: object) -> None:
        raise Taken(parse(self, *arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Taken):
        main([name, *rest])


def test_the_lines_were_found():
    assert len(LINES) > 10


def test_every_command_is_told():
    for name in COMMANDS:
        assert re.search(rf"`(pilotwire )?{name}\b", README), name


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)", README))
def test_a_file_that_it_names_is_there(target: str):
    assert (ROOT / target).exists()


@pytest.mark.parametrize(
    "target", sorted({name for line in BLOCKS + INLINE for name in re.findall(r"make ([a-z]+)", line)})
)
def test_a_make_target_is_there(target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
