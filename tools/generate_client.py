"""Writes the operations of `pilotwire.client` from the API's own OpenAPI document; its sync form from its async one.

python tools/generate_client.py            writes the files
python tools/generate_client.py --check    exits 1 when a checked-in file differs from what would be written
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "pilotwire" / "client"
sys.path.insert(0, str(ROOT / "src"))

HEAD = '"""{text} Made by tools/generate_client.py: do not edit."""\n\nfrom __future__ import annotations\n\n'
STREAMS = {
    "streamLive": "live",
    "streamEvents": "events",
    "streamFrames": "frames",
    "streamJob": "follow_job",
    "streamController": "follow_controller",
}
"""operationId → method."""
LEFT_TO_THE_CLIENT = {"fields", "If-None-Match", "Idempotency-Key", "If-Match", "Last-Event-ID"}


def document() -> dict[str, Any]:
    """The OpenAPI document, as a server would give it."""
    from pilotwire.api.app import create_app
    from pilotwire.api.context import ApiConfig, ApiContext
    from pilotwire.api.openapi import schema_of
    from pilotwire.core.ids import SeededIds
    from pilotwire.core.time import SimScheduler
    from pilotwire.storage.memory import MemoryStore
    from pilotwire.transport.bus import LocalBus

    clock = SimScheduler(0)
    passwords: Any = object()  # nobody logs in
    context = ApiContext(
        store=MemoryStore(),
        bus=LocalBus(),
        scheduler=clock,
        ids=SeededIds(1, clock.now),
        passwords=passwords,
        config=ApiConfig(),
    )
    return schema_of(create_app(context))


def snake(name: str) -> str:
    """`listStations` → `list_stations`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def argument(name: str) -> str:
    """A parameter as Python can name it: `from` is `from_`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def reference(schema: dict[str, Any]) -> str | None:
    name = schema.get("$ref", "").rpartition("/")[2]
    return name or None


class Op:
    """What a method of an operation needs to know."""

    def __init__(self, path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> None:
        self.id: str = operation["operationId"]
        self.method, self.path = method.upper(), path
        self.name = STREAMS.get(self.id, snake(self.id))
        self.constant = snake(self.id).upper()
        self.summary: str = operation["summary"]
        self.text: str = operation.get("description", "")
        given = operation.get("parameters", [])
        places = {one["name"]: one for one in given if one["in"] == "path"}
        self.path_parameters = [(name, places[name]) for name in re.findall(r"\{(\w+)\}", path)]
        self.query = [one for one in given if one["in"] == "query" and one["name"] not in LEFT_TO_THE_CLIENT]
        self.if_match = any(one["name"] == "If-Match" for one in given)
        body = operation.get("requestBody", {}).get("content", {})
        self.media_type = next(iter(body), "")
        self.body = reference(next(iter(body.values()), {}).get("schema", {}))
        good = [one for status, one in operation["responses"].items() if status.startswith("2")]
        content = good[0].get("content", {})
        if operation["responses"].get("204") is good[0]:
            content = {}
        self.answer = reference(content.get("application/json", {}).get("schema", {}))
        self.stream = "text/event-stream" in content
        self.text_only = list(content) == ["text/plain"]
        self.file = any(kind not in ("application/json", "text/plain", "text/event-stream") for kind in content)
        siblings = document["paths"][path].values()
        edits = any(any(p["name"] == "If-Match" for p in other.get("parameters", ())) for other in siblings)
        self.kept = self.answer is not None and edits and self.method in ("GET", "PATCH", "PUT")
        self.item: str | None = None
        if self.method == "GET" and self.answer and any(one["name"] == "cursor" for one in self.query):
            page = document["components"]["schemas"][self.answer]["properties"]
            self.item = reference(page["items"]["items"])


def kind_of(schema: dict[str, Any]) -> str:
    """A parameter's type as Python has it, without None."""
    if "oneOf" in schema or "anyOf" in schema:
        alternatives = [one for one in schema.get("oneOf") or schema["anyOf"] if one.get("type") != "null"]
        return " | ".join(kind_of(one) for one in alternatives)
    if "enum" in schema:
        return "Literal[" + ", ".join(f'"{one}"' for one in schema["enum"] if one is not None) + "]"
    kind = schema.get("type", "string")
    if kind == "array":
        return f"Sequence[{kind_of(schema['items'])}] | str"
    if schema.get("format") == "date-time":
        return "datetime | str"
    return {"integer": "int", "boolean": "bool", "number": "float", "string": "str"}[kind]


def table(operations: list[Op]) -> str:
    lines = [HEAD.format(text="Every operation of the API.")]
    lines.append("from pilotwire.api import types\n\nfrom .request import Operation\n\n")
    for one in operations:
        answer = f"types.{one.answer}" if one.answer else "None"
        kind = f"types.{one.answer}" if one.answer else "None"
        lines.append(
            f"{one.constant}: Operation[{kind}] = Operation({one.id!r}, {one.method!r}, {one.path!r}, {answer})\n"
        )
    names = ", ".join(one.constant for one in operations)
    lines.append(f"\nOPERATIONS: tuple[Operation[object], ...] = ({names})  # type: ignore[assignment]\n")
    return "".join(lines)


