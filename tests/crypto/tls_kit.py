"""Servers that show a certificate and say one word, on loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pilotwire.crypto.certificates import Issued


class _Word(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"word")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def kept(folder: Path, made: Issued, name: str = "server") -> tuple[Path, Path]:
    """Certificate and key as files."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    for file, text in zip(files, made, strict=True):
        file.write_text(text)
    return files


@contextmanager
def showing(folder: Path, made: Issued) -> Iterator[str]:
    """The address of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*kept(folder, made, "shown"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Word)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
