"""Plain integers that a collector reads when it is scraped."""

from __future__ import annotations


class Counters:
    """What RPC machines counted. One object may serve all machines of a process: everything runs on one thread."""

    __slots__ = (
        "answers_sent",
        "calls_received",
        "calls_sent",
        "errors_received",
        "ignored",
        "internal_errors",
        "late_answers",
        "malformed",
        "message_id_reused",
        "overloaded",
        "refusals_sent",
        "repeated",
        "result_errors_received",
        "results_received",
        "sends_received",
        "sends_sent",
        "timeouts",
        "tolerated",
        "unasked_answers",
    )

    def __init__(self) -> None:
        self.calls_received = 0
        """CALLs read and handed over."""
        self.sends_received = 0
        self.results_received = 0
        self.errors_received = 0
        """CALLERRORs to calls of ours."""
        self.result_errors_received = 0
        self.calls_sent = 0
        self.sends_sent = 0
        self.answers_sent = 0
        self.refusals_sent = 0
        """CALLERRORs that the application asked for; those of the machine itself are in `malformed`."""
        self.timeouts = 0
        self.malformed = 0
        """Frames that were not accepted."""
        self.overloaded = 0
        """Of these: refused because too many CALLs were open."""
        self.internal_errors = 0
        """Of these: a decoder of ours failed in a way that it should not."""
        self.ignored = 0
        """Unknown message types (1.6) and frames after the end of the connection."""
        self.late_answers = 0
        """Answers to calls of ours that had timed out or had been answered."""
        self.unasked_answers = 0
        """Answers to calls that we never made."""
        self.repeated = 0
        """CALLs with the id and the content of an earlier one."""
        self.message_id_reused = 0
        """CALLs with the id of an earlier one and other content."""
        self.tolerated = 0
        """Messages that were read with the help of a tolerance rule."""

    def items(self) -> list[tuple[str, int]]:
        """Name and value of each counter."""
        return [(name, getattr(self, name)) for name in self.__slots__]
