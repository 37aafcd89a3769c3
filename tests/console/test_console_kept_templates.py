"""Compiled templates are kept, and never taken for what they were not made of."""

from __future__ import annotations

from pathlib import Path

import jinja2

from pilotwire.console.kept_templates import KeptTemplates


def environment(folder: Path, templates: dict[str, str]) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.DictLoader(templates), autoescape=True, bytecode_cache=KeptTemplates(folder)
    )
    made.bytecode_cache.environment = made  # type: ignore[union-attr]
    return made


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def never(*_: object, **__: object) -> None:
    raise AssertionError("it was compiled anew")


def test_what_was_compiled_once_is_not_compiled_by_the_next_process(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "kept"
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert environment(folder, {"a": "{{ n }} kW"}).get_template("a").render(n="<7>") == "&lt;7&gt; kW"
    again = environment(folder, {"a": "{{ n }} kW"})
    again.compile = never  # type: ignore[method-assign]
    assert again.get_template("a").render(n="<8>") == "&lt;8&gt; kW"
    assert [file.suffix for file in files(folder)] == [".pyc"]


def test_another_text_or_another_filter_is_compiled_anew(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    code = tmp_path / "filters.py"
    code.write_text("first")

    def shown(text: str, filtered: str) -> str:
        made = environment(tmp_path / "kept", {"a": text})

        def constant(_: object) -> str:
            return filtered

        constant.__module__ = "pilotwire.filters_of_this_test"
        made.filters["constant"] = constant
        return made.get_template("a").render()

    module = type("Module", (), {"__file__": str(code)})
    monkeypatch.setitem(__import__("sys").modules, "pilotwire.filters_of_this_test", module)
    assert shown("{{ 1 | constant }} A", "6") == "6 A"
    assert shown("{{ 1 | constant }} kW", "6") == "6 kW"
    code.write_text("second")
    assert shown("{{ 1 | constant }} kW", "7") == "7 kW"


def test_a_file_that_was_cut_short_or_spoilt_is_made_anew(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    environment(tmp_path, {"a": "yes"}).get_template("a")
    [file] = files(tmp_path)
    whole = file.read_bytes()
    for spoilt in (b"", whole[:40], whole[:-1], whole[:64] + bytes(len(whole) - 64), bytes(len(whole))):
        file.write_bytes(spoilt)
        assert environment(tmp_path, {"a": "yes"}).get_template("a").render() == "yes"
        assert file.read_bytes() == whole


def test_who_may_not_write_there_compiles_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert environment(in_the_way, {"a": "yes"}).get_template("a").render() == "yes"
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert environment(tmp_path / "kept", {"a": "yes"}).get_template("a").render() == "yes"
    assert files(tmp_path) == [in_the_way]
