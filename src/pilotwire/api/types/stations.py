"""What is inside a station (EVSEs, connectors), and what is known of its link, clock and firmware."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Connector, PageOf, Time


class Evse(msgspec.Struct, kw_only=True):
    """A place for one car: one or more connectors of which one is used at a time."""

    evse: Annotated[int, Meta(description="EVSE id from 1; an OCPP 1.6 connector n is shown as EVSE n, connector 1")]
    status: Annotated[str, Meta(description="The worst status of its connectors", examples=["Occupied"])]
    power_w: int
    session_id: str | None
    connectors: list[Connector]


class EvsePage(PageOf[Evse], kw_only=True):
    """The EVSEs of a station in order."""


class ConnectorPage(PageOf[Connector], kw_only=True):
    """The connectors of a station in order; (0, 0) is the whole station in OCPP 1.6."""


class StationDetails(msgspec.Struct, kw_only=True):
    """A station's account, link, clock and firmware, for whoever looks after it."""

    id: str
    url: Annotated[str, Meta(description="Where it has to connect", examples=["wss://csms.example.com/ocpp/CP-1001"])]
    user: Annotated[str, Meta(description="User of HTTP Basic authentication")]
    password_set: Annotated[bool, Meta(description="Its account has a password; it cannot be read back")]
    security_profile: Annotated[int | None, Meta(description="That its account asks for; null without an account")]
    security_profile_used: Annotated[int | None, Meta(description="Of its newest connection")]
    organization: str
    certificate_name: Annotated[str, Meta(description="The CN that its certificate must carry (profile 3)")]
    registered: bool
    enabled: bool
    boot: Annotated[str | None, Meta(description="What its BootNotification is answered from now on")]
    boot_status: Annotated[str | None, Meta(description="What its newest BootNotification was answered")]
    booted_at: Time | None
    created_at: Time | None
    ocpp_version: str | None
    subprotocol: Annotated[str | None, Meta(examples=["ocpp2.0.1"])]
    peer: Annotated[str, Meta(description="Address and port of its newest connection")]
    connected: bool
    connected_at: Time | None
    disconnected_at: Time | None
    last_seen: Time | None
    silent_s: Annotated[int | None, Meta(description="Seconds since it was last heard, to within ten")]
    connections: Annotated[int, Meta(description="How many connections it has made so far")]
    clock_skew_ms: Annotated[int, Meta(description="Its clock minus ours")]
    clock_verdict: Annotated[
        Literal["unknown", "right", "off", "wrong"],
        Meta(description="right: within 5 s; off: within 5 min; wrong: beyond"),
    ]
    heartbeat_interval_s: Annotated[int | None, Meta(description="As the station last reported it")]
    vendor: str
    model: str
    serial: str
    firmware: str
    firmware_status: str
    variables: Annotated[int, Meta(description="How many variables or configuration keys it has reported")]
