"""The verdict on a question: from the graph, from the mechanisms' shape, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from causalsys.identify.additions import additions
from causalsys.identify.discrete import bounded
from causalsys.identify.population import population
from causalsys.identify.question import Question
from causalsys.identify.rows import rows
from causalsys.identify.verdict import Verdict
from causalsys.identify.view import View


@dataclass(frozen=True)
class Judge:
    """Gives verdicts on one model; those it gave it remembers.

    Attributes:
        view: The model.
    """

    view: View
    _known: dict[Question, Verdict] = field(default_factory=dict, repr=False, compare=False)

    def verdict(self, question: Question) -> Verdict:
        """Whether graph, shapes and data can carry the answer, and what would if they cannot."""
        if question not in self._known:
            found = bare(self.view, question)
            if not found.answerable:
                found = replace(found, additions=additions(self.view, question, bare))
                if bounded(self.view, question):
                    found = replace(found, status="bounded")
            self._known[question] = found
        return self._known[question]


def bare(view: View, question: Question) -> Verdict:
    """The verdict alone, without what would change it."""
    return rows(view, question) if question.unit else population(view, question)
