"""Whether an attribution by interventions may be told."""

from __future__ import annotations

from dataclasses import replace

from causalsys.audit.attribute_plan import Worlds
from causalsys.errors import NotIdentifiedError
from causalsys.fit.fitted import Fitted
from causalsys.identify.question import Question
from causalsys.identify.verdict import Verdict
from causalsys.query.judged import merged


def of_interventions(fitted: Fitted, worlds: Worlds) -> Verdict:
    """The verdict on what is read where some of its causes are set.

    Where no latent acts, what is read has a law under any intervention that data give: the
    truncated product (Pearl, 2009, section 3.2). Where one acts, every variable is asked about
    alone set, and alone left.

    Raises:
        NotIdentifiedError: Data cannot tell; the message holds the verdict.
    """
    asked = f"P({', '.join(worlds.read)} | do(any of {', '.join(worlds.players)}))"
    alone = worlds.read == worlds.players and len(worlds.read) == 1
    if alone or not any(node.kind == "latent" for node in worlds.nodes):
        formula = "the product of P(v | its causes) over the variables v that are not set"
        reason = "No latent acts on what is read, so each law is in the data."
        if alone:
            formula, reason = (
                f"P({worlds.read[0]})",
                "What is read is set itself, or left as it is.",
            )
        return Verdict("identified", asked, formula, reason=reason)
    sets = {frozenset({name}) for name in worlds.players}
    sets |= {frozenset(worlds.players) - one for one in sets}
    found = [
        fitted.judge.verdict(Question(outcome, do=tuple(sorted(done))))
        for outcome in worlds.read
        for done in sorted(sets, key=sorted)
        if done and outcome not in done
    ]
    verdict = replace(merged(found, question=asked), question=asked, formula="")
    if not verdict.answerable:
        raise NotIdentifiedError(
            worlds.read[0],
            found=str(verdict).rstrip("."),
            mend='Add what would identify it, or use method="shap", which asks nothing of the '
            "graph and says nothing of causes.",
        )
    return verdict


__all__ = ["of_interventions"]
