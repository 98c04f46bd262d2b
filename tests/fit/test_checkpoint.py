"""A fit that was interrupted goes on to the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import SavedModelError
from causalsys.fit import fit as fitting
from tests import models
from tests.models import Confounded, Zoo
from tests.test_properties import digest


class Both(Confounded):
    """A district, and variables on their own before and after it."""

    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    z = cs.Observed(cs.Real(), parents=[Confounded.y], mechanism=cs.SplineFlow(hidden=(8,)))


def both() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = models.confounded(100)
    return data.assign(a=rng.normal(size=100), z=data["y"] ** 2 + rng.normal(size=100))


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch):
    """Make the fit fail in the block of that number; returns the names of finished blocks."""
    finished: list[str] = []
    real = fitting.fit_block

    def arm(at: int) -> list[str]:
        def failing(block, table, **how):
            if len(finished) == at:
                raise KeyboardInterrupt
            parts = real(block, table, **how)
            finished.append(block.name)
            return parts

        monkeypatch.setattr(fitting, "fit_block", failing)
        return finished

    return arm


@pytest.mark.parametrize("at", [1, 2])
def test_a_resumed_fit_is_the_uninterrupted_one(at: int, interrupted, tmp_path: Path) -> None:
    data, point = both(), tmp_path / "point.cs"
    whole = Both.fit(data, steps=40, ensemble=2)
    finished = interrupted(at)
    with pytest.raises(KeyboardInterrupt):
        Both.fit(data, steps=40, ensemble=2, checkpoint=point)
    assert point.exists()
    first = list(finished)
    interrupted(at=99)
    resumed = Both.fit(data, steps=40, ensemble=2, checkpoint=point)
    assert len(finished) == len(set(finished)) == 3, "a finished block was fitted again"
    assert finished[:at] == first
    assert digest(resumed) == digest(whole)
    assert resumed.diagnostics == whole.diagnostics
    assert not point.exists(), "a complete fit leaves no checkpoint"
    assert not list(tmp_path.iterdir())


def test_a_resumed_fit_with_missing_cells(interrupted, tmp_path: Path) -> None:
    data, point = models.zoo(), tmp_path / "point.cs"
    data["linear"] = data["linear"].where(data.index % 5 > 0)
    whole = Zoo.fit(data, steps=20, ensemble=2)
    finished = interrupted(4)
    with pytest.raises(KeyboardInterrupt):
        Zoo.fit(data, steps=20, ensemble=2, checkpoint=point)
    finished.clear()
    interrupted(at=99)
    resumed = Zoo.fit(data, steps=20, ensemble=2, checkpoint=point)
    assert digest(resumed) == digest(whole)


@pytest.mark.parametrize("change", ["data", "options", "model", "weight"])
def test_a_checkpoint_of_another_fit_is_refused(change: str, interrupted, tmp_path: Path) -> None:
    data, point = both(), tmp_path / "point.cs"
    interrupted(1)
    with pytest.raises(KeyboardInterrupt):
        Both.fit(data, steps=20, ensemble=2, checkpoint=point)
    model, how, other = Both, {"steps": 20, "ensemble": 2}, data
    if change == "data":
        other = data.assign(a=data["a"] + (data.index == 7))
    elif change == "options":
        how["seed"] = 1
    elif change == "model":
        model = Confounded
    else:
        how["weight"] = np.linspace(1, 2, len(data))
    with pytest.raises(SavedModelError, match="another model, other data or other options"):
        model.fit(other, checkpoint=point, **how)
    assert point.exists(), "a checkpoint that is refused is not thrown away"


def test_the_split_into_traces_is_part_of_the_data(interrupted, tmp_path: Path) -> None:
    point, frame = tmp_path / "point.cs", models.line((4, 4, 4, 4))
    interrupted(1)
    with pytest.raises(KeyboardInterrupt):
        models.Line.fit(cs.Traces(frame), ensemble=2, checkpoint=point)
    joined = frame.assign(trace=frame["trace"] // 2, step=list(range(8)) * 2)
    with pytest.raises(SavedModelError, match="other data"):
        models.Line.fit(cs.Traces(joined), ensemble=2, checkpoint=point)
