"""Questions about a population: how would new rows turn out, were something done?"""

from __future__ import annotations

from dataclasses import replace

from causalsys.identify import words
from causalsys.identify.adjustment import identify_effect
from causalsys.identify.counterfactual import Determined, Event, counterfactual
from causalsys.identify.districts import District, Granted
from causalsys.identify.effect import Hedge, Identified, kernel
from causalsys.identify.exogeneity import Exogeneity
from causalsys.identify.known import inlined
from causalsys.identify.question import Question, logged
from causalsys.identify.room import room
from causalsys.identify.rows import rows
from causalsys.identify.verdict import Assumption, Verdict, together
from causalsys.identify.view import View, links_reached
from causalsys.identify.witnesses import instrument, proxies
from causalsys.scm.frozen import FrozenDict


def population(view: View, question: Question) -> Verdict:
    """The verdict on a question about new rows."""
    verdict = _verdict(view, question)
    if not verdict.answerable:
        return verdict
    under = view.under(question)
    asked = {view.now(name) for name in (question.outcome, *question.given)}
    above = view.steps.variables(links_reached(asked, under))
    for name in sorted(above & view.lasting - {*question.do}):
        # A formula may do without it; what answers are drawn from is the mechanism.
        if not _told(view, found := view.exogeneity(name)):
            reason = f"The mechanism of {name}, as it is fitted, is confounded: {found.reason}."
            return Verdict("not identified", verdict.question, reason=reason)
    untrue = view.untrue(question)
    for name in sorted(above.difference(question.do) | above & question.shifts):
        if name not in untrue:
            continue
        reason = f"It needs the law of {name} as it is for all rows there, and {untrue[name]}."
        return Verdict("not identified", verdict.question, reason=reason)
    return verdict


def _verdict(view: View, question: Question) -> Verdict:
    asked, mixed = str(question), view.steps.mixed
    hidden = sorted(
        read for _, reads in question.reads for read in reads if view.now(read) not in mixed.nodes
    )
    if hidden:
        reason = f"The policy looks at {hidden[0]}, which nobody logs."
        return Verdict("not identified", asked, reason=reason)
    unseen = sorted({question.outcome, *question.do, *question.given} & view.hidden)
    if unseen:
        return _revealed(view, question, unseen)
    if question.outcome in question.given:
        return Verdict("identified", asked, reason="It is given.")
    if question.shifts:
        return _shifted(view, question)
    outcome, done = _joint(view, question)
    outcome -= set(given := [view.now(name) for name in question.given])
    if not outcome:
        return Verdict("identified", asked, reason="It follows from what is given.")
    found = identify_effect(mixed, outcome=outcome, do=done, given=given)
    if isinstance(found, Identified):
        wide = str(found.formula)
        formula = wide if len(wide) <= 400 else f"{wide[:397]}..."
        lasting = view.lasting & view.steps.variables(links_reached(outcome, mixed.parents))
        lasting -= set(question.do)
        assumed: Granted = ()
        if question.do:
            free = {n for n in lasting if view.exogeneity(n).constraint == "sequential"}
            assumed = (words.lasting(free, question.do),) if free else ()
            assumed += (*_by_arms(view, lasting - free), *_anew(view, outcome))
        return Verdict(
            "identified under" if assumed else "identified",
            asked,
            formula,
            found.adjustment,
            assumptions=assumed,
            reason=f"The graph alone carries it ({found.way}).",
        )
    return _by_shape(view, question, frozenset({*outcome, *given}), done, found)


def _anew(view: View, outcome: frozenset[str]) -> Granted:
    """What the graph says of latents from step to step, of those that bear on an outcome."""
    above = view.steps.variables(links_reached(outcome, view.steps.parents))
    found = {view.blocks[name].latents: view.blocks[name] for name in above if name in view.blocks}
    return together(item for block in found.values() for item in District(view, block).anew)


def _joint(view: View, question: Question) -> tuple[frozenset[str], frozenset[str]]:
    """What must be known jointly, and under which settings (Tian, 2008: conditional plans).

    A policy's effect is that of its settings, averaged over what it looked at.
    """
    under = view.under(question)
    above = links_reached([view.now(question.outcome)], under)
    done = view.steps.every(question.do) & above
    reads = frozenset().union(*(under[label] for label in done))
    outcome = frozenset({view.now(question.outcome)})
    return (outcome | reads) - done or outcome, done - outcome


def _by_shape(
    view: View,
    question: Question,
    outcome: frozenset[str],
    done: frozenset[str],
    hedge: Hedge,
) -> Verdict:
    """The verdict where the graph alone is not enough, but the mechanisms' shape may be."""
    asked = str(question)
    if hedge.fixed:
        names = ", ".join(sorted(view.steps.variables(hedge.fixed)))
        reason = f"{names} never vary on their own: a known equation ties them together."
        return Verdict("not identified", asked, reason=reason)
    mixed = inlined(view.steps.mixed, keep=outcome | done)
    inner = mixed.keep(frozenset(mixed.nodes) - done)
    wanted = inner.keep(inner.ancestors(outcome - done))
    assumed: list[Assumption] = []
    for part in wanted.districts():
        if isinstance(kernel(mixed, part), Identified):
            continue
        found = _of_part(view, question, view.steps.variables(part))
        if found is None:
            return _by_views(view, question, hedge)
        assumed += found
    if not assumed:
        return _by_views(view, question, hedge)
    return Verdict(
        "identified under",
        asked,
        assumptions=together(assumed),
        reason="The graph alone does not carry it; with these assumptions the data do.",
    )


