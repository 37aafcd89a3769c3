"""A roll-out of firmware: each station gets the image, and counts as done when it has booted with it.

A station that was being ordered when the server went down is looked up: has it had the order, it is followed; else it
is ordered again.
"""

from __future__ import annotations

from pilotwire.domain import rollouts
from pilotwire.domain.firmware import Update
from pilotwire.domain.rollouts import Member

from . import types
from .access import Principal
from .resources import firmware
from .rollout_run import Run, Seen


class FirmwareRun(Run):
    """See the module."""

    async def _take_up(self, member: Member) -> None:
        kept = await firmware.UPDATES.find(self._context, self._fleet.tenant, member.station)
        update = kept.value if kept is not None and kept.value.rollout == self._id else None
        if update is not None and (update.taken or update.status or update.over):
            self._settle(member, "updating", "")
            self.ended(update)
        else:  # an order that nobody has answered is given again: the second takes the place of the first
            self._settle(member, "waiting", "")

    def ended(self, update: Update) -> None:
        """The update of one station is over. Not while it is being ordered: whoever orders it looks then."""
        member = self._by_name.get(update.station)
        # One that has had an order that nobody heard the answer to may boot with it while it waits for the next.
        waits = update.outcome == "installed" and member is not None and member.state == "waiting"
        if member is None or not update.over or (member.state != "updating" and not waits):
            return
        self._settle(member, rollouts.state_after(update.outcome), update.reason)

    async def _follow(self, now: int) -> None:
        """Nothing to look for: every step of an update is told."""

    def _pass_over(self, seen: Seen) -> str:
        return "it has this version already" if seen.firmware == self.record.version else ""

    async def _do(self, principal: Principal, member: Member) -> tuple[rollouts.State, str]:
        order = types.NewFirmwareUpdate(firmware_id=self.record.firmware, reason=self.record.reason)
        made = await firmware.order(self._context, principal, member.station, order, rollout=self._id)
        if made.outcome == "running":
            return "updating", ""
        return rollouts.state_after(made.outcome), made.text

    def _unanswered(self, member: Member) -> bool:
        update = self._fleet.updates.get(member.station)
        return update is not None and update.rollout == self._id
