"""The VM study on a twin with known truth, on files that cannot be used, and on the real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from case_studies.vm_noise.__main__ import main
from case_studies.vm_noise.incumbent import LogLinear, blind_errors, relative
from case_studies.vm_noise.read import FEWEST, checked, read
from case_studies.vm_noise.study import Study, normal_rows, run
from case_studies.vm_noise.twin import generate
from case_studies.vm_noise.watch import alarms
from models.vm_noise import TARGET

SEED = 1
"""A twin whose affected types make up a third of the machines after the change."""


@pytest.fixture(scope="module")
def study() -> Study:
    return run(checked(generate(3_000, seed=SEED)[0]), explain=False)


def test_twin_is_alarmed_after_its_change_and_not_before(study: Study) -> None:
    _, truth = generate(3_000, seed=SEED)
    day = (pd.Timestamp(str(study.alarms[0].label)) - study.rows["started"].iloc[0]).days
    assert truth.change <= day <= truth.change + 60
    assert study.alarms[0].node == TARGET


def test_replacement_is_better_than_incumbent_and_refitted_one_after_the_alarm(
    study: Study,
) -> None:
    late = study.errors[study.alarm + 200 :].mean()
    assert late["replacement"] < 0.8 * late["refitted"] < late["incumbent"]
    assert 0 < len(study.replay.bought) <= 200
    assert study.replay.bought.min() >= study.alarm


def test_replacement_is_no_worse_before_the_shift(study: Study) -> None:
    before = study.errors[study.normal // 2 : study.normal].mean()
    assert before["replacement"] <= 1.1 * before["incumbent"]


def test_twin_without_a_change_has_no_alarm() -> None:
    rows, truth = generate(6_000, seed=SEED, drifting=False)
    day = (rows["started"] - rows["started"].iloc[0]).dt.total_seconds() / 86400
    quiet = rows[day < truth.change - 10]
    half = len(quiet) // 2
    usual, later = quiet[:half], quiet[half:]
    errors = relative(later[TARGET].to_numpy(), LogLinear.fit(usual).predict(later))
    assert alarms(usual, later, errors) == ()


def test_blind_errors_are_those_of_rows_that_the_fit_has_not_seen() -> None:
    rows, _ = generate(600, seed=SEED)
    own = relative(rows[TARGET].to_numpy(), LogLinear.fit(rows).predict(rows))
    assert np.mean(blind_errors(rows)) > np.mean(own)


def test_normal_period_is_five_months_or_a_share_of_a_short_file() -> None:
    rows, _ = generate(2_000, seed=SEED)
    rows = checked(rows)
    assert rows["started"].iloc[normal_rows(rows) - 1] < pd.Timestamp("2023-11-01")
    assert rows["started"].iloc[normal_rows(rows)] >= pd.Timestamp("2023-11-01")
    assert normal_rows(rows[:800]) == 360


def test_command_writes_json_and_a_picture_and_tells_the_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "twin.json"
    assert main(["--out", str(out), "--rows", "3000", "--seed", str(SEED)]) == 0
    told = json.loads(out.read_text(encoding="utf-8"))
    assert {"alarms", "explanation", "slices", "latent", "comparison"} <= set(told)
    assert set(told["alarms"][0]) >= {"date", "node"}
    assert sum(part["share"] for part in told["explanation"]["parts"]) == pytest.approx(1)
    for group in told["latent"]:
        assert all(0 <= each["probability"] <= 1 for each in group)
    months = [each["month"] for each in told["comparison"]]
    assert months == sorted(months)
    assert {"incumbent", "refitted", "replacement"} <= set(told["comparison"][0])
    assert out.with_suffix(".png").stat().st_size > 10_000
    assert "inferred" in capsys.readouterr().out


def _spoiled(how: str) -> pd.DataFrame:
    rows, _ = generate(FEWEST + 100, seed=SEED)
    if how == "column":
        return rows.drop(columns="cache_ops")
    if how == "few":
        return rows.head(FEWEST - 1)
    if how == "missing":
        rows.loc[7, "memcpy_gb_s"] = np.nan
    elif how == "negative":
        rows.loc[7, TARGET] = -1.0
    elif how == "order":
        rows = rows.iloc[::-1]
    elif how == "twice":
        rows.loc[8, "VM_id"] = rows.loc[7, "VM_id"]
    elif how == "word":
        rows["cache_ops"] = rows["cache_ops"].astype(object)
        rows.loc[7, "cache_ops"] = "fast"
    return rows


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("column", "cache_ops"),
        ("few", "rows"),
        ("missing", "memcpy_gb_s"),
        ("negative", TARGET),
        ("order", "out of order"),
        ("twice", "a second time"),
        ("word", "fast"),
    ],
)
def test_file_that_cannot_be_used_is_refused_in_one_line(
    how: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    _spoiled(how).to_csv(file, index=False)
    assert main([str(file), "--out", str(tmp_path / "out.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vm_noise: error: ")
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out.json").exists()


def test_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out.json")]
    assert main([str(tmp_path / "none.parquet"), *out]) == 2
    (tmp_path / "bad.parquet").write_text("no table", encoding="utf-8")
    assert main([str(tmp_path / "bad.parquet"), *out]) == 2
    assert main([str(tmp_path / "none.parquet"), "--out", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 3


def test_real_files_alarm_in_time_and_the_control_stays_quiet(data_dir: Path) -> None:
    for name, rings in (("eastus_B8ms", True), ("westus2_B8ms", False)):
        rows = read(data_dir / "azure_vm_noise" / f"{name}.parquet")
        normal = normal_rows(rows)
        usual, later = rows[:normal], rows[normal:]
        errors = relative(later[TARGET].to_numpy(), LogLinear.fit(usual).predict(later))
        found = alarms(usual, later, errors)
        assert bool(found) == rings
        if found:
            assert pd.Timestamp("2023-11-13") <= found[0].label <= pd.Timestamp("2023-12-13")
