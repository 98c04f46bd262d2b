"""Generated twins of the VM data with known types: explanation, hidden group, replacement.

Explanations are judged on twins with one change (mix and mechanism of the affected types), whose
parts are computed from the generator with the convention of `audit.explain`: the mix is exchanged
first, and a rise that needs both is the law's. Replacements are judged on twins in which other
types change too, at other times. Seeds from 1000.
"""

from __future__ import annotations

import numpy as np

from benchmarks.lines import Line
from case_studies.vm_noise.incumbent import Floats, LogLinear, relative
from case_studies.vm_noise.read import checked
from case_studies.vm_noise.study import explained
from case_studies.vm_noise.study import run as study_of
from case_studies.vm_noise.twin import Truth, generate, make
from models.vm_noise import TARGET

NAME = "twin"
FIRST = 1000
_ROWS, _LARGE = 8_000, 40_000
_NORMAL, _AFTER = 150.0, 190.0
"""Days up to which the normal period lasts, and from which the changes are complete."""


def run(*, quick: bool = False) -> list[Line]:
    """Shares and groups on twins with one change; errors on drifting ones."""
    count = 1 if quick else 4
    return [
        *_explanations(count),
        *_explanations(count, already=0.4),
        *_replacements(count),
    ]


def _explanations(count: int, already: float | None = None) -> list[Line]:
    gaps, aucs, notes = [], [], []
    for seed in range(FIRST, FIRST + count):
        rows, truth = generate(_ROWS, seed=seed, drifting=False, already=already)
        day = (rows["started"] - rows["started"].iloc[0]).dt.total_seconds().to_numpy() / 86400
        normal, since = np.searchsorted(day, [_NORMAL, _AFTER])
        incumbent = LogLinear.fit(rows[:normal])
        found = explained(rows, int(normal), int(since), incumbent, seed=0)
        mix = _mix_share(truth, incumbent)
        gaps.append(abs(found.share("mix shift") - mix))
        notes.append(f"{found.share('mix shift'):.2f} for {mix:.2f}")
        aucs.append(_auc(found, truth))
    worst, lowest = 100 * max(gaps), min(aucs)
    where = "" if already is None else f", where {already:.0%} of the affected were slow before"
    share = [
        Line(
            NAME,
            f"share of the mix: furthest from the truth, points{where}",
            worst,
            "≤ 10",
            worst <= 10,
            f"{count} twins: {', '.join(notes)}",
        )
    ]
    if already is not None:
        # Who is slow by the old law and who by the new one, nothing tells apart.
        return share
    return [
        *share,
        Line(
            NAME,
            "hidden group: lowest AUC",
            lowest,
            "≥ 0.95",
            lowest >= 0.95,
            f"{count} twins: {', '.join(f'{each:.3f}' for each in aucs)}",
        ),
    ]


def _mix_share(truth: Truth, incumbent: LogLinear) -> float:
    """The true share of the mix in the rise: many machines, before and after, and in between."""
    law, random = truth.law, np.random.default_rng(0)
    last = len(law.mix) - 1
    before = np.sort(random.uniform(0, _NORMAL, _LARGE))
    after = np.sort(random.uniform(_AFTER, 7.0 * last, _LARGE))

    def error(day: Floats, mix: Floats | None, *, old: bool) -> float:
        rows, _ = make(truth, day, random, mix=mix, old_mechanism=old)
        return float(relative(rows[TARGET].to_numpy(), incumbent.predict(rows)).mean())

    start, end = error(before, None, old=True), error(after, None, old=False)
    mixed = error(after, None, old=True)
    return (mixed - start) / (end - start)


def _auc(found: object, truth: Truth) -> float:
    from sklearn.metrics import roc_auc_score

    group = getattr(found, "group", None)
    if group is None:
        return 0.5
    return float(roc_auc_score(truth.slow[group.probabilities.index], group.probabilities))


def _replacements(count: int) -> list[Line]:
    errors = []
    for seed in range(FIRST, FIRST + count):
        study = study_of(checked(generate(seed=seed)[0]), explain=False)
        late = study.errors[study.alarm :]
        errors.append([100 * float(late[name].mean()) for name in late])
    mean = np.mean(errors, axis=0)
    told = ", ".join(" / ".join(f"{value:.1f}" for value in each) for each in errors)
    return [
        Line(
            NAME,
            f"error from the alarm on, %: {name}",
            float(value),
            "",
            None,
            f"{count} twins, incumbent / refitted / replacement: {told}",
        )
        for name, value in zip(("incumbent", "refitted", "replacement"), mean, strict=True)
    ]
