"""`pilotwire top` on the screen. What is shown comes from `top_model`; here are keys, tables and the connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from pilotwire.cli.top_model import VIEWS, Model, Row, gauges, ordered
from pilotwire.client import ApiProblem, AsyncClient, Retry, StrangeAnswer, Unreachable

if TYPE_CHECKING:
    from pilotwire.cli.top import Where

SHOWN = 500
"""Rows of a table at most; a filter finds the others."""
DRAW_S = 0.5
MEASURE_S = 2.0
ALARMS_S = 5.0
AGAIN_S = 2.0
_MOODS = {"good": "green", "warn": "yellow", "bad": "bold red", "": "bold"}
_SORTED = {"stations": (1, False), "sessions": (2, False), "alarms": (0, False), "news": (0, False)}
"""View → column to begin with, backwards."""

HELP = """\
[b]Views[/b]      1 stations  2 sessions  3 alarms  4 news  Tab the next
[b]Move[/b]       arrows, PgUp, PgDn, Home, End; the mouse works too
[b]Details[/b]    Enter opens and closes them for the line you are on
[b]Sort[/b]       s next column, S the one before, r backwards
[b]Filter[/b]     / and words, all of which must occur;
           Enter keeps it, Esc takes it away
[b]Pause[/b]      Space stops the picture and lets it go on
[b]Quit[/b]       q

[b]State[/b]      worst first: faulted, offline, charging, paused …
[b]Messages[/b]   CALLs from stations per second, over two seconds
[b]Errors[/b]     CALLERRORs and faults of the server since its start
[b]Loop lag[/b]   how late its timers were at most in ten seconds
[b]Store lag[/b]  how long a message waited at most to be durable

                                            Esc closes this
