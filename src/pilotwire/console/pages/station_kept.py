"""What a station keeps of what it was told: reservations, monitors, messages, grid controls, payments."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from pilotwire.api.language import N_, _
from pilotwire.api.resources import kept

from .common import PlainRequest, Text, allowed, page, segment
from .station import frame, station_of

STANDS = {
    "waiting": (N_("Waiting"), "charging"),
    "used": (N_("Used"), "good"),
    "no-show": (N_("Nobody came"), "warn"),
    "cancelled": (N_("Cancelled"), "off"),
    "removed": (N_("Removed by the station"), "off"),
    "no-transaction": (N_("Came, did not charge"), "off"),
}
"""How a reservation stands → text and kind of the badge."""
REPORTS = {
    "variables": N_("Variables"),
    "monitors": N_("Monitors"),
    "messages": N_("Display messages"),
    "customer": N_("Customer information"),
    "controls": N_("Grid controls"),
}
"""Kind of report → text."""


@get("/stations/{station_id:str}/kept")
async def shown(request: PlainRequest, station_id: Text) -> Response[Any]:
    """One section for each kind of thing that it keeps any of."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    found = await kept.of_station(context, principal, segment(station_id))
    return page(
        request,
        "station/kept.html",
        found=found,
        nothing=not any((
            found.reservations, found.monitoring.monitors, found.monitoring.base, found.monitoring.level is not None,
            found.streams, found.display_messages, found.local_list, found.reports, found.grid_controls,
            found.grid_alarms, found.grid_signal, found.energy_transfers, found.battery_swaps, found.payments,
            found.inventory,
        )),
        stands={name: (_(text), kind) for name, (text, kind) in STANDS.items()},
        report_names={name: _(text) for name, text in REPORTS.items()},
        **frame(principal, station, "kept"),
    )  # fmt: skip


HANDLERS: list[Any] = [shown]
