"""The schemas and the Java codec that PyPI `iso15118` ships."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(sys.prefix) / "iso15118" / "bin" / "python"
SIGNATURES = "xmldsig-core-schema.xsd"

sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The folder with the schemas, in the venv of that package."""
    (found,) = (PYTHON.parents[1] / "lib").glob("python*/site-packages/iso15118/shared/schemas")
    return found


class Java:
    """Asks the codec of the Java machine."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def encode(self, root: str, text: str, *, fragment: bool = False) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([root, fragment, text]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "exi" in answer, f"{answer}\n{text}"
        return bytes.fromhex(answer["exi"])


@pytest.fixture(scope="session")
def java(schemas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Java]:
    """The other codec; its parser asks no network for the document type of the schema of XML signatures."""
    folder = tmp_path_factory.mktemp("schemas") / "all"
    shutil.copytree(schemas, folder)
    text = (folder / SIGNATURES).read_text()
    entities = "".join(re.findall(r"<!ENTITY[^>]*>", text))
    text = re.sub(r"<!DOCTYPE.*?\]>", f"<!DOCTYPE schema [{entities}]>", text, count=1, flags=re.DOTALL)
    for place in (folder, *(one for one in folder.iterdir() if one.is_dir())):
        (place / SIGNATURES).write_text(text)
    command = [str(PYTHON), str(Path(__file__).with_name("exificient.py")), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Java(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
