"""Incidents of six kinds: is the kind named, beside two simple rules; false alarms on none."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np

from benchmarks.lines import Line
from benchmarks.mispredictions.incidents import KINDS, Incident, random_incident
from causalsys.audit.audit import audit

NAME = "incidents"
_FIRST = 1000
_EACH = 12
_NONE = 48


@dataclass(frozen=True)
class Answer:
    """What was said of one incident.

    Attributes:
        kind: The true kind.
        ours: The kind that `explain` names.
        shifted: What the largest-shift rule names.
        classifier: What the two-classifiers rule names.
        auc: Of the hidden group's probabilities; NaN where there is no group.
        seconds: That `explain` took.
    """

    kind: str
    ours: str
    shifted: str
    classifier: str
    auc: float
    seconds: float


def run(*, quick: bool = False) -> list[Line]:
    """Kinds named correctly, false alarms, and the same of simple rules."""
    each, none = (1, 2) if quick else (_EACH, _NONE)
    cases = [(kind, _FIRST + at) for kind in KINDS[:-1] for at in range(each)]
    cases += [("none", _FIRST + at) for at in range(none)]
    answers = [answer(random_incident(kind, seed)) for kind, seed in cases]
    some = [one for one in answers if one.kind != "none"]
    rest = [one for one in answers if one.kind == "none"]
    # Kinds count alike: as many of "none" as of any other.
    named = [*some, *rest[:each]]
    said = f"{len(named)} incidents of 300 to 2000 rows a period, seeds from {_FIRST}"
    right = float(np.mean([one.ours == one.kind for one in named]))
    false = float(np.mean([one.ours != "none" for one in rest]))
    lines = [
        Line(NAME, "kind named correctly", right, "≥ 0.90", right >= 0.9, said),
        Line(
            NAME,
            "false alarms on none",
            false,
            "≤ 0.05",
            false <= 0.05,
            f"{len(rest)} pairs of periods without a cause",
        ),
    ]
    for kind in KINDS[:-1]:
        own = [one for one in some if one.kind == kind]
        share = float(np.mean([one.ours == kind for one in own]))
        lines.append(Line(NAME, f"{kind}: named correctly", share, note=f"{len(own)} incidents"))
    areas = np.array([one.auc for one in some if one.kind == "latent group"])
    lines.append(
        Line(
            NAME, "hidden group, AUC (median)", float(np.nanmedian(areas)), note="where it is told"
        )
    )
    for rule, told in (("largest shift (KS)", "shifted"), ("two classifiers", "classifier")):
        share = float(np.mean([getattr(one, told) == one.kind for one in named]))
        lines.append(Line(NAME, f"{rule}: kind named correctly", share, note="for comparison"))
    seconds = float(np.median([one.seconds for one in answers]))
    lines.append(Line(NAME, "seconds for one explanation (median)", seconds))
    return lines


def answer(incident: Incident) -> Answer:
    """Ask `explain` and the simple rules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = incident.system.model().fit(incident.train, ensemble=4)
    audited = audit(fitted, incident.predictor, target="y", error=incident.error)
    start = time.perf_counter()
    found = audited.explain(incident.before, incident.after)
    seconds = time.perf_counter() - start
    area = float("nan")
    if incident.group is not None and found.group is not None:
        from sklearn.metrics import roc_auc_score

        area = float(roc_auc_score(incident.group, found.group.probabilities))
    rose = found.chance < 0.01
    return Answer(
        incident.kind,
        found.kind,
        _shifted(incident, rose),
        _classifier(incident, rose),
        area,
        seconds,
    )


def _shifted(incident: Incident, rose: bool) -> str:
    """The column whose marginal moved most: an input, an unread column, or the target."""
    from scipy.stats import ks_2samp

    if not rose:
        return "none"
    before, after = incident.before, incident.after
    moved = {name: float(ks_2samp(before[name], after[name]).statistic) for name in before.columns}
    most = max(moved, key=lambda name: moved[name])
    if most == "y":
        wider = float(after["y"].std() / before["y"].std())
        return "label noise" if wider > 1.3 and _still(incident) else "mechanism change"
    return "mix shift" if most in incident.system.inputs else "missing feature"


def _still(incident: Incident) -> bool:
    gap = float(incident.after["y"].mean() - incident.before["y"].mean())
    return abs(gap) < 0.2 * float(incident.before["y"].std())


def _classifier(incident: Incident, rose: bool) -> str:
    """Can the periods be told apart by the inputs, or only with the target beside them?"""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    if not rose:
        return "none"
    label = np.repeat([0, 1], [len(incident.before), len(incident.after)])
    areas = []
    inputs = list(incident.system.inputs)
    unread = [n for n in incident.before.columns if n not in (*inputs, "y")]
    for names in (inputs, [*inputs, "y"], [*inputs, *unread]):
        rows = np.concatenate(
            [each[names].to_numpy() for each in (incident.before, incident.after)]
        )
        model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, random_state=0)
        areas.append(float(cross_val_score(model, rows, label, cv=3, scoring="roc_auc").mean()))
    gains = {
        "mix shift": areas[0] - 0.5,
        "mechanism change": areas[1] - areas[0],
        "missing feature": areas[2] - areas[0],
    }
    return max(gains, key=lambda kind: gains[kind])


__all__ = ["NAME", "Answer", "answer", "run"]
