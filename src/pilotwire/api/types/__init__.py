"""The types of the public API, by area. OpenAPI is made from every Struct that is found here.

Each area is a module of its own; add yours below, one line. What several areas share (Time, Note, StationId, PageOf …)
is in `base`. Records of the store are mapped to these types, never shown.
"""

from .alarms import *  # noqa: F403
from .base import *  # noqa: F403
from .certificates import *  # noqa: F403
from .charging import *  # noqa: F403
from .checks import *  # noqa: F403
from .commands import *  # noqa: F403
from .commissioning import *  # noqa: F403
from .controllers import *  # noqa: F403
from .course import *  # noqa: F403
from .firmware import *  # noqa: F403
from .handshakes import *  # noqa: F403
from .jobs import *  # noqa: F403
from .kept import *  # noqa: F403
from .messages import *  # noqa: F403
from .notifications import *  # noqa: F403
from .people import *  # noqa: F403
from .quirks import *  # noqa: F403
from .reports import *  # noqa: F403
from .retention import *  # noqa: F403
from .rollouts import *  # noqa: F403
from .sites import *  # noqa: F403
from .stations import *  # noqa: F403
from .tariffs import *  # noqa: F403
from .tokens import *  # noqa: F403
from .variables import *  # noqa: F403
from .views import *  # noqa: F403
from .webhooks import *  # noqa: F403