def methods(operations: list[Op]) -> str:
    """The async class; the sync one is made from it."""
    body = "".join(part for one in operations for part in parts(one))
    return (
        HEAD.format(text="Every operation of the API as a method.")
        + "from collections.abc import AsyncGenerator, AsyncIterator, Sequence\nfrom datetime import datetime\n"
        + "from typing import Any, Literal\n"
        + "\nfrom pilotwire.api import types\n\nfrom . import _operations as operations\nfrom . import sse\n"
        + "from .async_calls import AsyncCalls, AsyncDownload, OnBreak\nfrom .request import Kept\n\n\n"
        + "class AsyncOperations(AsyncCalls):\n"
        + '    """Methods are named like the operations of the OpenAPI document."""\n\n'
        + body
    )


def parts(one: Op) -> list[str]:
    """The methods of an operation."""
    if one.stream:
        return [stream(one)]
    made: list[str] = []
    if one.answer or not one.file:
        made.append(method(one))
    if one.item:
        made.append(pages(one))
    if one.file:
        made.append(download(one))
    return made


def docstring(one: Op, more: str = "") -> str:
    text = " ".join(one.text.split())
    first = re.match(r".*?[.!?](?=\s|$)", text)
    said = one.summary.rstrip(".?") + "." if not first else first[0]
    whole = f"{said} {more}".strip().replace("\\", "\\\\").replace('"', "'")
    words, lines, line = whole.split(), [], ""
    for word in words:
        if len(line) + len(word) + 1 > 105:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    if len(lines) == 1:
        return f'        """{lines[0]}"""\n'
    return '        """' + "\n        ".join(lines) + '\n        """\n'


def signature(one: Op, query: list[dict[str, Any]], *, change: bool = True) -> str:
    given = [
        "self",
        *(f"{name}: {'int' if it['schema'].get('type') == 'integer' else 'str'}" for name, it in one.path_parameters),
    ]
    if change and one.media_type:
        given.append(f"body: types.{one.body}" if one.body else "body: str | bytes")
    named = []
    for it in query:
        kind = kind_of(it["schema"])
        named.append(f"{argument(it['name'])}: {kind}" + ("" if it.get("required") else " | None = None"))
    if change and one.if_match:
        of = f"types.{one.answer}" if one.answer else "Any"
        named.append(f"if_match: Kept[{of}] | str | None = None")
    if change and one.method == "POST":
        named.append("idempotency_key: str | None = None")
    return ", ".join([*given, *(["*", *named] if named else [])])


def values(one: Op, query: list[dict[str, Any]], *, change: bool = True) -> str:
    given = [f"operations.{one.constant}", *(name for name, _ in one.path_parameters)]
    if query:
        given.append("query={" + ", ".join(f'"{it["name"]}": {argument(it["name"])}' for it in query) + "}")
    if change and one.media_type:
        given.append("body=body")
        if one.media_type != "application/json":
            given.append(f'media_type="{one.media_type}"')
    if change and one.if_match:
        given.append("if_match=if_match")
    if change and one.method == "POST":
        given.append("idempotency_key=idempotency_key")
    return ", ".join(given)


def method(one: Op) -> str:
    query = [it for it in one.query if not (one.file and it["name"] == "format")]
    if one.answer:
        calls, kind = ("_kept", f"Kept[types.{one.answer}]") if one.kept else ("_answer", f"types.{one.answer}")
    else:
        calls, kind = ("_text", "str") if one.text_only else ("_nothing", "None")
    done = "" if kind == "None" else "return "
    return (
        f"    async def {one.name}({signature(one, query)}) -> {kind}:\n{docstring(one)}"
        f"        {done}await self.{calls}({values(one, query)})\n\n"
    )


def pages(one: Op) -> str:
    query = [it for it in one.query if it["name"] not in ("cursor", "limit", "count", "format")]
    name = "iter_" + one.name.removeprefix("list_")
    values_text = (
        values(one, query, change=False)
        if query
        else f"operations.{one.constant}" + "".join(f", {name}" for name, _ in one.path_parameters) + ", query={}"
    )
    return (
        f"    def {name}({signature(one, query, change=False)}) -> AsyncIterator[types.{one.item}]:\n"
        f"{docstring(one, 'All of them, page by page.')}"
        f"        return self._pages({values_text})\n\n"
    )


def download(one: Op) -> str:
    query = [{**it} for it in one.query]
    for it in query:
        if it["name"] == "format" and "enum" in it["schema"]:
            it["schema"] = {**it["schema"], "enum": [kind for kind in it["schema"]["enum"] if kind != "json"]}
            it["required"] = one.answer is not None
    name = f"export_{one.name.removeprefix('list_')}" if one.answer else one.name
    return (
        f"    def {name}({signature(one, query, change=False)}) -> AsyncDownload:\n"
        f"{docstring(one, 'As a file.')}"
        f"        return self._download({values(one, query, change=False)})\n\n"
    )


