"""What the README says is true."""

import re
from pathlib import Path

import pytest

import causalsys as cs
from case_studies.load_balancing.system import generate

README = Path(__file__).parents[1] / "README.md"


def test_the_first_model_runs_and_tells_the_effect(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)[0]
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  (our own README)
    ratio = names["answer"].mean("latency") / names["logs"]["latency"].head(3)
    # Doubling the load multiplies latency by 2 ** 0.8. The exponent's standard error with 2000
    # rows is about 0.01, and a confounded regression would give about 0.1.
    assert ratio.between(2**0.75, 2**0.85).all()
    assert "Identified under {linear mechanisms}" in capsys.readouterr().out


def test_the_simulation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)[1]
    log, truth = generate(96, 60, seed=0)
    recorded = {name: truth.policies[name] for name in ("random", "shortest_queue")}
    names = {"__name__": "readme", "cs": cs, "log": log, "recorded": recorded}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  (our own README)
    told = capsys.readouterr().out
    assert "shortest_queue" in told
    assert "p99 latency" in told


def test_the_root_cause_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    # The README takes its metrics from the example of the longer text, which runs as well.
    longer = (README.parent / "docs" / "root_cause.md").read_text(encoding="utf-8")
    first = re.findall(r"```python\n(.*?)```", longer, flags=re.S)[0]
    again = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)[2]
    names: dict[str, object] = {"__name__": "readme"}
    for code, where in ((first, "docs/root_cause.md"), (again, "README.md")):
        exec(compile(code, where, "exec"), names)  # noqa: S102  (our own documents)
        assert capsys.readouterr().out.startswith("payment (> 99 %): restoring it removes 10")


def test_the_misprediction_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    # As above: the longer text has the rows and the incumbent.
    longer = (README.parent / "docs" / "mispredictions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", longer, flags=re.S)
    again = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)[3]
    names: dict[str, object] = {"__name__": "readme"}
    for code in blocks[:6]:
        exec(compile(code, "docs/mispredictions.md", "exec"), names)  # noqa: S102  (our own)
    told = capsys.readouterr().out
    # Only old hosts were slowed: hidden, more of them, and each twice as far from the old law.
    assert ": latent group." in told
    assert re.search(r"Causes of the error.*\n  host = 1:", told)
    assert "only old hosts: error" in told
    exec(compile(again, "README.md", "exec"), names)  # noqa: S102  (our own)
    assert "The candidate loses nowhere" in capsys.readouterr().out


def test_its_links_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (README.parent / target).exists(), target
