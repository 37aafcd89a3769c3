"""How a box at a site shows itself in a central system: our own protocol, sans-IO.

The box connects (outbound, so no port is open at the site) as a WebSocket client with the subprotocol
`pilotwire.site.v1`, an API key and its own id in the handshake; each binary message is one frame in MessagePack:

    box      hello   name, time zone, own site id, program    first, once
             tick    seq, now        the site's newest state; the next one only after `seen` of this one
             answer  id, result
             failed  id, kind, words
    central  watch   every_ms        how often ticks are wanted, 15 s until it is said
             seen    seq
             ask     id, method, args

Ticks are never queued, at neither end: while one is under way newer ones replace each other, so a slow line shows
fewer of them and none late. What a method and its arguments are, `pilotwire.translate.site_link` says; here they are
opaque. Fields that an end does not know are ignored; a frame that it does not know ends the connection, as does
everything that is not so: a version that means something else by a frame has another subprotocol.
"""

from .box import Asked, BoxEnd
from .central import Busy, CentralEnd, Greeted, Settled, Ticked
from .frames import (
    BOX_HEADER,
    IDLE_MS,
    MOST_DOWN,
    MOST_UP,
    SUBPROTOCOL,
    Answer,
    Ask,
    Failed,
    FailKind,
    Hello,
    Seen,
    Tick,
    Watch,
    version_of,
)

__all__ = [
    "BOX_HEADER",
    "IDLE_MS",
    "MOST_DOWN",
    "MOST_UP",
    "SUBPROTOCOL",
    "Answer",
    "Ask",
    "Asked",
    "BoxEnd",
    "Busy",
    "CentralEnd",
    "FailKind",
    "Failed",
    "Greeted",
    "Hello",
    "Seen",
    "Settled",
    "Tick",
    "Ticked",
    "Watch",
    "version_of",
]
