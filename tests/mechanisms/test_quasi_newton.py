from __future__ import annotations

import torch
from torch import Tensor

from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import minimise


def _rosenbrock(points: Tensor, members: Tensor) -> Tensor:
    x, y = points[:, 0], points[:, 1]
    return (1 - x) ** 2 + (10.0 + members) * (y - x**2) ** 2


def test_every_member_finds_its_minimum() -> None:
    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]], dtype=torch.float64)
    found = minimise(_rosenbrock, start)
    torch.testing.assert_close(found, torch.ones_like(found), atol=1e-5, rtol=0)


def test_a_member_does_not_depend_on_its_company() -> None:
    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]], dtype=torch.float64)
    together = minimise(_rosenbrock, start, steps=7)
    for member in range(3):
        alone = minimise(
            lambda points, _, own=member: _rosenbrock(points, torch.tensor([own])),
            start[member : member + 1],
            steps=7,
        )
        assert torch.equal(together[member : member + 1], alone)


def test_losses_in_parts_are_added_up() -> None:
    start = torch.zeros(2, 3, dtype=torch.float64)
    parts = [lambda p, m, at=at: ((p - at) ** 2).sum(-1) for at in (0.0, 1.0, 5.0)]
    torch.testing.assert_close(minimise(parts, start), torch.full_like(start, 2.0))


def test_a_loss_that_is_not_finite_on_the_way_is_stepped_around() -> None:
    start = torch.full((1, 1), 30.0, dtype=torch.float64)
    found = minimise(lambda p, m: (p - torch.log(p)).sum(-1), start)
    torch.testing.assert_close(found, torch.ones_like(found))


def test_packing_keeps_names_and_shapes() -> None:
    state = {"a": torch.rand(2, 3, 4), "b": torch.rand(2, 1), "kept": torch.rand(1)}
    points = pack(state, ["b", "a"])
    assert points.shape == (2, 13)
    again = unpack(points, state, ["b", "a"])
    assert all(torch.equal(again[name], state[name]) for name in state)
    assert unpack(points[:1], state, ["b", "a"])["a"].shape == (1, 3, 4)
