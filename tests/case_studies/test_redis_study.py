"""The Redis incident: what the demo says, it must go on saying."""

from pathlib import Path

import matplotlib as mpl
import pytest

from case_studies.redis_persistence.__main__ import report
from case_studies.redis_persistence.picture import draw
from case_studies.redis_persistence.study import Study, run

mpl.use("Agg")


@pytest.fixture(scope="module")
def study() -> Study:
    return run(seed=0)


def test_the_model_never_sees_what_was_hidden(study: Study) -> None:
    assert not [name for name in study.fitted.declaration.nodes if name.endswith("_hidden")]


def test_the_answer_is_near_the_measured_truth(study: Study) -> None:
    # Two replays without the fault differ by about 4 % in a window of ten seconds, and the means
    # of all windows by 1 %; a tenth leaves room for another machine's recording.
    truth = study.windows[study.replays].to_numpy().mean()
    assert study.windows["mean"].mean() == pytest.approx(truth, rel=0.1)
    factor, low, high, measured = study.effect
    assert low < factor < high
    assert factor == pytest.approx(measured, rel=0.1)


def test_the_neighbour_is_inferred(study: Study) -> None:
    assert study.neighbour > 0.85


def test_the_page_says_what_was_found(study: Study, tmp_path: Path) -> None:
    figure = draw(study)
    figure.savefig(tmp_path / "picture.png")
    html = report(study, figure, seed=0)
    assert study.sentence in html
    assert "Identified under {" in html
    assert "http" not in html.split("base64,")[0]
