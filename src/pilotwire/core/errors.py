"""The error tree. Every error of ours says whose fault it is.

    PilotwireError
    ├── LocalError        we, or whoever called us in this process, did wrong
    │   └── ConfigError   a setting is wrong; the text says which and how to mend it
    ├── RemoteError       the peer did wrong; `answer` on the protocol's own subclass says what to reply
    └── TransientError    nobody did wrong; trying again may help (offline, timed out, full)

A protocol derives its own errors from these and attaches the answer its standard demands.
"""


class PilotwireError(Exception):
    """Base of every error raised on purpose by Pilotwire."""


class LocalError(PilotwireError):
    """We, or the code that called us, did wrong. Retrying without a change will not help."""


class ConfigError(LocalError):
    """A setting is wrong. The text names the setting and how to mend it."""


class RemoteError(PilotwireError):
    """The peer sent something that its protocol does not allow."""


class TransientError(PilotwireError):
    """Nobody's fault: not connected, timed out, queue full. Trying again may help."""
