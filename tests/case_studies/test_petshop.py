"""The PetShop study reads any folder of the published format, and says who is to blame in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from case_studies.petshop.__main__ import main
from case_studies.petshop.case import Case, ranked
from case_studies.petshop.cases import FOLDS, cases
from case_studies.petshop.ours import Ours
from case_studies.petshop.read import read
from case_studies.petshop.rivals.anomaly import anomalous
from case_studies.petshop.rivals.circa import bridged, circa
from case_studies.petshop.rivals.correlation import ranked_correlation
from case_studies.petshop.rivals.simple import deepest_ancestor, largest_deviation
from case_studies.petshop.rivals.traversal import traversal

CALLS = [("shop", "cart"), ("shop", "search"), ("cart", "store"), ("client", "search")]
NODES = ["cart", "client", "search", "shop", "store"]
STEP = 300


def metrics(rows: int, start: int, seed: int, fault: tuple[str, str] | None = None) -> pd.DataFrame:
    """What the shop shows: seconds and errors add up along the calls; rows 2 and 3 are faulty."""
    rng = np.random.default_rng(seed)
    load = rng.poisson(400, rows).astype(float)
    faulty = np.isin(np.arange(rows), [2, 3])
    seconds: dict[str, np.ndarray] = {}
    errors: dict[str, np.ndarray] = {}
    for node in ("store", "cart", "search", "shop", "client"):
        callees = [b for a, b in CALLS if a == node]
        own = load * 0.02 * rng.gamma(200, 1 / 200, rows)
        failed = rng.poisson(0.002 * load).astype(float)
        if fault == (node, "latency"):
            own = own + faulty * load * 0.1
        if fault == (node, "availability"):
            failed = failed + faulty * load * 0.1
        seconds[node] = own + sum((seconds[callee] for callee in callees), np.zeros(rows))
        errors[node] = failed + sum((errors[callee] for callee in callees), np.zeros(rows))
    parts = {}
    for node in NODES:
        parts[node, "latency", "Average"] = seconds[node] / load
        parts[node, "latency", "p95"] = 2 * seconds[node] / load
        parts[node, "requests", "Sum"] = load
        parts[node, "availability", "Average"] = 100 * (1 - errors[node] / load).clip(0)
    table = pd.DataFrame(parts, index=pd.Index(start + STEP * np.arange(rows)))
    table.columns.names = ["microservice", "metric", "statistic"]
    table.index.name = "unix_timestamp"
    return table


ISSUES = {
    "train/issue_0": ("search", "latency"),
    "train/issue_1": ("search", "availability"),
    "test/issue_2": ("store", "latency"),
    "test/issue_10": ("cart", "availability"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scenario in the published format."""
    home = tmp_path / "data" / "small"
    (home / "noissue").mkdir(parents=True)
    metrics(100, 0, seed=0).to_csv(home / "noissue" / "metrics.csv")
    matrix = pd.DataFrame(0.0, NODES, NODES)
    for caller, callee in CALLS:
        matrix.loc[caller, callee] = 1.0
    matrix.to_csv(home / "graph.csv")
    for number, (where, fault) in enumerate(ISSUES.items()):
        (home / where).mkdir(parents=True)
        start = 1_000_000 * (number + 1)
        metrics(5, start, seed=number + 1, fault=fault).to_csv(home / where / "metrics.csv")
        told = {
            "target": {
                "node": "shop",
                "metric": fault[1],
                "agg": "Average",
                "timestamp": start + 1.5 * STEP,
            },
            "root_cause": {"node": fault[0], "metric": None},
        }
        (home / where / "target.json").write_text(json.dumps(told))
    return home


def case_of(folder: Path, where: str) -> Case:
    return next(case for case in cases(read(folder))[0] if case.id == where)


def called(folder: Path, tmp_path: Path, *more: str) -> list[dict[str, Any]]:
    out = tmp_path / "verdicts.json"
    code = main([str(folder.parent), "--scenario", folder.name, "--out", str(out), *more])
    assert code == 0
    assert [path.name for path in tmp_path.glob("*verdicts*")] == ["verdicts.json"]
    found: list[dict[str, Any]] = json.loads(out.read_text())
    return found


def test_the_folder_is_read_as_published(folder: Path) -> None:
    scenario = read(folder)
    assert set(scenario.calls.edges) == set(CALLS)
    assert [issue.id for issue in scenario.issues] == list(ISSUES)  # 2 before 10
    assert [issue.truth for issue in scenario.issues] == [node for node, _ in ISSUES.values()]
    assert scenario.normal is not None
    assert scenario.normal.shape == (100, 20)


@pytest.mark.parametrize("header", ["caller,callee", "source,target", "to,from", "a,b"])
def test_a_list_of_edges_is_a_call_graph_too(folder: Path, header: str) -> None:
    turned = header == "to,from"
    rows = [f"{b},{a}" if turned else f"{a},{b}" for a, b in CALLS]
    (folder / "graph.csv").write_text("\n".join([header, *rows]) + "\n")
    assert set(read(folder).calls.edges) == set(CALLS)


