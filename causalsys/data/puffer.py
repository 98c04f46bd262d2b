"""Puffer's published logs as traces of a video player."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DataError, MissingColumnError, brief

if TYPE_CHECKING:
    import pandas as pd

TICKS = 180180
"""Of `video_ts` from one chunk to the next: 2.002 s at 90 kHz."""

_STREAM = ["session_id", "index"]
_COLUMNS = {
    "video_sent": [*_STREAM, "expt_id", "channel", "video_ts", "format", "size", "min_rtt"],
    "video_acked": [*_STREAM, "video_ts"],
    "client_buffer": [*_STREAM, "buffer"],
    "video_size": ["channel", "video_ts", "format", "size"],
}


@dataclass(frozen=True, eq=False)
class PufferLog:
    """What was read of Puffer's logs.

    Attributes:
        frame: One row per chunk: `trace` (session, stream, and the stretch of it), `step`, `arm`,
            `rtt` (s), `size_0` and so on (Mbit), `bitrate` (a code: the place in `formats`),
            `throughput` (Mbit/s), `download_time` (s), `buffer` (s, before the chunk, as the
            player's physics has it), and `buffer_logged` (s, as the client last reported it).
        formats: The formats that the codes of `bitrate` mean, by rising size.
        left_out: How many chunks were left out, by reason.
        splits: How many times a stream was split, because a chunk of it is not there.
        off: The median difference between `buffer` and `buffer_logged`, s.
    """

    frame: pd.DataFrame
    formats: tuple[str, ...]
    left_out: Mapping[str, int]
    splits: int
    off: float


def read_puffer(
    source: str | Path | Iterable[str | Path],
    *,
    formats: Iterable[str] | None = None,
    chunk: float = 2.002,
    cap: float = 15.0,
    shortest: int = 2,
) -> PufferLog:
    """Read days of Puffer's data (puffer.stanford.edu/data-description) for a video player's model.

    A row is a chunk. It took from being sent to being acknowledged to download. `min_rtt` is taken
    as the round trip: it belongs to the path, while `rtt` also holds queues that the stream itself
    made. The sizes on offer come from `video_size`. Where a chunk of a stream is not there (never
    acknowledged, sent in another format, sizes unknown), the stream is split.

    Puffer's server also waits while the client's buffer is full, so the reported buffer follows the
    player's recursion only roughly. `buffer` therefore starts with the report at the first chunk of
    a trace and goes on by `min(max(buffer - download_time, 0) + chunk, cap)`; the reports are kept
    as `buffer_logged`, and `off` says how far they are from it.

    Args:
        source: A folder, or files, of one or more days: `video_sent_*.csv`, `video_acked_*.csv`,
            `client_buffer_*.csv`, `video_size_*.csv`, and `expt_settings` (the folder may hold it
            in `logs/`), which gives each `expt_id` its scheme: the arm, for example "bba/bbr".
        formats: The formats that count as bitrates; by default those that every channel has.
        chunk: Seconds of video in a chunk.
        cap: The most seconds that the buffer holds.
        shortest: Traces of fewer chunks are left out.

    Raises:
        DataError: A file is not there, cannot be read, or lacks a value; a scheme is unknown;
            nothing is left.
    """
    files = _files(source)
    sent, acked = _read("video_sent", files), _read("video_acked", files)
    events, offered = _read("client_buffer", files), _read("video_size", files)
    arms = _settings(files["expt_settings"])
    ladder = tuple(formats) if formats is not None else _common(offered, set(sent["channel"]))
    sizes = _sizes(offered, ladder)
    ladder = tuple(map(str, sizes.columns))
    rows, left_out = _chunks(sent, acked, sizes, ladder)
    rows, splits = _stretches(rows)
    long = rows.groupby("trace")["step"].transform("size") >= shortest
    left_out["in a trace that is too short"] = int((~long).sum())
    rows = rows[long].reset_index(drop=True)
    if rows.empty:
        raise DataError(
            "puffer",
            found="no chunk left: " + ", ".join(f"{n} {why}" for why, n in left_out.items() if n),
            mend="Check that the files are of the same days, or name other formats.",
        )
    rows["arm"] = _arms(rows["expt_id"], arms)
    rows["buffer_logged"] = _reported(rows, events)
    rows["buffer"] = _played(rows, chunk=chunk, cap=cap)
    off = float((rows["buffer"] - rows["buffer_logged"]).abs().median())
    columns = ["trace", "step", "arm", "rtt", *(f"size_{level}" for level in range(len(ladder)))]
    columns += ["bitrate", "throughput", "download_time", "buffer", "buffer_logged"]
    return PufferLog(rows[columns], ladder, left_out, splits, off)


def _files(source: str | Path | Iterable[str | Path]) -> dict[str, list[Path]]:
    """The files of each kind, by how their names begin."""
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise DataError("puffer", found=f"no folder {folder}", mend="Name one, or give files.")
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    else:
        paths = [Path(path) for path in source]
    found = {
        kind: [path for path in paths if path.name.startswith(kind)]
        for kind in (*_COLUMNS, "expt_settings")
    }
    for kind, given in found.items():
        if not given:
            raise DataError(
                kind,
                found="no such file among Puffer's",
                mend="It is published with each day's data; put it beside the others.",
            )
    return found


def _read(kind: str, files: Mapping[str, list[Path]]) -> pd.DataFrame:
    """All days of one kind of file, with `time` in nanoseconds."""
    import pandas as pd

    parts = []
    for path in files[kind]:
        try:
            part = pd.read_csv(path, dtype={"session_id": str, "channel": str, "format": str})
        except (ValueError, UnicodeDecodeError, OSError) as error:
            raise DataError(
                path.name,
                found=f"a file that cannot be read ({brief(error)})",
                mend="Fetch it anew.",
            ) from error
        part = part.rename(columns={"time (ns GMT)": "time"})
        for column in ["time", *_COLUMNS[kind]]:
            if column not in part.columns:
                raise MissingColumnError(
                    column,
                    found=f"no such column in {path.name}",
                    mend="Give the file as Puffer publishes it.",
                )
            if part[column].isna().any():
                line = int(np.flatnonzero(part[column].isna())[0]) + 2
                raise DataError(
                    column,
                    found=f"no value in line {line} of {path.name}",
                    mend="The file is cut short or altered; fetch it anew.",
                )
        parts.append(part[["time", *_COLUMNS[kind]]])
    return pd.concat(parts, ignore_index=True)


def _settings(paths: Iterable[Path]) -> dict[int, str]:
    """The scheme of each experiment: lines of a number and a JSON object."""
    arms: dict[int, str] = {}
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if not line.strip():
                continue
            name, _, text = line.partition(" ")
            try:
                said = json.loads(text)
                # The oldest entries are whole configurations, of experiments that had no name.
                scheme = said.get("abr_name") or said.get("abr") or "unnamed"
                arms[int(name)] = f"{scheme}/{said.get('cc', 'unnamed')}"
            except (ValueError, AttributeError) as error:
                raise DataError(
                    path.name,
                    found=f"no experiment's settings in line {number}",
                    mend="Give the file as Puffer publishes it: a number, and a JSON object.",
                ) from error
    return arms


def _common(offered: pd.DataFrame, channels: set[str]) -> tuple[str, ...]:
    """The formats that every channel has."""
    used = offered[offered["channel"].isin(channels)]
    counts = used.groupby("format")["channel"].nunique()
    return tuple(map(str, counts.index[counts == len(channels)]))


def _sizes(offered: pd.DataFrame, ladder: tuple[str, ...]) -> pd.DataFrame:
    """Megabits of each chunk in each format, the formats by rising size."""
    absent = set(ladder) - set(offered["format"])
    if absent or len(ladder) < 2:
        raise DataError(
            "formats",
            found=f"no size of {', '.join(sorted(absent))}" if absent else f"{len(ladder)} formats",
            mend=f"Name some of {', '.join(sorted(set(offered['format'])))}.",
        )
    kept = offered[offered["format"].isin(ladder)]
    table = kept.pivot_table(
        index=["channel", "video_ts"], columns="format", values="size", aggfunc="last"
    )
    return table[table.mean().sort_values(kind="stable").index] * 8e-6


def _chunks(
    sent: pd.DataFrame, acked: pd.DataFrame, sizes: pd.DataFrame, ladder: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The chunks of which all is known, and why others are left out."""
    key = [*_STREAM, "video_ts"]
    sent = sent.sort_values("time", kind="stable")
    rows = sent.drop_duplicates(key)
    left_out = {"sent again": len(sent) - len(rows)}
    arrived = acked.groupby(key)["time"].min().rename("arrived").reset_index()
    rows = rows.merge(arrived, on=key, how="left")
    rows["download_time"] = (rows["arrived"] - rows["time"]) / 1e9
    rows["rtt"] = rows["min_rtt"] / 1e6
    names = {name: f"size_{level}" for level, name in enumerate(ladder)}
    rows = rows.merge(
        sizes.rename(columns=names).reset_index(), on=["channel", "video_ts"], how="left"
    )
    codes = {name: level for level, name in enumerate(ladder)}
    rows["bitrate"] = rows["format"].map(codes)
    reasons = {
        "never acknowledged": rows["download_time"].isna(),
        "acknowledged before they were sent": rows["download_time"] <= 0,
        "in another format": rows["bitrate"].isna(),
        "without a size in each format": rows[list(names.values())].isna().any(axis=1),
        "without a round trip": rows["rtt"] <= 0,
    }
    bad = np.zeros(len(rows), dtype=bool)
    for reason, wrong in reasons.items():
        left_out[reason] = int((wrong.to_numpy() & ~bad).sum())
        bad |= wrong.to_numpy()
    rows = rows[~bad].astype({"bitrate": np.int64}).reset_index(drop=True)
    # What was really sent: the two files can differ where an encoding was made again.
    chosen = [f"size_{level}" for level in range(len(ladder))]
    table = rows[chosen].to_numpy(copy=True)
    table[np.arange(len(rows)), rows["bitrate"]] = rows["size"] * 8e-6
    rows[chosen] = table
    rows["throughput"] = rows["size"] * 8e-6 / rows["download_time"]
    return rows, left_out


def _stretches(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Name the traces: stretches of a stream in which no chunk is lacking."""
    rows = rows.sort_values([*_STREAM, "video_ts"], kind="stable", ignore_index=True)
    stream = rows.groupby(_STREAM, sort=False).ngroup().to_numpy()
    new = np.diff(stream, prepend=-1) != 0
    broken = ~new & (np.diff(rows["video_ts"].to_numpy(), prepend=0) != TICKS)
    stretch = np.cumsum(new | broken)
    rows["step"] = rows.groupby(stretch).cumcount()
    part = np.cumsum(broken) - np.maximum.accumulate(np.where(new, np.cumsum(broken), 0))
    rows["trace"] = (
        rows["session_id"] + "/" + rows["index"].astype(str) + "/" + part.astype(str).astype(object)
    )
    return rows, int(broken.sum())


def _arms(experiments: pd.Series, arms: Mapping[int, str]) -> pd.Series:
    unknown = set(experiments) - set(arms)
    if unknown:
        raise DataError(
            "expt_id",
            found=f"no settings of experiment {min(unknown)}",
            mend="Give the expt_settings of the same day as the data, or of a later one.",
        )
    return experiments.map(arms)


def _reported(rows: pd.DataFrame, events: pd.DataFrame) -> NDArray[np.float64]:
    """What the client last reported of its buffer before each chunk; 0 before its first report."""
    import pandas as pd

    left = rows[["time", *_STREAM]].assign(row=np.arange(len(rows)))
    left, right = (part.sort_values("time", kind="stable") for part in (left, events))
    met = pd.merge_asof(left, right, on="time", by=_STREAM, direction="backward")
    return met.sort_values("row")["buffer"].fillna(0.0).to_numpy()


def _played(rows: pd.DataFrame, *, chunk: float, cap: float) -> NDArray[np.float64]:
    """The buffer before each chunk by the player's recursion, all traces at once."""
    step = rows["step"].to_numpy()
    first = np.flatnonzero(step == 0)
    lasts = np.diff(np.append(first, len(rows)))
    buffer = rows["buffer_logged"].to_numpy(copy=True)
    seconds = rows["download_time"].to_numpy()
    for at in range(1, int(lasts.max())):
        now = first[lasts > at] + at
        drained = np.maximum(buffer[now - 1] - seconds[now - 1], 0)
        buffer[now] = np.minimum(drained + chunk, cap)
    return buffer
