"""Sites: where stations stand, what the connection there can carry, and whom to call."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, Note, PageOf, Short, Time

SiteId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=48,
        pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$",
        description="Lower-case letters, digits and hyphens; never changes",
        examples=["north-depot"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["North depot"])]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="Degrees north, WGS 84", examples=[52.52])]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="Degrees east, WGS 84", examples=[13.405])]
Zone = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[A-Za-z0-9_+\-/]*$",
        description="IANA time zone; empty: that of the server",
        examples=["Europe/Berlin"],
    ),
]
Watts = Annotated[int, Meta(ge=1, le=1_000_000_000, description="W")]
Amperes = Annotated[float, Meta(gt=0, le=100_000, description="A in each phase")]
Metres = Annotated[float, Meta(ge=-100_000, le=100_000)]


class Address(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A postal address."""

    street: Short = ""
    postal_code: Annotated[str, Meta(max_length=20, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    city: Short = ""
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2})?$", description="ISO 3166-1, two letters", examples=["DE"])] = ""


class Contact(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to call. Personal data."""

    name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    role: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", examples=["owner"])] = ""
    email: Annotated[str, Meta(max_length=254, pattern=r"^([^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+)?$")] = ""
    phone: Annotated[str, Meta(max_length=40, pattern=r"^[0-9+()/ .\-]*$", examples=["+49 30 123456"])] = ""


class PlanPlace(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a station is drawn on the plan; with `longitude` and `latitude` also where it is on a map."""

    station_id: Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]
    x: Metres
    y: Metres
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class PlanShape(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something drawn on the plan: a closed outline, or a line where `closed` is false."""

    kind: Literal["area", "building", "parking", "road", "wall", "green"] = "area"
    label: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    closed: bool = True
    points: Annotated[list[tuple[Metres, Metres]], Meta(min_length=2, max_length=500)]


class SitePlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A drawing of the site in a coordinate system of its own: `width` × `height`, x to the right, y downwards."""

    width: Annotated[float, Meta(gt=0, le=100_000)] = 100
    height: Annotated[float, Meta(gt=0, le=100_000)] = 60
    shapes: Annotated[list[PlanShape], Meta(max_length=200)] = []
    places: Annotated[list[PlanPlace], Meta(max_length=2_000)] = []


Outline = Annotated[
    list[Annotated[list[tuple[Longitude, Latitude]], Meta(min_length=3, max_length=500)]],
    Meta(
        max_length=20,
        description="The outer rings of its area as [longitude, latitude], WGS 84, without the repeated last point",
        examples=[[[[13.382, 52.540], [13.385, 52.540], [13.385, 52.542]]]],
    ),
]


class Site(msgspec.Struct, kw_only=True):
    """A place with stations behind one connection to the grid."""

    id: Annotated[str, Meta(examples=["north-depot"])]
    name: Annotated[str, Meta(examples=["North depot"])]
    address: Address
    latitude: float | None
    longitude: float | None
    time_zone: str
    power_limit_w: Annotated[int | None, Meta(description="What the connection may carry, W; null: not known")]
    current_limit_a: Annotated[float | None, Meta(description="What its fuse carries, A in each phase")]
    outline: Outline
    plan: SitePlan | None
    background: Annotated[
        str,
        Meta(
            description="Address of the drawing below the plan (putSiteBackground); empty: none",
            examples=["/api/v1/sites/north/background.svg?v=5e1b0c9d"],
        ),
    ]
    contacts: list[Contact]
    note: str
    created_at: Time
    updated_at: Time


class NewSite(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A site to add."""

    id: Annotated[SiteId, Meta(description="Left out (or null): made from the name")] | None = None
    name: Name
    address: Address = msgspec.field(default_factory=Address)
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: Zone = ""
    power_limit_w: Watts | None = None
    current_limit_a: Amperes | None = None
    outline: Outline = []
    plan: SitePlan | None = None
    contacts: Annotated[list[Contact], Meta(max_length=20)] = []
    note: Note = ""


class SiteChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays, null takes a value away."""

    name: Name | UnsetType = msgspec.UNSET
    address: Address | UnsetType = msgspec.UNSET
    latitude: Latitude | UnsetType | None = msgspec.UNSET
    longitude: Longitude | UnsetType | None = msgspec.UNSET
    time_zone: Zone | UnsetType = msgspec.UNSET
    power_limit_w: Watts | UnsetType | None = msgspec.UNSET
    current_limit_a: Amperes | UnsetType | None = msgspec.UNSET
    outline: Outline | UnsetType = msgspec.UNSET
    plan: SitePlan | UnsetType | None = msgspec.UNSET
    contacts: Annotated[list[Contact], Meta(max_length=20)] | UnsetType = msgspec.UNSET
    note: Note | UnsetType = msgspec.UNSET


class SiteSummary(msgspec.Struct, kw_only=True):
    """How a site does now."""

    site_id: Annotated[str, Meta(description="Empty: the stations that stand at no site")]
    name: str
    stations: int
    stations_online: int
    connectors: int
    connectors_available: int
    connectors_charging: Annotated[int, Meta(description="With a session that draws power now")]
    connectors_faulted: int
    sessions_active: int
    power_w: Annotated[int, Meta(description="Present power of all its stations, W")]
    power_limit_w: int | None
    load_percent: Annotated[float | None, Meta(description="Present power in percent of the limit, where there is one")]
    energy_today_wh: Annotated[int, Meta(description="Delivered since midnight by the server's zone, Wh")]


class SitePage(PageOf[Site], kw_only=True):
    """Sites by name."""


class SiteSummaryPage(PageOf[SiteSummary], kw_only=True):
    """Every site that you may see, by name; stations without a site last."""