def stream(one: Op) -> str:
    kind, read = {
        "live": ("types.Overview | types.LiveUpdate", "sse.live_of"),
        "events": ("types.JournalEvent", "sse.event_of"),
        "frames": ("types.FrameShown | sse.Lagged", "sse.frame_of"),
        "follow_job": ("types.Job", "sse.job_of"),
        "follow_controller": ("types.SiteNow", "sse.controller_of"),
    }[one.name]
    query = [it for it in one.query if it["name"] != "after"]
    text, more, place = "", "", ""
    if one.name == "events":
        text = (
            "`last_id`: the journal's seq after which to begin, '0' for its beginning; without it, from now on. After "
            "a break it goes on from where it was, without gap or repeat."
        )
        more, place = "last_id: str | int | None = None, ", ', last_id="" if last_id is None else str(last_id)'
    elif one.name == "follow_job":
        text, place = "Breaks are mended.", ", path=(job_id,), last=sse.job_ended"
    else:
        text = "Breaks are mended; it ends when you leave it."
        if one.path_parameters:
            place = f", path=({', '.join(name for name, _ in one.path_parameters)},)"
    listed = signature(one, query, change=False).removeprefix("self, ").removeprefix("*, ")
    if one.path_parameters:
        listed += ", " if query else ", *, "
    else:
        listed = f"*, {more}{listed}, "
    given = "{" + ", ".join(f'"{it["name"]}": {argument(it["name"])}' for it in query) + "}"
    return (
        f"    def {one.name}(self, {listed}on_break: OnBreak | None = None)"
        f" -> AsyncGenerator[{kind}, None]:\n"
        f"{docstring(one, text)}"
        f"        return self._stream(operations.{one.constant}, {given}, {read}{place}, on_break=on_break)\n\n"
    )


SYNC = [
    (r"\n\n`sync_calls.py` is made from .*?\n\"\"\"", ' Made by tools/generate_client.py: do not edit."""'),
    (r"b\"\"\.join\(\[piece async for piece in self\]\)", 'b"".join(self)'),
    (r"async for (\w+) in ([\w.]+\(\)):\n\s+yield \1\n", r"yield from \2\n"),
    (r"for (\w+) in ([\w.]+):\n\s+yield \1\n", r"yield from \2\n"),
    (r"await asyncio\.to_thread\(([\w.]+)(?:, )?", r"\1("),
    (r"Callable\[\[float\], Awaitable\[None\]\] = asyncio\.sleep", "Callable[[float], None] = time.sleep"),
    (r"import asyncio\nimport random\n", "import random\nimport time\n"),
    (r"AsyncGenerator, AsyncIterator, Awaitable, Callable", "Callable, Generator, Iterator"),
    (r"AsyncGenerator, AsyncIterator, Sequence", "Generator, Iterator, Sequence"),
    (r"AsyncGenerator\[([^\[\]]+), None\]", r"Generator[\1, None, None]"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"__a(enter|exit|iter)__", r"__\1__"),
    (r"\ba(read|close)\(", r"\1("),
    (r"\baiter_bytes\(", "iter_bytes("),
    (r"\bAsync(Iterator|Client|BaseTransport|Download)\b", r"\1"),
    (r"\basync_calls\b", "sync_calls"),
    (r"\bAsync(Calls|Operations)\b", r"Sync\1"),
]


def sync_of(text: str) -> str:
    """The blocking form of a module."""
    for pattern, replacement in SYNC:
        text = re.sub(pattern, replacement, text, flags=re.S)
    return text


def formatted(text: str) -> str:
    """As `ruff format` wants it, imports in order, unused ones gone."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        [*ruff, "format", "-", "--stdin-filename", "src/pilotwire/client/x.py"],
        [
            *ruff,
            "check",
            "--fix",
            "--quiet",
            "--select",
            "I,F401",
            "-",
            "--stdin-filename",
            "src/pilotwire/client/x.py",
        ],
    ):
        text = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return text


def main(arguments: list[str]) -> int:
    whole = document()
    operations = [
        Op(path, method, operation, whole)
        for path, item in whole["paths"].items()
        for method, operation in item.items()
    ]
    operations.sort(key=lambda one: (one.path.startswith("/api/") is False, one.path, one.method))
    made = methods(operations)
    files = {
        "_operations.py": table(operations),
        "_async_operations.py": made,
        "_sync_operations.py": sync_of(made),
        "sync_calls.py": sync_of((TARGET / "async_calls.py").read_text("utf-8")),
    }
    stale: list[str] = []
    for name, text in files.items():
        text, path = formatted(text), TARGET / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
    if stale and "--check" in arguments:
        print(f"pilotwire.client does not fit the API: {', '.join(stale)}; run: make generate", file=sys.stderr)
        return 1
    print(
        f"pilotwire.client: {len(operations)} operations, {'written: ' + ', '.join(stale) if stale else 'up to date'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
