"""Puts the browser libraries (htmx, uPlot) into the console: hatchling's build hook, and a command of its own.

They are installed from npm by `package-lock.json` (versions and hashes, no addresses), never committed, and become part
of the wheel. Three ways, in this order: what lies in `static/vendor` already is right and stays; `node_modules` of the
checkout holds the locked versions and is copied from; else `npm ci` runs in a temporary directory.

    python tools/build_frontend.py          build what is missing
    python tools/build_frontend.py --check  only say whether it is there (exit 1 when not)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path("src/pilotwire/console/static/vendor")
FILES = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE.txt"},
    "uplot": {
        "dist/uPlot.iife.min.js": "uPlot.iife.min.js",
        "dist/uPlot.min.css": "uPlot.min.css",
        "LICENSE": "uPlot.LICENSE.txt",
    },
}
"""package → {file in it: name in static/vendor}."""
STAMP = "versions.json"


class FrontendMissing(Exception):
    """The libraries are not there and cannot be fetched; the text says how to get them."""


def locked_versions(root: Path) -> dict[str, str]:
    """package → version, as `package-lock.json` has it."""
    lock = json.loads((root / "package-lock.json").read_text("utf-8"))
    return {name: lock["packages"][f"node_modules/{name}"]["version"] for name in FILES}


def is_built(root: Path) -> bool:
    """Whether `static/vendor` holds every file in the locked versions."""
    vendor = root / VENDOR
    try:
        stamped = json.loads((vendor / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return stamped == locked_versions(root) and all(
        (vendor / target).is_file() for files in FILES.values() for target in files.values()
    )


def installed_in(modules: Path, versions: dict[str, str]) -> bool:
    """Whether this node_modules holds the locked versions."""
    for name, version in versions.items():
        try:
            found = json.loads((modules / name / "package.json").read_text("utf-8"))["version"]
        except (OSError, ValueError, KeyError):
            return False
        if found != version:
            return False
    return True


def copy_from(modules: Path, root: Path, versions: dict[str, str]) -> None:
    """Copy the wanted files and stamp them; the stamp comes last, so that a broken copy is made again."""
    vendor = root / VENDOR
    shutil.rmtree(vendor, ignore_errors=True)
    vendor.mkdir(parents=True)
    for name, files in FILES.items():
        for source, target in files.items():
            shutil.copyfile(modules / name / source, vendor / target)
    (vendor / STAMP).write_text(json.dumps(versions, indent=2) + "\n", "utf-8")


def npm_ci(root: Path, scratch: Path) -> None:
    """Install by the lock file into `scratch`; raises FrontendMissing with what to do."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise FrontendMissing(
            "The console needs two small JavaScript libraries (htmx, uPlot), which the build fetches with npm, and npm "
            "or node is not installed.\n"
            "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends nodejs npm\n"
            "  macOS:           brew install node\n"
            "Then run the same command again. (A wheel that is already built holds them and needs neither.)"
        )
    for name in ("package.json", "package-lock.json", ".npmrc"):
        if (root / name).is_file():
            shutil.copyfile(root / name, scratch / name)
    command = [npm, "ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
    result = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        tail = "\n".join((result.stderr or result.stdout).strip().splitlines()[-8:])
        raise FrontendMissing(
            f"npm could not install the console's libraries (htmx, uPlot):\n{tail}\n"
            "Check that npm reaches its registry, then run the same command again, or run `npm ci` in the checkout."
        )


def build(root: Path) -> bool:
    """Put the libraries in place; True when there was something to do. Raises FrontendMissing."""
    if not (root / "package-lock.json").is_file():
        raise FrontendMissing("package-lock.json is missing: the console's libraries cannot be chosen without it.")
    if is_built(root):
        return False
    versions = locked_versions(root)
    if installed_in(root / "node_modules", versions):
        copy_from(root / "node_modules", root, versions)
        return True
    with tempfile.TemporaryDirectory(prefix="pilotwire-frontend-") as scratch:
        npm_ci(root, Path(scratch))
        copy_from(Path(scratch) / "node_modules", root, versions)
    return True


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a command in an environment without the build backend
    BuildHookInterface = None

if BuildHookInterface is not None:

    class FrontendBuildHook(BuildHookInterface):
        """Runs before every wheel, the editable one too, and adds the libraries to it."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """`version` is "standard" or "editable". Stops the build in plain words when something is missing."""
            try:
                build(Path(self.root))
            except FrontendMissing as error:
                self.app.abort(f"\npilotwire: {error}")
            build_data["artifacts"].append(f"/{VENDOR.as_posix()}/*")


def main() -> int:
    root = Path(__file__).resolve().parents[1]
    if "--check" in sys.argv[1:]:
        built = is_built(root)
        print("the console's libraries are in place" if built else "missing: run python tools/build_frontend.py")
        return 0 if built else 1
    try:
        done = build(root)
    except FrontendMissing as error:
        print(f"pilotwire: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if done else 'already built'}: {VENDOR.as_posix()}{os.sep}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
