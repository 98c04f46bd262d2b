"""Chains on a grid, AR(1)s, and measurements: noise to value and back, and the law between them."""

from __future__ import annotations

import math

import pytest
import torch

from causalsys.mechanisms import Mechanism, Training, build
from causalsys.mechanisms.base import Sample
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.conformance import check_mechanism
from causalsys.scm import specs
from causalsys.scm.supports import Fraction, Positive, Real, Support

LAW = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]]


def chain() -> ChainMechanism:
    spec = specs.HiddenMarkov(levels=(0.5, 1, 4))
    made = build(spec, Positive(), parents={"u[-1]": Positive()})
    assert isinstance(made, ChainMechanism)
    empty = Sample(torch.zeros(1, 1), {}, torch.ones(1, 1))
    started = made.start(empty, generator=torch.Generator())
    law = torch.tensor([LAW], dtype=torch.float64)
    initial = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    return started.of(started.state["levels"], initial, law)


def autoregressive() -> Mechanism:
    made = build(specs.AutoRegressive(), Positive(), parents={"u[-1]": Positive()})
    state = {"mean": 0.7, "spread": 0.5, "persistence": 0.9}
    return made.with_state({k: torch.tensor([[v]], dtype=torch.float64) for k, v in state.items()})


@pytest.mark.parametrize("made", [chain, autoregressive])
def test_values_come_back_from_their_noise(made) -> None:  # type: ignore[no-untyped-def]
    mechanism, generator = made(), torch.Generator().manual_seed(0)
    before = torch.tensor([[-math.inf, 0.5, 1.0, 4.0]], dtype=torch.float64).repeat(5, 50)
    noise = mechanism.draw_noise((5, 200), generator=generator)
    value = mechanism.push(noise, {"u[-1]": before})
    again = mechanism.pull(value, {"u[-1]": before}, generator=generator)
    torch.testing.assert_close(mechanism.push(again, {"u[-1]": before}), value)


def test_frequencies_are_those_of_the_law() -> None:
    mechanism, generator = chain(), torch.Generator().manual_seed(1)
    for before, law in [(-math.inf, [0.2, 0.3, 0.5]), (1.0, LAW[1])]:
        past = torch.full((1, 20_000), before, dtype=torch.float64)
        value = mechanism.push(mechanism.draw_noise((1, 20_000), generator=generator), {"u": past})
        share = [(value == level).double().mean() for level in mechanism.values[0]]
        # Frequencies of 20,000 draws are known to .0035.
        assert share == pytest.approx(law, abs=0.015)
        found = mechanism.log_prob(mechanism.values, {"u": past[:, :3]}).exp()[0]
        assert found.tolist() == pytest.approx(law)


def test_a_chain_goes_along_its_traces() -> None:
    mechanism, generator = chain(), torch.Generator().manual_seed(2)
    noise = mechanism.draw_noise((2, 5), generator=generator)
    rows_at = [torch.tensor([0, 3]), torch.tensor([1, 4]), torch.tensor([2, -1])]
    values = mechanism.along(noise, rows_at)
    before = torch.cat([torch.full((2, 1), -math.inf), values[:, :-1]], -1).double()
    before[:, 3] = -math.inf
    torch.testing.assert_close(mechanism.push(noise, {"u": before}), values)


@pytest.mark.parametrize(
    ("link", "support"), [("identity", Real()), ("log", Positive()), ("logit", Fraction())]
)
def test_a_measurement_keeps_the_contract(link: specs.Link, support: Support) -> None:
    def make() -> Mechanism:
        return build(specs.Measurement(link=link), support, parents={"x": support})

    check_mechanism(make)


def test_a_measurement_learns_the_size_of_its_error() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = 1 + torch.rand(1, 2000, generator=generator).double()
    value = truth * torch.exp(0.2 * torch.randn(1, 2000, generator=generator).double())
    made = build(specs.Measurement(link="log"), Positive(), parents={"x": Positive()})
    fitted = made.fit(Sample(value, {"x": truth}, torch.ones(2, 2000)), training=Training())
    # The error of a scale from 2000 rows is 1.6 %.
    assert float(fitted.state["log_scale"][0, 0].exp()) == pytest.approx(0.2, rel=0.06)
