"""What is asked, checked against the model before anything is decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from causalsys.errors import InterventionError, QueryError, UnknownNameError
from causalsys.scm.declaration import Declaration
from causalsys.scm.order import reached
from causalsys.scm.variables import Variable

Name = str | Variable
Names = Name | Sequence[Name]


@dataclass(frozen=True)
class Question:
    """A question about a model, by the variables' names.

    Attributes:
        outcome: What is asked for.
        do: What is set.
        reads: What each policy of `do` looks at, as sorted pairs; a policy that shifts a
            variable looks at that variable itself.
        given: What is conditioned on, in the world in which `do` is done.
        evidence: For a question about rows, what is known of them; None for one about new rows.
        redraw: Whose noise is drawn anew instead of kept.
        differs: Whose mechanism differs where the question is asked.
    """

    outcome: str
    do: tuple[str, ...] = ()
    reads: tuple[tuple[str, tuple[str, ...]], ...] = ()
    given: tuple[str, ...] = ()
    evidence: frozenset[str] | None = None
    redraw: frozenset[str] = frozenset()
    differs: frozenset[str] = frozenset()

    @property
    def unit(self) -> bool:
        """Whether it is about rows, rather than about a population."""
        return self.evidence is not None

    @property
    def shifts(self) -> frozenset[str]:
        """What is set by a policy that looks at the value that it replaces."""
        return frozenset(name for name, reads in self.reads if name in reads)

    def about(self, outcome: str) -> Question:
        """The same question about another outcome."""
        return replace(self, outcome=outcome)

    def __str__(self) -> str:
        done = f"do({', '.join(self.do)})"
        if self.unit:
            return f"{self.outcome} of these rows under {done}"
        after = ", ".join([*([done] if self.do else []), *self.given])
        return f"P({self.outcome}{f' | {after}' if after else ''})"


def ask(
    declaration: Declaration,
    outcome: Name,
    *,
    do: Names | Mapping[Name, Any] = (),
    given: Names | Mapping[Name, Any] = (),
    counterfactual: bool | Names = False,
    differs: Names = (),
    latent: bool = False,
) -> Question:
    """A question in the user's words, checked.

    Args:
        declaration: The model.
        outcome: What is asked for.
        do: What is set.
        given: What is conditioned on.
        counterfactual: Whether the question is about rows that were seen; or what is known of
            them, where that is not everything that is logged.
        differs: Variables whose mechanism differs where the question is asked.
        latent: Says that the outcome is meant to be a latent.

    Raises:
        UnknownNameError: A name is not in the model.
        InterventionError: `do` sets what cannot be set.
        QueryError: The question contradicts itself.
    """
    names = _known(declaration, [outcome], where="the outcome")[0]
    done = _known(declaration, do, where="do")
    conditions = _known(declaration, given, where="given")
    if declaration.nodes[names].kind == "latent" and not latent:
        raise QueryError(
            names,
            found="a latent as the outcome",
            mend="Ask for something that is logged, or say that you mean it: latent=True.",
        )
    check_do(declaration, done)
    for name in conditions:
        if name in done or name == names:
            raise QueryError(
                name, found="given as well as " + ("set" if name in done else "asked for"),
                mend="Name it once.",
            )  # fmt: skip
        if declaration.nodes[name].kind == "latent":
            raise QueryError(
                name, found="a latent as a condition", mend="Condition on what is logged."
            )
    evidence: frozenset[str] | None = None
    if counterfactual is True:
        evidence = logged(declaration)
    elif counterfactual is not False:
        evidence = frozenset(_known(declaration, counterfactual, where="counterfactual"))
        if hidden := sorted(evidence - logged(declaration)):
            raise QueryError(
                hidden[0], found="evidence that nobody logs", mend="Name what is logged."
            )
    if evidence is not None and conditions:
        raise QueryError(
            conditions[0],
            found="a condition of a question about rows",
            mend="Rows are given by their evidence: counterfactual=[...].",
        )
    return Question(
        names,
        tuple(sorted(done)),
        given=tuple(sorted(conditions)),
        evidence=evidence,
        differs=frozenset(_known(declaration, differs, where="differs")),
    )


def logged(declaration: Declaration) -> frozenset[str]:
    """What rows tell: everything but latents, and what is computed from latents."""
    nodes = declaration.nodes.values()
    computed: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        if node.function is not None:
            for parent in node.parents:
                computed[parent.name].append(node.name)
    hidden = reached([node.name for node in nodes if node.kind == "latent"], computed)
    return frozenset(declaration.nodes) - hidden


def check_do(declaration: Declaration, names: Collection[str]) -> None:
    """Refuse to set what nothing can set.

    Raises:
        InterventionError: An arm, or a state.
        UnknownNameError: A name is not in the model.
    """
    for name in names:
        kind = declaration.node(name).kind
        if kind == "arm":
            decisions = sorted(
                n.name for n in declaration.nodes.values() if any(p.name == name for p in n.parents)
            )
            raise InterventionError(
                name,
                found="an intervention on an arm, which only says which policy was live",
                mend=f"Set what the arms decide ({', '.join(decisions) or 'a cs.Decision'}), by a "
                "value or by another policy.",
            )
        if kind == "state":
            raise InterventionError(
                name,
                found="an intervention on a state, whose first value is given with its trace and "
                "whose later ones follow from its transition",
                mend="Set what the transition reads; what can be set directly is a cs.Decision.",
            )


def _known(declaration: Declaration, names: Any, *, where: str) -> list[str]:
    """Names of the model, each once."""
    if isinstance(names, str | Variable):
        names = [names]
    if not isinstance(names, Collection):
        raise QueryError(where, found=repr(names), mend="Give a name, or a list of names.")
    found = [each.name if isinstance(each, Variable) else each for each in names]
    for name in found:
        if isinstance(name, str) and name in declaration.absorbed:
            declaration.node(name)
        if not isinstance(name, str) or name not in declaration.nodes:
            raise UnknownNameError.among(
                name, declaration.nodes, where=f"the model {declaration.name} ({where})"
            )
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise QueryError(repeated[0], found=f"named twice in {where}", mend="Name it once.")
    return found
