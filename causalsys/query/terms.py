"""On what terms an answer is given: what it is about, and whether a spread will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.answer import Answer
from causalsys.query.asked import named
from causalsys.query.intervention import Do
from causalsys.query.judged import Judged, allowed, asked_of, refusal


class Terms:
    """On what terms an answer is given: what it is about, and whether a spread will do."""

    def __init__(
        self,
        fitted: Fitted,
        outcome: str | None,
        allow: str | None,
        *,
        differs: Sequence[str],
        redraw: Sequence[str] = (),
    ) -> None:
        self.fitted, self.redraw = fitted, frozenset(_listed(redraw, "redraw"))
        for name in sorted(self.redraw):
            fitted.mechanism(name)
        self.outcome = None if outcome is None else fitted.node(named(outcome)).name
        self.differs = frozenset(
            fitted.node(named(name)).name for name in _listed(differs, "differs")
        )
        self.spread = allowed(allow, self.outcome)

    def judged(
        self,
        dos: Sequence[Do],
        *,
        evidence: Sequence[frozenset[str]] = (),
        given: Sequence[str] = (),
        course: bool = False,
    ) -> Judged:
        """The verdicts of a question, before it is answered."""
        asked = [
            asked_of(
                self.fitted,
                do,
                evidence=evidence,
                given=given,
                redraw=self.redraw,
                differs=self.differs,
            )
            for do in dos
        ]
        judged = Judged(self.fitted.judge, tuple(asked), course)
        if self.outcome is not None:
            for world in range(len(asked)):
                # Models that fit as well do not know of a course either.
                if not self.spread or judged.goes_on(self.outcome, world=world):
                    judged.require(self.outcome, world=world)
        return judged

    def settled(self, ask: Callable[[Fitted], Answer], dos: Sequence[Do], *, seed: int) -> Answer:
        """The answer; or what its rivals span; or a refusal, where nothing of it may be told.

        Raises:
            NotIdentifiedError: Nothing that the question reaches is identified.
        """
        answer = replace(ask(self.fitted), outcome=self.outcome)
        verdict = answer.judged.of
        nodes, count = self.fitted.declaration.nodes, len(answer.worlds)
        if self.outcome is not None:
            told = all(verdict(self.outcome, world=w).answerable for w in range(count))
            if told or not self.spread:
                return answer
            unit = answer.judged.asked[0].question.unit
            from causalsys.query.rivals import rivals

            models = [
                model
                for do in dos
                for model in rivals(self.fitted, do=do, outcome=self.outcome, unit=unit, seed=seed)
            ]
            return replace(answer, rivals=tuple(ask(model) for model in models))
        done = {name for asked in answer.judged.asked for name in asked.question.do}
        reached = [n for n in answer.values if n not in done and nodes[n].kind != "latent"]
        pairs = [(name, world) for name in reached for world in range(count)]
        if pairs and not any(verdict(name, world=world).answerable for name, world in pairs):
            raise refusal(pairs[0][0], verdict(pairs[0][0], world=pairs[0][1]))
        return answer


def _listed(names: Sequence[str], argument: str) -> Sequence[str]:
    if isinstance(names, str):
        raise QueryError(argument, found=repr(names), mend=f"Give a list: {argument}=[{names!r}].")
    return names
