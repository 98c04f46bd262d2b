"""`pick` and `add_at`: against loops, over every shape that an equation meets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import causalsys as cs

leads = st.sampled_from([(), (3,), (2, 3), (1, 3), (4, 1, 3)])


@st.composite
def rows(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """A vector, an index and an amount whose leading shapes broadcast together."""
    size = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 100)))
    vector = torch.randn(*draw(leads), 5, size, generator=generator, dtype=torch.float64)
    index = torch.randint(size, (*draw(leads), 5), generator=generator)
    amount = torch.randn(*draw(leads), 5, generator=generator, dtype=torch.float64)
    return vector, index, amount


@given(rows())
def test_pick_is_indexing(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    vector, index, _ = drawn
    shape = torch.broadcast_shapes(vector.shape[:-1], index.shape)
    expected = [
        row[i]
        for row, i in zip(
            vector.expand(*shape, -1).reshape(-1, vector.shape[-1]),
            index.expand(shape).reshape(-1),
            strict=True,
        )
    ]
    assert torch.equal(cs.pick(vector, index), torch.stack(expected).reshape(shape))


@given(rows())
def test_add_at_changes_one_element(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    vector, index, amount = drawn
    before = vector.clone()
    after = cs.add_at(vector, index, amount)
    assert torch.equal(vector, before)
    assert after.dtype == vector.dtype
    places = torch.arange(vector.shape[-1]) == index.unsqueeze(-1)
    expected = vector + places * amount.unsqueeze(-1)
    assert torch.allclose(after, expected)


@given(rows())
def test_what_is_added_can_be_picked(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    vector, index, amount = drawn
    after = cs.pick(cs.add_at(vector, index, amount), index)
    assert torch.allclose(after, cs.pick(vector, index) + amount)


def test_gradients_pass() -> None:
    vector = torch.zeros(2, 3, requires_grad=True)
    amount = torch.ones(2, requires_grad=True)
    index = torch.tensor([2, 0])
    cs.pick(cs.add_at(vector, index, amount), index).sum().backward()
    assert vector.grad is not None
    assert vector.grad.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert amount.grad is not None
    assert amount.grad.tolist() == [1, 1]


def test_indices_may_be_floating_point_codes() -> None:
    assert cs.pick(torch.tensor([[1.0, 2.0]]), torch.tensor([1.0])).tolist() == [2.0]


def test_an_index_outside_the_vector_fails() -> None:
    with pytest.raises((IndexError, RuntimeError)):
        cs.pick(torch.zeros(1, 2), torch.tensor([2]))
