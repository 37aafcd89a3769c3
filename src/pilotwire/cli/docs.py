"""`pilotwire docs`: the guides, read in a browser or built as a site."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli.addresses import Address
from pilotwire.cli.options import address, parser
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    import argparse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "The guides: for operators, site owners, integrators and developers.")
    options.set_defaults(do=serve, http=Address("127.0.0.1", 8081))
    doing = options.add_subparsers(title="what to do", metavar="WHAT")
    serving = doing.add_parser("serve", help="read them in a browser (what `pilotwire docs` alone does)")
    serving.add_argument(
        "--http", type=address, default=Address("127.0.0.1", 8081), metavar="HOST:PORT", help="(%(default)s)"
    )
    serving.set_defaults(do=serve)
    building = doing.add_parser("build", help="write them as a site of plain files")
    building.add_argument("folder", type=Path, metavar="DIR", help="where to")
    building.set_defaults(do=write)
    chosen = options.parse_args(arguments)
    return chosen.do(chosen)


def document() -> dict[str, Any]:
    """The OpenAPI document of this version."""
    from pilotwire.api.app import create_app
    from pilotwire.api.context import ApiConfig, ApiContext
    from pilotwire.api.openapi import schema_of
    from pilotwire.core.ids import SeededIds
    from pilotwire.core.time import SimScheduler
    from pilotwire.storage.memory import MemoryStore
    from pilotwire.transport.bus import LocalBus

    clock = SimScheduler(0)
    passwords: Any = None  # nobody logs in
    context = ApiContext(
        store=MemoryStore(),
        bus=LocalBus(),
        scheduler=clock,
        ids=SeededIds(1, clock.now),
        passwords=passwords,
        config=ApiConfig(),
    )
    return schema_of(create_app(context))


def write(options: argparse.Namespace) -> int:
    """Build into a folder that is empty, new, or an older build."""
    from pilotwire.docsite import build

    folder: Path = options.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; choose a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "search-index.js").is_file():
        raise ConfigError(f"{folder} holds something else already; choose an empty folder")
    try:
        pages = build(folder, document())
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror or error}") from error
    print(f"{len(pages)} pages: {folder / 'index.html'}")
    return 0


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, no listings."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: this is one reader's own server."""


def serve(options: argparse.Namespace) -> int:
    """Until Ctrl-C."""
    from pilotwire.docsite import build

    with tempfile.TemporaryDirectory(prefix="pilotwire-docs-") as folder:
        build(Path(folder), document())
        try:
            server = ThreadingHTTPServer(options.http, partial(_Handler, directory=folder))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {options.http}: {error.strerror or error}; choose another with --http"
            ) from error
        server.daemon_threads = True
        # shutdown() waits for serve_forever(), which is in this very thread: it has to be asked from another
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        where = Address(options.http.host, server.server_port)
        print(f"The guides: http://{where}/   (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print(file=sys.stderr)
        finally:
            server.server_close()
    return 0