def _of_part(view: View, question: Question, part: frozenset[str]) -> Granted | None:
    """Under what one district's law is identified."""
    names = sorted(name for name in part if name in view.blocks)
    if by_arms := _by_arms(view, frozenset(names)):
        return by_arms
    block = view.blocks[names[0]] if names else None
    district = None if block is None else District(view, block)
    found = None if district is None else district.population(part)
    witness = _witness(view, question)
    if district is not None and found is not None:
        return (*witness, *found, *district.anew)
    return witness if any(item.name == "proxies" for item in witness) else None


def _by_arms(view: View, names: frozenset[str]) -> Granted:
    """Lasting noises that arms alone identify: with the mechanism, rows tell the noise's law."""
    if not names or not names <= view.lasting:
        return ()
    found = {name: view.exogeneity(name) for name in sorted(names)}
    if not all(_told(view, each) for each in found.values()):
        return ()
    return tuple(words.arms_only(n, e.arms, e.tied) for n, e in found.items() if e.tied)


def _told(view: View, found: Exogeneity) -> bool:
    """Whether a mechanism is identified; arms, where they are all there is, take a shape."""
    additive = view.shapes[found.variable].link is not None
    return found.constraint == "sequential" or (found.constraint == "arms" and additive)


def _witness(view: View, question: Question) -> Granted:
    """What the field would name as the reason: an instrument, or two proxies."""
    if len(question.do) != 1 or view.declaration.temporal:
        return ()
    do, outcome = question.do[0], question.outcome
    found = instrument(view.steps.mixed, do=do, outcome=outcome)
    if found is not None:
        arm = view.declaration.nodes[found[0]].kind == "arm"
        return (words.instrument(found[0], do, outcome, arm=arm),)
    if question.given or question.reads:
        return ()
    pair = proxies(
        view.steps.parents,
        latents=view.hidden,
        do=do,
        outcome=outcome,
        rich=lambda proxy, latent: room(view.supports, [proxy]) >= room(view.supports, [latent]),
    )
    return () if pair is None else (words.proxies(*pair),)


def _shifted(view: View, question: Question) -> Verdict:
    """A policy that looks at the value that it replaces: a question across two worlds."""
    asked, mixed = str(question), view.steps.mixed
    simple = not (view.declaration.temporal or view.lasting or question.given)
    if simple and all(reads == (name,) for name, reads in question.reads):
        done = FrozenDict({name: f"{name}*" for name in question.do})
        events = [Event(question.outcome, done)]
        for name, _ in question.reads:
            rest = {other: value for other, value in done.items() if other != name}
            events.append(Event(name, FrozenDict(rest), name))
        if isinstance(counterfactual(mixed, outcome=events), Determined):
            reason = "The graph alone carries it (ctf-ID)."
            return Verdict("identified", asked, reason=reason)
    about_rows = replace(question, evidence=logged(view.declaration), given=())
    verdict = rows(view, about_rows)
    return Verdict(
        verdict.status,
        asked,
        assumptions=verdict.assumptions,
        reason=verdict.reason or "A shift looks at the value that it replaces.",
    )


def _revealed(view: View, question: Question, names: list[str]) -> Verdict:
    """A question that names latents: where enough tells of them, as if they were logged."""
    known = _known_latents(view, names)
    if known is None:
        reason = f"Nobody logs {names[0]}, and too little that is logged tells of it."
        return Verdict("not identified", str(question), reason=reason)
    found = _verdict(view.revealed(names), question)
    if not found.answerable:
        return found
    return Verdict(
        "identified under",
        found.question,
        assumptions=together([*known, *found.assumptions]),
        reason="A latent is known up to its scale.",
    )


def _known_latents(view: View, names: list[str]) -> Granted | None:
    found: list[Assumption] = []
    for name in names:
        if name not in view.blocks:
            return None
        granted = District(view, view.blocks[name]).latent(name)
        if granted is None:
            return None
        found += granted
    return together(found)


def _by_views(view: View, question: Question, hedge: Hedge) -> Verdict:
    """The verdict where only views of the latents in the way may help."""
    if latents := _between(view, hedge):
        found = _revealed(view, question, latents)
        if found.answerable:
            reason = "The graph alone does not carry it; with these assumptions the data do."
            return replace(found, reason=reason)
    return Verdict("not identified", str(question), reason=_stuck(view, hedge, question))


def _between(view: View, hedge: Hedge) -> list[str]:
    """The latents that tie what is in the way."""
    inside = view.steps.variables(hedge.within)
    return sorted(
        {name for each in inside if each in view.blocks for name in view.blocks[each].latents}
    )


def _stuck(view: View, hedge: Hedge, question: Question) -> str:
    """Why: who shares which latent with whom."""
    inside = view.steps.variables(hedge.within)
    latents = _between(view, hedge)
    told = f"the latent {', '.join(latents)}" if latents else "a lasting noise"
    return (
        f"{', '.join(sorted(inside))} share {told}, and nothing in the graph tells its part from "
        f"that of {', '.join(question.do) or 'their causes'}."
    )
