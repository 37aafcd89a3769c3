"""Which messages are answered only when what they say is durable.

A station that has its answer forgets the message. So everything that it tells us waits for the commit; only what
carries nothing worth keeping, or asks rather than tells, does not.
"""

from __future__ import annotations

ANSWERED_AT_ONCE = frozenset(
    {
        # A sign of life and a question for the time. It makes no fact.
        "Heartbeat",
        # A question. The fact that it was asked is journalled, but nobody loses anything if a power cut eats it, and a
        # driver stands there waiting.
        "Authorize",
    }
)
"""Actions whose answer does not wait. Every other action does, also when it made no fact: its frame may hold what we do
not read (signed meter values, a late event), and the journal keeps the frame."""
