"""The study: what would p99 have been, had persistence been off?

The model is fitted to the training recording alone. The incident is asked from the rows of the
faulty replay; the replays without the fault, which the model never sees, are the truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from models.redis import Redis

RECORDING = Path(__file__).parent / "recording"
TARGET = "p99_ms"
LEVEL = 0.9
HIDDEN = "_hidden"
GENERATOR_STALL_MS = 3.0
"""Seconds in which the load generator itself was late measure it, and not the server."""


@dataclass(frozen=True)
class Study:
    """The incident, answered.

    Attributes:
        fitted: The model.
        incident: The rows of the faulty replay, second by second.
        windows: A row per ten-second window: what was measured with the fault, the
            counterfactual's mean and interval, and what each replay without the fault measured.
        coverage: The share of windows and replays whose truth lies in the interval.
        overall: The counterfactual's mean over all windows, with its interval.
        effect: By what factor the fault raised p99: counterfactual, low, high, measured.
        neighbour: The rank correlation of the inferred neighbour with the one that nobody logs.
        verdict: What carries the counterfactual.
        provenance: Where the recording comes from.
    """

    fitted: cs.FittedSCM
    incident: pd.DataFrame
    windows: pd.DataFrame
    coverage: float
    overall: tuple[float, float, float]
    effect: tuple[float, float, float, float]
    neighbour: float
    verdict: str
    provenance: dict[str, Any]

    @property
    def replays(self) -> list[str]:
        """The replays without the fault."""
        return [column for column in self.windows if column.startswith("no_fault")]

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        with_fault = self.windows["measured"].mean()
        truth = self.windows[self.replays].mean().mean()
        without, low, high = self.overall
        return (
            f"Had persistence been off, p99 would have been {without:.2f} ms "
            f"[{low:.2f}, {high:.2f}] instead of {with_fault:.2f} ms; "
            f"replaying the same requests with it off measured {truth:.2f} ms."
        )


def run(recording: Path = RECORDING, *, seed: int = 0) -> Study:
    """Fit, ask, and compare with what was measured.

    Args:
        recording: The folder of the recording.
        seed: Fixes the fit and the draws.
    """
    training = _read(recording / "train.parquet")
    weight = _usable(training).to_numpy(dtype=float)
    rows = training.drop(columns=_hidden(training)).assign(trace=0)
    traces = cs.Traces(rows, trace="trace", step="second")
    fitted = Redis.fit(traces, weight=weight, ensemble=16, seed=seed)

    replays = _read(recording / "incident.parquet")
    replays = replays[replays["window"] >= 0]
    incident = replays[replays["replay"] == "fault"].reset_index(drop=True)
    # The jitter of an fsync is luck of the faulty run: without the fault it is drawn anew.
    answer = fitted.counterfactual(
        incident.drop(columns=_hidden(incident)),
        do={"persistence": False},
        redraw=["p50_ms", TARGET],
        samples=256,
        seed=seed,
    )
    usable = replays[replays["send_lag_p99_ms_hidden"] <= GENERATOR_STALL_MS]
    kept = incident["send_lag_p99_ms_hidden"].to_numpy() <= GENERATOR_STALL_MS
    drawn = _by_window(answer.draws(TARGET).values[:, kept], incident["window"].to_numpy()[kept])
    windows = _windows(usable, drawn)
    truth = [column for column in windows if column.startswith("no_fault")]
    inside = [windows[c].between(windows["low"], windows["high"]) for c in truth]
    known = windows[truth].notna().to_numpy().T
    # What the neighbour alone makes Redis wait: the noise, carried over to a world without
    # persistence.
    inferred = pd.Series(answer.mean("runqueue_wait_ms"))
    measured = float(windows["measured"].mean() / windows[truth].mean().mean())
    provenance = json.loads((recording / "PROVENANCE.json").read_text(encoding="utf-8"))
    return Study(
        fitted,
        incident.assign(
            inferred=inferred,
            counterfactual=answer.mean(TARGET),
            low=answer.interval(TARGET, LEVEL)[:, 0],
            high=answer.interval(TARGET, LEVEL)[:, 1],
        ),
        windows,
        float(np.stack(inside)[known].mean()),
        _with_interval(drawn.mean(axis=1)),
        (*_with_interval(windows["measured"].mean() / drawn.mean(axis=1)), measured),
        float(inferred.corr(incident["neighbour_hidden"], method="spearman")),
        str(answer.verdict_of(TARGET)),
        provenance,
    )


def _windows(replays: pd.DataFrame, drawn: NDArray[np.float64]) -> pd.DataFrame:
    measured = replays.groupby(["window", "replay"])[TARGET].mean().unstack()
    tail = (1 - LEVEL) / 2
    return pd.DataFrame(
        {
            "measured": measured["fault"],
            "mean": drawn.mean(axis=0),
            "low": np.quantile(drawn, tail, axis=0),
            "high": np.quantile(drawn, 1 - tail, axis=0),
        },
        index=measured.index,
    ).join(measured.drop(columns="fault"))


def _with_interval(draws: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(draws.mean()), float(low), float(high)


def _by_window(draws: NDArray[np.float64], window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means over the seconds of each window, draw by draw: `[sample, window]`."""
    return np.stack([draws[:, window == w].mean(axis=1) for w in np.unique(window)], axis=1)


def _usable(rows: pd.DataFrame) -> pd.Series[bool]:
    """The seconds in which one mode of persistence was fully in force, and the load on time."""
    return (rows["settling"] == 0) & (rows["send_lag_p99_ms_hidden"] <= GENERATOR_STALL_MS)


def _read(path: Path) -> pd.DataFrame:
    rows = pd.read_parquet(path)
    return rows.assign(persistence=rows["persistence"].astype(bool))


def _hidden(rows: pd.DataFrame) -> list[str]:
    """What was recorded to check the inference with, and no operator would have."""
    return [column for column in rows if column.endswith(HIDDEN)]
