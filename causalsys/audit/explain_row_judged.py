"""Whether data carry what is said of a changed row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.subject import Subject
from causalsys.identify.question import Question
from causalsys.identify.verdict import Verdict
from causalsys.query.judged import merged
from causalsys.scm.declaration import Node

Judged = Callable[[tuple[str, ...]], Verdict]


def verdicts(
    subject: Subject,
    nodes: Sequence[Node],
    evidence: frozenset[str],
    *,
    reads: Sequence[str] | None = None,
) -> Judged:
    """The verdict on changing some variables of rows, by their names.

    What is logged is set, the noises of its effects being kept. A latent cannot be set; it is
    asked what the row would be, were the latent's noise another.

    Args:
        subject: What is audited.
        nodes: What truth and prediction follow from.
        evidence: What is known of the rows.
        reads: What is asked about; by default the truth and all that the predictor reads.
    """
    asked_of = Outcome(subject, "error").reads if reads is None else reads
    graph = subject.fitted.declaration.graph
    latent = {node.name for node in nodes if node.kind == "latent"}

    def of(names: tuple[str, ...]) -> Verdict:
        below = set().union(*(graph.descendants(name) for name in names))
        affected = [name for name in asked_of if name in below and name not in names]
        asked = f"{subject.target} and its prediction of this row under {', '.join(names)} changed"
        if not affected:
            reason = "Nothing else that truth or prediction depend on would have been otherwise."
            return Verdict("identified", asked, reason=reason)
        done = tuple(sorted(set(names) - latent))
        anew = frozenset(names) & latent
        found = [
            subject.fitted.judge.verdict(Question(outcome, do=done, evidence=evidence, redraw=anew))
            for outcome in affected
        ]
        return replace(merged(found, question=asked), question=asked)

    return of


__all__ = ["Judged", "verdicts"]
