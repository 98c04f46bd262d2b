"""Puffer's published files become traces: units, splits, and what is left out is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalsys.data.puffer import TICKS, read_puffer
from causalsys.data.read import read
from causalsys.data.schema import Schema
from causalsys.data.traces import Traces
from causalsys.errors import DataError, MissingColumnError
from models.video_streaming import streaming

FORMATS = ("426x240-26", "854x480-24", "1280x720-22")
BYTES = (100_000, 250_000, 500_000)
START = 1_572_865_200_000_000_000


def published(folder: Path, chunks: int = 6) -> dict[str, pd.DataFrame]:
    """A day of two sessions, in the format that Puffer publishes."""
    keys = [("a+b/c=", 0, 2, "abc"), ("d", 3, 5, "nbc")]
    sent, acked, events = [], [], []
    for session, index, experiment, channel in keys:
        for chunk in range(chunks):
            now = START + chunk * 2_002_000_000
            level = chunk % 3
            head = [now, session, index, experiment, channel]
            ticks = 1000 * TICKS + chunk * TICKS
            sent.append(
                [*head, ticks, FORMATS[level], BYTES[level], 0.98, 20, 3, 40_000, 90_000, 1e6]
            )
            acked.append([now + 500_000_000, *head[1:], ticks])
            events.append([now - 1_000_000, *head[1:], "timer", 3.0 + chunk, 0.4])
    sizes = [
        [START, channel, name, 1000 * TICKS + chunk * TICKS, size]
        for channel in ("abc", "nbc")
        for chunk in range(chunks)
        for name, size in zip(FORMATS, BYTES, strict=True)
    ]
    stream = ["time (ns GMT)", "session_id", "index", "expt_id", "channel"]
    tcp = ["ssim_index", "cwnd", "in_flight", "min_rtt", "rtt", "delivery_rate"]
    files = {
        "video_sent": pd.DataFrame(sent, columns=[*stream, "video_ts", "format", "size", *tcp]),
        "video_acked": pd.DataFrame(acked, columns=[*stream, "video_ts"]),
        "client_buffer": pd.DataFrame(events, columns=[*stream, "event", "buffer", "cum_rebuf"]),
        "video_size": pd.DataFrame(
            sizes, columns=["time (ns GMT)", "channel", "format", "video_ts", "size"]
        ),
    }
    write(folder, files)
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "expt_settings").write_text(
        '1 {"abr_algorithm": "mpc", "log_dir": "x"}\n'
        '2 {"cc": "bbr", "abr": "linear_bba"}\n'
        '5 {"cc": "cubic", "abr": "puffer_ttp", "abr_name": "fugu"}\n'
    )
    return files


def write(folder: Path, files: dict[str, pd.DataFrame]) -> None:
    for kind, frame in files.items():
        frame.to_csv(folder / f"{kind}_2019-11-04T11_2019-11-05T11.csv", index=False)


def test_units_and_arms(tmp_path: Path) -> None:
    published(tmp_path)
    log = read_puffer(tmp_path)
    first = log.frame[log.frame["trace"] == "a+b/c=/0/0"]
    assert log.formats == FORMATS
    assert set(log.frame["arm"]) == {"linear_bba/bbr", "fugu/cubic"}
    assert first["bitrate"].tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_allclose(first["rtt"], 0.04)
    np.testing.assert_allclose(first[["size_0", "size_1", "size_2"]].iloc[0], [0.8, 2.0, 4.0])
    np.testing.assert_allclose(first["download_time"], 0.5)
    np.testing.assert_allclose(first["throughput"], [1.6, 4.0, 8.0] * 2)
    assert not any(log.left_out.values())
    assert log.splits == 0
    Traces(log.frame)


def test_the_buffer_starts_as_reported_and_follows_the_player(tmp_path: Path) -> None:
    published(tmp_path)
    first = read_puffer(tmp_path).frame.iloc[:6]
    np.testing.assert_allclose(first["buffer"], 3.0 + 1.502 * np.arange(6))
    np.testing.assert_allclose(first["buffer_logged"], 3.0 + np.arange(6))
    assert read_puffer(tmp_path).off == pytest.approx(0.502 * 2.5)
    np.testing.assert_allclose(read_puffer(tmp_path, cap=5.0).frame["buffer"].iloc[2:6], 5.0)


def test_a_stream_is_split_where_a_chunk_is_lacking(tmp_path: Path) -> None:
    files = published(tmp_path)
    files["video_acked"] = files["video_acked"].drop(index=2)
    files["video_size"] = files["video_size"][
        ~(
            (files["video_size"]["channel"] == "nbc")
            & (files["video_size"]["video_ts"] == 1004 * TICKS)
        )
    ]
    files["video_sent"] = pd.concat([files["video_sent"], files["video_sent"].iloc[[3]]])
    write(tmp_path, files)
    log = read_puffer(tmp_path)
    assert log.frame.groupby("trace").size().to_dict() == {
        "a+b/c=/0/0": 2,
        "a+b/c=/0/1": 3,
        "d/3/0": 4,
    }
    assert {reason: n for reason, n in log.left_out.items() if n} == {
        "sent again": 1,
        "never acknowledged": 1,
        "without a size in each format": 1,
        "in a trace that is too short": 1,
    }
    assert log.splits == 2
    Traces(log.frame)


def test_chosen_formats(tmp_path: Path) -> None:
    published(tmp_path)
    log = read_puffer(tmp_path, formats=FORMATS[:2], shortest=1)
    assert log.formats == FORMATS[:2]
    assert "size_2" not in log.frame
    assert log.left_out["in another format"] == 4


def test_files_may_be_named(tmp_path: Path) -> None:
    published(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    pd.testing.assert_frame_equal(read_puffer(files).frame, read_puffer(tmp_path).frame)


def test_it_goes_into_the_model_of_such_a_service(tmp_path: Path) -> None:
    published(tmp_path)
    log = read_puffer(tmp_path)
    model = streaming(levels=len(log.formats), chunk_seconds=2.002, cap=15.0)
    traces = Traces(log.frame)
    table = read(Schema.learn(model.declaration, traces.frame), traces)
    np.testing.assert_allclose(table.values["buffer"][0], log.frame["buffer"])
    assert not table.left


def test_bad_input_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_puffer(tmp_path / "nowhere")
    with pytest.raises(DataError, match="video_sent: no such file"):
        read_puffer(tmp_path)
    files = published(tmp_path)
    write(tmp_path, {"client_buffer": files["client_buffer"].drop(columns="buffer")})
    with pytest.raises(MissingColumnError, match="buffer: no such column in client_buffer"):
        read_puffer(tmp_path)
    write(tmp_path, files)
    cut = files["video_sent"].astype({"size": float})
    cut.loc[4, "size"] = np.nan
    write(tmp_path, {"video_sent": cut})
    with pytest.raises(DataError, match="size: no value in line 6 of video_sent"):
        read_puffer(tmp_path)
    write(tmp_path, files)
    (tmp_path / "logs" / "expt_settings").write_text('2 {"cc": "bbr", "abr": "bba"}\n')
    with pytest.raises(DataError, match="no settings of experiment 5"):
        read_puffer(tmp_path)
    (tmp_path / "logs" / "expt_settings").write_text("2 {cut\n")
    with pytest.raises(DataError, match="line 1"):
        read_puffer(tmp_path)
    published(tmp_path)
    with pytest.raises(DataError, match="no size of 8k"):
        read_puffer(tmp_path, formats=("8k", FORMATS[0]))
