"""What a small box does not read into its memory: what only a central system or a child process needs."""

from __future__ import annotations

import subprocess
import sys

_BOX = """
import sys
import pilotwire.cli.site, pilotwire.site.parts, pilotwire.site.joined, pilotwire.site.planning.part, pilotwire.site.run
import pilotwire.cli.box, pilotwire.cli.box_metrics, pilotwire.cli.compose
import pilotwire.api.server, pilotwire.api.routes.of_a_box, pilotwire.console.app, pilotwire.console.pages.of_a_box
print(*sys.modules)
"""
_NOT_THERE = (
    "numpy",
    "highspy",
    "httpcore",
    "smtplib",
    "segno",
    "pilotwire.api.routes.of_a_centre",
    "pilotwire.api.routes.stations",
    "pilotwire.api.resources.webhooks",
    "pilotwire.console.pages.of_a_centre",
    "pilotwire.console.pages.stations",
)


def _modules(text: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def test_a_box_reads_what_it_serves_and_no_more() -> None:
    there = _modules(_BOX)
    assert {"pilotwire.console.pages.site_live", "pilotwire.api.routes.controllers"} <= there
    assert not there & set(_NOT_THERE)


def test_the_process_that_plans_reads_no_server_and_no_loop() -> None:
    there = _modules("import sys, pilotwire.site.planning.child\nprint(*sys.modules)")
    assert not there & {"asyncio", "ssl", "numpy", "pilotwire.site.loop", "pilotwire.site.config"}
