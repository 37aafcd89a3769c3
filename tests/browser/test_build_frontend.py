"""The browser libraries come from npm by the lock file, or the build says what is missing."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_frontend", ROOT / "tools" / "build_frontend.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def fake_modules(tool: ModuleType, root: Path, versions: dict[str, str]) -> None:
    for name, files in tool.FILES.items():
        for source in files:
            path = root / "node_modules" / name / source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} {source}")
        (root / "node_modules" / name / "package.json").write_text(json.dumps({"version": versions[name]}))


def test_the_lock_names_no_address() -> None:
    text = (ROOT / "package-lock.json").read_text("utf-8")
    lock = json.loads(text)
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_without_npm_it_says_how_to_get_it(tool, checkout: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    with pytest.raises(tool.FrontendMissing, match=r"apt-get install .*nodejs npm"):
        tool.build(checkout)
    assert not (checkout / tool.VENDOR).exists()


def test_the_checkouts_own_modules_are_used_where_they_are_the_locked_ones(tool, checkout: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))  # no npm: nothing else can help
    versions = tool.locked_versions(checkout)
    fake_modules(tool, checkout, {**versions, "uplot": "0.0.1"})
    with pytest.raises(tool.FrontendMissing):
        tool.build(checkout)
    fake_modules(tool, checkout, versions)
    assert tool.build(checkout) is True
    assert (checkout / tool.VENDOR / "uPlot.min.css").read_text() == "uplot dist/uPlot.min.css"
    assert tool.build(checkout) is False, "nothing to do twice"
    (checkout / tool.VENDOR / "htmx.min.js").unlink()
    assert not tool.is_built(checkout)
    assert tool.build(checkout) is True


def test_a_new_lock_is_a_new_build(tool, checkout: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    fake_modules(tool, checkout, tool.locked_versions(checkout))
    tool.build(checkout)
    lock = json.loads((checkout / "package-lock.json").read_text("utf-8"))
    lock["packages"]["node_modules/uplot"]["version"] = "9.9.9"
    (checkout / "package-lock.json").write_text(json.dumps(lock))
    assert not tool.is_built(checkout)
    with pytest.raises(tool.FrontendMissing):
        tool.build(checkout)


def test_a_failing_npm_is_quoted(tool, checkout: Path, monkeypatch) -> None:
    for name, body in (("npm", "echo 'npm error code E404' >&2; exit 1"), ("node", "exit 0")):
        script = checkout / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{checkout / 'bin'}:/usr/bin:/bin")
    with pytest.raises(tool.FrontendMissing, match="E404"):
        tool.build(checkout)


def test_the_page_says_when_they_are_missing(monkeypatch, tmp_path: Path) -> None:
    from pilotwire.console import view

    monkeypatch.setattr(view, "STATIC", tmp_path)
    assert view.missing_libraries() == list(view.LIBRARIES)
