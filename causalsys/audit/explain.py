"""`audit.explain`: how much of a rise in error comes from the mix, a mechanism, or a hidden group.

The mean loss is split along the chain of what is read, the causes that are not read, and the
target's own law, each exchanged in turn for that of after; so the parts sum to the rise. What of
the target's law changed is judged by rival laws of what the old mean leaves (`explain_group.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalsys.audit.explain_classes import class_chances, named_levels
from causalsys.audit.explain_columns import Columns, Floats
from causalsys.audit.explain_group import Judged, judged, smooth
from causalsys.audit.explain_kind import changed, labels_wrong, rows_needed
from causalsys.audit.explain_movers import divided, movers
from causalsys.audit.explain_old import Plan, planned, worth
from causalsys.audit.explain_parts import Split, split
from causalsys.audit.explain_regression import folds_of
from causalsys.audit.explain_result import Explanation, Group, Kind, Part
from causalsys.audit.explain_stuck import recorded, stuck
from causalsys.audit.explain_words import ASSUMPTIONS, notes_of, told_of
from causalsys.audit.subject import Period, Subject
from causalsys.data.apart import check_apart
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError
from causalsys.query.asked import count, share

_CHANCE = 0.1
"""A rise that is likelier than this by chance is none; and so is one where nothing changed, which
is tested apart, at 1 %."""


@dataclass(frozen=True)
class _Case:
    """One question, as far as it is answered."""

    columns: Columns
    before: Period
    after: Period
    whole: Period
    lost: tuple[str, ...]
    plans: tuple[Plan, Plan]
    split: Split
    judged: Judged
    law: str
    wrong: bool | None
    level: float


@one_thread()
def explain(
    subject: Subject,
    before: object,
    after: object,
    *,
    draws: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> Explanation:
    """Why the error rose between two periods; see `Audit.explain`."""
    draws, seed = count(draws, "draws", least=20), count(seed, "seed", least=0)
    level = share(level, "level")
    old = subject.period(before, what="before", least=rows_needed())
    new = subject.period(after, what="after", least=rows_needed())
    check_apart(new.rows, old.rows, what="after", other="before")
    _varied(subject, old)
    columns = Columns.of(subject, old.rows, new.rows)
    random = np.random.default_rng(seed)
    where = stuck(columns, old, new)
    _complete(columns, old, new, set(where))
    whole, lost = recorded(columns, old, new, where, random)
    # Whether a column enters by its logarithm must not depend on what it is stuck at.
    columns = Columns.of(subject, old.rows, whole.rows)
    all_known = planned(columns, old, columns.every, random)
    read = planned(columns, old, columns.read, random) if columns.unread else all_known
    parts = split(columns, old, new, whole, (read, all_known), draws=draws, random=random)
    rivals = _judged(columns, parts, whole, random)
    law = changed(rivals, old_rows=min(parts.old.effective, len(old)))
    wrong = (
        labels_wrong(columns, old, whole, parts.old.left, random)
        if law in ("wider", "group")
        else None
    )
    case = _Case(
        columns,
        old,
        new,
        whole,
        tuple(lost),
        (read, all_known),
        parts,
        rivals,
        law,
        wrong,
        level,
    )
    return _told(case, random)


def _varied(subject: Subject, old: Period) -> None:
    if float(np.ptp(old.truth)) == 0:
        raise EvidenceError(
            subject.target,
            found=f"the value {old.truth[0]:g} in every row before",
            mend="Give rows in which the target varies, or predict another variable.",
        )


def _complete(columns: Columns, old: Period, new: Period, gone: set[str]) -> None:
    for period, what in ((old, "before"), (new, "after")):
        for name in columns.every:
            known = name in gone and period is new
            if not known and bool(period.rows[name].isna().any()):
                raise EvidenceError(
                    name,
                    found=f"missing values in some rows {what}",
                    mend="Leave these rows out; a column missing in many rows after is told as "
                    "such only if it was complete before.",
                )


def _judged(columns: Columns, parts: Split, whole: Period, random: np.random.Generator) -> Judged:
    old, subject = parts.old, columns.subject
    law = smooth(old.left[0])
    chances = class_chances(subject.fitted, whole.rows, subject.target, names=columns.every)
    folds = folds_of(len(whole), random)
    return judged(old.features[1], old.left[1], law, folds=folds, chances=chances)


def _told(case: _Case, random: np.random.Generator) -> Explanation:
    from scipy.stats import norm

    subject, parts = case.columns.subject, case.split
    found = [*_mixes(case, random), *_missing(case, random), _law_part(case)]
    found = [part for part in found if part is not None]
    rise = _part(case, 0, "none", "rise", "")
    chance = float(norm.sf(rise.value / max(parts.error, 1e-300)))
    kind = _kind(found, chance)
    return Explanation(
        subject.predictor.name,
        subject.target,
        subject.loss.name,
        kind,
        rise,
        tuple(part for part in found if part is not None),
        _group(case) if case.law in ("group", "levels") and not case.wrong else None,
        chance,
        case.level,
        ASSUMPTIONS,
        (
            *subject.predictor.notes,
            *_constant(case),
            *notes_of(parts.old, parts.optimism, len(case.before), case.law, case.wrong),
        ),
    )


def _constant(case: _Case) -> list[str]:
    truth, target = case.after.truth, case.columns.subject.target
    if float(np.ptp(truth)):
        return []
    return [f"{target} is {truth[0]:g} in every row after: was it still recorded?"]


def _kind(parts: list[Part | None], chance: float) -> Kind:
    """The kind that makes most of the rise, of those that are surely above zero."""
    if chance > _CHANCE:
        return "none"
    values: dict[Kind, float] = {}
    for part in parts:
        if part is not None and part.kind != "unexplained" and part.low > 0:
            values[part.kind] = values.get(part.kind, 0.0) + part.value
    return max(values, key=lambda kind: values[kind]) if values else "none"


def _part(case: _Case, at: int, kind: Kind, name: str, told: str, *, portion: float = 1.0) -> Part:
    """One of the parts, or a portion of it."""
    rise, value = float(case.split.values[0]), float(case.split.values[at]) * portion
    ends = sorted(end * portion for end in case.split.interval(at, case.level))
    share = value / rise if rise > 0 else float("nan")
    return Part(kind, name, value, ends[0], ends[1], share, told)


def _mixes(case: _Case, random: np.random.Generator) -> list[Part | None]:
    """The mix of what is read, by the variables that moved it."""
    columns, old, new = case.columns, case.before.rows, case.whole.rows
    graph = columns.subject.fitted.declaration.graph
    above = set(columns.read).union(*(graph.ancestors(name) for name in columns.read))
    supports = columns.subject.fitted.schema.supports
    names = [
        n
        for n in columns.subject.fitted.declaration.nodes
        if n in above
        and n in old
        and n in new
        and n != columns.subject.target
        and not supports[n].size
    ]
    moved = [one.name for one in movers(columns, old, new, names, random)]
    latent = _behind(columns, moved)
    if latent is not None:
        words = f"Mix: {latent}, which is inferred, moved, and with it {', '.join(moved)}."
        return [_part(case, 1, "mix shift", f"mix: {latent}", words)]
    shares: dict[str, float] = {}
    if len(moved) > 1:
        value = worth(columns, case.before, case.plans[0], case.split.old)
        shares = divided(columns, old, new, moved, value, random)
    elif moved:
        shares = {moved[0]: 1.0}
    total, mix = sum(shares.values()), float(case.split.values[1])
    if not shares or total * mix <= 0 or abs(total) < 0.3 * abs(mix) * (len(moved) > 1):
        kind: Kind = "mix shift" if moved else "unexplained"
        return [_part(case, 1, kind, "mix", told_of("mix", moved))]
    return [
        _part(
            case,
            1,
            "mix shift",
            f"mix: {name}",
            told_of("mix", [name]),
            portion=share / total,
        )
        for name, share in shares.items()
    ]


def _behind(columns: Columns, moved: Sequence[str]) -> str | None:
    """The one latent that causes all that moved, where several did."""
    nodes = columns.subject.fitted.declaration.nodes
    if len(moved) < 2:
        return None
    common = set.intersection(*({ref.name for ref in nodes[name].parents} for name in moved))
    found = [name for name in common if nodes[name].kind == "latent"]
    return found[0] if len(found) == 1 else None


def _missing(case: _Case, random: np.random.Generator) -> list[Part | None]:
    """Causes that are not read, and columns that got stuck."""
    columns, found = case.columns, list[Part | None]()
    if columns.unread:
        moved = [
            one.name
            for one in movers(columns, case.before.rows, case.whole.rows, columns.unread, random)
        ]
        names = moved or list(columns.unread)
        inner = bool(moved) and all(_between(columns, name) for name in moved)
        kind: Kind = "mechanism change" if inner else "missing feature"
        kind = kind if moved else "unexplained"
        word = "mechanism" if inner else "not read"
        found.append(_part(case, 2, kind, f"{word}: {', '.join(names)}", told_of(word, moved)))
    if case.lost:
        name = f"stuck: {', '.join(case.lost)}"
        found.append(_part(case, 3, "missing feature", name, told_of("stuck", case.lost)))
    return found


def _between(columns: Columns, name: str) -> bool:
    """Whether a cause that is not read is itself caused by what is read."""
    return bool(set(columns.subject.fitted.declaration.graph.ancestors(name)) & set(columns.read))


def _law_part(case: _Case) -> Part:
    """What is left: the target's own law."""
    kinds: dict[str, tuple[Kind, str]] = {
        "as before": ("unexplained", "unexplained"),
        "moved": ("mechanism change", "mechanism"),
        "group": ("latent group", "latent group"),
        "levels": ("latent group", "latent group"),
        "wider": ("label noise", "label noise"),
    }
    kind, word = kinds[case.law]
    if case.law == "wider" and case.wrong is False:
        kind, word = "mechanism change", "mechanism"
    if case.law == "group" and case.wrong:
        kind, word = "label noise", "label noise"
    target = case.columns.subject.target
    return _part(case, 4, kind, f"{word}: {target}", told_of(word, [target]))


