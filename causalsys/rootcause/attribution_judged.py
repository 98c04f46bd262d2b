"""Whether an attribution may be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from causalsys.fit.fitted import Fitted
from causalsys.identify.question import Question
from causalsys.identify.verdict import Verdict
from causalsys.query.judged import merged, refusal
from causalsys.rootcause.attribution_sweep import Sweep


def of_noises(fitted: Fitted, sweep: Sweep, evidence: Sequence[frozenset[str]]) -> Verdict:
    """The verdict on all coalitions of noises: what rows would have been with some drawn anew.

    A coalition draws the noises of some variables anew, and the mechanisms below them are asked
    again under the noise that the rows had. So each variable's noise is asked about twice: alone
    drawn anew, and alone kept.

    Raises:
        NotIdentifiedError: The rows do not tell the noises apart; the message holds the verdict.
    """
    players = frozenset(sweep.players)
    anew = {frozenset({name}) for name in players} | {players - {name} for name in players}
    asked = f"what the noise of each cause of {sweep.target} contributes to these rows"
    return _of(fitted, sweep.target, anew - {frozenset()}, evidence, asked)


def of_mechanisms(fitted: Fitted, sweep: Sweep, players: Collection[str]) -> Verdict:
    """The verdict on exchanging mechanisms, one coalition at a time.

    Where no latent acts, a mechanism is a law of a variable given its observed causes, which data
    give by themselves: the exchange is their product (Budhathoki, Janzing, Blöbaum and Ng,
    AISTATS 2021, section 3). Where one acts, the mechanism itself is needed, and whether a row's
    noise and its latent can be told apart decides.

    Raises:
        NotIdentifiedError: They cannot; the message holds the verdict.
    """
    asked = f"what the mechanism of each cause of {sweep.target} contributes to its change"
    view = fitted.judge.view
    hidden = {name for name in sweep.players if view.blocks[name].latents}
    if not hidden:
        formula = f"the product over causes v of {sweep.target} of P_old or P_new(v | its causes)"
        reason = "No latent acts on the target or its causes, so each law is in the data."
        return Verdict("identified", asked, formula, reason=reason)
    anew = {frozenset({name}) for name in {*hidden, *players}}
    everything = frozenset(
        name for name, node in fitted.declaration.nodes.items() if node.kind != "latent"
    )
    return _of(fitted, sweep.target, anew, [everything], asked)


def _of(
    fitted: Fitted,
    target: str,
    anew: Collection[frozenset[str]],
    evidence: Sequence[frozenset[str]],
    asked: str,
) -> Verdict:
    found = [
        fitted.judge.verdict(Question(target, evidence=known, redraw=redraw))
        for known in evidence
        for redraw in sorted(anew, key=sorted)
    ]
    verdict = replace(merged(found, question=asked), question=asked)
    if not verdict.answerable:
        raise refusal(target, verdict)
    return verdict


__all__ = ["of_mechanisms", "of_noises"]
