"""One station as the index of a fleet keeps it: shown and encoded once per change, however often it is asked for."""

from __future__ import annotations

import msgspec

from pilotwire.domain.records import Station, StationAccount
from pilotwire.transport.bus import PowerNow

from . import mapping, types

_encode = msgspec.json.encode


class Member:
    """One station as it is kept."""

    __slots__ = ("_json", "_power", "_shown", "_text", "account", "id", "record")

    def __init__(self, id: str, record: Station | None, account: StationAccount | None) -> None:
        self.id = id
        self.record = record
        self.account = account
        self._power: dict[tuple[int, int], tuple[str, int]] | None = None
        self._shown: types.Station | None = None
        self._json: bytes | None = None
        self._text = ""

    def changed(self, record: Station | None) -> None:
        """It was read again. What the bus said of its power holds on while the same session runs."""
        self.record = record
        if record is not None and self._power:
            running = {(one.evse, one.connector): one for one in record.connectors}
            for place, (session, power_w) in list(self._power.items()):
                one = running.get(place)
                if one is not None and one.session_id == session and session:
                    one.power_w = power_w
                else:
                    del self._power[place]
        self.forget()

    def power(self, news: PowerNow) -> bool:
        """Take in a present power; whether it is news."""
        if self._power is None:
            self._power = {}
        self._power[news.evse, news.connector] = (news.session_id, news.power_w)
        for one in self.record.connectors if self.record is not None else ():
            if (one.evse, one.connector) == (news.evse, news.connector):
                if one.power_w == news.power_w:
                    return False
                one.power_w = news.power_w
                self.forget()
                return True
        return False

    def forget(self) -> None:
        self._shown = self._json = None
        self._text = ""

    @property
    def shown(self) -> types.Station:
        """As the API shows it. Not to be changed."""
        if self._shown is None:
            self._shown = mapping.station(self.id, self.record, self.account)
        return self._shown

    @property
    def share(self) -> tuple[int, int, int]:
        """What it adds to the totals: online, connectors, faulted connectors."""
        record = self.record
        if record is None:
            return 0, 0, 0
        connectors = faulted = 0
        for one in record.connectors:
            if one.evse > 0:
                connectors += 1
            if one.status == "Faulted":
                faulted += 1
        return int(record.connected), connectors, faulted

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = _encode(self.shown)
        return self._json

    @property
    def text(self) -> str:
        """What is searched, case folded."""
        if not self._text:
            one = self.shown
            texts = (one.id, one.vendor, one.model, one.serial, one.firmware, one.note)
            self._text = "\n".join(texts).casefold()
        return self._text
