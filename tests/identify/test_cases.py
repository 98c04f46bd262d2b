"""The published cases: their verdicts are what the sources prove, and the page shows them."""

import pytest

from docs.cases import CASES, PAGE, Case, page


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_the_published_one(case: Case) -> None:
    verdict = case.model().identify(**case.ask)
    assert verdict.status == case.status, verdict
    assert set(case.under) <= {item.name for item in verdict.assumptions}


def test_the_page_shows_them() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.cases"
