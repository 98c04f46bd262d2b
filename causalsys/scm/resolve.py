"""From what the user wrote to a validated declaration.

Everything that can be wrong with a model is refused here, before any data are seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from causalsys.errors import CycleError, DeclarationError, SupportError, UnknownNameError
from causalsys.scm.absorb import absorb
from causalsys.scm.declaration import Declaration, Node, ParentRef
from causalsys.scm.dynamics import check_dynamics, itself
from causalsys.scm.level_options import check_level_options
from causalsys.scm.order import causal_order, some_cycle
from causalsys.scm.slope_priors import check_slope_priors
from causalsys.scm.specs import Dynamics, Marginal, ProbabilityTable, StandardNormal
from causalsys.scm.structure import check_structures
from causalsys.scm.supports import Categorical, Count
from causalsys.scm.variables import (
    Equation,
    Function,
    Lagged,
    Parent,
    State,
    Transition,
    Variable,
)


def resolve(
    name: str,
    variables: Mapping[str, Variable],
    *,
    transitions: Sequence[Transition] = (),
    selected: Sequence[Variable | str] = (),
    doc: str = "",
    origin: str = "",
) -> Declaration:
    """Validate the variables and their transitions, and put them into a causal order.

    Raises:
        DeclarationError: The model is not a causal model; see the module `errors`.
        UnknownNameError: A parent that no variable has the name of.
    """
    if not variables:
        raise DeclarationError(
            name, found="no variables", mend="Declare at least one: x = cs.Observed(cs.Real())."
        )
    next_states = _next_states(name, variables, transitions)
    nodes = {
        label: _node(name, label, variable, variables, next_states=next_states)
        for label, variable in variables.items()
    }
    ordered = {label: nodes[label] for label in _causal_order(nodes)}
    by = sorted({_reference(name, "selected", p, variables, earlier=0).name for p in selected})
    declaration = Declaration(name, ordered, doc, origin, tuple(by))
    for node in ordered.values():
        check_structures(node, declaration)
        _check_mechanism(node)
        check_slope_priors(node, declaration)
        check_level_options(node, declaration)
        check_dynamics(node, nodes)
        _check_place(node, declaration)
        _check_initial(node, declaration)
    return absorb(declaration)


def _node(
    model: str,
    label: str,
    variable: Variable,
    variables: Mapping[str, Variable],
    *,
    next_states: Mapping[str, Transition],
) -> Node:
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        raise DeclarationError(
            repr(label), found="not a usable name", mend="Name it by one line of visible text."
        )
    function: Function | None = None
    earlier = 0
    written: tuple[Parent, ...] = variable.parents
    if isinstance(variable, Equation):
        function = variable.function
    elif isinstance(variable, State):
        function, written, earlier = next_states[label].function, next_states[label].parents, 1
    parents = tuple(_reference(model, label, p, variables, earlier=earlier) for p in written)
    if isinstance(variable.mechanism, Dynamics):
        parents = (*parents, itself(label))
    keys = [parent.key for parent in parents]
    repeated = {key for key in keys if keys.count(key) > 1}
    if repeated:
        raise DeclarationError(
            label, found=f"the parent {min(repeated)} twice", mend="Name each parent once."
        )
    initial = variable.initial if isinstance(variable, State) else 0.0
    return Node(
        label,
        variable.kind,
        variable.support,
        parents,
        per=variable.per,
        mechanism=variable.mechanism,
        function=function,
        initial=initial,
        component=variable.component,
    )


def _reference(
    model: str, child: str, parent: Parent, variables: Mapping[str, Variable], *, earlier: int
) -> ParentRef:
    lag, initial = earlier, 0.0
    if isinstance(parent, Lagged):
        if not isinstance(parent.steps, int) or parent.steps < 1:
            raise DeclarationError(
                child, found=f"a lag of {parent.steps!r} steps", mend="Lag by 1, 2, ... steps."
            )
        lag, initial, parent = lag + parent.steps, parent.initial, parent.variable
    if not isinstance(parent, str | Variable):
        raise DeclarationError(
            child,
            found=f"{parent!r} among its parents",
            mend="A parent is a variable of this model, or its name.",
        )
    name = parent if isinstance(parent, str) else parent.name
    if not name:
        raise DeclarationError(
            child,
            found=f"the parent {parent!r}, which is not a variable of {model}",
            mend="Declare it first, as a name in the body of the model.",
        )
    if name not in variables:
        raise UnknownNameError.among(name, variables, where=f"{model}, as a parent of {child}")
    return ParentRef(name, lag, initial)


def _next_states(
    model: str, variables: Mapping[str, Variable], transitions: Sequence[Transition]
) -> dict[str, Transition]:
    found: dict[str, Transition] = {}
    for step in transitions:
        state = step.state if isinstance(step.state, str) else step.state.name
        if not state:
            raise DeclarationError(
                getattr(step.function, "__name__", "transition"),
                found=f"a transition of {step.state!r}, which is not a variable of {model}",
                mend="Declare the state first, as a name in the body of the model.",
            )
        if state not in variables:
            raise UnknownNameError.among(state, variables, where=f"{model}, as a state")
        if not isinstance(variables[state], State):
            raise DeclarationError(
                state,
                found=f"a transition of {state}, which is no State",
                mend=f"Declare it by {state} = cs.State(...), or write an equation.",
            )
        if state in found:
            raise DeclarationError(
                state, found="two transitions of one state", mend="Keep one of them."
            )
        found[state] = step
    for label, variable in variables.items():
        if isinstance(variable, State) and label not in found:
            raise DeclarationError(
                label,
                found="a state without a transition",
                mend=f"Write @cs.transition({label}) over the function that gives its next value.",
            )
    return found


def _causal_order(nodes: Mapping[str, Node]) -> list[str]:
    causes = {
        name: [parent.name for parent in node.parents if parent.lag == 0]
        for name, node in nodes.items()
    }
    order = causal_order(causes)
    if order is None:
        cycle = some_cycle(causes)
        raise CycleError(
            cycle[0],
            found="a cycle within one step: " + " → ".join([*cycle, cycle[0]]),
            mend="Drop an edge, or let one of them act a step later: parents=[x.lag(1)].",
        )
    return order


def _check_mechanism(node: Node) -> None:
    if node.mechanism is None:
        return
    if node.kind == "latent" and isinstance(node.support, Count):
        raise SupportError(
            node.name,
            found="a latent count, which nothing here can be fitted through",
            mend="Declare it as cs.Latent(cs.Positive()), or as a category with few levels.",
        )
    refusal = node.mechanism.refusal(node.support)
    if refusal:
        raise SupportError(
            node.name, found=f"support {node.support}, but {refusal}", mend="Change one of them."
        )
    if node.parents and isinstance(node.mechanism, Marginal | StandardNormal):
        raise DeclarationError(
            node.name,
            found=f"{type(node.mechanism).__name__}() together with parents",
            mend="Drop the parents, or choose a conditional mechanism.",
        )


def _check_place(node: Node, declaration: Declaration) -> None:
    """A variable among others: latents above something logged, traces' variables above steps'."""
    if node.kind == "latent" and not _reveals(node, declaration):
        raise DeclarationError(
            node.name,
            found="a latent without children that are logged",
            mend="Name it as a parent of what it affects, or drop it: nothing can reveal it.",
        )
    if node.kind == "arm" and node.parents:
        raise DeclarationError(
            node.name,
            found=f"an arm with the cause {node.parents[0].name}",
            mend="An arm is assigned at random; what a policy sets is a cs.Decision.",
        )
    for parent in node.parents:
        cause = declaration.nodes[parent.name]
        if isinstance(node.mechanism, ProbabilityTable) and not isinstance(
            cause.support, Categorical
        ):
            raise DeclarationError(
                node.name,
                found=f"a ProbabilityTable over {parent.name}, which is {cause.support}",
                mend="Use cs.GumbelMax(), whose parents may be of any support.",
            )
        if node.per == "trace" and cause.per == "step":
            raise DeclarationError(
                node.name,
                found=f"one value per trace, but the parent {parent.name} has one per step",
                mend=f'Declare {node.name} with per="step".',
            )
        if cause.kind == "latent" and node.mechanism and not node.mechanism.latent_parents:
            family = type(node.mechanism).__name__
            raise DeclarationError(
                node.name,
                found=f"the latent parent {parent.name}, which {family} cannot be fitted with",
                mend="Use a differentiable mechanism, such as cs.NeuralAdditive or cs.SplineFlow.",
            )


def _reveals(latent: Node, declaration: Declaration) -> bool:
    """Whether the latent affects something that is not latent, at any step."""
    reached, waiting = {latent.name}, [latent.name]
    while waiting:
        cause = waiting.pop()
        effects = {edge.effect for edge in declaration.graph.edges if edge.cause == cause}
        if any(declaration.nodes[effect].kind != "latent" for effect in effects):
            return True
        waiting += sorted(effects - reached)
        reached |= effects
    return False


def _check_initial(node: Node, declaration: Declaration) -> None:
    """What held before a trace began is a value that the variable can take."""
    firsts = [(node.name, node.initial)] if node.kind == "state" else []
    firsts += [(parent.name, parent.initial) for parent in node.parents if parent.lag]
    for name, initial in firsts:
        if name == node.name and isinstance(node.mechanism, Dynamics):
            continue
        support = declaration.nodes[name].support
        if isinstance(support, Categorical) and not support.levels:
            continue
        number = isinstance(initial, int | float)
        if not number or support.outside(np.asarray([initial], dtype=np.float64))[0]:
            raise DeclarationError(
                name,
                found=f"the initial value {initial!r}, which is not {support}",
                mend="Give a number of its support: initial=0.0; for a category, a level's place.",
            )
