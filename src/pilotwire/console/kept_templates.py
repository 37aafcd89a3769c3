"""Templates are compiled once for a machine and not once for each start: all of them take more than a second."""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile

import jinja2
from jinja2.bccache import Bucket


class KeptTemplates(jinja2.BytecodeCache):
    """Compiled templates in `folder`, as Python keeps its modules: who may not write there compiles anew each time.

    One counts only for the text, the Jinja, the Python and the filters that it was made of (a filter of something
    constant is worked out when a template is compiled), and only whole, for the power may have gone while it was
    written. A file is the SHA-256 of all that it was made of, the SHA-256 of the code, and the code.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment: jinja2.Environment | None = None
        """Whose filters they are."""

    @cached_property
    def _made_by(self) -> str:
        modules = {each.__module__ for each in self.environment.filters.values()} if self.environment else set()
        files = [sys.modules[name].__file__ for name in sorted(modules) if name.startswith("pilotwire.")]
        texts = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files if file)).hexdigest()
        return f"{sys.version} {jinja2.__version__} {texts}"

    def get_source_checksum(self, source: str) -> str:
        return hashlib.sha256(f"{self._made_by}\n{source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OSError):
            kept = self._file(bucket).read_bytes()
            code = kept[64:]
            if kept[:64] == bytes.fromhex(bucket.checksum) + hashlib.sha256(code).digest():
                bucket.code = marshal.loads(code)  # noqa: S302 - beside our modules, written by who may write those

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        code = marshal.dumps(bucket.code)
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, suffix=".tmp", delete=False) as file:
                file.write(bytes.fromhex(bucket.checksum) + hashlib.sha256(code).digest() + code)
            os.replace(file.name, self._file(bucket))  # whole or not at all: others may be reading

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"template-{bucket.key}.{sys.implementation.cache_tag}.pyc"
