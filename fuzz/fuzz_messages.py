"""Fuzzes the decoders of every action: whatever comes in, a message or an RpcError comes out, and nothing else.

    python fuzz/fuzz_messages.py --seconds 60 [corpus directory] [libFuzzer options]

The first choices pick action and direction; three times of four the rest is turned into a payload by the shape of the
message, so that the fuzzer gets past the first brace, else it is the payload. What is accepted strictly
must encode again, and decode to the same.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.errors import LocalError
    from pilotwire.protocols.ocpp import codec, diagnosis, tolerance, version
    from pilotwire.protocols.ocpp.rpc.errors import RpcError

import msgspec

_ = (codec, tolerance)
_encode = msgspec.json.Encoder(decimal_format="number").encode

DECODERS = [
    (action, kind, decode)
    for name in ("1.6", "2.0.1", "2.1")
    for action in version.load(name).actions.values()
    for kind, decode in ((action.request_type, action.decode_request), (action.response_type, action.decode_response))
    if kind is not None
]

TEXTS = ("", "x", "1", "-1.50", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00+02", "Hz", "null", "é" * 30, "x" * 300)


def _value(data: atheris.FuzzedDataProvider, shape: diagnosis.Shape | None, depth: int) -> Any:
    """A value for a field: mostly of its type, sometimes of any other."""
    kind = shape.kind if shape is not None and data.ConsumeIntInRange(0, 29) < 29 else "any"
    if shape is None or depth > 6 or kind == "any":
        choice = data.ConsumeIntInRange(0, 7)
        simple: list[Any] = [None, True, 0, Decimal("1.0"), "x", [], {}, Decimal("1E+70")]
        return simple[choice]
    match kind:
        case "object":
            return {
                wire: _value(data, inner, depth + 1)
                for wire, (inner, required, _) in shape.fields.items()
                if data.ConsumeIntInRange(0, 9) < (9 if required else 3)
            } | ({"noSuchField": 1} if data.ConsumeIntInRange(0, 15) == 15 else {})
        case "array":
            return [_value(data, shape.items, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3))]
        case "enum":
            values = [*sorted(shape.values), "Nonsense", ""]
            return values[data.ConsumeIntInRange(0, len(values) - 1)]
        case "integer":
            return data.ConsumeInt(9)
        case "number":
            return Decimal(data.ConsumeInt(9)).scaleb(data.ConsumeIntInRange(-70, 70))
        case "boolean":
            return data.ConsumeBool()
        case "custom":
            return {"vendorId": "v", "more": [None, Decimal("1.10")]}
        case "date-time":
            return ("2026-01-31T12:00:00.123456Z", *TEXTS)[data.ConsumeIntInRange(0, 6)]
        case _:
            return TEXTS[data.ConsumeIntInRange(0, len(TEXTS) - 1)]


def one(raw: bytes) -> None:
    """One input."""
    data = atheris.FuzzedDataProvider(raw)
    action, kind, decode = DECODERS[data.ConsumeIntInRange(0, len(DECODERS) - 1)]
    if data.ConsumeIntInRange(0, 3) < 3:
        payload = _encode(_value(data, diagnosis.shape_of(kind), 0))
    else:
        payload = data.ConsumeBytes(4096)
    try:
        decoded = decode(payload)
    except RpcError as error:
        assert error.code.endswith("Violation") and len(error.description) <= 255, error
        return
    if decoded.deviations:
        return
    try:
        written = action.encode(decoded.message)
    except LocalError as error:
        # The one thing that may be received and not sent: a CSMS writes no more than six decimal places.
        assert str(error).endswith("more than six decimal places"), error
        return
    again = decode(written, tolerant=False).message
    # Date-times are cut to three decimals when written: what comes back is written the same.
    assert action.encode(again) == written, (payload, written)


if __name__ == "__main__":
    run(one, "-len_control=0", "-max_len=4096")
