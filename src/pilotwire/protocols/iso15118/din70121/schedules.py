"""Schedules of DIN SPEC 70121: power alone, in watts of 16 bits, so never more than 32,767 W (9.5.2.9).

A station of more power tells the highest figure, and so does the profile of a vehicle that uses it: the limits of
CurrentDemandRes are what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pilotwire.core.evse_link import Schedule
from pilotwire.protocols.exi.codec import Message

DAY_S: Final = 86_400
MOST_W: Final = 32_767
MOST_ENTRIES: Final = 12
"""Of one schedule; the schema has no end, vehicles have."""
Points = tuple[tuple[int, int], ...]
"""(start in s from now, mW)"""


def sa_schedules(
    given: Iterable[tuple[Schedule, int]], now: int, most_mw: int
) -> tuple[Message, dict[int, Points], dict[int, int]]:
    """SAScheduleList, and by SAScheduleTupleID what it says and the station's own name of the schedule.

    Of no schedule: `most_mw` for a day.
    """
    tuples: list[Message] = []
    said: dict[int, Points] = {}
    chosen = list(given) or [(Schedule(points=((0, most_mw),), duration_s=DAY_S), now)]
    names = {number: schedule.id for number, (schedule, _) in enumerate(chosen, 1)}
    for number, (schedule, told) in enumerate(chosen, 1):
        points, until_s = _shifted(schedule, (now - told) // 1000)
        one, said[number] = _tuple(number, points, until_s)
        tuples.append(one)
    return {"SAScheduleTuple": tuples}, said, names


def _shifted(schedule: Schedule, age_s: int) -> tuple[Points, int]:
    """The points from now on, and the end of the last: what does not fit is left out, not allowed."""
    points: list[tuple[int, int]] = []
    for start, mw in sorted(schedule.points):
        points = [(0, mw)] if start <= age_s else [*points, (start - age_s, mw)]
    if not points or points[0][0] > 0:
        points.insert(0, (0, 0))  # what nobody allows is not allowed
    end = points[MOST_ENTRIES][0] if len(points) > MOST_ENTRIES else schedule.duration_s - age_s
    return tuple(points[:MOST_ENTRIES]), end


def _tuple(number: int, points: Points, until_s: int) -> tuple[Message, Points]:
    entries: list[Message] = []
    said: list[tuple[int, int]] = []
    for start, mw in points:
        power = min(MOST_W, max(0, mw) // 1000)
        entries.append({"RelativeTimeInterval": {"start": start}, "PMax": power})
        said.append((start, power * 1000))
    entries[-1]["RelativeTimeInterval"]["duration"] = max(1, until_s - points[-1][0])
    made: Message = {
        "SAScheduleTupleID": number,
        "PMaxSchedule": {"PMaxScheduleID": number, "PMaxScheduleEntry": entries},
    }
    return made, tuple(said)


def exceeds(points: Points, profile: Sequence[tuple[int, int]]) -> bool:
    """Whether a vehicle's profile, (start in s, mW), is above the schedule at any time."""
    for place, (start, mw) in enumerate(profile):
        end = profile[place + 1][0] if place + 1 < len(profile) else None
        for other, (begins, most) in enumerate(points):
            ends = points[other + 1][0] if other + 1 < len(points) else None
            if (end is None or begins < end) and (ends is None or start < ends) and mw > most:
                return True
    return False


def read(element: Message) -> tuple[Schedule, ...]:
    """The schedules of SAScheduleList."""
    found: list[Schedule] = []
    for one in element["SAScheduleTuple"]:
        entries = one["PMaxSchedule"]["PMaxScheduleEntry"]
        points = tuple((_interval(entry).get("start", 0), entry["PMax"] * 1000) for entry in entries)
        duration = _interval(entries[-1]).get("duration", DAY_S)
        found.append(Schedule(points=points, duration_s=points[-1][0] + duration, id=one["SAScheduleTupleID"]))
    return tuple(found)


def _interval(entry: Message) -> Message:
    """Empty where the interval is of no kind that the standard has a meaning for."""
    found: Message = entry.get("RelativeTimeInterval", {})
    return found
