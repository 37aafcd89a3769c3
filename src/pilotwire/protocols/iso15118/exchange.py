"""What both ends of DIN SPEC 70121 and ISO 15118-2 have in common: requests, answers, timers, effects in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pilotwire.core.machines import Send
from pilotwire.protocols.exi.codec import Message, encode

from .v2gtp import SAP, Frame


def within(message: Message, name: str) -> Message:
    """An element of a message; empty where it was left out."""
    found: Message | None = message.get(name)
    return {} if found is None else found


class Exchange:
    """One end. Subclasses fill `_effects` and `_due`."""

    schema: ClassVar[str]
    """Of `protocols.exi`: din or iso2."""

    def __init__(self) -> None:
        self.bad = 0
        """Units that could not be read, or that nobody waited for."""
        self.session_id = bytes(8)
        """Zeros until the SECC has given one."""
        self.over = False
        """Nothing is sent or told any more."""
        self._effects: list[Any] = []
        self._due: dict[str, int] = {}
        """Running timers: name → when they run out."""

    @property
    def deadline(self) -> int | None:
        return min(self._due.values()) if self._due else None

    def elapse(self, now: int) -> Sequence[Any]:
        """Timers that have run out by `now`, in the order in which they did."""
        while self._due and not self.over:
            name = min(self._due, key=self._due.__getitem__)
            if self._due[name] > now:
                break
            del self._due[name]
            self._expired(name, now)
        return self._flush()

    def _expired(self, name: str, now: int) -> None:
        raise NotImplementedError

    def _flush(self) -> Sequence[Any]:
        effects, self._effects = self._effects, []
        return effects

    def _send(self, name: str, body: Message, signature: Message | None = None, **header: Any) -> None:
        head: Message = {"SessionID": self.session_id, **header}
        if signature is not None:
            head["Signature"] = signature
        message = {"V2G_Message": {"Header": head, "Body": {name: body}}}
        self._effects.append(Send(Frame(SAP, encode(self.schema, message))))

    def _finish(self) -> None:
        self.over = True
        self._due.clear()
