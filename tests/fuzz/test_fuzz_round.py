"""A short round of every fuzz target, and proof that a target which fails is noticed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
TARGETS = {
    "fuzz_power_modules.py": "one",
    "fuzz_rpc.py": "check",
    "fuzz_messages.py": "one",
    "fuzz_exi.py": "one",
    "fuzz_v2g.py": "one",
    "fuzz_chademo.py": "one",
    "fuzz_capture.py": "one",
    "fuzz_slac.py": "one",
    "fuzz_j1939.py": "one",
    "fuzz_gbt27930.py": "one",
    "fuzz_pnc.py": "one",
    "fuzz_iso20.py": "one",
    "fuzz_modbus.py": "one",
    "fuzz_sunspec.py": "one",
    "fuzz_sparkplug.py": "one",
    "fuzz_site_link.py": "one",
    "fuzz_site_planning.py": "one",
    "fuzz_local_controller.py": "one",
}
"""Each target and the name of its function that takes one input."""
RUNS = {
    "fuzz_power_modules.py": 2_000,
    "fuzz_rpc.py": 1_000,
    "fuzz_messages.py": 2_000,
    "fuzz_exi.py": 2_000,
    "fuzz_v2g.py": 1_000,
    "fuzz_chademo.py": 2_000,
    "fuzz_capture.py": 1_000,
    "fuzz_slac.py": 400,
    "fuzz_j1939.py": 1_000,
    "fuzz_gbt27930.py": 250,
    "fuzz_pnc.py": 400,
    "fuzz_iso20.py": 100,
    "fuzz_modbus.py": 1_000,
    "fuzz_sunspec.py": 300,
    "fuzz_sparkplug.py": 2_000,
    "fuzz_site_link.py": 1_500,
    "fuzz_site_planning.py": 2_000,
    "fuzz_local_controller.py": 800,
}
"""What is run of each: about half a second of work. `make fuzz` gives them a minute each."""


def fuzz(program: list[str], runs: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """That many inputs, of every length from the first on: left alone, libFuzzer begins with four bytes for long."""
    options = [f"-runs={runs}", "-len_control=0", f"-artifact_prefix={folder}/"]
    line = [sys.executable, *program, *options]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)


def test_every_target_is_listed():
    assert {path.name for path in FUZZ.glob("fuzz_*.py")} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_round(target: str, tmp_path: Path):
    ended = fuzz([str(FUZZ / target)], RUNS[target], tmp_path)
    assert ended.returncode == 0, ended.stderr[-4000:]
    done = re.search(r"Done (\d+) runs", ended.stderr)
    assert done and int(done[1]) >= RUNS[target], ended.stderr[-2000:]
    assert int(max(re.findall(r"cov: (\d+)", ended.stderr), key=int)) > 100, "nothing is instrumented"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("target", "function"), TARGETS.items())
def test_a_failure_is_noticed(target: str, function: str, tmp_path: Path):
    """The target with a function that raises on some inputs: the round fails and keeps the input."""
    text = (FUZZ / target).read_text()
    head = re.search(rf"^def {function}\((\w+): bytes\) -> None:\n( +\"\"\".*\"\"\"\n)", text, re.M)
    assert head, f"{target} has no {function}(…: bytes)"
    fault = f'    if len({head[1]}) > 3:\n        raise RuntimeError("planted")\n'
    broken = tmp_path / "fuzz" / target
    broken.parent.mkdir()
    broken.write_text(text[: head.end()] + fault + text[head.end() :])
    (broken.parent / "target.py").symlink_to(FUZZ / "target.py")
    (tmp_path / "src").symlink_to(FUZZ.parent / "src")  # of those that find it by themselves
    ended = fuzz([str(broken)], RUNS[target], tmp_path)
    assert ended.returncode != 0
    assert "RuntimeError: planted" in ended.stderr + ended.stdout
    assert list(tmp_path.glob("crash-*"))
