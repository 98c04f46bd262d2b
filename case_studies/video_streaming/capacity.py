"""Real capacities: recorded bandwidth, as the hidden capacity of the true system's paths.

Two public sets are read from the folder `network_capacity` of recorded data: `comyco` (text:
seconds and Mbit/s; 3G and fixed lines) and `sabre_4g` (JSON: `duration_ms` and `bandwidth_kbps`).
README.md says where they are published.

**Capacity belongs to a step, not to a moment of the clock.** Chunk `t` meets what the recording
averaged over `[4t, 4t + 4)` s from where it was entered. So capacity is exogenous, whatever the
policy does, and the truth under another policy is known. What that leaves out: a player whose
download takes long, or that waits with a full buffer, meets a later part of the recording. There
the action moves the latent, and none of the simulators compared here would be right.

Recordings are entered at a random place and go round. A path that is faster than 6 Mbit/s on
average would never matter to a ladder that ends at 4.3; it is shared by as many equal users as
bring it below 6, which keeps its ups and downs. The least capacity is 0.1 Mbit/s, so that a
download ends.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from case_studies.video_streaming.slow_start import CHUNK
from causalsys.errors import DataError

FASTEST, LEAST = 6.0, 0.1
"""Mbit/s."""

Recording = tuple[NDArray[np.float64], NDArray[np.float64]]


def real_capacity(
    traces: int,
    steps: int,
    *,
    seed: int = 0,
    folder: Path | None = None,
    held_out: bool | None = None,
) -> Tensor:
    """Capacity from real recordings, Mbit/s, `[step, trace]`.

    Args:
        traces: How many traces; each takes one recording, drawn at random.
        steps: Chunks in each.
        seed: Fixes which recording, and where it is entered.
        folder: `network_capacity`; by default that of `CAUSALSYS_DATA`.
        held_out: Take every second recording: those to learn from (False), or the others (True).

    Raises:
        DataError: The folder is absent, or a recording cannot be read.
    """
    recordings = [_per_chunk(recording) for recording in read(folder)]
    if held_out is not None:
        recordings = recordings[int(held_out) :: 2]
    rng = np.random.default_rng(seed)
    which, where = rng.integers(0, len(recordings), traces), rng.random(traces)
    lengths = np.array([len(recording) for recording in recordings])
    table = np.zeros((len(recordings), lengths.max()))
    for row, recording in enumerate(recordings):
        table[row, : len(recording)] = recording
    start = (where * lengths[which]).astype(np.int64)
    at = (start + np.arange(steps)[:, None]) % lengths[which]
    return torch.from_numpy(table[which, at])


def read(folder: Path | None = None) -> list[Recording]:
    """All recordings: each the edges of its intervals, in seconds, and their Mbit/s."""
    folder = folder or default_folder()
    if folder is None or not folder.is_dir():
        raise DataError(
            "network_capacity",
            found="no folder of recorded capacities"
            + (f" at {folder}" if folder else ", since CAUSALSYS_DATA is not set"),
            mend="Set CAUSALSYS_DATA to the folder that holds network_capacity, or leave the real "
            "paths out.",
        )
    texts, lists = sorted(folder.glob("comyco/*")), sorted(folder.glob("sabre_4g/*.json"))
    if not texts and not lists:
        raise DataError(
            "network_capacity",
            found=f"neither comyco nor sabre_4g in {folder}",
            mend="Put the published traces there; the study's README says where they are.",
        )
    return [_text(path) for path in texts] + [_json(path) for path in lists]


def default_folder() -> Path | None:
    """`network_capacity` in the folder that CAUSALSYS_DATA names; None where it is not there."""
    named = os.environ.get("CAUSALSYS_DATA")
    folder = Path(named) / "network_capacity" if named else None
    return folder if folder is not None and folder.is_dir() else None


def _text(path: Path) -> Recording:
    try:
        seconds, rate = np.loadtxt(path, dtype=np.float64, ndmin=2).T
    except ValueError as error:
        raise _unreadable(path, "two columns, seconds and Mbit/s") from error
    # A value holds until the next; the last for as long as is usual.
    last = seconds[-1] + (np.median(np.diff(seconds)) if len(seconds) > 1 else CHUNK)
    return _checked(path, np.append(seconds, last) - seconds[0], rate)


def _json(path: Path) -> Recording:
    try:
        rows = json.loads(path.read_text())
        lasts = np.array([row["duration_ms"] for row in rows], dtype=np.float64) / 1e3
        rate = np.array([row["bandwidth_kbps"] for row in rows], dtype=np.float64) / 1e3
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, "a list of duration_ms and bandwidth_kbps") from error
    return _checked(path, np.append(0.0, np.cumsum(lasts)), rate)


def _checked(path: Path, edges: NDArray[np.float64], rate: NDArray[np.float64]) -> Recording:
    good = len(rate) and np.isfinite(rate).all() and (rate >= 0).all() and rate.any()
    if not good or not (np.diff(edges) > 0).all() or edges[-1] < CHUNK:
        raise _unreadable(path, "4 s or more of rising times and rates that are not negative")
    return edges, rate


def _unreadable(path: Path, wanted: str) -> DataError:
    return DataError(
        path.name, found="a recording that cannot be read", mend=f"It has to be {wanted}."
    )


def _per_chunk(recording: Recording) -> NDArray[np.float64]:
    """Means over the whole chunks of a recording, shared where it is fast, Mbit/s."""
    edges, rate = recording
    carried = np.append(0.0, np.cumsum(rate * np.diff(edges)))
    grid = np.arange(int(edges[-1] // CHUNK) + 1) * CHUNK
    means = np.diff(np.interp(grid, edges, carried)) / CHUNK
    users = max(1, int(np.ceil(means.mean() / FASTEST)))
    return np.asarray(np.maximum(means / users, LEAST))
