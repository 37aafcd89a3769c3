"""PyPI `iso15118` as one end of sessions: run by the interpreter that has it, `python peer.py INTERFACE WARM.json`.

Lines of JSON on its standard input say what to be, one session after the other:

    {"be": "secc", "protocols": ["ISO_15118_2"], "auth": ["EIM"], "tls13": false, "pki": "…"}      →  {"listens": true}
    {"be": "evcc", "config": {…}, "tls13": false, "pki": "…"}
                                                                      →  {"state": "…"} …, {"done": ok, "why": "…"}

Its Java codec is warm before the first session: it has decoded and encoded all that stands in WARM.json, a list of
[EXI in hexadecimal, namespace], since its first message of a kind takes longer than any timer of the standards allows.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile

os.environ["LOG_LEVEL"] = "INFO"
os.chdir(tempfile.mkdtemp())  # it reads a file .env where it stands

from iso15118.evcc import EVCCHandler  # noqa: E402
from iso15118.evcc.controller.simulator import SimEVController  # noqa: E402
from iso15118.evcc.evcc_config import load_from_file  # noqa: E402
from iso15118.secc import SECCHandler  # noqa: E402
from iso15118.secc.controller.simulator import SimEVSEController  # noqa: E402
from iso15118.secc.secc_settings import Config  # noqa: E402
from iso15118.shared import comm_session  # noqa: E402
from iso15118.shared.exi_codec import EXI  # noqa: E402
from iso15118.shared.exificient_exi_codec import ExificientEXICodec  # noqa: E402
from iso15118.shared.notifications import StopNotification  # noqa: E402
from iso15118.shared.settings import load_shared_settings  # noqa: E402


def say(**message):
    print(json.dumps(message), flush=True)


class Watch(logging.Handler):
    """What it logs of its states."""

    def emit(self, record):
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            say(problem=text[:500])
        elif text.startswith("Sent "):
            say(sent=text[5:60])


class Told:
    """How the session ended, as it says itself."""

    def __init__(self):
        self.done = asyncio.Event()

    def put(self, notification):
        if isinstance(notification, StopNotification) and not self.done.is_set():
            say(done=bool(notification.successful), why=str(notification.reason))
            self.done.set()


class Station(SimEVSEController):
    """Its simulated station gives one volt whatever it is asked for: this one gives what it is asked for."""

    async def send_charging_command(
        self, ev_target_voltage, ev_target_current, is_precharge=False, is_session_bpt=False
    ):
        self.evse_data_context.present_voltage = ev_target_voltage
        self.evse_data_context.present_current = 0 if is_precharge else ev_target_current

    async def set_present_protocol_state(self, state):
        await super().set_present_protocol_state(state)
        if type(state).__name__ in ("WeldingDetection", "DCWeldingDetection", "SessionStop"):
            self.evse_data_context.present_voltage = self.evse_data_context.present_current = 0


def warm(codec, path):
    with open(path) as file:
        for text, namespace in json.load(file):
            decoded = codec.decode(bytes.fromhex(text), namespace)
            codec.encode(decoded, namespace)


def watched(handler, told):
    """Looks into the queue in which its sessions tell of their end."""
    queue = handler._rcv_queue
    put_nowait = queue.put_nowait

    def put(item):
        told.put(item)
        put_nowait(item)

    queue.put_nowait = put


async def session(order, interface, codec):
    os.environ.update(
        NETWORK_INTERFACE=interface,
        PKI_PATH=order.get("pki", "") + "/",
        ENABLE_TLS_1_3=str(bool(order.get("tls13"))),
        MESSAGE_LOG_JSON="False",
        PROTOCOLS=",".join(order.get("protocols", ())) or "ISO_15118_2",
        AUTH_MODES=",".join(order.get("auth", ())) or "EIM",
        SECC_ENFORCE_TLS=str(bool(order.get("enforce_tls"))),
    )
    load_shared_settings()
    told = Told()
    if order["be"] == "secc":
        config = Config()
        config.load_envs()
        handler = SECCHandler(exi_codec=codec, evse_controller=Station(), config=config)
        watched(handler, told)
        task = asyncio.create_task(handler.start(interface))
        while handler.udp_server is None or not handler.check_events():
            await asyncio.sleep(0.02)
        say(listens=True)
    else:
        with open("evcc.json", "w") as file:
            json.dump(order["config"], file)
        config = await load_from_file("evcc.json")
        handler = EVCCHandler(
            evcc_config=config, iface=interface, exi_codec=codec, ev_controller=SimEVController(config)
        )
        watched(handler, told)
        task = asyncio.create_task(handler.start())
    waits = [asyncio.create_task(told.done.wait()), task]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=90)
    if not told.done.is_set():
        why = repr(task.exception()) if task.done() and not task.cancelled() else "it took too long"
        say(done=False, why=why)
    for one in (*waits, getattr(handler, "tcp_server_handler", None)):
        if one is not None:
            one.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    for socket_of in (getattr(handler, "udp_server", None), getattr(handler, "udp_client", None)):
        transport = getattr(socket_of, "_transport", None)
        if transport is not None:
            transport.close()


async def main():
    interface, warmers = sys.argv[1:]
    codec = ExificientEXICodec()
    EXI().set_exi_codec(codec)
    warm(codec, warmers)
    # It waits five seconds before it closes a connection: whether it does is not what is looked at here.
    pause = asyncio.sleep

    async def sleep(seconds, *given):
        await pause(min(seconds, 0.1) if seconds in (2, 3) else seconds, *given)

    comm_session.asyncio.sleep = sleep
    logging.getLogger().handlers.clear()
    logging.getLogger().addHandler(Watch())
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).propagate = True
        logging.getLogger(name).handlers.clear()
    say(ready=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        await session(json.loads(line), interface, codec)
    codec.gateway.shutdown()


asyncio.run(main())
