"""Why a try gave no plan: a code, and the sentence that people read. What a process said of itself is for the log.

The console translates the sentences (`console.words.site_sentences`); nothing but figures is put into them.
"""

from __future__ import annotations

from typing import Literal

Code = Literal["timeout", "record", "process", "answer", "refused", "fault"]

SENTENCES: dict[Code, str] = {
    "timeout": "it took longer than {seconds} s and was given up",
    "record": "what the plan is to rest on cannot be put together",
    "process": "the process that plans cannot be started, or ended before it was done",
    "answer": "the process that plans gave an answer that cannot be read",
    "refused": "the answer does not fit what was asked, so it is not followed",
    "fault": "the planner has met a fault of its own",
}
"""By code; `seconds` is a whole number."""


def words_of(code: Code, seconds: int = 0) -> str:
    """The sentence of a failure. `seconds`: how long it was waited for."""
    return SENTENCES[code].format(seconds=seconds)
