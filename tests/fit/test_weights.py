"""Weights of rows: drawn lazily, by trace, and for a sample of many rows."""

from __future__ import annotations

import pytest
import torch

from causalsys.fit import weights as module
from causalsys.fit.weights import Weights
from causalsys.mechanisms.base import Sample


def of(rows: int, *, per_trace: int = 1, members: int = 3) -> Weights:
    own = torch.linspace(0.5, 1.5, rows, dtype=torch.float64)
    return Weights(own, torch.arange(rows) // per_trace, members, 7)


def test_plain_weights_take_the_memory_of_one_member() -> None:
    weights = of(100)
    assert weights.plain.shape == (3, 100)
    assert weights.plain.untyped_storage().nbytes() == weights.own.untyped_storage().nbytes()


def test_member_zero_keeps_its_weights_and_the_others_are_drawn() -> None:
    weights = of(50_000)
    drawn = weights.drawn / weights.own
    assert torch.equal(weights.drawn[0], weights.own)
    # Exponential draws: mean 1 and standard deviation 1, known to 1 / sqrt(50000) = .0045.
    torch.testing.assert_close(drawn[1:].mean(-1), torch.ones(2).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn[1:].std(-1), torch.ones(2).double(), atol=0.05, rtol=0)
    assert torch.equal(drawn, of(50_000).drawn / weights.own)


def test_rows_of_a_trace_share_their_draw() -> None:
    weights = of(120, per_trace=4)
    drawn = (weights.drawn / weights.own).reshape(3, 30, 4)
    torch.testing.assert_close(drawn, drawn[..., :1].expand_as(drawn))
    assert len(drawn[1, :, 0].unique()) == 30
    few = of(12, per_trace=4)
    assert len((few.drawn / few.own)[1].unique()) == 12


def test_rows_can_be_taken() -> None:
    taken = of(120, per_trace=4).take(torch.tensor([0, 1, 9, 119]))
    assert taken.trace.tolist() == [0, 0, 1, 2]
    assert torch.equal(taken.own, of(120).own[[0, 1, 9, 119]])


@pytest.mark.parametrize("most", [30, 100])
def test_of_many_rows_a_sample_is_drawn(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "ENOUGH", most)
    weights = of(60)
    value = torch.arange(60.0, dtype=torch.float64).unsqueeze(0)
    found = weights.resampled(Sample(value, {"x": 2 * value}, weights.plain))
    assert found.rows == min(most, 60)
    assert len(found.value.unique()) == found.rows
    assert torch.equal(found.parents["x"], 2 * found.value)
    assert torch.equal(found.weight[0], weights.own[found.value[0].long()])
