"""Detection of quirks (`pilotwire.domain.quirks`) in what passes between a station and us.

    watch     what is remembered of one station, bounded, and what is expected of it
    sent_16   what 1.6 stations send
    sent_2    what stations of 2.0.1 and 2.1 send
    metered   sampled values of 1.6
    answered  what stations answer to commands
    framed    frames that are no message, or come when none was expected

Each look gets the `Watch` with the state as it was before the message, and names what it recognises by `Watch.saw`. A
message that is told many times an hour is brought here now and then only (`csms.quirks`).
"""

from __future__ import annotations

from .watch import Look, Watch

__all__ = ["Look", "Watch", "looks"]


def looks(version: str) -> dict[str, Look]:
    """Action that stations of a version send → its look."""
    if version == "1.6":
        from .sent_16 import LOOKS
    else:
        from .sent_2 import LOOKS
    return LOOKS
