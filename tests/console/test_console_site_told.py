"""What a site's controller says is said in German too, all of it, with its names and figures."""

from __future__ import annotations

import pytest
from tests.browser.controller_kit import CarPark

from pilotwire.api.language import catalogue, spoken
from pilotwire.console.site_told import told
from pilotwire.console.words.site_sentences import SENTENCES
from pilotwire.domain.energy import reasons as energy
from pilotwire.domain.steering import reasons as steering

NOW = 1_767_268_800_000


@pytest.mark.parametrize(
    ("english", "plain", "german"),
    [
        ("a: it may give 16 A on 3 phases", "a: it may give 16 A on 3 phases", "a: darf 16 A auf 3 Phasen geben"),
        (
            "because L1 of garage (fuse) has no room for another step, shared by first_come",
            "because L1 of garage (fuse) has no room for another step, shared by who came first",
            "denn L1 von garage (fuse) hat keinen Platz für einen weiteren Schritt, geteilt nach: wer zuerst kam",
        ),
        (
            "it is raised when its last change is over, in 3915 ms",
            "it is raised when its last change is over, in 3.9 s",
            "er wird angehoben, wenn seine letzte Änderung vorüber ist, in 3,9 s",
        ),
        (
            "above it, grid carried 46.093 A / 1.21 A / -6.4 A 100 ms before; allowed: 125 A / 125 A / 125 A by fuse",
            "above it, grid carried 46.1 A / 1.2 A / -6.4 A 100 ms before; allowed: 125 A / 125 A / 125 A by fuse",
            "darüber trug grid 46,1 A / 1,2 A / -6,4 A, 100 ms zuvor; erlaubt: 125 A / 125 A / 125 A durch fuse",
        ),
        (
            "above it, grid allowed: 12.5 kW by surplus, 10 A / 0 A / 0 A by surplus of the phase, 63 A by fuse",
            "above it, grid allowed: 12.5 kW by surplus, 10 A / 0 A / 0 A by surplus of the phase, 63 A by fuse",
            "darüber grid, erlaubt: 12,5 kW durch Überschuss, 10 A / 0 A / 0 A durch Überschuss der Phase, "
            "63 A durch fuse",
        ),
        (
            "cellar: gives 15.00 kW so that grid (demand window quarter-hour) stays within 51.02 kW",
            "cellar: gives 15.0 kW so that grid (demand window quarter-hour) stays within 51.0 kW",
            "cellar: gibt 15,0 kW, damit grid (Messperiode quarter-hour) innerhalb von 51,0 kW bleibt",
        ),
        (
            "it is not heard: 32000 mA on each of its phases are kept free for what it may be drawing; it draws more "
            "than it is given and is counted with what it draws",
            "it is not heard: 32 A on each of its phases are kept free for what it may be drawing; it draws more "
            "than it is given and is counted with what it draws",
            "er wird nicht gehört: 32 A je Phase bleiben frei für das, was er nehmen mag; er nimmt mehr, als ihm "
            "gegeben ist, und wird mit dem gezählt, was er nimmt",
        ),
        (
            "bay-9: there is no surplus (44.51 kW are drawn from grid and batteries)",
            "bay-9: there is no surplus (44.5 kW are drawn from grid and batteries)",
            "bay-9: es gibt keinen Überschuss (44,5 kW werden aus Netz und Batterien bezogen)",
        ),
        (
            "pv: -0.00 kW of surplus are shared by the cars beyond what they are guaranteed (measured -0.04 kW)",
            "pv: 0.0 kW of surplus are shared by the cars beyond what they are guaranteed (measured 0.0 kW)",
            "pv: 0,0 kW Überschuss teilen sich die Autos über das hinaus, was ihnen zugesagt ist (gemessen 0,0 kW)",
        ),
        (
            "above it, grid carried 1 A / 2 A / 3 A 164 ms before; allowed: 40 A of imbalance by grid code, 9 kW by "
            "demand window quarter, a battery about to take more",
            "above it, grid carried 1 A / 2 A / 3 A 164 ms before; allowed: 40 A of imbalance by grid code, 9 kW by "
            "demand window quarter, a battery about to take more",
            "darüber trug grid 1 A / 2 A / 3 A, 164 ms zuvor; erlaubt: 40 A Schieflast durch grid code, 9 kW durch "
            "Messperiode quarter, eine Batterie wird gleich mehr nehmen",
        ),
        (
            "there is no plan, the site is steered without one: it took longer than 90 s and was given up",
            "there is no plan, the site is steered without one: it took longer than 90 s and was given up",
            "es gibt keinen Plan, der Standort wird ohne einen gesteuert: er brauchte länger als 90 s und wurde "
            "aufgegeben",
        ),
        (
            "it is an older one, for the next was not made: the disk is full",
            "it is an older one, for the next was not made: the disk is full",
            "es ist ein älterer, denn der nächste kam nicht zustande: the disk is full",
        ),
        ("something new about {braces}", "something new about {braces}", "something new about {braces}"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_sentences_are_said_with_their_figures(english: str, plain: str, german: str) -> None:
    assert told(english) == plain
    with spoken("de"):
        assert told(english) == german


def test_every_reason_of_the_domain_has_its_sentence() -> None:
    """None of the controller's sentences is left in English."""
    with spoken("de"):
        for code in energy._WORDS:
            words = energy.Reason(
                code=code, place="garage", what="L1", source="fuse", order="equal", wait_ms=900, kept_ma=900, phases=3
            ).words
            assert told(words) != words, f"{code}: {words}"
        for rule in steering.WORDS:
            words = steering.Reason(subject="grid", rule=rule, source="x", figures={}).words
            assert told(words) != words, f"{rule}: {words}"
        for rule in steering.WITHOUT_SURPLUS:
            figures = {"surplus_mw": -44_500_000, "minimum_mw": 4_140_000, "wait_ms": 9_000}
            words = steering.Reason(subject="bay", rule=rule, source="x", figures=figures).words
            assert "-" not in words and "?" not in words and "no surplus" in words
            assert told(words) != words, f"{rule}: {words}"


def test_every_sentence_has_its_german_with_the_same_names() -> None:
    import re

    german = catalogue("de")
    for sentence in SENTENCES:
        assert set(re.findall(r"\{\w+\}", german[sentence])) == set(re.findall(r"\{\w+\}", sentence)), sentence


async def test_all_that_a_running_site_says_is_known() -> None:
    park = await CarPark(NOW, seconds=120).start()
    with spoken("de"):
        for each in park.said[20::10]:
            then = (await park.at(each[0].now.utc_ms)).now
            for why in then.why.values():
                for line in why:
                    assert told(line) != line or line.startswith("bay"), line
            for mark in then.picture.marks:
                assert told(mark.words) != mark.words, mark.words
