"""The path from cause to target: its edges, beside those that carried the effect."""

from __future__ import annotations

import numpy as np

from benchmarks.lines import Line
from benchmarks.rootcause.sample import AT_SERVICES, REPORTED, asked, run_all

NAME = "path"


def run(*, quick: bool = False) -> list[Line]:
    """Mean precision and recall over cases whose first cause is right."""
    scores = run_all(
        asked(30 if quick else 200, AT_SERVICES, 1 if quick else 3, first=REPORTED + 15_000)
    )
    precise = [score.precise for score in scores if score.precise is not None]
    found = [score.found for score in scores if score.found is not None]
    lines = []
    for said, values, rule in (
        ("precision", precise, "right: carried a hundredth of the effect"),
        ("recall", found, "to be found: carried a tenth of it"),
    ):
        mean = float(np.mean(values)) if values else float("nan")
        note = f"{len(values)} of {len(scores)} cases, seeds from 16000; {rule}"
        lines.append(Line(NAME, f"edges of the path, {said}", mean, "≥ 0.95", mean >= 0.95, note))
    return lines
