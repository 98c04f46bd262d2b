"""The parts of a change: they add up, their intervals cover, and big tables take seconds."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalsys.rootcause.drill import drill_down
from causalsys.rootcause.drill_baseline import fit_baseline
from causalsys.rootcause.drill_cells import read_cells
from tests.rootcause.drilled import DIMENSIONS, requests

ROW = st.tuples(
    st.sampled_from(["eu", "us", None]),
    st.sampled_from(["v1", "v2", "v3"]),
    st.floats(-100, 1000),
    st.integers(0, 20),
)
ROWS = st.lists(ROW, min_size=1, max_size=60).filter(lambda rows: any(row[3] for row in rows))


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, st.sampled_from(["rate", "total"]), st.booleans())
def test_contributions_sum_to_the_change(
    before: list[tuple[object, ...]], after: list[tuple[object, ...]], kind: str, slow: bool
) -> None:
    names = ["region", "version", "seconds", "requests"]
    first, second = (pd.DataFrame(rows, columns=names) for rows in (before, after))
    if slow:
        second.loc[second.version == "v2", "seconds"] += 5000.0
    found = drill_down(
        first,
        second,
        dimensions=["region", "version"],
        value="seconds",
        weight="requests",
        kind=kind,  # type: ignore[arg-type]
        lengths=(2.0, 1.0),
        min_rows=3,
    )
    total = sum(each.contribution for each in found.slices) + found.mix + found.rest
    scale = abs(found.before) + abs(found.after) + 1
    assert total == pytest.approx(found.change, abs=1e-8 * scale)
    assert found.to_frame().contribution.sum() == pytest.approx(total, abs=1e-8 * scale)
    kept = [frame[frame.requests > 0] for frame in (first, second)]
    if kind == "rate":
        means = [frame.seconds.sum() / frame.requests.sum() for frame in kept]
    else:
        means = [kept[0].seconds.sum() / 2, kept[1].seconds.sum()]
    assert (found.before, found.after) == pytest.approx(means, abs=1e-8 * scale)


def test_intervals_of_share_and_mix_cover_the_truth() -> None:
    runs, covered = 30, np.zeros(2, int)

    def traffic(rng: np.random.Generator, slow: float, factor: float) -> pd.DataFrame:
        rows = 3_000
        endpoint = rng.choice(["search", "get", "put"], rows, p=[slow, 0.6 - slow, 0.4])
        region = rng.choice(["eu", "us"], rows)
        usual = np.where(endpoint == "search", 50.0, 10.0) * np.where(region == "eu", factor, 1.0)
        return pd.DataFrame(
            {"endpoint": endpoint, "region": region, "seconds": rng.exponential(usual)}
        )

    # 0.2 of the requests take 40 more; half of the requests, whose mean is then 22, take as much
    # again.
    mix, carried = 0.2 * 40, 0.5 * 22
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        found = drill_down(
            traffic(rng, 0.1, 1.0),
            traffic(rng, 0.3, 2.0),
            dimensions=["endpoint", "region"],
            value="seconds",
        )
        assert str(found.slices[0]) == "region = eu"
        low, high = found.slices[0].interval
        covered += [found.mix_interval[0] < mix < found.mix_interval[1], low < carried < high]
    # At 0.9 fewer than 22 of 30 have a probability of 0.002.
    assert covered.min() >= 22


@pytest.mark.parametrize("relative", [False, True])
def test_the_baseline_borrows_for_thin_cells(relative: bool) -> None:
    rng = np.random.default_rng(0)
    own = [np.exp(rng.normal(0, 0.4, 30)) for _ in range(2)]

    def rows(count: int) -> tuple[pd.DataFrame, np.ndarray]:
        a, b = rng.integers(30, size=(2, count))
        mean = 10 * own[0][a] * own[1][b] if relative else 10 + 5 * own[0][a] + 5 * own[1][b]
        noisy = mean * rng.exponential(size=count)
        return pd.DataFrame({"a": a, "b": b, "seconds": noisy}), mean

    before, _ = rows(3_000)  # about three rows a cell
    after, truth = rows(2_000)
    cells = read_cells(before, after, dimensions=["a", "b"], value="seconds", weight=None)
    fitted = fit_baseline(cells)
    rate = fitted.expected[cells.after.cell]
    # Cell means would be off by the noise of three rows, about .6; levels have a hundred rows.
    assert np.sqrt(np.mean((rate / truth - 1) ** 2)) < 0.25


@pytest.mark.slow
def test_a_million_rows_of_large_dimensions_take_seconds() -> None:
    rng = np.random.default_rng(0)

    def traffic(factor: float) -> pd.DataFrame:
        found = pd.DataFrame({n: (rng.zipf(1.3, 500_000) % 1000).astype(str) for n in "abcd"})
        hit = (found.a == "2") & (found.b == "1")
        usual = rng.lognormal(size=len(found))
        return found.assign(seconds=usual * np.where(hit, factor, 1.0))

    before, after = traffic(1.0), traffic(8.0)
    start = time.process_time()
    found = drill_down(before, after, dimensions=list("abcd"), value="seconds")
    assert [str(each) for each in found.slices] == ["a = 2 and b = 1"]
    assert (
        time.process_time() - start < 20
    )  # of processor time, since other work may share the machine


def test_words_and_table_agree() -> None:
    rng = np.random.default_rng(3)
    hit = lambda f: f.endpoint == "e7"  # noqa: E731
    found = drill_down(
        requests(rng, 8_000),
        requests(rng, 8_000, hit=hit, factor=3.0),
        dimensions=DIMENSIONS,
        value="seconds",
    )
    table = found.to_frame().set_index("part")
    assert list(table.index) == ["endpoint = e7", "mix", "rest"]
    row = table.loc["endpoint = e7"]
    assert row.low < row.contribution < row.high
    told = str(found)
    assert f"{100 * row.share:.3g} %" in told
    assert "other dimensions held fixed" in told
    assert str(found.looked_at) in told.replace(",", "")
