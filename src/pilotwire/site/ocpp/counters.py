"""What a controller counts; console pages and metrics read it."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """Since the start of the box, over all stations."""

    admitted: int = 0
    refused: int = 0
    """Handshakes of strangers or with wrong credentials."""
    up: int = 0
    """CALLs and SENDs of stations handed on live."""
    down: int = 0
    """CALLs of upstreams handed on to stations."""
    passed_back: int = 0
    """Answers handed on unchanged, in either direction."""
    own_up: int = 0
    """CALLs of ours to upstreams: replays."""
    own_down: int = 0
    """CALLs of ours to stations."""
    answered_here: int = 0
    """CALLs of stations that the box has answered, because the authority was away."""
    stored: int = 0
    replayed: int = 0
    repeated: int = 0
    """Messages that stations sent again and that were known."""
    retried: int = 0
    discarded: int = 0
    """Queued messages given up after the upstream had refused them as often as the standard allows."""
    overflow: int = 0
    """Periodic readings refused since the queue was full."""
    not_kept: int = 0
    """Messages that could not be written; the station was told and keeps them."""
    denied: int = 0
    """CALLs of upstreams beyond their rights."""
    malformed: int = 0
    strays: int = 0
    """Answers that nobody waits for."""
    dropped: int = 0
    """Messages that nobody could be given and that nothing keeps."""
    authorized_here: int = 0
    turned_away_here: int = 0
    conflicts: int = 0
    """Sessions let in here that the authority refused later."""
    dials: int = 0
    lost: int = 0
    """Connections to upstreams that were lost."""
