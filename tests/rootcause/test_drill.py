"""Drill-down against planted truth: what is named, what is not, and at which rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalsys.errors import DataError, MissingColumnError, QueryError
from causalsys.rootcause.drill import drill_down
from causalsys.rootcause.drill_result import DrillDown
from tests.rootcause.drilled import DIMENSIONS, Hit, requests

PLANTED: dict[str, Hit] = {
    "region = eu": lambda f: f.region == "eu",
    "endpoint = e7": lambda f: f.endpoint == "e7",
    "region = eu and version = v2": lambda f: (f.region == "eu") & (f.version == "v2"),
    "region = us and version = v1 and endpoint = e1": lambda f: (
        (f.region == "us") & (f.version == "v1") & (f.endpoint == "e1")
    ),
    "endpoint in {e2, e3, e5}": lambda f: f.endpoint.isin(["e2", "e3", "e5"]),
    "region = eu and endpoint in {e2, e3, e5}": lambda f: (
        (f.region == "eu") & f.endpoint.isin(["e2", "e3", "e5"])
    ),
}


def drilled(before: pd.DataFrame, after: pd.DataFrame, **settings: int) -> DrillDown:
    return drill_down(before, after, dimensions=DIMENSIONS, value="seconds", **settings)


def named(found: DrillDown) -> list[str]:
    return [str(each) for each in found.slices]


@pytest.mark.parametrize("truth", PLANTED)
@pytest.mark.parametrize("change", [{"factor": 2.0}, {"extra": 30.0}], ids=["times", "plus"])
def test_the_planted_slice_is_named_and_no_other(truth: str, change: dict[str, float]) -> None:
    right = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        after = requests(rng, 10_000, hit=PLANTED[truth], **change)
        found = drilled(requests(rng, 20_000), after)
        right += named(found) == [truth]
    # Each run may name a further slice with probability 0.05.
    assert right >= 2


def test_two_slices_are_both_named() -> None:
    right = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        hit = lambda f: (f.endpoint == "e7") | ((f.region == "eu") & (f.version == "v2"))  # noqa: E731
        found = drilled(requests(rng, 20_000), requests(rng, 10_000, hit=hit, factor=3.0))
        right += {"endpoint = e7", "region = eu and version = v2"} <= set(named(found))
    assert right >= 2


@pytest.mark.parametrize("even", [1.0, 1.5])
@pytest.mark.parametrize(
    ("runs", "most"),
    # At a rate of 0.05 more than `most` have a probability of at most 0.005.
    [(8, 2), pytest.param(60, 8, marks=pytest.mark.slow)],
)
def test_where_nothing_stands_out_nothing_is_named(even: float, runs: int, most: int) -> None:
    false = 0
    for seed in range(runs):
        rng = np.random.default_rng(100 + seed)
        found = drilled(requests(rng, 4_000), requests(rng, 2_500, even=even))
        false += bool(found.slices)
    assert false <= most
    if even > 1:
        assert "spread evenly" in str(found)
        assert found.rest_share == pytest.approx(1, abs=0.1)


def test_another_mix_is_called_mix() -> None:
    rng = np.random.default_rng(0)

    def traffic(slow: float, scale: float = 1.0) -> pd.DataFrame:
        found = pd.DataFrame(
            {
                "endpoint": rng.choice(["search", "get"], 20_000, p=[slow, 1 - slow]),
                "region": rng.choice(["eu", "us"], 20_000),
            }
        )
        usual = np.where(found.endpoint == "search", 100.0, 10.0)
        return found.assign(seconds=rng.exponential(usual) * scale)

    asked = {"dimensions": ["endpoint", "region"], "value": "seconds"}
    found = drill_down(traffic(0.1), traffic(0.4), **asked)
    assert not found.slices
    assert found.mix == pytest.approx(27, abs=3)  # 0.3 of the requests take 90 more
    assert str(found.shifts[0].condition) == "endpoint = search"
    assert found.shifts[0].before == pytest.approx(0.1, abs=0.01)
    assert "the excess is mix" in str(found)
    # Simpson: every endpoint is faster, the mean is slower.
    found = drill_down(traffic(0.1), traffic(0.4, 0.8), **asked)
    assert not found.slices
    assert found.change > 0 > found.rest
    assert found.mix_share > 1
    low, high = found.rest_interval
    assert low - 1 < -0.2 * 46 < high + 1


def deployed(rng: np.random.Generator, rows: int, *, share: float, slow: float) -> pd.DataFrame:
    """The new version v2 has a share of region eu, and none elsewhere."""
    found = pd.DataFrame(
        {"region": rng.choice(["eu", "us", "ap"], rows), "tenant": rng.choice(list("abcd"), rows)}
    )
    new = (found.region == "eu") & (rng.random(rows) < share)
    found["version"] = np.where(new, "v2", "v1")
    return found.assign(seconds=rng.exponential(np.where(new, slow, 1.0) * 10))


def test_slices_with_the_same_rows_are_aliases() -> None:
    rng = np.random.default_rng(0)
    before, after = (deployed(rng, 10_000, share=share, slow=3.0) for share in (0.0, 1.0))
    found = drill_down(before, after, dimensions=["region", "tenant", "version"], value="seconds")
    (only,) = found.slices
    names = {str(only), *(str(part) for alias in only.aliases for part in alias)}
    assert names == {"region = eu", "version = v2"}
    assert only.adjusted is None  # no request differs by one of them alone
    assert "not seen before: version = v2" in found.assumptions


@pytest.mark.parametrize("seed", range(3))
def test_a_new_version_is_told_from_the_region_that_has_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = deployed(rng, 20_000, share=0.0, slow=1.0)
    after = deployed(rng, 10_000, share=0.7, slow=3.0)
    found = drill_down(before, after, dimensions=["region", "tenant", "version"], value="seconds")
    assert named(found) == ["version = v2"]
    (only,) = found.slices
    assert only.new
    assert only.before is None
    assert only.adjusted is not None
    assert only.adjusted == pytest.approx(20, abs=2.5)  # standard error about 1
    low, high = only.share_interval
    assert low < 1 < high


def test_a_new_version_that_is_as_fast_is_not_named() -> None:
    false = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        before = deployed(rng, 4_000, share=0.0, slow=1.0)
        after = deployed(rng, 2_000, share=0.7, slow=1.0)
        asked = {"dimensions": ["region", "tenant", "version"], "value": "seconds"}
        false += bool(drill_down(before, after, **asked).slices)
    assert false <= 2  # more than that at a rate of 0.05: probability 0.01


def test_a_version_everywhere_cannot_be_told_from_everything() -> None:
    rng = np.random.default_rng(0)
    before = requests(rng, 4_000).assign(version="v1")
    after = requests(rng, 4_000, even=2.0).assign(version="v9")
    found = drilled(before, after)
    assert not found.slices
    told = "every row of the incident has version = v9: not to be told from everything"
    assert told in found.assumptions
    assert "no longer seen: version = v1" in found.assumptions


def test_missing_values_are_a_level_of_their_own() -> None:
    rng = np.random.default_rng(0)
    before, after = requests(rng, 8_000), requests(rng, 8_000)
    for frame in (before, after):
        frame.loc[frame.region == "eu", "region"] = None
    after.loc[after.region.isna(), "seconds"] *= 3
    after.loc[:9, "seconds"] = np.nan
    found = drilled(before, after)
    assert named(found) == ["region = missing"]
    assert "left out, without seconds or weight: 0 and 10 rows" in found.assumptions


@pytest.mark.parametrize("seed", range(3))
def test_error_rates_from_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def counts(rows: int, bad: float, usual: float = 0.002) -> pd.DataFrame:
        found = pd.DataFrame(
            {
                "region": rng.choice(["eu", "us", "ap"], rows),
                "host": rng.choice([f"h{i}" for i in range(30)], rows),
            }
        )
        asked = rng.poisson(50, rows)
        rate = np.where(found.host == "h3", bad, usual)
        return found.assign(requests=asked, errors=rng.binomial(asked, rate))

    asked = {"dimensions": ["region", "host"], "value": "errors", "weight": "requests"}
    found = drill_down(counts(3000, 0.002), counts(1500, 0.1), **asked)
    assert named(found) == ["host = h3"]
    (only,) = found.slices
    assert only.after == pytest.approx(0.1, abs=0.02)  # standard error 0.006
    assert only.interval[0] < 0.098 / 30 < only.interval[1] * 1.3
    # The same without a single error in the normal period.
    found = drill_down(counts(3000, 0, 0), counts(1500, 0.1, 0), **asked)
    assert named(found) == ["host = h3"]
    assert found.slices[0].share == pytest.approx(1)


def test_a_total_grows_by_requests_or_by_their_size() -> None:
    rng = np.random.default_rng(0)

    def traffic(rows: int) -> pd.DataFrame:
        found = pd.DataFrame({"region": rng.choice(["eu", "us"], rows)})
        return found.assign(bytes=rng.exponential(10, rows))

    before, after = traffic(20_000), traffic(4_000)
    doubled = pd.concat([after, after[after.region == "eu"]])
    asked = {"dimensions": ["region"], "value": "bytes", "kind": "total", "lengths": (5.0, 1.0)}
    found = drill_down(before, doubled, **asked)
    assert found.change == pytest.approx(20_000, rel=0.1)
    assert found.mix_share == pytest.approx(1, abs=0.1)
    assert str(found.shifts[0].condition) == "region = eu"
    after.loc[after.region == "eu", "bytes"] *= 2
    found = drill_down(before, after, **asked)
    assert named(found) == ["region = eu"]
    assert found.slices[0].share == pytest.approx(1, abs=0.1)


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    before = requests(rng, 5_000)
    after = requests(rng, 5_000, hit=PLANTED["region = eu"], factor=3.0)
    one = drilled(before, after)
    other = drilled(before.sample(frac=1, random_state=1), after.sample(frac=1, random_state=2))
    assert str(drilled(before, after)) == str(one)
    assert named(one) == named(other)
    assert one.slices[0].contribution == pytest.approx(other.slices[0].contribution)


def test_what_cannot_be_asked() -> None:
    rng = np.random.default_rng(0)
    frame = requests(rng, 100)
    with pytest.raises(MissingColumnError, match="zone"):
        drill_down(frame, frame, dimensions=["zone"], value="seconds")
    with pytest.raises(DataError, match="no numbers"):
        drill_down(frame, frame, dimensions=["region"], value="tenant")
    with pytest.raises(DataError, match="no row"):
        drill_down(frame, frame[:0], dimensions=["region"], value="seconds")
    with pytest.raises(DataError, match="below zero"):
        drill_down(
            frame.assign(n=1),
            frame.assign(n=-1),
            dimensions=["region"],
            value="seconds",
            weight="n",
        )
    with pytest.raises(QueryError, match="dimensions"):
        drill_down(frame, frame, dimensions="region", value="seconds")
    with pytest.raises(QueryError, match="depth"):
        drilled(frame, frame, depth=0)
    same = drilled(frame, frame)
    assert not same.slices
    assert not same.moved
    assert "may be chance" in str(same)