"""


class Moved(Exception):
    """The server has been started anew, perhaps elsewhere: look where it is now."""


class Help(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(HELP)


class Top(App[None]):
    """The dashboard. `where` is asked before each connection."""

    TITLE = "Pilotwire"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #status { height: 1; background: $primary-background; padding: 0 1; }
    #figures { height: auto; max-height: 4; padding: 0 1; }
    #views { height: 1; padding: 0 1; background: $surface; }
    DataTable { height: 1fr; min-height: 4; scrollbar-size: 1 1; }
    #filter { height: 1; border: none; padding: 0 1; display: none; }
    #filter.open { display: block; }
    #details { height: auto; max-height: 45%; padding: 0 1; border-top: solid $primary; display: none; }
    #details.open { display: block; }
    Help { align: center middle; }
    #help { width: 78; height: auto; max-height: 22; border: round $primary; padding: 1 2; background: $surface; }
    #help, #details { scrollbar-size: 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "help", "Help"),
        Binding("slash", "filter", "Filter"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort back", show=False),
        Binding("r", "reverse", "Reverse"),
        Binding("enter", "details", "Details"),
        Binding("space", "pause", "Pause"),
        Binding("tab", "next", "View", priority=True),
        Binding("1", "view('stations')", show=False),
        Binding("2", "view('sessions')", show=False),
        Binding("3", "view('alarms')", show=False),
        Binding("4", "view('news')", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, where: Callable[[], Where | None]) -> None:
        super().__init__()
        self._where = where
        self.model = Model()
        self.view = "stations"
        self.link = ("warn", "connecting")
        """Mood and words of the connection."""
        self._address = ""
        self._sorted = dict(_SORTED)
        self._wanted = ""
        self._paused = False
        self._changed = True
        self._rows: list[Row] = []
        self._found = 0

    def compose(self) -> ComposeResult:
        yield Static(id="status")
        yield Static(id="figures")
        yield Static(id="views")
        table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
        yield table
        with VerticalScroll(id="details"):
            yield Static(id="told")
        yield Input(id="filter", placeholder="filter: words that must occur", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        self._columns()
        self.table.focus()
        self.follow()
        self.set_interval(DRAW_S, self.draw)
        self.draw()

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    # -- the connection ----------------------------------------------------------------------------------------------
    @work(exclusive=True)
    async def follow(self) -> None:
        """Stay connected, whatever happens."""
        while True:
            try:
                await self._follow_once()
            except Moved:
                continue
            except ApiProblem as problem:
                self._say("bad", problem.title)
            except (Unreachable, StrangeAnswer) as error:
                self._say("bad", str(error))
            await asyncio.sleep(AGAIN_S)

    async def _follow_once(self) -> None:
        found = self._where()
        if found is None:
            self._say("warn", "no server runs here; waiting for one (pilotwire run)")
            return
        self._address = found.url

        def on_break(error: Exception, wait_s: float) -> None:
            if self._where() != found:
                raise Moved
            self._say("bad", f"connection lost, trying again in {wait_s:.0f} s")

        async with AsyncClient(found.url, found.key, verify=found.trust, retry=Retry(attempts=1, most_s=10)) as client:
            polls = [asyncio.create_task(self._measure(client)), asyncio.create_task(self._look_for_alarms(client))]
            try:
                async with aclosing(client.live(on_break=on_break)) as messages:
                    async for message in messages:
                        self.model.take(message)
                        self._say("good", "live")
            finally:
                for poll in polls:
                    poll.cancel()
                await asyncio.gather(*polls, return_exceptions=True)

    async def _measure(self, client: AsyncClient) -> None:
        while True:
            try:
                self.model.measure(gauges(await client.get_metrics(), time.monotonic()))
            except ApiProblem as problem:
                if problem.status in (401, 403):
                    return  # not with this key
            except (Unreachable, StrangeAnswer):
                pass  # the live stream tells
            self._changed = True
            await asyncio.sleep(MEASURE_S)

    async def _look_for_alarms(self, client: AsyncClient) -> None:
        while True:
            try:
                self.model.alarms = (await client.list_alarms(state="open", limit=SHOWN)).items
            except ApiProblem as problem:
                if problem.status in (401, 403):
                    self.model.alarms = None
                    return
            except (Unreachable, StrangeAnswer):
                pass  # the live stream tells
            self._changed = True
            await asyncio.sleep(ALARMS_S)

    def _say(self, mood: str, text: str) -> None:
        self.link = (mood, text)
        self._changed = True

    # -- the picture -------------------------------------------------------------------------------------------------
    def draw(self) -> None:
        """Show what has changed."""
        self._draw_status()
        if self._paused or not self._changed:
            return
        self._changed = False
        self.query_one("#figures", Static).update(self._figures())
        self._fill()
        self._tell()

    def _figures(self) -> Text:
        """The figures, none of them torn over the end of a line."""
        lines, width = [Text()], self.size.width - 2
        for what, value, mood in self.model.headline():
            piece = Text.assemble((f"{what} ", "dim"), (value, _MOODS[mood]))
            if lines[-1].cell_len and lines[-1].cell_len + 3 + piece.cell_len > width:
                lines.append(Text())
            if lines[-1].cell_len:
                lines[-1].append("   ")
            lines[-1].append_text(piece)
        return Text("\n").join(lines)

    def _draw_status(self) -> None:
        mood, text = self.link
        line = Text.assemble(
            ("Pilotwire ", "bold"), (f"{self._address}  ", "dim"), (f"● {text}", _MOODS[mood]),
            ("  paused" if self._paused else "", "bold yellow"), (f"  {datetime.now().astimezone():%H:%M:%S}", "dim"),
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip
        self.query_one("#status", Static).update(line)

    def _columns(self) -> None:
        self.table.clear(columns=True)
        column, backwards = self._sorted[self.view]
        for at, one in enumerate(VIEWS[self.view]):
            mark = (" ▼" if backwards != one.falls else " ▲") if at == column else ""
            title = Text(one.title + mark, justify="right" if one.right else "left")
            self.table.add_column(title, width=max(one.width, len(one.title) + len(mark)), key=str(at))
        self._rows = []

    def _fill(self) -> None:
        table, view = self.table, self.view
        column, backwards = self._sorted[view]
        found = ordered(self.model.rows(view, self._wanted), column, backwards=backwards)
        self._found, rows = len(found), found[:SHOWN]
        if [row.key for row in rows] == [row.key for row in self._rows]:
            for before, now in zip(self._rows, rows, strict=True):
                for at, (old, new) in enumerate(zip(before.cells, now.cells, strict=True)):
                    if old != new:
                        table.update_cell(now.key, str(at), self._cell(now, at))
        else:
            here, scroll = self._here(), table.scroll_y
            table.clear()
            for row in rows:
                table.add_row(*(self._cell(row, at) for at in range(len(row.cells))), key=row.key)
            keys = [row.key for row in rows]
            if here in keys:
                table.move_cursor(row=keys.index(here), scroll=False)
            table.scroll_to(y=scroll, animate=False)
        self._rows = rows
        self._draw_views()

    def _cell(self, row: Row, at: int) -> Text:
        column = VIEWS[self.view][at]
        return Text(row.cells[at], style=_style(row, self.view, at), justify="right" if column.right else "left")

    def _draw_views(self) -> None:
        counts = {
            "stations": len(self.model.stations), "sessions": len(self.model.sessions),
            "alarms": len(self.model.alarms or ()), "news": len(self.model.news),
        }  # fmt: skip
        line = Text(no_wrap=True, overflow="ellipsis")
        for number, (name, count) in enumerate(counts.items(), 1):
            line.append(f" {number} {name.capitalize()} {count:,} ", "reverse bold" if name == self.view else "")
            line.append(" ")
        if self._wanted:
            line.append(f" “{self._wanted}”: {self._found:,}", "yellow")
        if self._found > len(self._rows):
            line.append(f"  first {len(self._rows):,}; / finds the others", "yellow")
        self.query_one("#views", Static).update(line)

    def _here(self) -> str | None:
        at = self.table.cursor_row
        return self._rows[at].key if 0 <= at < len(self._rows) else None

    def _tell(self) -> None:
        pane = self.query_one("#details")
        if not pane.has_class("open"):
            return
        told = self.model.details(self.view, self._here() or "")
        grid = Table.grid(padding=(0, 2))
        for name, text in told or [("", "nothing is selected")]:
            grid.add_row(Text(name, style="dim"), Text(text))
        self.query_one("#told", Static).update(grid)

    def _again(self) -> None:
        self._changed = True
        paused, self._paused = self._paused, False
        self.draw()
        self._paused = paused

    # -- keys --------------------------------------------------------------------------------------------------------
    def action_view(self, view: str) -> None:
        self.view = view
        self._columns()
        self._again()

    def action_next(self) -> None:
        names = list(VIEWS)
        self.action_view(names[(names.index(self.view) + 1) % len(names)])

    def action_sort(self, step: int) -> None:
        column, _ = self._sorted[self.view]
        self._sort((column + step) % len(VIEWS[self.view]))

    def action_reverse(self) -> None:
        column, backwards = self._sorted[self.view]
        self._sort(column, backwards=not backwards)

    def _sort(self, column: int, *, backwards: bool = False) -> None:
        self._sorted[self.view] = (column, backwards)
        self._columns()
        self._again()

    @on(DataTable.HeaderSelected)
    def _heading(self, event: DataTable.HeaderSelected) -> None:
        column, backwards = self._sorted[self.view]
        self._sort(event.column_index, backwards=event.column_index == column and not backwards)

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_details()

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._tell()

    def action_details(self) -> None:
        self.query_one("#details").toggle_class("open")
        self._tell()

    def action_pause(self) -> None:
        self._paused = not self._paused
        self.draw()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self._wanted = event.value
        self._again()

    @on(Input.Submitted, "#filter")
    def _entered(self) -> None:
        if not self._wanted:
            self.query_one("#filter").remove_class("open")
        self.table.focus()

    def action_back(self) -> None:
        """Take away the filter, or else the details."""
        field = self.query_one("#filter", Input)
        if field.has_class("open"):
            field.value = ""
            field.remove_class("open")
            self.table.focus()
        else:
            self.query_one("#details").remove_class("open")

    def check_action(self, action: str, parameters: tuple[Any, ...]) -> bool | None:
        """While help is open, only it is listened to."""
        return not isinstance(self.screen, Help) or action in ("quit", "dismiss")


def _style(row: Row, view: str, at: int) -> str:
    cell = row.cells[at]
    if view == "stations" and at == 1:
        if "Faulted" in cell:
            return "bold red"
        if cell == "Offline":
            return "yellow"
        return "green" if "Charging" in cell else "dim" if cell == "Available" else ""
    if view == "alarms" and at == 0:
        return {"critical": "bold red", "major": "red", "minor": "yellow"}.get(cell, "")
    return ""
