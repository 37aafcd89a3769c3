"""Plain integers that a metrics collector reads when it is scraped. Nothing here is touched under a lock."""

from __future__ import annotations

from pilotwire.protocols.ocpp.rpc import machine


class Counters:
    """What the central system counted since it started. Dicts are label value → count."""

    __slots__ = (
        "commands",
        "commit_failures",
        "connected",
        "deviations",
        "duplicates_adopted",
        "duplicates_parked",
        "duplicates_refused",
        "errors",
        "faults",
        "frames_dropped",
        "handshakes",
        "held_frames",
        "messages",
        "pauses",
        "queued_commands",
        "quirks",
        "rejected",
        "rpc",
    )

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, int]] = {}
        """Version → action → CALLs and SENDs received."""
        self.errors: dict[str, int] = {}
        """Canonical code → CALLERRORs that we answered."""
        self.rejected: dict[str, int] = {}
        """Reason → handshakes refused."""
        self.deviations: dict[str, int] = {}
        """Tolerance rule → messages that needed it."""
        self.quirks: dict[str, int] = {}
        """Quirk → times that it was told of."""
        self.commands: dict[str, int] = {}
        """Outcome → commands settled."""
        self.connected: dict[str, int] = {}
        """Version → stations connected now."""
        self.handshakes = 0
        """Handshakes admitted."""
        self.duplicates_parked = 0
        """Connections that came while another of the same identity was open."""
        self.duplicates_refused = 0
        """Of these: closed, because the older one was alive."""
        self.duplicates_adopted = 0
        """Of these: taken, because the older one was silent."""
        self.commit_failures = 0
        """Entries that the store did not make durable."""
        self.faults = 0
        """Messages that a fault of ours kept from being served."""
        self.frames_dropped = 0
        """Frames that waited, unanswered, when their connection ended."""
        self.pauses = 0
        """How often a station was slowed down by not reading on."""
        self.held_frames = 0
        """Frames that wait for their turn now."""
        self.queued_commands = 0
        """Commands that wait to be sent now."""
        self.rpc = machine.Counters()
        """Of all RPC machines together."""

    def count(self, table: dict[str, int], name: str) -> None:
        """One more of `name`; for tables that are not pre-keyed."""
        table[name] = table.get(name, 0) + 1
