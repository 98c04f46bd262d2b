"""What a finding can be asked for."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest

from causalsys.errors import UnknownNameError
from causalsys.rootcause.finding import Cause, Finding
from causalsys.rootcause.words import percent
from tests.rootcause.incidents import SHOP, known


@cache
def finding(*faults: tuple[str, float]) -> Finding:
    shop = known(SHOP, 1)
    return shop.ask(shop.system.incident(shop.rng, dict(faults)), "page")


def test_every_component_above_the_target_is_ranked_once() -> None:
    found = finding(("db", 8.0))
    names = [cause.name for cause in found.ranking if cause.name != "bill"]
    assert sorted(names) == sorted(set(SHOP.slopes) - {"bill"})
    probabilities = [cause.probability for cause in found.ranking]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) + found.none_probability == pytest.approx(1)
    assert found.target == "page"
    assert found.moved_probability > 0.99


def test_it_is_a_table() -> None:
    found = finding(("db", 8.0))
    table = found.to_frame()
    assert list(table["cause"]) == [*(str(c) for c in found.ranking), "none of these"]
    assert table["probability"].sum() == pytest.approx(1)
    first = table.iloc[0]
    assert (first["share"], first["low"], first["high"]) == (
        found.ranking[0].share,
        *found.ranking[0].interval,
    )
    assert first["variables"] == "db"


def test_it_is_told_in_words() -> None:
    found = finding(("db", 8.0))
    lines = str(found).splitlines()
    cause = found.ranking[0]
    low, high = cause.interval
    assert lines[0] == (
        f"db (> 99 %): restoring it removes {100 * cause.share:.0f} % "
        f"[{100 * low:.0f}, {100 * high:.0f}] of the excess of page."
    )
    assert "none of these" in str(found)
    for sentence in found.assumptions:
        assert f"- {sentence}" in lines
        assert sentence.endswith(".")


def test_no_incident_is_told_in_words() -> None:
    found = finding()
    assert str(found).startswith("No incident seen: page moved no more than it ordinarily does.")


@pytest.mark.parametrize(
    ("probability", "words"),
    [(1.0, "> 99 %"), (0.996, "> 99 %"), (0.5, "50 %"), (0.004, "< 1 %"), (0.0, "< 1 %")],
)
def test_a_share_of_draws_is_never_told_as_certain(probability: float, words: str) -> None:
    assert percent(probability) == words


def test_causes_are_asked_for_by_name() -> None:
    found = finding(("db", 8.0))
    assert found.of("db") is found.ranking[0]
    assert found.of("pay").probability < 0.05
    with pytest.raises(UnknownNameError, match=r"dbb.*Did you mean db"):
        found.of("dbb")


def test_the_credible_set_is_the_smallest() -> None:
    def cause(name: str, probability: float, *others: str) -> Cause:
        return Cause(name, others, (name,), probability, 0.0, 1.0, (1.0, 1.0))

    ranking = (cause("a", 0.5), cause("b", 0.25, "hidden"), cause("c", 0.04), cause("d", 0.01))
    found = Finding("t", "one", ranking, 0.2, 1.0, ("a",), 0.5, (), {}, (), ())
    assert found.credible(0.6) == ("a",)
    assert found.credible(0.7) == ("a", "b", "hidden")
    assert found.credible() == ("a", "b", "hidden")
    assert found.credible(0.97) == ("a", "b", "hidden", "c")
    assert found.credible(1.0) == ("a", "b", "hidden", "c", "d")
    assert found.of("hidden").name == "b"
    assert str(ranking[1]) == "b or hidden"


def test_the_credible_set_holds_one_name_where_one_is_sure() -> None:
    assert finding(("db", 8.0)).credible() == ("db",)


def test_it_survives_pickling_and_does_not_change() -> None:
    found = finding(("db", 8.0))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301
    with pytest.raises(AttributeError):
        found.kind = "several"  # type: ignore[misc]


def test_numbers_are_plain() -> None:
    found = finding(("db", 8.0), ("pay", 10.0))
    for cause in found.ranking:
        for value in (cause.probability, cause.log_bayes_factor, cause.share, *cause.interval):
            assert type(value) is float
            assert np.isfinite(value)
