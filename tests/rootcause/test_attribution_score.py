"""The anomaly score is dowhy's, ties and all: two thresholds say what its ranks say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dowhy.gcm.anomaly_scorers import MedianCDFQuantileScorer
from numpy.typing import NDArray

from causalsys.rootcause.attribution_score import Score


def _drawn(seed: int, *, tied: bool) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    found = [random.normal(size=301), 2 * random.normal(size=40), 2 * random.normal(size=500)]
    return [np.round(2 * each) for each in found] if tied else found


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_as_extreme_as_a_row_is_what_dowhy_says(seed: int, tied: bool) -> None:
    draws, rows, others = _drawn(seed, tied=tied)
    others = np.concatenate([others, draws, rows])
    theirs = MedianCDFQuantileScorer()
    theirs.fit(draws)
    wanted = theirs.score(others)[None] >= theirs.score(rows)[:, None]
    ours = Score.of(torch.tensor(rows), torch.tensor(draws), measure="surprise", tail="both")
    values = torch.tensor(others)[None, None].expand(1, len(rows), -1)
    assert ours.summed(values, slice(None))[0].tolist() == wanted.sum(axis=1).tolist()
    base = theirs.score(draws)[None] >= theirs.score(rows)[:, None]
    score = -np.log((base.sum(axis=1) + 0.5) / (len(draws) + 0.5))
    assert ours.total.tolist() == pytest.approx(list(score), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_rank_scores_are_dowhys(tied: bool) -> None:
    draws, rows, _ = _drawn(0, tied=tied)
    theirs = MedianCDFQuantileScorer()
    theirs.fit(draws)
    ours = Score.of(torch.tensor(rows), torch.tensor(draws), measure="rank", tail="both")
    wanted = theirs.score(rows) - theirs.score(draws).mean()
    assert ours.total.tolist() == pytest.approx(list(wanted), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("tail", ["upper", "lower"])
def test_one_tail_counts_one_side(tail: str, tied: bool) -> None:
    draws, rows, others = _drawn(1, tied=tied)
    ours = Score.of(torch.tensor(rows), torch.tensor(draws), measure="surprise", tail=tail)  # type: ignore[arg-type]
    values = torch.tensor(others)[None, None].expand(1, len(rows), -1)
    found = ours.summed(values, slice(None))[0].numpy()

    def rank(x: NDArray[np.float64]) -> NDArray[np.int64]:
        below, above = draws[:, None] < x[None], draws[:, None] > x[None]
        return below.sum(axis=0) - above.sum(axis=0)

    sign = 1 if tail == "upper" else -1
    wanted = sign * rank(others)[None] >= sign * rank(rows)[:, None]
    assert found.tolist() == wanted.sum(axis=1).tolist()


@pytest.mark.parametrize("measure", ["surprise", "rank", "value"])
@pytest.mark.parametrize("tail", ["both", "upper"])
def test_sums_are_scored_as_values_are(measure: str, tail: str) -> None:
    random = np.random.default_rng(0)
    own, drawn = torch.tensor(random.normal(size=(5, 7))), torch.tensor(random.normal(size=(5, 90)))
    score = Score.of(
        torch.tensor(random.normal(size=7)),
        torch.tensor(random.normal(size=90)),
        measure=measure,  # type: ignore[arg-type]
        tail=tail,  # type: ignore[arg-type]
    )
    values = own[:, :, None] + drawn[:, None]
    wanted = score.finish(score.summed(values, slice(None)), 90)
    assert torch.allclose(score.of_sums(own, drawn), wanted, atol=1e-12)
