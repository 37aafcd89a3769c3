"""The host's own modem: it is given the network's key, and asked whether the other end is there."""

from __future__ import annotations

from typing import Literal

from . import timers
from .keys import nid_of
from .mme import (
    LOCAL_MODEM,
    LinkStatusCnf,
    LinkStatusReq,
    Message,
    MmeFrame,
    NscmGetDLinkStatusCnf,
    NscmGetDLinkStatusReq,
    SetKeyCnf,
    SetKeyReq,
    encode,
)

Modem = Literal["qualcomm", "lumissil", "plain", "none"]
"""`plain`: takes keys, does not tell of the link. `none`: a wire of Ethernet, the key is only kept."""


class ModemPort:
    """`key` is what the modem has, or is being given. Said again every 500 ms until the modem confirms it, thrice."""

    __slots__ = ("_link_at", "_mac", "_modem", "_set_at", "_tries", "address", "key", "kind")

    def __init__(self, kind: Modem, mac: bytes, address: bytes = LOCAL_MODEM) -> None:
        self.kind = kind
        self.address = address
        self.key = b""
        self._mac = mac
        self._set_at: int | None = None
        self._tries = 0
        self._link_at: int | None = None

    @property
    def settled(self) -> bool:
        """The modem has the key, or never says so."""
        return self._set_at is None

    @property
    def polls(self) -> bool:
        """It can be asked for the link."""
        return self.kind in ("qualcomm", "lumissil")

    @property
    def deadline(self) -> int | None:
        dues = (
            None if self._set_at is None else self._set_at + timers.SET_KEY,
            None if self._link_at is None else self._link_at + timers.POLL,
        )
        return min((due for due in dues if due is not None), default=None)

    def _frame(self, message: Message) -> bytes:
        return encode(MmeFrame(self.address, self._mac, message))

    def set_key(self, nmk: bytes, now: int) -> list[bytes]:
        """Frames that give it a key."""
        self.key = nmk
        if self.kind == "none":
            return []
        self._set_at, self._tries = now, 1
        return [self._frame(SetKeyReq(nid=nid_of(nmk), new_key=nmk))]

    def watch(self, now: int | None) -> list[bytes]:
        """Asks for the link from now on; None: no longer."""
        self._link_at = now if self.polls else None
        return self._ask() if self._link_at is not None else []

    def _ask(self) -> list[bytes]:
        return [self._frame(LinkStatusReq() if self.kind == "qualcomm" else NscmGetDLinkStatusReq())]

    def elapse(self, now: int) -> list[bytes]:
        out: list[bytes] = []
        if self._set_at is not None and now >= self._set_at + timers.SET_KEY:
            if self._tries > timers.C_EV_MATCH_RETRY:
                self._set_at = None
            else:
                self._set_at, self._tries = now, self._tries + 1
                out.append(self._frame(SetKeyReq(nid=nid_of(self.key), new_key=self.key)))
        if self._link_at is not None and now >= self._link_at + timers.POLL:
            self._link_at = now
            out += self._ask()
        return out

    def hear(self, message: Message) -> bool | None:
        """The link's state, if this message tells of it."""
        if isinstance(message, SetKeyCnf):
            self._set_at = None
        elif isinstance(message, LinkStatusCnf | NscmGetDLinkStatusCnf) and self._link_at is not None:
            return message.link_status == 1
        return None
