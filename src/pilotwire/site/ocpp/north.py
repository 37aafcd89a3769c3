"""A 1.6 station as one of 2.0.1: what it says upstream. What upstream asks of it is in `north_asks`.

A connector is an EVSE with one connector. Transactions get a durable id of ours and a seqNo for each event; the
station's own number is given by the box. What 1.6 cannot do is refused: NotSupported where 2.0.1 knows the action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from pilotwire.core.time import from_rfc3339, to_rfc3339
from pilotwire.protocols.ocpp.rpc.errors import NOT_IMPLEMENTED, PROPERTY_CONSTRAINT, RpcError
from pilotwire.protocols.ocpp.version import VersionName

from . import north_words as words
from .north_asks import Asks, serve
from .seams import Told
from .seat import Seat

_OVER_KEPT = 32
_EARLIER_MS = 5_000
"""So much before its connection an event of the station was not said when it happened: clocks differ by less."""


class Running(msgspec.Struct, omit_defaults=True):
    """One transaction."""

    station: int
    """As the station calls it."""
    key: str
    """As upstream does."""
    connector: int = 0
    seq: int = 0
    """Of the next event."""
    state: str = ""
    """chargingState that was told last."""
    over: bool = False


class Kept(msgspec.Struct):
    """What has to outlive a restart of the box."""

    running: list[Running] = []
    remote: list[tuple[str, int, int]] = []
    """Remote starts that have not begun: (token, connector or 0, remoteStartId)."""
    kinds: dict[str, str] = {}
    """Token → its type, where upstream has said it."""
    log: int | None = None
    """requestId of the last GetLog."""
    firmware: int | None = None
    """requestId of the last UpdateFirmware."""


_KEPT = msgspec.json.Decoder(Kept | None)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

Message = tuple[str, dict[str, Any]]


class North201:
    """`seams.North`."""

    version: VersionName = "2.0.1"

    def __init__(self, seat: Seat, kept: msgspec.Raw) -> None:
        self.seat = seat
        self.state = _KEPT.decode(kept) or Kept()
        self._asks: Asks = Asks(self)

    def kept(self) -> msgspec.Raw:
        return msgspec.Raw(_encode(self.state))

    # ── the station's words ──────────────────────────────────────────────────────────────────────────────────────

    def boot(self, payload: bytes) -> bytes:
        said = _read(payload)
        station: dict[str, Any] = {
            "model": str(said.get("chargePointModel", ""))[:20],
            "vendorName": str(said.get("chargePointVendor", ""))[:50],
        }
        serial = said.get("chargePointSerialNumber") or said.get("chargeBoxSerialNumber")
        if serial:
            station["serialNumber"] = serial
        if said.get("firmwareVersion"):
            station["firmwareVersion"] = said["firmwareVersion"]
        modem = {name: said[name] for name in ("iccid", "imsi") if said.get(name)}
        if modem:
            station["modem"] = modem
        return _encode({"reason": "PowerUp", "chargingStation": station})

    def up(self, action: str, payload: bytes, station_id: int | None, *, away: bool) -> list[tuple[str, bytes]]:
        """See `seams.North.up`. RpcError for what cannot be read."""
        teller = _TELLERS.get(action)
        if teller is None:
            raise RpcError(NOT_IMPLEMENTED, "the central system does not know this action")
        try:
            messages = teller(self, _read(payload), station_id)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RpcError(PROPERTY_CONSTRAINT, "a field that is needed is missing or of another kind") from error
        for name, message in messages:
            if name == "TransactionEvent" and (away or self._late(message["timestamp"])):
                message["offline"] = True
        return [(name, _encode(message)) for name, message in messages]

    def _late(self, timestamp: str) -> bool:
        """Whether something happened before the station was connected: the box was off, or it was."""
        downlink = self.seat.downlink
        try:
            return downlink is not None and from_rfc3339(timestamp) < downlink.since - _EARLIER_MS
        except (TypeError, ValueError):
            return False  # upstream judges what is no time

    def token(self, tag: str) -> dict[str, str]:
        """An idTag as an IdTokenType."""
        return {"idToken": tag, "type": self.state.kinds.get(tag.casefold(), "ISO14443")}

    def find(self, station_id: object) -> Running | None:
        return next((each for each in reversed(self.state.running) if each.station == station_id), None)

    def of_key(self, key: str) -> Running | None:
        """By the id that upstream knows."""
        return next((each for each in reversed(self.state.running) if each.key == key), None)

    def at(self, connector: int) -> Running | None:
        """What runs on a connector."""
        return next((each for each in self.state.running if each.connector == connector and not each.over), None)

    def _event(self, running: Running, kind: str, trigger: str, timestamp: str, **more: Any) -> Message:
        info = {"transactionId": running.key, **more.pop("info", {})}
        seq, running.seq = running.seq, running.seq + 1
        event = {
            "eventType": kind, "timestamp": timestamp, "triggerReason": trigger, "seqNo": seq,
            "transactionInfo": info, **more,
        }  # fmt: skip
        return "TransactionEvent", event

    # ── tellers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _heartbeat(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        return [("Heartbeat", {})]

    def _authorize(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        return [("Authorize", {"idToken": self.token(said["idTag"])})]

    def _status(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        connector = said["connectorId"]
        if not connector:
            return []  # the station as a whole: 2.0.1 has no status of it
        timestamp = said.get("timestamp") or to_rfc3339(self.seat.around.now())
        status = {
            "timestamp": timestamp, "connectorStatus": words.STATUS[said["status"]], "evseId": connector,
            "connectorId": 1,
        }  # fmt: skip
        messages: list[Message] = [("StatusNotification", status)]
        running = self.at(connector)
        state = words.CHARGING.get(said["status"])
        if running is not None and state is not None and state != running.state:
            running.state = state
            info = {"chargingState": state}
            messages.append(self._event(running, "Updated", "ChargingStateChanged", timestamp, info=info))
        return messages

    def _start(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        tag, connector, timestamp = said["idTag"], said["connectorId"], said["timestamp"]
        running = Running(int(station_id or 0), self.seat.around.ids.new(), connector, 0, "EVConnected")
        self.state.running.append(running)
        info: dict[str, Any] = {"chargingState": "EVConnected"}
        trigger = "Authorized"
        for remote in self.state.remote:
            if remote[0].casefold() == tag.casefold() and remote[1] in (0, connector):
                self.state.remote.remove(remote)
                trigger, info["remoteStartId"] = "RemoteStart", remote[2]
                break
        more: dict[str, Any] = {
            "evse": {"id": connector, "connectorId": 1}, "idToken": self.token(tag),
            "meterValue": [words.register(timestamp, said["meterStart"], "Transaction.Begin")],
        }  # fmt: skip
        if said.get("reservationId") is not None:
            more["reservationId"] = said["reservationId"]
        return [self._event(running, "Started", trigger, timestamp, info=info, **more)]

    def _known(self, said: dict[str, Any]) -> Running:
        """The transaction that a message names; one that began before the box knew the station gets a plain name."""
        number = int(said["transactionId"])
        running = self.find(number)
        if running is None:
            running = Running(number, f"16-{number}", said.get("connectorId", 0), 0)
            self.state.running.append(running)
        return running

    def _meter(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        values = words.meter_values(said["meterValue"])
        if not values:
            return []
        if said.get("transactionId") is None:
            return [("MeterValues", {"evseId": said["connectorId"], "meterValue": values})]
        running = self._known(said)
        reason = words.trigger(said["meterValue"])
        return [self._event(running, "Updated", reason, values[-1]["timestamp"], meterValue=values)]

    def _stop(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        running = self._known(said)
        reason, trigger = words.STOPPED.get(str(said.get("reason", "Local")), words.STOPPED["Other"])
        values = words.meter_values(said.get("transactionData") or ())
        values.append(words.register(said["timestamp"], said["meterStop"], "Transaction.End"))
        more: dict[str, Any] = {"meterValue": values}
        if said.get("idTag"):
            more["idToken"] = self.token(said["idTag"])
        event = self._event(running, "Ended", trigger, said["timestamp"], info={"stoppedReason": reason}, **more)
        running.over = True
        over = [each for each in self.state.running if each.over]
        for each in over[:-_OVER_KEPT]:
            self.state.running.remove(each)
        return [event]

    def _security(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        return [("SecurityEventNotification", {k: said[k] for k in ("type", "timestamp", "techInfo") if k in said})]

    def _firmware(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        number = said.get("requestId", self.state.firmware)
        status = said["status"]
        return [("FirmwareStatusNotification", {"status": status} | ({} if number is None else {"requestId": number}))]

    def _diagnostics(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        number = said.get("requestId", self.state.log)
        status = words.LOG.get(said["status"], said["status"])
        return [("LogStatusNotification", {"status": status} | ({} if number is None else {"requestId": number}))]

    def _transfer(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        return [("DataTransfer", {k: said[k] for k in ("vendorId", "messageId", "data") if k in said})]

    def _sign(self, said: dict[str, Any], station_id: int | None) -> list[Message]:
        return [("SignCertificate", {"csr": said["csr"], "certificateType": "ChargingStationCertificate"})]

    # ── upstream's answers ───────────────────────────────────────────────────────────────────────────────────────

    def answer(self, action: str, payload: bytes, answer: bytes, station_id: int | None) -> bytes:
        try:
            said = _read(answer)
        except RpcError:
            said = {}
        info = said.get("idTokenInfo")
        tag = words.tag_info(info) if isinstance(info, dict) else None  # pyright: ignore[reportUnknownArgumentType]
        if action == "Authorize":
            return _encode({"idTagInfo": tag or {"status": "Invalid"}})
        if action == "StartTransaction":
            return _encode({"transactionId": station_id, "idTagInfo": tag or {"status": "Accepted"}})
        if action == "StopTransaction":
            return _encode({"idTagInfo": tag} if tag is not None else {})
        if action == "DataTransfer":
            data = said.get("data")
            back: dict[str, Any] = {"status": said.get("status", "Rejected")}
            if data is not None:
                back["data"] = data if isinstance(data, str) else _encode(data).decode()
            return _encode(back)
        names = _ANSWERS.get(action, ())
        return _encode({name: said[name] for name in names if name in said})

    # ── upstream's questions ─────────────────────────────────────────────────────────────────────────────────────

    def down(
        self, action: str, payload: bytes, call: Callable[[str, Any, Told], None], done: Callable[..., None]
    ) -> None:
        serve(self._asks, action, payload, call, done)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        found = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RpcError(PROPERTY_CONSTRAINT, "the payload cannot be read") from error
    if not isinstance(found, dict):
        raise RpcError(PROPERTY_CONSTRAINT, "the payload is no object")
    return found  # pyright: ignore[reportUnknownVariableType]


_ANSWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "BootNotification": ("status", "currentTime", "interval"),
    "Heartbeat": ("currentTime",),
    "SignCertificate": ("status",),
}

_Teller = Callable[[North201, dict[str, Any], int | None], list[Message]]
# pyright: reportPrivateUsage=false
_TELLERS: Final[Mapping[str, _Teller]] = {
    "Heartbeat": North201._heartbeat,
    "Authorize": North201._authorize,
    "StatusNotification": North201._status,
    "StartTransaction": North201._start,
    "MeterValues": North201._meter,
    "StopTransaction": North201._stop,
    "SecurityEventNotification": North201._security,
    "FirmwareStatusNotification": North201._firmware,
    "SignedFirmwareStatusNotification": North201._firmware,
    "DiagnosticsStatusNotification": North201._diagnostics,
    "LogStatusNotification": North201._diagnostics,
    "DataTransfer": North201._transfer,
    "SignCertificate": North201._sign,
}