def _group(case: _Case) -> Group:
    import pandas as pd

    rivals, old, of = case.judged, case.split.old, ""
    law = smooth(old.left[0])
    if case.law == "levels" and rivals.levels is not None:
        chance, mean = rivals.levels.probabilities, rivals.levels.offsets
        of = named_levels(case.columns.subject, rivals.levels.levels)
    else:
        chance = rivals.group.probabilities(rivals.basis, old.left[1], law)
        mean = rivals.group.offsets(rivals.basis, old.left[1], law)
    offset = float(chance @ mean / chance.sum())
    if case.columns.subject.target in case.columns.logs:
        offset = float(np.expm1(offset))
    series = pd.Series(chance, index=case.after.rows.index, name="probability")
    return Group(series, float(chance.mean()), offset, _related(case, chance), of)


def _related(case: _Case, chance: Floats) -> tuple[str, ...]:
    """The columns that go with membership, best first."""
    found = {}
    for name in case.columns.every:
        features = case.columns.features(case.whole.rows, (name,))
        if features.shape[1] and bool((features.std(0) > 0).all()):
            apart = [abs(float(np.corrcoef(column, chance)[0, 1])) for column in features.T]
            found[name] = max(apart)
    least = max(0.2, 4 / np.sqrt(len(chance)))
    return tuple(n for n in sorted(found, key=lambda n: -found[n]) if found[n] > least)[:3]


__all__ = ["explain"]
