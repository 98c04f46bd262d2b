"""When to retrain, and on which rows: against cases whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from causalsys.errors import EvidenceError, QueryError
from causalsys.replace.retrain import Retraining, when_to_retrain
from causalsys.replace.retrain_rows import choose_rows


@dataclass(frozen=True)
class Part:
    kind: str
    low: float


@dataclass(frozen=True)
class Found:
    kind: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Alarm:
    node: str


def decide(found: object, **changed: float) -> Retraining:
    asked = {"now": 0.3, "then": 0.1, "horizon": 1000.0, "cost": 100.0} | changed
    return when_to_retrain(found, target="y", **asked)  # type: ignore[arg-type]


def test_shift_of_the_mix_alone_leads_to_reweighting_however_large_the_gain() -> None:
    decided = decide(Found("mix shift", (Part("mix shift", 0.1),)))
    assert (decided.action, decided.only) == ("reweight", ())


@pytest.mark.parametrize("kind", ["mechanism change", "latent group"])
def test_changed_mechanism_is_refitted_where_the_gain_exceeds_the_cost(kind: str) -> None:
    found = Found(kind, (Part(kind, 0.1),))
    refit, wait = decide(found), decide(found, cost=300.0)
    assert (refit.action, refit.only) == ("refit", ("y",))
    assert refit.gain == pytest.approx(200.0)
    assert wait.action == "wait"


def test_mechanism_that_surely_changed_counts_beside_a_larger_shift_of_the_mix() -> None:
    both = (Part("mix shift", 0.2), Part("mechanism change", 0.05))
    assert decide(Found("mix shift", both)).action == "refit"
    unsure = (Part("mix shift", 0.2), Part("mechanism change", -0.05))
    assert decide(Found("mix shift", unsure)).action == "reweight"


def test_alarm_of_the_target_is_its_mechanism_and_of_an_input_the_mix() -> None:
    assert decide([Alarm("x"), Alarm("y")]).action == "refit"
    assert decide(Alarm("x")).action == "reweight"
    assert decide(None).action == "wait"


def test_learning_curve_tells_the_error_at_more_labels() -> None:
    # 0.1 + labels ** -1/2, exactly: at 400 labels 0.15.
    curve = ([25, 100], [0.3, 0.2])
    decided = when_to_retrain(
        Alarm("y"), target="y", now=0.3, then=curve, horizon=1.0, cost=0.0, labels=400
    )
    assert decided.gain == pytest.approx(0.15)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(QueryError, match="cost"):
        decide(None, cost=-1.0)
    with pytest.raises(EvidenceError, match="then"):
        when_to_retrain(None, target="y", now=1, then=([5], [0.1]), horizon=1, cost=1, labels=9)


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(400, 2))
    return inputs, random.normal(size=400)


def test_influence_foretells_what_leaving_a_row_out_does() -> None:
    inputs, noise = rows()
    truth = inputs @ [1.0, -2.0] + noise
    design = np.column_stack([np.ones(400), inputs])
    weights = np.linalg.lstsq(design, truth, rcond=None)[0]
    bad = np.arange(400) < 40
    found = choose_rows(inputs, truth - design @ weights, count=10, misbehaves=bad)

    def loss(kept: np.ndarray) -> float:
        refit = np.linalg.lstsq(design[kept], truth[kept], rcond=None)[0]
        return float(0.5 * ((truth - design @ refit)[bad] ** 2).mean())

    every = np.ones(400, bool)
    changes = []
    for row in range(40, 140):
        without = every.copy()
        without[row] = False
        changes.append(loss(without) - loss(every))
    # Leaving a row out is a weight of -1/rows; of first order, so not exactly.
    assert np.corrcoef(changes, -found.influence[40:140] / 400)[0, 1] > 0.98


def test_choice_is_balanced_over_groups_and_signs_and_has_the_worst() -> None:
    inputs, left = rows(1)
    group = (np.arange(400) < 40).astype(int)
    found = choose_rows(inputs, left, count=60, group=group)
    chosen = found.rows
    assert len(set(chosen.tolist())) == 60
    assert 20 <= (group[chosen] == 1).sum() <= 40
    signs = np.sign(found.influence[chosen])
    assert min((signs > 0).sum(), (signs < 0).sum()) >= 15
    assert int(np.abs(left).argmax()) in chosen


def test_rows_that_cannot_be_chosen_from_are_refused() -> None:
    inputs, left = rows()
    with pytest.raises(QueryError, match="count"):
        choose_rows(inputs, left, count=0)
    with pytest.raises(EvidenceError, match="residual"):
        choose_rows(inputs, left[:5], count=1)
    with pytest.raises(EvidenceError, match="finite"):
        choose_rows(np.full((400, 2), np.nan), left, count=1)
