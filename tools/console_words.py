"""The texts of console and API and their translations.

    python tools/console_words.py                 says, by language, which texts lack their translation (exit 1 if any)
    python tools/console_words.py de < new.json   merges {"English": "Deutsch", …} into languages/de.json
    python tools/console_words.py --unused        says which translations no text needs any more

Texts are found in templates (`_("…")`, `several(n, "…", "…")`) and in Python (the same, `N_("…")` and
`Word("…", "…")`, `Words("…", "…")`, `Told("…", "…")`), by their syntax trees.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import extract_from_ast

CONSOLE = Path(__file__).parent.parent / "src/pilotwire/console"
API = CONSOLE.parent / "api"
ACTIONS = CONSOLE.parent / "protocols/ocpp/catalogue/actions.py"
LANGUAGES = CONSOLE / "languages"
FUNCTIONS = ("_", "N_", "several", "translate")
WORDS = ("Word", "Words", "Told")
"""Tables of words: name and explanation of something."""


def texts() -> dict[str, str]:
    """Every text that is to be translated → where it stands first."""
    found: dict[str, str] = {}
    environment = Environment(autoescape=True)
    for path in sorted(CONSOLE.rglob("templates/**/*.html")):
        tree = environment.parse(path.read_text("utf-8"))
        for line, _, said in extract_from_ast(tree, gettext_functions=FUNCTIONS):
            for text in said if isinstance(said, tuple) else (said,):
                if isinstance(text, str) and text:
                    found.setdefault(text, f"{path.relative_to(CONSOLE.parent)}:{line}")
    for path in sorted([*CONSOLE.rglob("*.py"), *API.rglob("*.py"), ACTIONS]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in (*FUNCTIONS, *WORDS):
                # A Word's third is its level.
                for argument in node.args[:2] if node.func.id in WORDS else node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        found.setdefault(argument.value, f"{path.relative_to(CONSOLE.parent)}:{node.lineno}")
    return found


def missing(code: str) -> dict[str, str]:
    """Texts without a translation into this language → where they stand."""
    words = json.loads((LANGUAGES / f"{code}.json").read_text("utf-8"))
    return {text: where for text, where in texts().items() if text not in words}


def merge(code: str, new: dict[str, str]) -> None:
    """Add to a language's file, kept in order of the English."""
    path = LANGUAGES / f"{code}.json"
    words = json.loads(path.read_text("utf-8")) if path.exists() else {}
    words.update(new)
    ordered = dict(sorted(words.items(), key=lambda item: (item[0].casefold(), item[0])))
    path.write_text(json.dumps(ordered, ensure_ascii=False, indent=1) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """See the module."""
    codes = [one.stem for one in sorted(LANGUAGES.glob("*.json"))]
    if arguments == ["--unused"]:
        known = set(texts())
        for code in codes:
            for text in json.loads((LANGUAGES / f"{code}.json").read_text("utf-8")):
                if text not in known and text not in ("", ".", ","):
                    print(f"{code}: {text}")
        return 0
    if arguments:
        merge(arguments[0], json.load(sys.stdin))
    lacking = {code: missing(code) for code in codes}
    for code, found in lacking.items():
        for text, where in found.items():
            print(f"{code} lacks {json.dumps(text, ensure_ascii=False)}  ({where})")
    return 1 if any(lacking.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
