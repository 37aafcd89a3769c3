"""How a site is looked at: the picture of one moment, and `Controller`, the port to a site that runs.

Plain data and a protocol, known to the site that shows itself, to the link between a box and a central system, and to
the API.
"""

from .controller import (
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
from .picture import (
    Code,
    DeviceKind,
    DevicePicture,
    EvsePicture,
    Flows,
    LimitPicture,
    Mark,
    NodePicture,
    PilotState,
    SitePicture,
)

__all__ = [
    "CarOutlook",
    "Change",
    "Code",
    "Controller",
    "Course",
    "DeviceKind",
    "DevicePicture",
    "EvsePicture",
    "Flows",
    "LimitPicture",
    "LimitRow",
    "Mark",
    "NodePicture",
    "NotKnown",
    "Now",
    "Outlook",
    "Past",
    "Peak",
    "PilotState",
    "SitePicture",
    "Step",
]
