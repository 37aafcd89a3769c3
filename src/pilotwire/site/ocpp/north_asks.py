"""What a 2.0.1 upstream asks of a 1.6 station: one CALL becomes none, one or several of the station's.

Each handler is a generator: it yields a CALL to the station as (action, payload), gets its answer's payload back (None:
it refused, or was silent) and returns the response. So a question of many variables reads as the loop that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.rpc.errors import INTERNAL_ERROR, NOT_IMPLEMENTED, NOT_SUPPORTED, RpcError
from pilotwire.protocols.ocpp.version import load

from . import frames
from . import north_words as words
from .frames import Frame

if TYPE_CHECKING:
    from .north import North201
    from .seams import Told

Steps = Generator[tuple[str, dict[str, Any]], dict[str, Any] | None, dict[str, Any]]
Call = Callable[[str, Any, "Told"], None]

_REPORT_ROWS = 20
_LONGEST_TAG = 20

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def serve(asks: Asks, action: str, payload: bytes, call: Call, done: Callable[..., None]) -> None:
    """Serve one CALL; `done(response, error)` once."""
    known = load("2.0.1").actions.get(action)
    handler = _HANDLERS.get(action)
    if known is None:
        done(None, RpcError(NOT_IMPLEMENTED, "OCPP 2.0.1 has no such action"))
        return
    if handler is None:
        done(None, RpcError(NOT_SUPPORTED, "not by this station"))
        return
    try:
        known.decode_request(payload)
    except RpcError as error:
        done(None, error)
        return
    steps = handler(asks, _decode(payload))

    def go(answer: dict[str, Any] | None) -> None:
        try:
            name, request = steps.send(answer)
        except StopIteration as end:
            done(end.value, None)
            return
        except RpcError as error:
            done(None, error)
            return
        call(name, request, told)

    def told(answer: Frame | None) -> None:
        if answer is None or answer.kind != frames.CALLRESULT:
            go(None)
            return
        try:
            found = _decode(answer.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = None
        go(found if isinstance(found, dict) else None)  # pyright: ignore[reportUnknownArgumentType]

    try:
        name, request = next(steps)
    except StopIteration as end:
        done(end.value, None)
    except RpcError as error:
        done(None, error)
    else:
        call(name, request, told)


def _status(answer: Mapping[str, Any] | None, table: Mapping[str, str], otherwise: str) -> dict[str, Any]:
    return {"status": table.get(str((answer or {}).get("status")), otherwise)}


_YES: Final = {"Accepted": "Accepted"}


class Asks:
    """The handlers."""

    def __init__(self, north: North201) -> None:
        self.north = north

    def start(self, asked: dict[str, Any]) -> Steps:
        token = asked["idToken"]
        tag = token["idToken"]
        if len(tag) > _LONGEST_TAG or token["type"] == "NoAuthorization":
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidIdToken"}}
        request: dict[str, Any] = {"idTag": tag}
        if asked.get("evseId"):
            request["connectorId"] = asked["evseId"]
        if asked.get("chargingProfile"):
            profile = words.profile_16(asked["chargingProfile"], None)
            if profile is None:
                return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}
            request["chargingProfile"] = profile
        state = self.north.state
        state.kinds[tag.casefold()] = token["type"]
        while len(state.kinds) > 200:
            del state.kinds[next(iter(state.kinds))]
        # Before it is asked: a station may begin before it has answered.
        remote = (tag, int(asked.get("evseId") or 0), int(asked["remoteStartId"]))
        state.remote = [*state.remote[-7:], remote]
        answer = yield "RemoteStartTransaction", request
        if (answer or {}).get("status") != "Accepted" and remote in state.remote:
            state.remote.remove(remote)
        return _status(answer, _YES, "Rejected")

    def stop(self, asked: dict[str, Any]) -> Steps:
        running = self.north.of_key(asked["transactionId"])
        if running is None or running.over:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
        answer = yield "RemoteStopTransaction", {"transactionId": running.station}
        return _status(answer, _YES, "Rejected")

    def reset(self, asked: dict[str, Any]) -> Steps:
        if asked.get("evseId"):
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRequest"}}
        if asked["type"] == "OnIdle" and any(not each.over for each in self.north.state.running):
            # 1.6 has no reset that waits: both of its kinds end what runs.
            return {"status": "Rejected", "statusInfo": {"reasonCode": "TxInProgress"}}
        answer = yield "Reset", {"type": "Hard" if asked["type"] == "Immediate" else "Soft"}
        return _status(answer, _YES, "Rejected")

    def availability(self, asked: dict[str, Any]) -> Steps:
        connector = (asked.get("evse") or {}).get("id", 0)
        answer = yield "ChangeAvailability", {"connectorId": connector, "type": asked["operationalStatus"]}
        return _status(answer, {"Accepted": "Accepted", "Scheduled": "Scheduled"}, "Rejected")

    def unlock(self, asked: dict[str, Any]) -> Steps:
        if self.north.at(asked["evseId"]) is not None:  # a 1.6 station would end it (5.18)
            return {"status": "OngoingAuthorizedTransaction"}
        answer = yield "UnlockConnector", {"connectorId": asked["evseId"]}
        return _status(answer, {"Unlocked": "Unlocked"}, "UnlockFailed")

    def trigger(self, asked: dict[str, Any]) -> Steps:
        wanted = words.TRIGGER.get(asked["requestedMessage"])
        if wanted is None:
            return {"status": "NotImplemented"}
        request: dict[str, Any] = {"requestedMessage": wanted}
        if (asked.get("evse") or {}).get("id"):
            request["connectorId"] = asked["evse"]["id"]
        answer = yield "TriggerMessage", request
        return _status(answer, {"Accepted": "Accepted", "NotImplemented": "NotImplemented"}, "Rejected")

    # ── variables ────────────────────────────────────────────────────────────────────────────────────────────────

    def get_variables(self, asked: dict[str, Any]) -> Steps:
        rows = asked["getVariableData"]
        keys = [words.key_of(row["component"], row["variable"]) for row in rows]
        wanted = list(dict.fromkeys(key for key in keys if key is not None))
        values: dict[str, str | None] = {}
        if wanted:
            answer = yield "GetConfiguration", {"key": wanted}
            if answer is None:
                raise RpcError(INTERNAL_ERROR, "the station does not say")
            for each in answer.get("configurationKey") or ():
                values[each["key"].casefold()] = each.get("value")
        results: list[dict[str, Any]] = []
        for row, key in zip(rows, keys, strict=True):
            result = {name: row[name] for name in ("component", "variable", "attributeType") if name in row}
            if key is None or key.casefold() not in values:
                result["attributeStatus"] = words.unknown(row["component"])
            elif row.get("attributeType", "Actual") != "Actual":
                result["attributeStatus"] = "NotSupportedAttributeType"
            else:
                value = values[key.casefold()]
                result["attributeStatus"] = "Rejected" if value is None else "Accepted"
                if value is not None:
                    result["attributeValue"] = value
            results.append(result)
        return {"getVariableResult": results}

    def set_variables(self, asked: dict[str, Any]) -> Steps:
        results: list[dict[str, Any]] = []
        for row in asked["setVariableData"]:
            result = {name: row[name] for name in ("component", "variable", "attributeType") if name in row}
            key = words.key_of(row["component"], row["variable"])
            if key is None:
                result["attributeStatus"] = words.unknown(row["component"])
            elif row.get("attributeType", "Actual") != "Actual":
                result["attributeStatus"] = "NotSupportedAttributeType"
            elif len(row["attributeValue"]) > 500:
                result["attributeStatus"] = "Rejected"
            else:
                answer = yield "ChangeConfiguration", {"key": key, "value": row["attributeValue"]}
                table = {"Accepted": "Accepted", "RebootRequired": "RebootRequired", "NotSupported": "UnknownVariable"}
                result["attributeStatus"] = table.get(str((answer or {}).get("status")), "Rejected")
            results.append(result)
        return {"setVariableResult": results}

    def base_report(self, asked: dict[str, Any]) -> Steps:
        if asked["reportBase"] == "SummaryInventory":
            return {"status": "NotSupported"}
        answer = yield "GetConfiguration", {}
        if answer is None:
            return {"status": "Rejected"}
        rows: list[dict[str, Any]] = []
        for each in answer.get("configurationKey") or ():
            component, variable = words.variable_of(each["key"])
            attribute = {"mutability": "ReadOnly" if each["readonly"] else "ReadWrite"}
            if each.get("value") is not None:
                attribute["value"] = each["value"]
            rows.append({"component": component, "variable": variable, "variableAttribute": [attribute]})
        if not rows:
            return {"status": "EmptyResultSet"}
        now = to_rfc3339(self.north.seat.around.now())
        parts = [rows[at : at + _REPORT_ROWS] for at in range(0, len(rows), _REPORT_ROWS)]
        for number, part in enumerate(parts):
            report = {"requestId": asked["requestId"], "generatedAt": now, "seqNo": number, "reportData": part}
            if number + 1 < len(parts):
                report["tbc"] = True
            self.north.seat.say(self.north.seat.authority.upstream.name, "NotifyReport", _encode(report))
        return {"status": "Accepted"}

    # ── profiles ─────────────────────────────────────────────────────────────────────────────────────────────────

    def set_profile(self, asked: dict[str, Any]) -> Steps:
        profile = asked["chargingProfile"]
        transaction: int | None = None
        if profile.get("transactionId") is not None:
            running = self.north.of_key(profile["transactionId"])
            if running is None or running.over:
                return {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
            transaction = running.station
        said = words.profile_16(profile, transaction)
        if said is None:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}
        answer = yield "SetChargingProfile", {"connectorId": asked["evseId"], "csChargingProfiles": said}
        return _status(answer, _YES, "Rejected")

    def clear_profile(self, asked: dict[str, Any]) -> Steps:
        request: dict[str, Any] = {}
        if asked.get("chargingProfileId") is not None:
            request["id"] = asked["chargingProfileId"]
        else:
            wanted = asked.get("chargingProfileCriteria") or {}
            if wanted.get("evseId") is not None:
                request["connectorId"] = wanted["evseId"]
            if wanted.get("stackLevel") is not None:
                request["stackLevel"] = wanted["stackLevel"]
            if wanted.get("chargingProfilePurpose") is not None:
                purpose = words.PURPOSE.get(wanted["chargingProfilePurpose"])
                if purpose is None:
                    return {"status": "Unknown"}
                request["chargingProfilePurpose"] = purpose
        answer = yield "ClearChargingProfile", request
        return _status(answer, _YES, "Unknown")

    def composite(self, asked: dict[str, Any]) -> Steps:
        request = {"connectorId": asked["evseId"], "duration": asked["duration"]}
        if asked.get("chargingRateUnit"):
            request["chargingRateUnit"] = asked["chargingRateUnit"]
        answer = yield "GetCompositeSchedule", request
        schedule = (answer or {}).get("chargingSchedule")
        if answer is None or answer.get("status") != "Accepted" or not schedule or not answer.get("scheduleStart"):
            return {"status": "Rejected"}
        found = {
            "evseId": asked["evseId"],
            "duration": schedule.get("duration", asked["duration"]),
            "scheduleStart": answer["scheduleStart"],
            "chargingRateUnit": schedule["chargingRateUnit"],
            "chargingSchedulePeriod": schedule["chargingSchedulePeriod"],
        }
        return {"status": "Accepted", "schedule": found}

    # ── lists, reservations, data, files ─────────────────────────────────────────────────────────────────────────

    def local_list(self, asked: dict[str, Any]) -> Steps:
        rows: list[dict[str, Any]] = []
        for each in asked.get("localAuthorizationList") or ():
            tag = each["idToken"]["idToken"]
            if len(tag) > _LONGEST_TAG:
                continue  # no card of this station's can be that
            info = each.get("idTokenInfo")
            rows.append({"idTag": tag} | ({} if info is None else {"idTagInfo": words.tag_info(info)}))
        request: dict[str, Any] = {"listVersion": asked["versionNumber"], "updateType": asked["updateType"]}
        if rows:
            request["localAuthorizationList"] = rows
        answer = yield "SendLocalList", request
        result = _status(answer, {"Accepted": "Accepted", "VersionMismatch": "VersionMismatch"}, "Failed")
        self._obeyed("SendLocalList", request, result)
        return result

    def list_version(self, asked: dict[str, Any]) -> Steps:
        answer = yield "GetLocalListVersion", {}
        return {"versionNumber": max(0, int((answer or {}).get("listVersion", 0)))}

    def clear_cache(self, asked: dict[str, Any]) -> Steps:
        answer = yield "ClearCache", {}
        result = _status(answer, _YES, "Rejected")
        self._obeyed("ClearCache", {}, result)
        return result

    def _obeyed(self, action: str, request: dict[str, Any], result: dict[str, Any]) -> None:
        payload = _encode(result)
        self.north.seat.obeyed(action, _encode(request), Frame(frames.CALLRESULT, "", "", payload, payload))

    def reserve(self, asked: dict[str, Any]) -> Steps:
        tag = asked["idToken"]["idToken"]
        if len(tag) > _LONGEST_TAG:
            return {"status": "Rejected"}
        request: dict[str, Any] = {
            "connectorId": asked.get("evseId") or 0, "expiryDate": asked["expiryDateTime"], "idTag": tag,
            "reservationId": asked["id"],
        }  # fmt: skip
        group = (asked.get("groupIdToken") or {}).get("idToken")
        if group and len(group) <= _LONGEST_TAG:
            request["parentIdTag"] = group
        answer = yield "ReserveNow", request
        table = {name: name for name in ("Accepted", "Faulted", "Occupied", "Unavailable")}
        return _status(answer, table, "Rejected")

    def cancel(self, asked: dict[str, Any]) -> Steps:
        answer = yield "CancelReservation", {"reservationId": asked["reservationId"]}
        return _status(answer, _YES, "Rejected")

    def transfer(self, asked: dict[str, Any]) -> Steps:
        request: dict[str, Any] = {"vendorId": asked["vendorId"]}
        if asked.get("messageId") is not None:
            request["messageId"] = asked["messageId"]
        data = asked.get("data")
        if data is not None:
            request["data"] = data if isinstance(data, str) else _encode(data).decode()
        answer = yield "DataTransfer", request
        names = ("Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId")
        result = _status(answer, {name: name for name in names}, "Rejected")
        if answer is not None and answer.get("data") is not None:
            result["data"] = answer["data"]
        return result

    def transaction_status(self, asked: dict[str, Any]) -> Steps:
        waits = self.north.seat.authority.depth > 0
        if asked.get("transactionId") is None:
            return {"messagesInQueue": waits}
        running = self.north.of_key(asked["transactionId"])
        return {"messagesInQueue": waits, "ongoingIndicator": running is not None and not running.over}
        yield  # pragma: no cover - makes it a generator: it asks the station nothing

    def log(self, asked: dict[str, Any]) -> Steps:
        if asked["logType"] != "DiagnosticsLog":
            return {"status": "Rejected"}
        request: dict[str, Any] = {"location": asked["log"]["remoteLocation"]}
        for name, old in (("oldestTimestamp", "startTime"), ("latestTimestamp", "stopTime")):
            if asked["log"].get(name):
                request[old] = asked["log"][name]
        for name in ("retries", "retryInterval"):
            if asked.get(name) is not None:
                request[name] = asked[name]
        self.north.state.log = asked["requestId"]
        answer = yield "GetDiagnostics", request
        if answer is None or not answer.get("fileName"):
            return {"status": "Rejected"}
        return {"status": "Accepted", "filename": answer["fileName"]}

    def firmware(self, asked: dict[str, Any]) -> Steps:
        firmware = asked["firmware"]
        request: dict[str, Any] = {"location": firmware["location"], "retrieveDate": firmware["retrieveDateTime"]}
        for name in ("retries", "retryInterval"):
            if asked.get(name) is not None:
                request[name] = asked[name]
        self.north.state.firmware = asked["requestId"]
        answer = yield "UpdateFirmware", request
        return {"status": "Rejected" if answer is None else "Accepted"}


_HANDLERS: Final[Mapping[str, Callable[[Asks, dict[str, Any]], Steps]]] = {
    "RequestStartTransaction": Asks.start,
    "RequestStopTransaction": Asks.stop,
    "Reset": Asks.reset,
    "ChangeAvailability": Asks.availability,
    "UnlockConnector": Asks.unlock,
    "TriggerMessage": Asks.trigger,
    "GetVariables": Asks.get_variables,
    "SetVariables": Asks.set_variables,
    "GetBaseReport": Asks.base_report,
    "SetChargingProfile": Asks.set_profile,
    "ClearChargingProfile": Asks.clear_profile,
    "GetCompositeSchedule": Asks.composite,
    "SendLocalList": Asks.local_list,
    "GetLocalListVersion": Asks.list_version,
    "ClearCache": Asks.clear_cache,
    "ReserveNow": Asks.reserve,
    "CancelReservation": Asks.cancel,
    "DataTransfer": Asks.transfer,
    "GetTransactionStatus": Asks.transaction_status,
    "GetLog": Asks.log,
    "UpdateFirmware": Asks.firmware,
}
