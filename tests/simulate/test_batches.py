"""Traces in batches give what all of them give at once, whatever the batches and the engine."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys import errors
from tests.simulate.batched import POLICIES, Station, log

LENGTHS = [5, 17, 1, 30, 12, 12, 3, 25, 40, 9, 21, 14]
OBJECTIVES = {
    "p90 waiting": "p90 waiting",
    "full": lambda waiting: waiting > 2,
    "by region": lambda region, served: served * region,
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return log(LENGTHS)


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame) -> cs.FittedSCM:
    return Station.fit(cs.Traces(rows), ensemble=2)


@pytest.fixture
def folder(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """Two files, between which a trace goes on, in small row groups."""
    place = tmp_path / "log"
    place.mkdir()
    rows[:80].to_parquet(place / "part-0.parquet", row_group_size=32)
    rows[80:].to_parquet(place / "part-1.parquet", row_group_size=50)
    return place


def batched(fitted: cs.FittedSCM, path: Path, **given: object) -> cs.Aggregates:
    settings: dict[str, object] = {"policies": POLICIES, "objectives": OBJECTIVES, "seed": 3}
    return cs.simulate_batches(fitted, path, **settings | given)  # type: ignore[arg-type]


def test_the_luck_of_the_record_is_kept(
    fitted: cs.FittedSCM, rows: pd.DataFrame, folder: Path
) -> None:
    known = {"slow": POLICIES["any"], "quick": POLICIES["any"]}
    found = batched(fitted, folder, behaviour=known, batch=60)
    once = cs.simulate(fitted, cs.Traces(rows), policies=POLICIES, behaviour=known, seed=3)
    for policy, frame in once.frames.items():
        assert found.mean("served", policy) == pytest.approx(frame["served"].mean(), rel=1e-12)
    assert found.mean("served", "any") == pytest.approx(rows["served"].mean())


def test_batches_give_what_one_piece_gives(
    fitted: cs.FittedSCM, rows: pd.DataFrame, folder: Path
) -> None:
    found = batched(fitted, folder, batch=60)
    once = cs.simulate(fitted, cs.Traces(rows), policies=POLICIES, seed=3)
    assert (found.traces, found.rows) == (len(LENGTHS), len(rows))
    for policy, frame in {"recorded": rows, **once.frames}.items():
        for column in ("waiting", "served", "arrivals"):
            assert found.mean(column, policy) == pytest.approx(frame[column].mean(), rel=1e-12)
            wanted = frame[column].std()
            assert found.std(column, policy) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        shares = frame["machine"].value_counts(normalize=True)
        for level, share in found.shares("machine", policy).items():
            assert share == pytest.approx(shares.get(level, 0.0))
        wanted = frame["waiting"].quantile(0.9)
        assert found.score("p90 waiting", policy) == pytest.approx(wanted, rel=1e-3)
        assert found.score("full", policy) == pytest.approx((frame["waiting"] > 2).mean())
        product = (frame["served"] * frame["region"]).mean()
        assert found.score("by region", policy) == pytest.approx(product)


@pytest.mark.parametrize("engine", [cs.Here(), cs.Cores(2)], ids=str)
@pytest.mark.parametrize("batch", [40, 41, 100, None])
def test_numbers_do_not_depend_on_batches_or_engine(
    fitted: cs.FittedSCM, folder: Path, batch: int | None, engine: cs.Engine
) -> None:
    wanted = batched(fitted, folder, batch=70)
    found = batched(fitted, folder, batch=batch, engine=engine)
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame(), check_exact=True)
    for policy in POLICIES:
        each = (found.interval("waiting", policy, base="recorded"), found.std("served", policy))
        same = (wanted.interval("waiting", policy, base="recorded"), wanted.std("served", policy))
        assert each == same


def test_parts_of_the_traces_add_up(
    fitted: cs.FittedSCM, rows: pd.DataFrame, tmp_path: Path
) -> None:
    cut = sum(LENGTHS[:5])
    for part, some in (("a", rows[:cut]), ("b", rows[cut:]), ("whole", rows)):
        some.to_parquet(tmp_path / f"{part}.parquet")
    a, b, whole = (batched(fitted, tmp_path / f"{part}.parquet") for part in ("a", "b", "whole"))
    assert (a + b).to_frame().equals(whole.to_frame())


def test_another_seed_changes_random_policies_only(fitted: cs.FittedSCM, folder: Path) -> None:
    found, other = batched(fitted, folder), batched(fitted, folder, seed=4)
    assert found.mean("waiting", "any") != other.mean("waiting", "any")
    assert found.mean("waiting", "busiest") == other.mean("waiting", "busiest")


@pytest.mark.parametrize("engine", [cs.Here(), cs.Cores(2)], ids=str)
def test_rows_are_written_as_they_were_simulated(
    fitted: cs.FittedSCM, rows: pd.DataFrame, folder: Path, tmp_path: Path, engine: cs.Engine
) -> None:
    place = tmp_path / "rows"
    policies = {**POLICIES, "a/b=c": "b"}
    batched(fitted, folder, policies=policies, rows=place, batch=60, engine=engine)
    written = pd.read_parquet(place)
    once = cs.simulate(fitted, cs.Traces(rows), policies=policies, seed=3)
    for policy in policies:
        mine = written[written["policy"] == policy].drop(columns="policy").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, once.frames[policy], rtol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "rows"]


class _BrokenError(Exception):
    pass


def test_rows_are_whole_or_not_there(fitted: cs.FittedSCM, folder: Path, tmp_path: Path) -> None:
    calls = 0

    def breaks(waiting: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return waiting.long().clamp(0, 2) if calls < 60 else torch.full_like(waiting, 9.0)

    with pytest.raises(errors.CausalSysError):
        batched(fitted, folder, policies={"breaks": breaks}, rows=tmp_path / "rows", batch=40)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("engine", [cs.Here(), cs.Cores(2)], ids=str)
def test_an_interrupt_leaves_neither_rows_nor_processes(
    fitted: cs.FittedSCM,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: cs.Engine,
) -> None:
    def interrupted(self: cs.Aggregates, other: cs.Aggregates) -> cs.Aggregates:
        raise KeyboardInterrupt

    others = set(multiprocessing.active_children())  # Other libraries keep workers of their own.
    monkeypatch.setattr(cs.Aggregates, "__add__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        batched(fitted, folder, rows=tmp_path / "rows", batch=40, engine=engine)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert not set(multiprocessing.active_children()) - others


def test_a_place_that_is_taken_is_refused(
    fitted: cs.FittedSCM, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "old.parquet").write_text("mine")
    with pytest.raises(errors.QueryError, match="rows, which is there already"):
        batched(fitted, folder, rows=tmp_path / "rows")
    with pytest.raises(errors.QueryError, match="no place"):
        batched(fitted, folder, rows=tmp_path / "nowhere" / "rows")
    (tmp_path / "empty").mkdir()
    batched(fitted, folder, rows=tmp_path / "empty")
    assert len(pd.read_parquet(tmp_path / "empty")) == 3 * sum(LENGTHS)


def test_columns_may_have_other_names(
    fitted: cs.FittedSCM, rows: pd.DataFrame, tmp_path: Path
) -> None:
    named = rows.rename(columns={"trace": "session", "step": "n"})
    named.to_parquet(tmp_path / "log.parquet")
    found = batched(fitted, tmp_path / "log.parquet", trace="session", step="n")
    assert found.traces == len(LENGTHS)


def test_objectives_that_cannot_be_had_from_batches_are_refused(
    fitted: cs.FittedSCM, folder: Path
) -> None:
    with pytest.raises(errors.QueryError, match="one number for all rows"):
        batched(fitted, folder, objectives=[lambda frame: frame["waiting"].max()])
    with pytest.raises(errors.QueryError, match="infinite or hardly finite"):
        batched(fitted, folder, objectives={"x": lambda waiting: waiting + np.inf})
    with pytest.raises(errors.QueryError, match="name of two objectives"):
        batched(fitted, folder, objectives={"served": lambda waiting: waiting})
    with pytest.raises(errors.QueryError, match="Give a list"):
        batched(fitted, folder, objectives="p99 waiting")
    with pytest.raises(errors.UnknownNameError, match="wating"):
        batched(fitted, folder, objectives=["p99 wating"])


def test_what_is_asked_wrongly_is_refused(fitted: cs.FittedSCM, folder: Path) -> None:
    with pytest.raises(errors.InterventionError, match="recorded: a policy of that name"):
        batched(fitted, folder, policies={"recorded": "a"})
    with pytest.raises(errors.QueryError, match="engine"):
        batched(fitted, folder, engine=2)
    with pytest.raises(errors.DataError, match="more than a batch of 39 rows"):
        batched(fitted, folder, batch=39)
    with pytest.raises(errors.CausalSysError, match="batch"):
        batched(fitted, folder, batch=0)
    with pytest.raises(errors.DataError, match=r"DataFrame.*cs\.simulate"):
        batched(fitted, pd.DataFrame())


def test_a_model_has_to_be_fitted_first(fitted: cs.FittedSCM, folder: Path) -> None:
    class Plain(cs.SCM):
        served = cs.Decision(cs.Real())

    with pytest.raises(errors.QueryError, match=r"Plain, which is not fitted.*Model\.fit"):
        batched(Plain, folder)
    with pytest.raises(errors.QueryError, match="Plain, which is not fitted"):
        cs.simulate(Plain, pd.DataFrame({"served": [1.0]}), policies={"a": 1.0})


def test_bad_rows_are_named(fitted: cs.FittedSCM, rows: pd.DataFrame, tmp_path: Path) -> None:
    wrong = rows.copy()
    wrong.loc[100, "arrivals"] = -1.0
    wrong.to_parquet(tmp_path / "log.parquet")
    for engine in (cs.Here(), cs.Cores(2)):
        with pytest.raises(errors.CausalSysError, match="arrivals"):
            batched(fitted, tmp_path / "log.parquet", batch=60, engine=engine)
