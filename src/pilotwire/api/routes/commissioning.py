"""The commissioning of a site over HTTP."""

from __future__ import annotations

from litestar import Response, get, patch, post

from .. import types
from ..edit import IfMatch, tagged
from ..resources import commissioning
from .common import PlainRequest, body_of, context_of, segment, whoever
from .sites import SitePath

_TAGS = ["Commissioning"]
_PATH = "/sites/{site_id:str}/commissioning"


@get(_PATH, operation_id="getCommissioning", tags=_TAGS, summary="How far the commissioning of a site is")
async def get_commissioning(request: PlainRequest, site_id: SitePath) -> Response[types.Commissioning]:
    """What was found, the draft with all that is wrong in it, results, and what is under way."""
    found = await commissioning.state(context_of(request), whoever(request), segment(site_id))
    return tagged(found, commissioning.tag(found))


@post(
    f"{_PATH}/scan", operation_id="scanForDevices", tags=_TAGS, summary="Look for devices and stations",
    body=types.CommissioningScan, status_code=202,
)  # fmt: skip
async def scan(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """Modbus units in networks and on serial lines, and OCPP stations that knock. Nothing is written to anybody."""
    data = await body_of(request, types.CommissioningScan)
    return await commissioning.scan(context_of(request), whoever(request), segment(site_id), data)


@patch(
    f"{_PATH}/draft", operation_id="editDraft", tags=_TAGS, summary="Change the draft of the site's file",
    body=types.CommissioningEdit,
)  # fmt: skip
async def edit_draft(
    request: PlainRequest, site_id: SitePath, if_match: IfMatch = None
) -> Response[types.Commissioning]:
    """What is wrong with the outcome stands in `draft.findings`, each with its place. Results of what is another thing
    now are forgotten."""
    data = await body_of(request, types.CommissioningEdit)
    found = await commissioning.edit(context_of(request), whoever(request), segment(site_id), data, if_match=if_match)
    return tagged(found, commissioning.tag(found))


@post(
    f"{_PATH}/phases", operation_id="detectPhases", tags=_TAGS, summary="Find the phases of EVSEs by pulses",
    body=types.CommissioningPhases, status_code=202,
)  # fmt: skip
async def detect_phases(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """One EVSE after the other lets its car draw less and more while all others pause, within all limits. A car has to
    be plugged in; one that charges on one phase says most."""
    data = await body_of(request, types.CommissioningPhases)
    return await commissioning.phases(context_of(request), whoever(request), segment(site_id), data)


@post(
    f"{_PATH}/phases/accept", operation_id="acceptPhases", tags=_TAGS, status_code=200,
    summary="Write rotations that were found into the draft", body=types.CommissioningAccept,
)  # fmt: skip
async def accept_phases(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """Also those that contradict what is written down."""
    data = await body_of(request, types.CommissioningAccept)
    return await commissioning.accept(context_of(request), whoever(request), segment(site_id), data)


@post(
    f"{_PATH}/failsafe", operation_id="checkFailsafes", tags=_TAGS, summary="Set and read back all fail-safes",
    body=types.CommissioningFailsafe, status_code=202,
)  # fmt: skip
async def check_failsafes(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """With `prove` each charger is left alone until its watchdog fires, and watched."""
    data = await body_of(request, types.CommissioningFailsafe)
    return await commissioning.failsafe(context_of(request), whoever(request), segment(site_id), data)


@post(
    f"{_PATH}/dry-run", operation_id="runDry", tags=_TAGS, summary="Let the loop run and command nobody",
    body=types.CommissioningDryRun, status_code=202,
)  # fmt: skip
async def run_dry(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """What it would command is shown as it goes on, and which limits are exceeded without it."""
    data = await body_of(request, types.CommissioningDryRun)
    return await commissioning.dry_run(context_of(request), whoever(request), segment(site_id), data)


@post(
    f"{_PATH}/cancel", operation_id="cancelCommissioning", tags=_TAGS, status_code=200,
    summary="End what is under way",
)  # fmt: skip
async def cancel(request: PlainRequest, site_id: SitePath) -> types.Commissioning:
    """Whoever was commanded is told its fail-safe value. What was found until then stays."""
    return await commissioning.cancel(context_of(request), whoever(request), segment(site_id))


@post(
    f"{_PATH}/go-live", operation_id="goLive", tags=_TAGS, summary="Write the file, and run the site from it",
    body=types.CommissioningGoLive, status_code=200,
)  # fmt: skip
async def go_live(request: PlainRequest, site_id: SitePath) -> types.CommissionedFile:
    """The file that was there is kept beside it as `.before`. To go live the fail-safe check and a dry run are needed
    first."""
    data = await body_of(request, types.CommissioningGoLive)
    return await commissioning.write(context_of(request), whoever(request), segment(site_id), data)


HANDLERS = [
    get_commissioning, scan, edit_draft, detect_phases, accept_phases, check_failsafes, run_dry, cancel, go_live,
]  # fmt: skip
