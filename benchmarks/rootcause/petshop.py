"""The PetShop study, where its data are: `CAUSALSYS_DATA` names the folder above `petshop`."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.lines import Line

NAME = "petshop"
_SCENARIOS = ("low_traffic", "high_traffic", "temporal_traffic1", "temporal_traffic2")


def run(*, quick: bool = False) -> list[Line]:
    """Top-1, top-3 and specificity for each scenario; nothing without the data."""
    folder = os.environ.get("CAUSALSYS_DATA")
    if folder is None:
        return []
    # Imported here: the study is wanted only where the data are.
    from case_studies.petshop.read import read
    from case_studies.petshop.study import OURS, run
    from case_studies.petshop.table import ALL, recall, specificity

    lines = []
    for name in _SCENARIOS[: 1 if quick else None]:
        path = Path(folder) / "petshop" / name
        if not path.is_dir():
            continue
        without = ["dowhy attribution"] if quick else []
        study = run(read(path), without=without, most_windows=20 if quick else None)
        scores, silence = recall(study), specificity(study)
        row = dict(zip(scores.index, scores.to_dict("records"), strict=True))[name, ALL, ALL]
        others = ", ".join(
            f"{method} {row[method, 'top-1']:.2f}/{row[method, 'top-3']:.2f}"
            for method in study.named
            if method != OURS
        )
        main = name == "low_traffic"
        note = f"{row['', 'issues']:.0f} issues; {others}"
        for top, least in (("top-1", 0.92), ("top-3", 1.0)):
            at = float(row[OURS, top])
            target = f"≥ {least:g}" if main else ""
            lines.append(
                Line(NAME, f"{name}: {top}", at, target, at >= least if main else None, note)
            )
            note = ""
        if len(silence):
            quiet = dict(zip(silence.index, silence.to_dict("records"), strict=True))
            still = float(quiet[name, ALL, "normal"][OURS, "specificity"])
            lines.append(Line(NAME, f"{name}: specificity", still, "≥ 0.95", still >= 0.95))
    return lines
