"""What a service would use without a causal model: two simulators, and the measures of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from case_studies.video_streaming.system import LADDER, Policy, Truth, played

Simulator = Callable[[Truth, pd.DataFrame, Policy], pd.DataFrame]
"""From what no policy changes, the log of the same traces, and a policy, to its rows."""


def expert_sim(truth: Truth, log: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Replay: the throughput of a step is what was logged, whatever the chunk's size."""
    logged = _by_step(log, "throughput")
    return played(truth, policy, respond=lambda step, _chunk, _buffer: logged[step])


def sl_sim(training: pd.DataFrame, *, seed: int, rows: int = 40_000) -> Simulator:
    """A supervised simulator: two layers of 128 units, without latents (CausalSim, section 6.2).

    It learns a chunk's download time from its size, the buffer, the round trip and the logged
    throughput of the step, on the logged choices; and is then asked about other ones.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sample = training.sample(min(rows, len(training)), random_state=seed)
    network = MLPRegressor(
        hidden_layer_sizes=(128, 128),
        max_iter=40,
        early_stopping=True,
        n_iter_no_change=5,
        random_state=seed,
    )
    model = make_pipeline(StandardScaler(), network)
    sizes = sample[[f"size_{level}" for level in range(len(LADDER))]].to_numpy()
    chunk = sizes[np.arange(len(sample)), sample["bitrate"]]
    inputs = np.stack([chunk, *(sample[c] for c in ("buffer", "rtt", "throughput"))], axis=1)
    with warnings.catch_warnings():
        # It stops early by its own rule, or after forty passes.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, sample["download_time"].to_numpy())

    def simulate(truth: Truth, log: pd.DataFrame, policy: Policy) -> pd.DataFrame:
        logged = _by_step(log, "throughput")

        def respond(step: int, chunk: Tensor, buffer: Tensor) -> Tensor:
            asked = torch.stack([chunk, buffer, truth.rtt, logged[step]], dim=1)
            seconds = np.maximum(model.predict(asked.numpy()), 0.01)
            return chunk / torch.from_numpy(seconds)

        return played(truth, policy, respond=respond)

    return simulate


def buffer_error(found: pd.DataFrame, true: pd.DataFrame, *, steps: int = 35) -> float:
    """Mean absolute percentage error of the buffer over the first steps but the very first."""
    early = ((true["step"] > 0) & (true["step"] < steps)).to_numpy()
    wanted = true["buffer"].to_numpy()[early]
    return float(100 * np.mean(np.abs(found["buffer"].to_numpy()[early] / wanted - 1)))


def qoe(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Quality of experience of each chunk, Mbit/s: bitrate - 4.3 · rebuffering - |change|.

    After MPC (Yin et al., SIGCOMM 2015). Rebuffering is in seconds. A trace's first chunk counts
    for its bitrate alone: waiting for a stream to begin is another thing, and the same for all
    policies that begin low.
    """
    rate = np.asarray(LADDER)[frame["bitrate"].to_numpy().astype(np.int64)]
    first = frame["step"].to_numpy() == 0
    wait = np.maximum(frame["download_time"].to_numpy() - frame["buffer"].to_numpy(), 0)
    change = np.abs(np.diff(rate, prepend=rate[:1]))
    return np.asarray(rate - np.where(first, 0, 4.3 * wait + change))


def _by_step(log: pd.DataFrame, column: str) -> Tensor:
    """A logged column, `[step, trace]`; all traces have the same length here."""
    traces = log["trace"].nunique()
    return torch.from_numpy(log[column].to_numpy(copy=True).reshape(traces, -1).T.copy())
