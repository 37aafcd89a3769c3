"""One of our ends of SLAC on an interface, as lines of JSON.

slac_end.py evse INTERFACE                 an EVSE without a modem: each sound counts as heard with 4 dB
slac_end.py ev INTERFACE [plays-modem]     a vehicle; it begins when it is told to, and plays the EVSE's modem if asked
slac_end.py refused INTERFACE              says why the interface cannot be used
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from typing import Any

import msgspec

from pilotwire.core.runner import Runner
from pilotwire.protocols.slac import events
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.protocols.slac.mme import (
    LOCAL_MODEM,
    AttenProfileInd,
    BadMme,
    MmeFrame,
    MnbcSoundInd,
    SetKeyCnf,
    SetKeyReq,
    SlacParmCnf,
    decode,
    encode,
)
from pilotwire.transport.runtime import LoopScheduler
from pilotwire.transport.slac import EthernetPort, NoRawEthernet


def say(event: str, **what: Any) -> None:
    print(json.dumps({"event": event} | what), flush=True)


def told(event: Any) -> None:
    say(
        type(event).__name__,
        **{k: v.hex() if isinstance(v, bytes) else v for k, v in msgspec.structs.asdict(event).items()},
    )


def aag_of(sound: int) -> bytes:
    """Another attenuation for each sound and group, so that an average of them is one."""
    return bytes(2 + (group + sound) % 5 for group in range(58))


class PlayedModem:
    """The EVSE's modem, played by the vehicle's process: its host's requests arrive here over the cable."""

    def __init__(self, port: EthernetPort) -> None:
        self.port = port
        self.evse = b""
        self.sounds = 0

    def saw(self, frame: bytes) -> None:
        try:
            heard = decode(frame)
        except BadMme:
            return
        if isinstance(heard.message, SetKeyReq):
            self.port.send(encode(MmeFrame(heard.src, LOCAL_MODEM, SetKeyCnf())))
        elif isinstance(heard.message, SlacParmCnf):
            self.evse, self.sounds = heard.src, 0  # a matching begins, perhaps anew

    def sent(self, frame: bytes) -> None:
        message = decode(frame).message
        if isinstance(message, MnbcSoundInd) and self.evse:
            profile = AttenProfileInd(pev_mac=self.port.mac, aag=aag_of(self.sounds))
            self.sounds += 1
            self.port.send(encode(MmeFrame(self.evse, LOCAL_MODEM, profile)))


async def main(side: str, interface: str, plays: bool) -> None:
    loop = asyncio.get_running_loop()
    try:
        port = EthernetPort(interface, lambda frame: heard(frame), lambda: runner.lost())
    except NoRawEthernet as error:
        say("refused", why=str(error))
        return
    modem = PlayedModem(port) if plays else None
    machine: Any = (
        SlacEvse(SlacEvseConfig(mac=port.mac, wire_db=4), secrets.token_bytes)
        if side == "evse"
        else SlacEv(SlacEvConfig(mac=port.mac), secrets.token_bytes)
    )

    def heard(frame: bytes) -> None:
        if modem:
            modem.saw(frame)
        runner.received(frame)

    def send(frame: bytes) -> None:
        port.send(frame)
        if modem:
            modem.sent(frame)

    runner = Runner(machine, LoopScheduler(loop), send=send, event=told)
    port.start()
    if side == "evse":
        runner.command(events.Begin())
    say("ready", mac=port.mac.hex())
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if json.loads(line).get("start"):
            runner.start()
        elif json.loads(line).get("look"):
            say("look", state=machine.state, key=machine.modem.key.hex(), malformed=machine.malformed)
    port.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], "plays-modem" in sys.argv))
