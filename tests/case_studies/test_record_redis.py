"""The recorder of the Redis case study: its schedules, its load, its tidiness, its recording."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from case_studies.redis_persistence import probes, record, schedule
from case_studies.redis_persistence.load import Connection, Second

ROOT = Path(__file__).parents[2]
KEYS = (100,) * len(schedule.VALUE_KIB)

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None or (os.cpu_count() or 1) < 2,
    reason="records a real server: needs redis-server on the PATH and two cores",
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="reads /proc")


def test_the_incident_without_its_fault_is_the_same_trace() -> None:
    fault = schedule.incident(seed=3, windows=2)
    cured = fault.without_fault()

    assert fault.persistence.any()
    assert not cured.persistence.any()
    np.testing.assert_array_equal(fault.neighbour, cured.neighbour)
    for second in range(len(fault)):
        there, here = fault.requests(second, KEYS), cured.requests(second, KEYS)
        for name in ("due_s", "is_write", "size", "key"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name))


def test_every_window_lies_inside_the_fault_and_lasts_ten_seconds() -> None:
    plan = schedule.incident(seed=0, windows=3)

    numbers, lengths = np.unique(plan.window[plan.window >= 0], return_counts=True)
    assert numbers.tolist() == [0, 1, 2]
    assert set(lengths) == {schedule.WINDOW_S}
    assert plan.persistence[plan.window >= 0].all()
    assert not plan.persistence[: schedule.LEAD_S].any()
    assert not plan.persistence[-schedule.LEAD_S :].any()


def test_a_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    first, again, other = (schedule.training(seed, 120) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first.rate_rps, again.rate_rps)
    np.testing.assert_array_equal(first.neighbour, again.neighbour)
    assert not np.array_equal(first.rate_rps, other.rate_rps)


def test_persistence_keeps_to_its_blocks() -> None:
    plan = schedule.training(seed=1, seconds=95)

    switches = np.flatnonzero(np.diff(plan.persistence)) + 1
    assert switches.size
    assert not (switches % schedule.BLOCK_S).any()


def test_requests_have_the_mean_size_and_rate_of_their_second() -> None:
    plan = schedule.training(seed=1, seconds=200)
    sizes = np.asarray(schedule.VALUE_KIB)

    drawn = [plan.requests(second, KEYS) for second in range(len(plan))]

    rate = sum(len(requests.due_s) for requests in drawn) / plan.rate_rps.sum()
    size = np.mean([sizes[r.size].mean() / m for r, m in zip(drawn, plan.value_kib, strict=True)])
    assert rate == pytest.approx(1, abs=0.02)
    assert size == pytest.approx(1, abs=0.02)


class _Wire(asyncio.Transport):
    """A transport to nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_replies_are_counted_however_the_network_cuts_them(chunk: int) -> None:
    connection, second = Connection(), Second(due=4)
    connection.connection_made(_Wire())
    for _ in range(4):
        connection.send(time.monotonic() - 1.0, second, (b"",))

    replies = b"+OK\r\n$5\r\na\r\nb\n\r\n$-1\r\n-ERR no\r\n"
    for start in range(0, len(replies), chunk):
        connection.data_received(replies[start : start + chunk])

    assert second.answered
    assert second.errors == 2  # a missing key, and a refusal
    assert min(second.latency_ms) >= 1000  # counted from when it was due


@needs_proc
def test_probes_read_a_live_process() -> None:
    reading = probes.server(os.getpid())
    assert reading["cpu_user_ms"] > 0
    assert all(value >= 0 for value in reading.values())


def test_a_missing_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cores, handlers = os.sched_getaffinity(0), [signal.getsignal(n) for n in _SIGNALS]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "nice", lambda step: 0)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: None)
    try:
        status = record.main(["--out", str(tmp_path / "out"), "--smoke"])
    finally:
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)

    assert status == 2
    assert "redis-server is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert os.sched_getaffinity(0) == cores


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@needs_redis
@pytest.mark.parametrize("number", _SIGNALS, ids=lambda number: str(signal.Signals(number).name))
def test_an_interrupted_recording_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    recorder = _start_smoke(work, out)
    try:
        assert recorder.stdout is not None
        assert recorder.stdout.readline().startswith("train: second 0")
        family = _descendants(recorder.pid)
        assert len(family) >= 2, "the server and the neighbour"
        assert list(work.iterdir()), "the server's home"

        recorder.send_signal(number)

        assert recorder.wait(timeout=20) == 130
    finally:
        recorder.kill()
        recorder.communicate()
    _until(lambda: not any(_alive(pid) for pid in family), "every child has ended")
    assert not list(work.iterdir())
    assert not out.exists()


@needs_redis
@pytest.mark.slow
def test_a_smoke_recording_runs_to_its_end(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    recorder = _start_smoke(work, out)
    _, errors = recorder.communicate(timeout=180)

    assert recorder.returncode == 0, errors
    assert not list(work.iterdir())
    assert sorted(path.name for path in out.iterdir()) == [
        "PROVENANCE.json",
        "incident.parquet",
        "train.parquet",
    ]
    incident = pd.read_parquet(out / "incident.parquet")
    assert incident.columns.tolist() == _shipped("incident").columns.tolist()
    assert not incident["errors"].any()


def test_the_shipped_recording_holds_the_incident_and_its_truth() -> None:
    train, incident = _shipped("train"), _shipped("incident")

    assert not train.isna().any(axis=None)
    assert not incident.isna().any(axis=None)
    by_replay = incident.pivot(index="second", columns="replay", values="arrivals")
    assert {"fault", "no_fault_1", "no_fault_2"} <= set(by_replay.columns)
    assert (by_replay.nunique(axis=1) == 1).all(), "every replay had the same arrivals"
    assert incident["window"].max() >= 17
    assert not incident["errors"].any()


def test_the_shipped_recording_names_no_machine() -> None:
    provenance = json.loads((record.RECORDING / "PROVENANCE.json").read_text(encoding="utf-8"))
    assert {"redis", "kernel", "cpu", "seed", "command", "date"} <= set(provenance)
    assert str(ROOT) not in json.dumps(provenance)


def _shipped(name: str) -> pd.DataFrame:
    return pd.read_parquet(record.RECORDING / f"{name}.parquet")


def _start_smoke(work: Path, out: Path) -> subprocess.Popen[str]:
    module = "case_studies.redis_persistence.record"
    return subprocess.Popen(
        [sys.executable, "-m", module, "--smoke", "--work", str(work), "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _descendants(pid: int) -> list[int]:
    children = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _alive(pid: int) -> bool:
    """Running, that is: an orphan that nobody has waited for yet is a zombie, and holds nothing."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(done: Callable[[], bool], what: str, patience_s: float = 5.0) -> None:
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline, f"not so after {patience_s} s: {what}"
        time.sleep(0.05)
