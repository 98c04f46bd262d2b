"""The verdicts of an answer: what was asked in each world, and what may be read of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from causalsys.errors import NotIdentifiedError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.identify.judge import Judge
from causalsys.identify.question import Question, check_do, logged
from causalsys.identify.verdict import SEVERITY, Addition, Verdict, together
from causalsys.identify.view import links_reached
from causalsys.query.asked import named
from causalsys.query.intervention import Do, Intervention, Under, as_intervention
from causalsys.scm.declaration import Declaration
from causalsys.scm.order import reached

Allow = Literal["spread"]


@dataclass(frozen=True)
class Asked:
    """What one world asks.

    Attributes:
        ways: The question, its outcome still open, for each way in which rows are known.
        inner: Questions about the worlds that are nested in it.
    """

    ways: tuple[Question, ...]
    inner: tuple[Question, ...] = ()

    @property
    def question(self) -> Question:
        """The question in the first way."""
        return self.ways[0]


@dataclass(frozen=True)
class Judged:
    """The verdicts of an answer.

    Attributes:
        judge: Of the fitted model.
        asked: What each world asks.
        course: Whether it is about new traces of several steps: their lasting noises are drawn
            anew in every step, for how they go on is not learned.
    """

    judge: Judge
    asked: tuple[Asked, ...]
    course: bool = False

    def of(self, name: str, *, world: int) -> Verdict:
        """The verdict on a variable in a world."""
        asked = self.asked[world]
        if goes_on := self.goes_on(name, world=world):
            return _of_course(str(asked.question.about(name)), goes_on)
        every = [*(way.about(name) for way in asked.ways), *asked.inner]
        parts = [self.judge.verdict(each) for each in every]
        return merged(parts, question=parts[0].question)

    def goes_on(self, name: str, *, world: int) -> tuple[str, ...]:
        """The lasting variables whose noises of several steps a variable of a new trace takes."""
        if not self.course:
            return ()
        view, question = self.judge.view, self.asked[world].question.about(name)
        links = {
            label: causes & view.steps.base.keys() for label, causes in view.under(question).items()
        }
        above = links_reached([view.now(name)], links)
        several = {n for n in view.lasting if len(above & {*view.steps.at[n]}) > 1}
        return tuple(sorted(several.difference(question.do)))

    def seen(self, name: str) -> Verdict:
        """The verdict on what a variable was before anything was done."""
        before = [
            replace(way, outcome=name, do=(), reads=(), redraw=frozenset())
            for way in self.asked[0].ways
        ]
        parts = [self.judge.verdict(each) for each in before]
        return merged(parts, question=parts[0].question)

    def paired(self, name: str, worlds: Collection[int]) -> Verdict:
        """The verdict on how worlds differ row by row, which their own laws do not tell."""
        told = logged(self.judge.view.declaration)
        every: list[Question] = []
        for world in worlds:
            asked = self.asked[world]
            every += [replace(asked.question, outcome=name, given=(), evidence=told), *asked.inner]
        parts = [self.judge.verdict(each) for each in every]
        return merged(parts, question=parts[0].question)

    def require(self, name: str, *, world: int) -> None:
        """Refuse to read what is not identified.

        Raises:
            NotIdentifiedError: It is not; the message holds the verdict.
        """
        declared, asked = self.judge.view.declaration, self.asked[world].question
        moved = reached({*asked.do, *asked.redraw}, _effects(declared))
        if name in self.judge.view.hidden and name not in moved:
            return  # It may be looked at.
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


def _of_course(question: str, names: Sequence[str]) -> Verdict:
    """The verdict where new traces would need how a noise goes on from step to step."""
    reason = f"It needs how the noise of {', '.join(names)} goes on from step to step: not learned."
    asked = Addition(tuple(names), "ask about recorded traces, whose noise is known")
    return Verdict("not identified", question, additions=(asked,), reason=reason)


def _effects(declared: Declaration) -> Mapping[str, frozenset[str]]:
    graph = declared.graph
    return {name: frozenset(graph.children(name)) for name in declared.nodes}


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
    *,
    evidence: Sequence[frozenset[str]],
    given: Collection[str] = (),
    redraw: frozenset[str] = frozenset(),
    differs: frozenset[str] = frozenset(),
) -> Asked:
    """What a world asks.

    Args:
        fitted: The model.
        do: What is done in it.
        evidence: What is known of rows, for each way in which they are known; empty for new rows.
        given: What new rows are conditioned on.
        redraw: Whose noise is new.
        differs: Whose mechanism differs.

    Raises:
        InterventionError: It sets what nothing can set.
    """
    found = {named(key): value for key, value in do.items()}
    check_do(fitted.declaration, found)
    nested = {name: value.do for name, value in found.items() if isinstance(value, Under)}
    if nested and not evidence:
        # A value from another world is that row's own, so the question is one about rows.
        evidence = [logged(fitted.declaration)]
    reads = {name: _reads(fitted, name, found[name]) for name in sorted(found)}
    question = Question(
        "",
        tuple(reads),
        tuple((name, read) for name, read in reads.items() if read),
        tuple(sorted(given)) if not nested else (),
        None,
        redraw,
        differs,
    )
    inner: list[Question] = []
    for name, done in nested.items():
        below = asked_of(fitted, done, evidence=evidence, redraw=redraw, differs=differs)
        inner += [*(each.about(name) for each in below.ways), *below.inner]
    ways = tuple(replace(question, evidence=each) for each in evidence)
    return Asked(ways or (question,), tuple(inner))


def _reads(fitted: Fitted, name: str, given: object) -> tuple[str, ...]:
    """What an intervention looks at; of its own variable, only what that would be by itself.

    What its variable was in earlier steps of the same world is what was set there.
    """
    if not callable(given) and not isinstance(given, Intervention):
        return ()
    supports = fitted.schema.supports
    made = as_intervention(given, name=name, support=supports[name], rows=1, supports=supports)
    own_past = {name} - {*made.reads_now}
    return tuple(sorted({*made.reads} - own_past))


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
