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
from causalsys.scm.specs import Logged


def rows(view: View, question: Question) -> Verdict:
    """The verdict on a question about rows."""
    assert question.evidence is not None
    asked, name = str(question), question.outcome
    above = links_reached(view.steps.at[name], view.under(question))
    looked = _looked_at(view, question, above)
    latents = frozenset(view.declaration.graph.latents)
    if unseen := sorted((view.hidden & looked) | (view.hidden - latents & {name})):
        reason = f"Nobody logs {unseen[0]}, so no row tells it."
        return Verdict("not identified", asked, reason=reason)
    moved, turning = _moved(view, question, above)
    if name not in moved:
        reason = "Nothing that is done reaches it."
        verdict = Verdict("identified", asked, reason=reason)
        inferred = name not in question.evidence | latents
        return (
            _checked(view, question, _tells(view, question, above), verdict)
            if inferred
            else verdict
        )
    if asked_of := sorted(name for name in turning if _is_logged(view, name)):
        reason = (
            f"What {asked_of[0]} would do once its causes change is asked, and nothing of it is "
            "learned (cs.Logged): set it, too."
        )
        return Verdict("not identified", asked, reason=reason)
    needed = view.learned(turning)
    partial = _partial(view, question, needed, looked | {name})
    if partial:
        turning |= _tells(view, question, above)
        needed = view.learned(turning) - latents
    if partial and _from_graph(view, question):
        reason = "The graph carries it from what is known of the rows (ctf-ID)."
        verdict = Verdict("identified", asked, reason=reason)
    elif needed:
        verdict = _under(view, question, needed, moved, inferring=partial)
    else:
        reason = "Between what is done and the outcome, everything is a known equation."
        verdict = Verdict("identified", asked, reason=reason)
    return _checked(view, question, turning, verdict)


def _is_logged(view: View, name: str) -> bool:
    return isinstance(view.declaration.nodes[name].mechanism, Logged)


def _looked_at(view: View, question: Question, above: frozenset[str]) -> frozenset[str]:
    """What policies that matter look at."""
    return frozenset(
        read for name, reads in question.reads if above & {*view.steps.at[name]} for read in reads
    )


def _moved(
    view: View, question: Question, above: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What of the causes of an outcome changes, and what of it by its own mechanism."""
    under = view.under(question)
    sources = view.steps.every({*question.do, *question.redraw})
    changed = links_reached(sources, turned(under)) & above
    held = view.steps.every(question.do)
    by_itself = {
        label
        for label in changed
        if label not in held
        # A shift looks at what its variable would be by itself.
        or (view.steps.base[label] in question.shifts and changed & view.steps.parents[label])
    }
    return view.steps.variables(changed), view.steps.variables(by_itself)


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
            causes = {ref.name for each in part for ref in view.declaration.nodes[each].parents}
            if unseen := sorted(causes & view.hidden):
                reason = f"It needs {unseen[0]}, which nobody logs."
                return Verdict("not identified", str(question), reason=reason)
            plain |= part - question.redraw
            continue
        district = District(view, block)
        carried = district.rows(part, moved | set(question.do), redraw=question.redraw)
        if carried is None or (inferring and not district.infers(part)):
            return Verdict(
                "not identified",
                str(question),
                reason=f"{', '.join(sorted(part)) or question.outcome} would move with the latent "
                f"{', '.join(block.latents)}, and neither graph nor shape tells how much of a row "
                "is which.",
            )
        granted += [*carried, *district.anew]
    lasting = view.lasting & needed
    for name in sorted(lasting):
        found = view.exogeneity(name)
        if found.constraint == "none":
            reason = f"The mechanism of {name} is confounded: {found.reason}."
            return Verdict("not identified", str(question), reason=reason)
        if found.constraint == "arms" and view.shapes[name].link is None:
            reason = (
                f"{found.reason}, and arms alone are compared only where {name} is additive on a "
                "scale."
            )
            return Verdict("not identified", str(question), reason=reason)
        if found.constraint == "arms":
            granted.append(words.arms_only(name, found.arms, found.tied))
    if sequential := {n for n in lasting if view.exogeneity(n).constraint == "sequential"}:
        granted.append(words.lasting(sequential, question.do))
    assumed = together([*granted, *words.noises(plain, view.shapes)])
    status: Status = "identified under" if assumed else "identified"
    return Verdict(status, str(question), assumptions=assumed)


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


def _partial(view: View, question: Question, needed: frozenset[str], asked: frozenset[str]) -> bool:
    """Whether something must be inferred that rows could have told."""
    assert question.evidence is not None
    graph, tell = view.declaration.graph, logged(view.declaration)
    learned = {n for n in tell if view.declaration.nodes[n].learned}
    told = set(asked | needed)
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


def _tells(view: View, question: Question, above: frozenset[str]) -> frozenset[str]:
    """Everything whose law tells what rows do not: the causes of the outcome and of evidence."""
    labels = [label for name in question.evidence or () for label in view.steps.at[name]]
    return view.steps.variables(above | links_reached(labels, view.steps.parents))
