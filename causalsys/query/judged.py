"""The verdicts of an answer: what was asked in each world, and what may be read of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from causalsys.errors import NotIdentifiedError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.identify.judge import Judge
from causalsys.identify.question import Question, check_do, logged
from causalsys.identify.verdict import SEVERITY, Verdict, together
from causalsys.query.asked import named
from causalsys.query.intervention import Do, Under
from causalsys.query.world import World

Allow = Literal["spread"]


@dataclass(frozen=True)
class Asked:
    """What one world asks.

    Attributes:
        question: The question, its outcome still open.
        inner: Questions about the worlds that are nested in it.
    """

    question: Question
    inner: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Judged:
    """The verdicts of an answer.

    Attributes:
        judge: Of the fitted model.
        asked: What each world asks.
    """

    judge: Judge
    asked: tuple[Asked, ...]

    def of(self, name: str, *, world: int) -> Verdict:
        """The verdict on a variable in a world."""
        asked = self.asked[world]
        parts = [self.judge.verdict(asked.question.about(name))]
        parts += [self.judge.verdict(inner) for inner in asked.inner]
        return merged(parts, question=parts[0].question)

    def require(self, name: str, *, world: int) -> None:
        """Refuse to read what is not identified.

        Raises:
            NotIdentifiedError: It is not; the message holds the verdict.
        """
        node = self.judge.view.declaration.nodes[name]
        if node.kind == "latent" and name not in self.asked[world].question.do:
            return
        verdict = self.of(name, world=world)
        if not verdict.answerable:
            raise refusal(name, verdict)

    def over(self, names: Collection[str]) -> Verdict:
        """One verdict over these variables in all worlds."""
        found = {
            name: merged(
                [self.of(name, world=world) for world in range(len(self.asked))], question=name
            )
            for name in names
        }
        done = self.asked[0].question
        title = f"what {'; '.join(_told(each.question) for each in self.asked)} reaches"
        if not found:
            return Verdict("identified", str(done), reason="Nothing that is done reaches anything.")
        withheld = sorted(name for name, verdict in found.items() if not verdict.answerable)
        whole = merged(list(found.values()), question=title)
        if not withheld:
            return whole
        reasons = " ".join(found[name].reason for name in withheld[:1])
        return Verdict(
            whole.status,
            title,
            assumptions=whole.assumptions,
            additions=found[withheld[0]].additions,
            reason=f"Withheld: {', '.join(withheld)}. {reasons}",
        )


def merged(verdicts: Sequence[Verdict], *, question: str) -> Verdict:
    """The worst of several verdicts, with the assumptions of all."""
    worst = max(verdicts, key=lambda verdict: SEVERITY.index(verdict.status))
    if len(verdicts) == 1:
        return worst
    return Verdict(
        worst.status,
        question,
        worst.formula,
        worst.adjustment,
        together(item for verdict in verdicts for item in verdict.assumptions),
        worst.additions,
        worst.reason,
    )


def asked_of(
    fitted: Fitted,
    do: Do,
    world: World,
    *,
    evidence: frozenset[str] | None,
    given: Collection[str] = (),
    redraw: frozenset[str] = frozenset(),
    differs: frozenset[str] = frozenset(),
) -> Asked:
    """What a world asks, its interventions being known.

    Raises:
        InterventionError: It sets what nothing can set.
    """
    check_do(fitted.declaration, world)
    nested = [(key, value.do) for key, value in do.items() if isinstance(value, Under)]
    if nested and evidence is None:
        # A value from another world is that row's own, so the question is one about rows.
        evidence = logged(fitted.declaration)
    inner = [
        Question(named(key), tuple(sorted(map(named, done))), evidence=evidence)
        for key, done in nested
    ]
    reads = tuple(
        (name, tuple(sorted(intervention.reads)))
        for name, intervention in sorted(world.items())
        if intervention.reads
    )
    question = Question(
        "",
        tuple(sorted(world)),
        reads,
        tuple(sorted(given)),
        evidence,
        redraw,
        differs,
    )
    return Asked(question, tuple(inner))


def refusal(name: str, verdict: Verdict) -> NotIdentifiedError:
    """The error that holds a verdict."""
    text = str(verdict).rstrip(".")
    mend = f'Or ask with outcome="{name}", allow="spread" for what models that fit as well span.'
    if verdict.status == "bounded":
        mend = f'Read fitted.bounds("{name}", ...). {mend}'
    return NotIdentifiedError(name, found=text, mend=mend)


def allowed(allow: object, outcome: str | None) -> bool:
    """Whether a spread may be given.

    Raises:
        QueryError: It is neither None nor "spread", or no outcome is named.
    """
    if allow is None:
        return False
    if allow != "spread":
        raise QueryError("allow", found=repr(allow), mend='Use allow="spread", or leave it out.')
    if outcome is None:
        raise QueryError(
            "allow",
            found="a spread of nothing in particular",
            mend='Name the outcome, too: outcome="latency", allow="spread".',
        )
    return True


def _told(question: Question) -> str:
    return f"do({', '.join(question.do)})" if question.do else "nothing done"


__all__ = ["Allow", "Asked", "Judged", "allowed", "asked_of", "merged", "refusal"]
