"""A power line in memory: stations with a modem each, how well they hear each other, and what is lost on the way.

A modem here does what a real one does: it takes a key from its host (CM_SET_KEY), reports how it heard each sound
(CM_ATTEN_PROFILE), tells of the link (Qualcomm's and Lumissil's messages), and lets frames of other types through
only to stations that have the same key. Whoever is not named in `attenuate` is heard with `crosstalk_db`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pilotwire.core.time import Scheduler
from pilotwire.protocols.slac.keys import nid_of
from pilotwire.protocols.slac.mme import (
    BROADCAST,
    ETHERTYPE,
    GROUPS,
    LOCAL_MODEM,
    AttenProfileInd,
    BadMme,
    LinkStatusCnf,
    LinkStatusReq,
    Message,
    MmeFrame,
    MnbcSoundInd,
    NscmGetDLinkStatusCnf,
    NscmGetDLinkStatusReq,
    ResetDeviceCnf,
    ResetDeviceReq,
    SetKeyCnf,
    SetKeyReq,
    decode,
    encode,
)

_DEAF_DB = 90
"""Fainter than this nothing gets through."""


class Station:
    """One host with its modem. `received` is given frames for the host."""

    def __init__(self, line: Powerline, mac: bytes, received: Callable[[bytes], None], ripple: list[int]) -> None:
        self.mac = mac
        self.nmk = b""
        self.keys = 0
        """How often its host gave it a key."""
        self._line = line
        self._received = received
        self._ripple = ripple

    def send(self, frame: bytes) -> None:
        """From the host: to its modem, or out on the line."""
        if frame[:6] == LOCAL_MODEM:
            self._to_modem(frame)
        else:
            self._line.carry(self, frame)

    def hear(self, source: Station, frame: bytes, db: int) -> None:
        """From the line."""
        self._received(frame)
        if int.from_bytes(frame[12:14], "big") != ETHERTYPE:
            return
        try:
            heard = decode(frame)
        except BadMme:
            return
        if isinstance(heard.message, MnbcSoundInd):
            aag = bytes(max(0, min(255, db + ripple)) for ripple in self._ripple)
            self._tell(AttenProfileInd(pev_mac=heard.src, aag=aag))

    def _tell(self, message: Message) -> None:
        self._line.later(lambda: self._received(encode(MmeFrame(self.mac, LOCAL_MODEM, message))))

    def _to_modem(self, frame: bytes) -> None:
        try:
            message = decode(frame).message
        except BadMme:
            return
        if isinstance(message, SetKeyReq):
            self.keys += 1
            if message.nid == nid_of(message.new_key):
                self.nmk = message.new_key
            self._tell(SetKeyCnf(my_nonce=message.my_nonce))
        elif isinstance(message, LinkStatusReq):
            self._tell(LinkStatusCnf(link_status=self._line.linked(self)))
        elif isinstance(message, NscmGetDLinkStatusReq):
            self._tell(NscmGetDLinkStatusCnf(link_status=self._line.linked(self)))
        elif isinstance(message, ResetDeviceReq):
            self.nmk = b""
            self._tell(ResetDeviceCnf())


class Powerline:
    """The line. `loss` is the part of frames that is lost on each way, in thousandths; all chance is from `seed`."""

    def __init__(self, scheduler: Scheduler, *, seed: int = 1, loss: int = 0, crosstalk_db: int = _DEAF_DB) -> None:
        self.stations: list[Station] = []
        self.loss = loss
        self.crosstalk_db = crosstalk_db
        self.lost = 0
        self.carried = 0
        self._scheduler = scheduler
        self._chance = random.Random(seed)
        self._attenuation: dict[frozenset[bytes], int] = {}

    def station(self, mac: bytes, received: Callable[[bytes], None]) -> Station:
        """Another host on the line."""
        ripple = [self._chance.randint(-2, 2) for _ in range(GROUPS)]
        station = Station(self, mac, received, ripple)
        self.stations.append(station)
        return station

    def attenuate(self, one: bytes, other: bytes, db: int | None) -> None:
        """How faintly two stations hear each other, dB; None: as all the others."""
        pair = frozenset((one, other))
        if db is None:
            self._attenuation.pop(pair, None)
        else:
            self._attenuation[pair] = db

    def db(self, one: Station, other: Station) -> int:
        return self._attenuation.get(frozenset((one.mac, other.mac)), self.crosstalk_db)

    def linked(self, station: Station) -> int:
        """1: some other station within earshot has the same key."""
        return int(
            bool(station.nmk)
            and any(s.nmk == station.nmk and self.db(s, station) < _DEAF_DB for s in self.stations if s is not station)
        )

    def carry(self, source: Station, frame: bytes) -> None:
        """To all who may hear it."""
        slac = int.from_bytes(frame[12:14], "big") == ETHERTYPE
        for station in self.stations:
            if station is source or frame[:6] not in (BROADCAST, station.mac):
                continue
            db = self.db(source, station)
            if db >= _DEAF_DB or not (slac or (source.nmk and source.nmk == station.nmk)):
                continue
            if self._chance.randrange(1000) < self.loss:
                self.lost += 1
                continue
            self.carried += 1
            self.later(lambda station=station, db=db: station.hear(source, frame, db))

    def later(self, step: Callable[[], None]) -> None:
        """A millisecond from now."""
        self._scheduler.call_later(1, step)
