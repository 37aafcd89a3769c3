"""O Display messages: set, get and clear (O01 to O06)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.station.displays import MOST, Message, Text
from pilotwire.station.host import Reply

from .handling import V2, in_parts, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_PER_MESSAGE = 10


def set_message(station: Station, request: Any) -> Reply:
    m = station.messages
    status, why = _set(station, request.message)
    return Reply(m.SetDisplayMessageResponse(status=status, status_info=None if why is None else reason(m, *why)))


def _set(station: Station, info: Any) -> tuple[str, tuple[str, str] | None]:
    settings = station.settings
    extra = getattr(info, "message_extra", None) or []
    texts = [Text(row.format, row.content, row.language or "") for row in (info.message, *extra)]
    if not settings.flag("display_enabled"):
        return "Rejected", ("NotEnabled", "the display is switched off")
    if info.priority not in settings.members("display_priorities"):
        return "NotSupportedPriority", None
    if info.state is not None and info.state not in settings.members("display_states"):
        return "NotSupportedState", None
    if any(text.format not in settings.members("display_formats") for text in texts):
        return "NotSupportedMessageFormat", None
    if station.config.version == "2.1":
        languages = settings.options("display_language")
        if any(text.language and text.language not in languages for text in texts):
            return "LanguageNotSupported", None  # O01.FR.18
    if info.display is not None and info.display.name not in ("ChargingStation", "Display"):
        return "Rejected", ("UnsupportedParam", f"no display {info.display.name}")
    if info.transaction_id is not None and station.transactions.of_key(info.transaction_id) is None:
        return "UnknownTransaction", None
    start = None if info.start_date_time is None else int(from_datetime(info.start_date_time))
    end = None if info.end_date_time is None else int(from_datetime(info.end_date_time))
    if end is not None and end <= max(station.clock.now(), start or 0):
        return "Rejected", ("InvalidValue", "it would be over before it is shown")
    message = Message(
        id=info.id,
        priority=info.priority,
        texts=texts,
        state=info.state or "",
        start=start,
        end=end,
        transaction=info.transaction_id or "",
        display=b"" if info.display is None else msgspec.json.encode(info.display),
    )
    if not station.displays.put(message):
        return "Rejected", ("OutOfStorage", f"at most {MOST} messages")
    return "Accepted", None


def get_messages(station: Station, request: Any) -> Reply:
    m = station.messages
    rows = [
        row
        for row in station.displays
        if (request.id is None or row.id in request.id)
        and request.priority in (None, row.priority)
        and request.state in (None, row.state)
    ]
    if not rows:
        return Reply(m.GetDisplayMessagesResponse(status="Unknown"))
    wire = [_info(m, row) for row in rows]

    def then() -> None:
        for part, _, tbc in in_parts(wire, _PER_MESSAGE):
            station.conversation.call(
                "NotifyDisplayMessages",
                m.NotifyDisplayMessagesRequest(request_id=request.request_id, message_info=part, tbc=tbc),
            )

    return Reply(m.GetDisplayMessagesResponse(status="Accepted"), then)


def _info(m: Any, row: Message) -> Any:
    texts = [
        m.MessageContentType(format=text.format, content=text.content, language=text.language or None)
        for text in row.texts
    ]
    fields: dict[str, Any] = {"message_extra": texts[1:]} if len(texts) > 1 else {}
    return m.MessageInfoType(
        id=row.id,
        priority=row.priority,
        message=texts[0],
        state=row.state or None,
        start_date_time=None if row.start is None else to_datetime(row.start),
        end_date_time=None if row.end is None else to_datetime(row.end),
        transaction_id=row.transaction or None,
        display=None if not row.display else msgspec.json.decode(row.display, type=m.ComponentType),
        **fields,
    )


def clear_message(station: Station, request: Any) -> Reply:
    if station.config.version == "2.1" and not station.settings.flag("display_enabled"):
        why = reason(station.messages, "NotEnabled", "the display is switched off")
        return Reply(station.messages.ClearDisplayMessageResponse(status="Rejected", status_info=why))  # O05.FR.03
    cleared = station.displays.remove(lambda row: row.id == request.id)
    return Reply(station.messages.ClearDisplayMessageResponse(status="Accepted" if cleared else "Unknown"))


HANDLERS = on(
    V2,
    {
        "ClearDisplayMessage": clear_message,
        "GetDisplayMessages": get_messages,
        "SetDisplayMessage": set_message,
    },
)