def test_what_target_json_leaves_out_is_filled_in(folder: Path) -> None:
    (folder / "train/issue_0/target.json").write_text('{"target": {"metric": "latency"}}')
    issue = read(folder).issues[0]
    assert (issue.target.node, issue.target.statistic) == ("shop", "Average")
    assert issue.truth is None
    assert issue.alarmed is None


def test_normal_windows_are_judged_against_other_rows(folder: Path) -> None:
    scenario = read(folder)
    normal = [case for case in cases(scenario)[0] if case.split == "normal"]
    assert len(normal) == 2 * 100 // 5  # two targets
    for case in normal:
        near = np.abs(np.subtract.outer(case.normal.index, case.window.index)).min()
        assert near > 5 * STEP  # a neighbouring window lies between
    assert len({case.fold for case in normal}) == FOLDS
    few = [case for case in cases(scenario, most_windows=4)[0] if case.split == "normal"]
    assert len(few) == 8


def test_without_a_normal_period_other_issues_stand_in(folder: Path) -> None:
    (folder / "noissue/metrics.csv").rename(folder.parent / "kept.csv")
    for where in ISSUES:  # with their alarms unknown, all of their rows are taken
        told = json.loads((folder / where / "target.json").read_text())
        del told["target"]["timestamp"]
        (folder / where / "target.json").write_text(json.dumps(told))
    found, said = cases(read(folder))
    assert [case.split for case in found] == ["train", "train", "test", "test"]
    assert all(len(case.normal) == 15 for case in found)
    assert not any(case.normal.index.isin(case.window.index).any() for case in found)
    assert "no normal period" in said
    given = read(folder, normal=folder.parent / "kept.csv")
    assert len(cases(given)[0]) == 4 + 40


def test_the_rows_before_the_alarm_stand_in_where_they_suffice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "noissue/metrics.csv").unlink()
    monkeypatch.setattr("case_studies.petshop.cases.LEAST", 6)
    assert all(len(case.normal) == 6 for case in cases(read(folder))[0])  # rows 0 and 1 of three


def test_a_scenario_of_the_same_system_lends_its_normal_period(folder: Path) -> None:
    for name in ("rich", "stranger"):
        shutil.copytree(folder, folder.parent / name)
    (folder.parent / "stranger/graph.csv").write_text("caller,callee\nx,y\n")
    (folder / "noissue/metrics.csv").unlink()
    found, said = cases(read(folder))
    assert len(found) == 4
    assert all(len(case.normal) == 100 for case in found)
    assert "that of rich, 100 rows" in said
    shutil.rmtree(folder.parent / "rich")
    assert read(folder).normal is None


def test_the_detector_is_that_of_the_authors(folder: Path) -> None:
    case = case_of(folder, "test/issue_2")
    scores = anomalous(case)
    assert set(scores) == {"store", "cart", "shop"}
    normal = case.normal["store", "latency", "Average"]
    mad = (normal - normal.median()).abs().median() / 0.6744897501960817
    there = case.window["store", "latency", "Average"].iloc[2]
    assert scores["store"] == pytest.approx(abs(there - normal.median()) / mad)


def test_the_rivals_find_a_plain_fault(folder: Path) -> None:
    case = case_of(folder, "test/issue_2")
    for method in (largest_deviation, deepest_ancestor, traversal, circa):
        assert ranked(case, method(case))[0] == "store", method.__name__
    assert "store" in ranked_correlation(case)  # and cart, which moves with it
    assert "shop" not in ranked_correlation(case)


def test_the_rivals_that_can_are_silent_on_normal_rows(folder: Path) -> None:
    normal = [case for case in cases(read(folder))[0] if case.split == "normal"]
    for method in (largest_deviation, deepest_ancestor, traversal, ranked_correlation):
        assert sum(not method(case) for case in normal) >= 0.8 * len(normal), method.__name__


def test_traversal_takes_a_cycle_for_one_node(folder: Path) -> None:
    case = case_of(folder, "test/issue_2")
    case.calls.add_edge("store", "cart")
    assert set(traversal(case)) == {"store", "cart"}


def test_ties_go_to_the_deepest_then_by_name(folder: Path) -> None:
    case = case_of(folder, "test/issue_2")
    equal = {"shop": 1.0, "search": 1.0, "cart": 1.0, "store": 1.0, "client": 1.0}
    assert ranked(case, equal) == ("store", "cart", "search", "shop", "client")


def test_a_node_without_data_is_bridged(folder: Path) -> None:
    graph = bridged(case_of(folder, "test/issue_2").causes, ["shop", "store", "search"])
    assert set(graph.edges) == {("store", "shop"), ("search", "shop")}


