"""The mechanism of low rank and its latents: noise and back, densities, shapes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from causalsys.errors import DeclarationError, FitError
from causalsys.mechanisms import Sample, Training, build
from causalsys.mechanisms.low_rank import LowRankMechanism
from causalsys.scm.specs import LastingNormal, LowRank
from causalsys.scm.supports import Boolean, Categorical, Positive, Real, Support

PARENTS: dict[str, Support] = {
    "u": Real(size=2),
    "v": Real(),
    "a": Categorical(3),
    "b": Boolean(),
    "x": Positive(),
}
ROWS = 40


def started(members: int = 2) -> tuple[LowRankMechanism, dict[str, torch.Tensor], torch.Tensor]:
    """A mechanism with random parameters, its parents and a value."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn((members, ROWS, 3), generator=generator, dtype=torch.float64)
    parents = {
        "u": normal[..., :2],
        "v": normal[..., 2],
        "a": torch.randint(0, 3, (1, ROWS), generator=generator),
        "b": torch.randint(0, 2, (1, ROWS), generator=generator),
        "x": torch.rand((1, ROWS), generator=generator, dtype=torch.float64) + 0.5,
    }
    value = torch.rand((1, ROWS), generator=generator, dtype=torch.float64) + 0.1
    spec = LowRank(link="log", latents=("u", "v"))
    empty = build(spec, Positive(), parents=PARENTS)
    assert isinstance(empty, LowRankMechanism)
    known = {key: parents[key] for key in ("a", "b", "x")}
    weight = torch.ones((members, ROWS), dtype=torch.float64)
    mechanism = empty.start(Sample(value, known, weight), generator=generator)
    state = {**mechanism.state, "weight": torch.full((members, 1), 0.7, dtype=torch.float64)}
    return mechanism.with_state(state), parents, value


def test_noise_and_back_by_hand() -> None:
    mechanism, parents, value = started()
    noise = mechanism.pull(value, parents)
    assert noise.shape == (2, ROWS)
    assert mechanism.push(noise, parents).numpy() == pytest.approx(value.expand(2, -1).numpy())
    state, row = mechanism.state, 7
    action = int(parents["a"][0, row]) * 2 + int(parents["b"][0, row])
    latent = torch.cat([parents["u"][1, row], parents["v"][1, row, None]])
    centre = state["constant"][1, action] + state["loading"][1, action] @ latent
    centre = centre + 0.7 * (parents["x"][0, row] + state["offset.x"]).log()
    scale = state["log_scale"][1].exp()
    left = ((value[0, row] + state["offset"]).log() - centre) / scale
    assert float(noise[1, row]) == pytest.approx(float(left))
    slope = -scale.log() - (value[0, row] + state["offset"]).log()
    density = Normal(0.0, 1.0).log_prob(left) + slope
    assert float(mechanism.log_prob(value, parents)[1, row]) == pytest.approx(float(density))


def test_worlds_are_one_more_axis() -> None:
    mechanism, parents, value = started()
    noise = mechanism.pull(value, parents)
    wide = {**parents, "a": torch.stack([parents["a"], 2 - parents["a"]])}
    found = mechanism.push(noise, wide)
    assert found.shape == (2, 2, ROWS)
    assert torch.allclose(found[0], value.expand(2, -1))
    assert torch.allclose(found[1], mechanism.push(noise, {**parents, "a": 2 - parents["a"]}))
    moved = mechanism.carry(value, parents, {"a": 2 - parents["a"]})
    assert torch.allclose(moved, found[1])


@pytest.mark.parametrize("size", [None, 2])
def test_lasting_latents_go_on_as_they_say(size: int | None) -> None:
    """A long course has unit variance and the persistence as its correlation; by 20,000 steps."""
    support = Real(size=size)
    empty = build(LastingNormal(), support, parents={"u[-1]": support})
    keeps = torch.full((1, size or 1), 0.6, dtype=torch.float64)
    mechanism = empty.of(keeps)  # type: ignore[attr-defined]
    steps, generator = 20_000, torch.Generator().manual_seed(0)
    noise = mechanism.draw_noise((1, steps), generator=generator)
    course = mechanism.along(noise, list(torch.arange(steps).unsqueeze(-1)))
    assert course.shape == noise.shape
    first = torch.full_like(course[:, :1], -torch.inf)
    parents = {"u[-1]": torch.cat([first, course[:, :-1]], 1)}
    assert torch.allclose(mechanism.pull(course, parents), noise)
    flat = course.reshape(steps, -1)
    assert flat.var(0).tolist() == pytest.approx([1.0] * (size or 1), abs=0.05)
    together = (flat[1:] * flat[:-1]).mean(0)
    assert together.tolist() == pytest.approx([0.6] * (size or 1), abs=0.05)
    at_first = mechanism.log_prob(course, parents)[0, 0]
    assert float(at_first) == pytest.approx(
        float(-0.5 * (flat[0] ** 2 + math.log(2 * math.pi)).sum())
    )


def test_it_is_fitted_with_its_latents_only() -> None:
    mechanism, parents, value = started()
    with pytest.raises(FitError, match="no latents"):
        mechanism.fit(Sample(value, parents, torch.ones(1, ROWS)), training=Training())
    with pytest.raises(DeclarationError, match="its noise is normal"):
        LowRank(noise="empirical")
