"""The cable between two namespaces, and what is said where there can be none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests import netns


def test_both_ends_are_up_and_reach_each_other_alone() -> None:
    with netns.cable() as (evse, ev):
        assert "fe80::1/64" in evse.run("ip", "-6", "address", "show", "dev", "evse0")
        assert "fe80::2/64" in ev.run("ip", "-6", "address", "show", "dev", "ev0")
        for end in (evse, ev):
            links = [line.split(":")[1].split("@")[0].strip() for line in end.run("ip", "-o", "link").splitlines()]
            assert sorted(links) == sorted(["lo", end.interface])
        holders = [f"/proc/{end.pid}" for end in (evse, ev)]
    assert not any(Path(holder).exists() for holder in holders), "nothing is left behind"


def test_a_process_that_fails_is_quoted(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("print('{\"said\": 1}', flush=True)\nraise SystemExit('planted')\n")
    with netns.cable() as (evse, _), evse.python(script) as process:
        assert process.until(lambda said: said["said"] == 1) == {"said": 1}
        with pytest.raises(AssertionError, match=r"(?s)evse ended with 1.*planted"):
            process.until(lambda said: False)


def test_without_root_or_tools_it_is_said_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(netns.NoNamespaces, match="need root"), netns.cable():
        pass
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "ip" else tool)
    with pytest.raises(netns.NoNamespaces, match="need ip "), netns.cable():
        pass
