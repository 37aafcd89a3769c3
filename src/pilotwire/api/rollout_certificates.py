"""A roll-over of certificates: each station asks for a new one, and counts as done when it has come in with it.

    asked (TriggerMessage) ─► SignCertificate ─► signed and delivered ─► connected with that very certificate
        refused, or no answer    refused, failed         │ silent for too long

Charging goes on meanwhile, so who charges is not waited for. Whether a station uses its certificate is seen at the door
alone: what it answers does not count.
"""

from __future__ import annotations

from pilotwire.domain.certificates import STATION_USE
from pilotwire.domain.facts import CertificateSettled
from pilotwire.domain.rollouts import Member, State
from pilotwire.domain.trust import SHOWN, ShownCertificate
from pilotwire.storage.documents import unpack
from pilotwire.transport.bus import Event

from . import types
from .access import Principal
from .resources import certificates
from .rollout_run import OPEN, Run, Seen

FOLLOW_MS = 2_000
"""How often it is looked by which certificates stations have come in."""


class CertificateRun(Run):
    """See the module."""

    _followed_at = 0

    async def _take_up(self, member: Member) -> None:
        if member.state == "ordering":  # a second request takes the place of the first
            self._settle(member, "waiting", "")

    def certificate_settled(self, event: Event, fact: CertificateSettled) -> None:
        """What became of a station's request for a certificate."""
        member = self._by_name.get(event.station)
        if member is None or member.state not in OPEN or fact.use != STATION_USE:
            return
        if fact.event_time < member.ordered_at:
            return  # of a request before
        match fact.status:
            case "delivered":
                member.serial = fact.serial
                self._settle(member, member.state, "")
            case "refused":
                self._settle(member, "refused", fact.reason)
            case "failed":
                self._settle(member, "failed", fact.reason)
            case _:
                pass  # superseded: a newer one is under way

    async def _follow(self, now: int) -> None:
        under_way = [one for one in self._members if one.state == "updating"]
        if not under_way or 0 <= now - self._followed_at < FOLLOW_MS:
            return
        self._followed_at = now
        for member in under_way:
            if member.serial and await self._comes_with(member.station) == member.serial:
                self._settle(member, "installed", "")
            elif now - member.changed_at >= self.record.policy.silent_s * 1000:
                missing = "it has not come back with it" if member.serial else "it has not asked for one"
                self._settle(member, "silent", missing)

    async def _comes_with(self, station: str) -> str:
        """The serial number of the certificate by which it came in last; "" where it came with none."""
        found = await self._context.store.document(self._fleet.tenant, SHOWN, station)
        return unpack(found, ShownCertificate).value.serial if found is not None else ""

    def _can_begin(self, seen: Seen) -> bool:
        return seen.connected

    def _pass_over(self, seen: Seen) -> str:
        return ""

    async def _do(self, principal: Principal, member: Member) -> tuple[State, str]:
        if not await self._comes_with(member.station):
            return "skipped", "it does not come in by a certificate"
        member.ordered_at, member.serial = self._context.scheduler.now(), ""
        why = types.Reason(reason=self.record.reason)
        answer = await certificates.renew(self._context, principal, member.station, why)
        status = str(answer.answer.get("status", ""))
        if answer.outcome == "answered" and status == "Accepted":
            return "updating", ""
        return "refused", status or str(answer.answer.get("description") or answer.outcome)
