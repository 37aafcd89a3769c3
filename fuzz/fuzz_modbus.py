"""Fuzzes Modbus: any bytes, in any pieces and at any time, to both ends over TCP and RTU, and values in any registers.

    python fuzz/fuzz_modbus.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks TCP or RTU. Then come records: what comes, how long after, how many bytes, and these. Whatever
comes, a request that is understood is written again as the same bytes, every question has one outcome, both ends ask to
be woken in time to come, and a value that was read can be written again.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.machines import Close, Send
    from pilotwire.protocols.modbus.adu import encode_rtu, encode_tcp
    from pilotwire.protocols.modbus.client import Ask, ClientConfig, Finished, ModbusClient
    from pilotwire.protocols.modbus.errors import FrameError, ModbusException
    from pilotwire.protocols.modbus.pdu import ReadRegisters, decode_request, decode_response, encode_request
    from pilotwire.protocols.modbus.server import ModbusServer, Reply, Requested, ServerConfig
    from pilotwire.protocols.modbus.values import SUNSPEC, decode_value, encode_value

FIELDS = list(SUNSPEC.values())


def _codec(data: bytes) -> None:
    try:
        request = decode_request(data)
    except ModbusException:
        return
    again = encode_request(request)
    assert again == data or data[0] == 15, (data, again)
    try:
        decode_response(request, data)
    except (FrameError, ModbusException):
        return


def _values(data: bytes) -> None:
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]
    field = FIELDS[data[0] % len(FIELDS)] if data else FIELDS[0]
    value = decode_value(field, (words + [0] * 4)[: field.registers])
    if value is not None:
        assert decode_value(field, encode_value(field, value)) == value


def one(raw: bytes) -> None:
    """One input."""
    if not raw:
        return
    framing = "rtu" if raw[0] & 1 else "tcp"
    client = ModbusClient(ClientConfig(framing=framing, window=1 + (raw[0] >> 1 & 3), queue=4))
    server = ModbusServer(ServerConfig(framing=framing, units=frozenset((1, 2)), window=2), 0)
    open_tickets: set[int] = set()
    now, at, ticket = 1000, 1, 0

    def heard(effects: object) -> None:
        for effect in effects:  # type: ignore[attr-defined]
            if isinstance(effect, Finished):
                open_tickets.remove(effect.ticket)
            elif isinstance(effect, Requested):
                assert encode_request(effect.request)
                heard(server.command(Reply(effect.number, ModbusException(2)), now))
            else:
                assert isinstance(effect, Send | Close), effect

    heard(client.connected(now))
    while at + 3 <= len(raw):
        kind, length = raw[at] & 7, raw[at + 2] & 63
        now += raw[at + 1] * 8
        data = raw[at + 3 : at + 3 + length]
        at += 3 + length
        unit = 1 + (raw[0] >> 3 & 1)
        if kind == 0:
            _codec(data)
        elif kind == 1:
            _values(data)
        elif kind == 2:
            ticket += 1
            open_tickets.add(ticket)
            heard(client.command(Ask(ticket, unit, ReadRegisters(3, length, 1 + length), now + 100 + length), now))
        elif kind == 3:
            heard(client.receive(data, now))
        elif kind == 4:
            heard(client.receive(encode_rtu(unit, data) if raw[0] & 1 else encode_tcp(length & 7, unit, data), now))
        elif kind == 5:
            heard(server.receive(data, now))
        elif kind == 6:
            heard(server.receive(encode_rtu(unit, data) if raw[0] & 1 else encode_tcp(length, unit, data), now))
        else:
            heard(client.lost(now))
            heard(client.connected(now))
        heard(client.elapse(now))
        heard(server.elapse(now))
        assert client.deadline is None or client.deadline > now
        assert server.deadline is None or server.deadline > now
    heard(client.elapse(now + 10_000))
    assert not open_tickets


if __name__ == "__main__":
    run(one, "-max_len=512")