def test_the_command_writes_a_verdict_for_every_case(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(folder, tmp_path, "--without", "causalsys", "--without", "dowhy")
    assert [verdict["id"] for verdict in found[:4]] == list(ISSUES)
    assert {verdict["split"] for verdict in found[4:]} == {"normal"}
    assert len(found) == 44
    assert found[2]["rivals"]["traversal"] == ["store"]
    printed = capsys.readouterr().out
    for wanted in ("top-1", "top-3", "specificity", "latency", "availability", "train split"):
        assert wanted in printed


def test_our_own_answer_is_in_the_file(folder: Path, tmp_path: Path) -> None:
    found = called(folder, tmp_path, "--without", "dowhy", "--windows", "10")
    assert len(found) == 4 + 20
    for verdict, (cause, _) in zip(found, ISSUES.values(), strict=False):
        assert verdict["alarm"] is True
        assert verdict["refused"] is None
        first = verdict["ranking"][0]
        assert first["cause"] == cause
        # The fault is all of the excess: a share is right within what five rows of noise leave.
        assert first["share"] == pytest.approx(1.0, abs=0.2)
        probabilities = [entry["probability"] for entry in verdict["ranking"]]
        assert first["probability"] > 0.5 > verdict["none_probability"]
        assert probabilities == sorted(probabilities, reverse=True)
        assert {entry["cause"] for entry in verdict["ranking"]} <= {*NODES, "load"}
    quiet = [verdict for verdict in found[4:] if not verdict["alarm"]]
    assert len(quiet) >= 19  # .95 of 20


def test_a_target_that_is_refused_counts_as_silent(folder: Path, tmp_path: Path) -> None:
    told = {"target": {"node": "shop", "metric": "requests", "agg": "Sum"}}
    (folder / "test/issue_2/target.json").write_text(json.dumps(told))
    table = pd.read_csv(folder / "noissue/metrics.csv", header=[0, 1, 2], index_col=0)
    table.drop(columns="shop", level=0).to_csv(folder / "noissue/metrics.csv")
    found = called(folder, tmp_path, "--without", "dowhy", "--windows", "1")
    assert all(verdict["refused"] for verdict in found[:4])
    assert not any(verdict["alarm"] or verdict["ranking"] for verdict in found[:4])


def test_issues_whose_cause_is_withheld_are_judged_and_not_scored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for where, (_, metric) in ISSUES.items():
        told = {"target": {"node": "shop", "metric": metric, "agg": "Average"}}
        (folder / where / "target.json").write_text(json.dumps(told))
    found = called(
        folder, tmp_path, "--without", "causalsys", "--without", "dowhy", "--windows", "2"
    )
    assert all(verdict["truth"] is None for verdict in found)
    assert "No issue names a cause" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("graph.csv", "a,b\n", "no edges"),
        ("graph.csv", None, "no call graph"),
        ("noissue/metrics.csv", "time,a\n1,2\n", "metrics.csv"),
        ("train/issue_0/metrics.csv", "nothing", "three rows of header"),
        ("train/issue_0/target.json", "{", "no target in it"),
        ("train/issue_0/target.json", '{"target": {}}', "KeyError"),
        ("train/issue_0/target.json", '{"target": {"metric": "dust"}}', "no column for"),
    ],
)
def test_bad_input_is_one_clear_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str | None,
    says: str,
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    out = tmp_path / "verdicts.json"
    assert main([str(folder.parent), "--scenario", "small", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_an_unknown_scenario_is_answered_with_those_that_exist(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder.parent), "--scenario", "huge", "--out", str(tmp_path / "o")]) == 2
    assert "Scenarios there: small" in capsys.readouterr().err


def test_ranked_correlation_gives_the_figures_counted_elsewhere(data_dir: Path) -> None:
    # Counted with the authors' own code over the 26 issues: .58 and .77. One issue is a tie.
    known = [c for c in cases(read(data_dir / "petshop/low_traffic"))[0] if c.split != "normal"]
    named = [ranked(case, ranked_correlation(case)) for case in known]
    assert len(known) == 26
    first = sum(case.truth in names[:1] for case, names in zip(known, named, strict=True))
    third = sum(case.truth in names[:3] for case, names in zip(known, named, strict=True))
    assert first / 26 == pytest.approx(0.58, abs=0.04)
    assert third / 26 == pytest.approx(0.77, abs=0.01)


def test_a_slow_service_is_found_in_the_real_train_split(data_dir: Path) -> None:
    slow = [
        case
        for case in cases(read(data_dir / "petshop/low_traffic"), most_windows=1)[0]
        if case.split == "train" and case.target.metric == "latency"
    ]
    ours = Ours()
    assert [ours.judge(case).named[:1] for case in slow] == [(case.truth,) for case in slow]
    assert len(slow) == 4
