"""The text of a site's file without its secrets, for what is kept: where a password stood, there are three asterisks.

Comments and everything else stay as they are, so that who looks into a record finds the file again. No decision rests
on a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_HIDDEN = '"***"'
_SECRETS = frozenset(("password", "password_sha256", "passwords"))
_BEFORE = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor or a tag, which others may rest on."""
_IN_URL = re.compile(r"""(?<=://)([^\s/?#@:"']*):[^\s/?#"']*@""")
"""User and password before a host."""


def redacted(text: str) -> str:
    """Raises nothing: a text that is no YAML has never run, and is kept as it is."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return text
    spans = sorted({(node.start_mark.index, node.end_mark.index) for node in _secrets(root, set())}, reverse=True)
    for begin, end in spans:
        before = _BEFORE.match(text, begin, end)
        assert before is not None
        line = "\n" if text[begin:end].endswith("\n") else ""  # of a text in a block
        text = text[: before.end()] + _HIDDEN + line + text[end:]
    return _IN_URL.sub(r"\1:***@", text)


def _secrets(node: Any, seen: set[int], secret: bool = False) -> Iterator[Any]:
    """The scalars that hold one. An anchor is walked once for each way in which it is met."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        if secret and node.value:
            yield node
    elif node is not None and (key := id(node) * 2 + secret) not in seen:
        seen.add(key)
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                yield from _secrets(value, seen, secret or name.value in _SECRETS)
        else:
            for each in node.value:
                yield from _secrets(each, seen, secret)
