"""A site that runs, as people and programs look at it: see `pilotwire.domain.seen`, where all of it is defined."""

from pilotwire.domain.seen import (
    CarOutlook,
    Change,
    Controller,
    Course,
    LimitRow,
    NotKnown,
    Now,
    Outlook,
    Past,
    Peak,
    Step,
)

__all__ = [
    "CarOutlook",
    "Change",
    "Controller",
    "Course",
    "LimitRow",
    "NotKnown",
    "Now",
    "Outlook",
    "Past",
    "Peak",
    "Step",
]
