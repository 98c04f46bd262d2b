"""Questions about rows: would these very rows have turned out otherwise?

From the graph alone a row's own change is rarely known, since its mechanism is needed in two
worlds at once. With noise that is one number, and a value that rises with it, the row tells its
noise, and the mechanism may be asked again (Nasr-Esfahany, Alizadeh and Shah, ICML 2023).
"""

from __future__ import annotations

from causalsys.identify import words
from causalsys.identify.counterfactual import Determined, Event, counterfactual
from causalsys.identify.districts import District
from causalsys.identify.question import Question, logged
from causalsys.identify.verdict import Assumption, Status, Verdict, together
from causalsys.identify.view import View, links_reached, turned
from causalsys.scm.frozen import FrozenDict


def rows(view: View, question: Question) -> Verdict:
    """The verdict on a question about rows."""
    assert question.evidence is not None
    asked, name = str(question), question.outcome
    under = view.under(question)
    above = links_reached(view.steps.at[name], under)
    changed = links_reached(view.steps.every(question.do), turned(under)) & above
    moved = view.steps.variables(changed)
    seen = name in question.evidence or view.declaration.nodes[name].kind == "latent"
    if name not in moved and seen:
        return Verdict("identified", asked, reason="Nothing that is done reaches it.")
    needed = view.learned(moved - set(question.do))
    partial = _partial(view, question, needed, name)
    if partial and _from_graph(view, question):
        reason = "The graph carries it from what is known of the rows (ctf-ID)."
        return _checked(view, question, needed, Verdict("identified", asked, reason=reason))
    if partial:
        told = above.union(*(_above(view, each) for each in sorted(question.evidence)))
        needed = view.learned(view.steps.variables(told)) | needed
        needed = frozenset(n for n in needed if view.declaration.nodes[n].kind != "latent")
    if not needed:
        reason = "Between what is done and the outcome, everything is a known equation."
        return Verdict("identified", asked, reason=reason)
    return _under(view, question, needed, moved, inferring=partial)


def _under(
    view: View,
    question: Question,
    needed: frozenset[str],
    moved: frozenset[str],
    *,
    inferring: bool,
) -> Verdict:
    """The verdict where mechanisms are needed in two worlds at once.

    To infer what the rows do not tell takes the whole law of a district, not only its moves.
    """
    granted: list[Assumption] = []
    plain: set[str] = set()
    for block in dict.fromkeys(view.blocks[name] for name in sorted(needed)):
        part = needed & set(block.variables)
        if not block.latents:
            plain |= part - question.redraw
            continue
        district = District(view, block)
        found = district.rows(part, moved | set(question.do))
        if found is None or (inferring and not district.infers(part)):
            return Verdict(
                "not identified",
                str(question),
                reason=f"{', '.join(sorted(part))} would move with the latent "
                f"{', '.join(block.latents)}, and neither graph nor shape tells how much of a row "
                "is which.",
            )
        granted += found
    if lasting := view.lasting & needed:
        granted.append(words.lasting(lasting, question.do))
    assumed = together([*granted, *words.noises(plain, view.shapes)])
    status: Status = "identified under" if assumed else "identified"
    verdict = Verdict(status, str(question), assumptions=assumed)
    return _checked(view, question, needed, verdict)


def _checked(view: View, question: Question, needed: frozenset[str], verdict: Verdict) -> Verdict:
    """The verdict, unless a mechanism that it needs is not the one in question."""
    untrue = view.untrue(question)
    for name in sorted(needed & untrue.keys()):
        return Verdict(
            "not identified",
            verdict.question,
            reason=f"It needs the mechanism of {name} as it is for all rows, and {untrue[name]}.",
        )
    return verdict


def _partial(view: View, question: Question, needed: frozenset[str], name: str) -> bool:
    """Whether something must be inferred that rows could have told."""
    assert question.evidence is not None
    graph, tell = view.declaration.graph, logged(view.declaration)
    learned = {n for n in tell if view.declaration.nodes[n].learned}
    told = {name} | needed
    for each in needed:
        told |= {ref.name for ref in view.declaration.nodes[each].parents}
    while computed := {n for n in told if not view.declaration.nodes[n].learned}:
        told = (told - computed).union(*(graph.parents(n) for n in computed))
    return bool((told & learned) - question.evidence)


def _from_graph(view: View, question: Question) -> bool:
    """Whether the graph alone carries the question from partial evidence."""
    assert question.evidence is not None
    if view.declaration.temporal or view.lasting or question.redraw or question.reads:
        return False
    mixed = view.steps.mixed
    if question.outcome not in mixed.nodes or not set(question.do) <= set(mixed.nodes):
        return False
    done = FrozenDict({name: f"{name}*" for name in question.do})
    seen = [Event(name, FrozenDict(), name) for name in sorted(question.evidence)]
    asked = [Event(question.outcome, done)]
    return isinstance(counterfactual(mixed, outcome=asked, given=seen), Determined)


def _above(view: View, name: str) -> frozenset[str]:
    return links_reached(view.steps.at[name], view.steps.parents)
