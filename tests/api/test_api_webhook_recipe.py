"""The recipe in the documentation accepts what we sign, and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pilotwire.domain import webhooks

TEXT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


def test_the_documented_recipe_works() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code.group(1), names)
    genuine = names["genuine"]
    assert callable(genuine)
    now, body = int(time.time()), b'{"id":"1"}'
    header = webhooks.sign("whsec_x", now, body)
    assert genuine("whsec_x", header, body)
    assert not genuine("whsec_y", header, body) and not genuine("whsec_x", header, body + b" ")
    assert not genuine("whsec_x", webhooks.sign("whsec_x", now - 3_600, body), body)
    assert not genuine("whsec_x", "", body)


def test_headers_and_times_are_those_of_the_code() -> None:
    for name in (webhooks.SIGNATURE_HEADER, webhooks.EVENT_HEADER, webhooks.TYPE_HEADER, webhooks.ATTEMPT_HEADER):
        assert f"{name}: " in TEXT
    assert (webhooks.TOLERANCE_S, webhooks.GIVE_UP_MS) == (300, 3 * 86_400_000)
    assert (webhooks.FIRST_DELAY_MS, webhooks.LAST_DELAY_MS) == (5_000, 3_600_000)
