"""PyPI pyslac, in a venv of its own: prints what it makes of messages, or is an EVSE on an interface.

pyslac_end.py messages          {name: hex of the message without headers}
pyslac_end.py evse INTERFACE    lines of JSON: "ready", then what it was matched with
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import pyslac.session as session
from pyslac import messages as m
from pyslac.environment import Config

logging.disable(logging.CRITICAL)
EV, EVSE, RUN = bytes.fromhex("020000000001"), bytes.fromhex("020000000002"), bytes(range(8))


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def written() -> None:
    made = {
        "SetKeyReq": m.SetKeyReq(nid=bytes(range(7)), new_key=bytes(range(16))),
        "SlacParmReq": m.SlacParmReq(run_id=RUN),
        "SlacParmCnf": m.SlacParmCnf(forwarding_sta=EV, run_id=RUN),
        "StartAttenCharInd": m.StartAtennChar(num_sounds=10, time_out=6, forwarding_sta=EV, run_id=RUN),
        "MnbcSoundInd": m.MnbcSound(cnt=9, run_id=RUN, rnd=int.from_bytes(bytes(range(16)), "big")),
        "AttenProfileInd": m.AttenProfile(pev_mac=EV, aag=list(range(58))),
        "AttenCharInd": m.AtennChar(source_address=EV, run_id=RUN, num_sounds=10, num_groups=58, aag=list(range(58))),
        "AttenCharRsp": m.AtennCharRsp(source_address=EV, run_id=RUN, source_id=0, resp_id=0, result=0),
        "SlacMatchReq": m.MatchReq(pev_mac=EV, evse_mac=EVSE, run_id=RUN),
        "SlacMatchCnf": m.MatchCnf(pev_mac=EV, evse_mac=EVSE, run_id=RUN, nid=bytes(range(7)), nmk=bytes(range(16))),
    }
    say(**{name: message.pack_big().hex() for name, message in made.items()})


async def evse(interface: str) -> None:
    session.SLAC_SETTLE_TIME = 0
    config = Config(slac_init_timeout=20, slac_atten_results_timeout=None, log_level="ERROR")
    one = session.SlacEvseSession("DE*PYS*E1", interface, config)
    while True:
        try:
            await asyncio.wait_for(one.evse_set_key(), 3)
            break
        except (TimeoutError, ValueError):  # nobody heard it yet: it is said again
            pass
    say(event="ready", nid=one.nid.hex(), nmk=one.nmk.hex(), mac=one.evse_mac.hex())
    while one.state != session.STATE_MATCHED:
        await one.evse_slac_parm()
        say(event="asked", pev_mac=one.pev_mac.hex(), run_id=one.run_id.hex())
        try:
            await one.atten_charac_routine()
        except (TimeoutError, ValueError) as error:  # a busy machine: the vehicle begins anew, and so do we
            say(event="failed", why=repr(error))
    say(
        event="matched",
        pev_mac=one.pev_mac.hex(),
        run_id=one.run_id.hex(),
        sounds=one.num_total_sounds,
        aag=list(one.aag),
        matched=one.state == session.STATE_MATCHED,
    )


if sys.argv[1] == "messages":
    written()
else:
    asyncio.run(evse(sys.argv[2]))
