"""The baseline: a central system on mobilityhouse `ocpp`, as its README shows one (validation on, uvloop, no logging).

python -m bench.baseline_csms PORT
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import uvloop
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus


class Baseline(ChargePoint):
    @on(Action.boot_notification)
    def on_boot(self, **_: object) -> call_result.BootNotification:
        return call_result.BootNotification(datetime.now(UTC).isoformat(), 300, RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> call_result.Heartbeat:
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.authorize)
    def on_authorize(self, **_: object) -> call_result.Authorize:
        return call_result.Authorize(IdTagInfo(status=AuthorizationStatus.accepted))

    @on(Action.start_transaction)
    def on_start(self, **_: object) -> call_result.StartTransaction:
        return call_result.StartTransaction(1, IdTagInfo(status=AuthorizationStatus.accepted))

    @on(Action.meter_values)
    def on_meter_values(self, **_: object) -> call_result.MeterValues:
        return call_result.MeterValues()


async def on_connect(websocket: websockets.ServerConnection) -> None:
    assert websocket.request is not None
    await Baseline(websocket.request.path.strip("/").split("/")[-1], websocket).start()


async def main(port: int) -> None:
    logging.disable()
    async with websockets.serve(on_connect, "127.0.0.1", port, subprotocols=["ocpp1.6"]) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
