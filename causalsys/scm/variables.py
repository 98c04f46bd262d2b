"""What a user writes in the body of a model: variables, states, equations.

These are handles for the declaration. `declare.py` gives them their names, and turns them
into the resolved `Node`s that everything else reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from causalsys.errors import DeclarationError
from causalsys.scm.specs import Auto, MechanismSpec, StandardNormal
from causalsys.scm.supports import Categorical, Support

Kind = Literal["latent", "observed", "decision", "arm", "state", "equation"]
Per = Literal["step", "trace"]
Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Lagged:
    """A variable as it was some steps ago, for use as a parent.

    Attributes:
        variable: The variable, or its name.
        steps: How many steps ago, at least 1.
        initial: The value before the trace began.
    """

    variable: Variable | str
    steps: int = 1
    initial: float = 0.0


class Variable:
    """A variable of a model: its support, its parents and its mechanism.

    Not made directly: write `Latent`, `Observed`, `Decision`, `Arm`, `State` or `equation`.
    """

    kind: Kind = "observed"
    per: Per = "step"

    def __init__(
        self,
        support: Support,
        parents: Sequence[Parent] = (),
        *,
        mechanism: MechanismSpec | None = None,
        component: str | None = None,
    ) -> None:
        self.name = ""
        if not isinstance(support, Support):
            raise DeclarationError(
                type(self).__name__,
                found=f"{support!r} as the support",
                mend='Give a support first, for example Positive("ms").',
            )
        if isinstance(parents, str | Variable | Lagged) or not isinstance(parents, Sequence):
            raise DeclarationError(
                type(self).__name__,
                found=f"{parents!r} as the parents",
                mend="Give a list of variables: parents=[load, server].",
            )
        if mechanism is not None and not isinstance(mechanism, MechanismSpec):
            raise DeclarationError(
                type(self).__name__,
                found=f"{mechanism!r} as the mechanism",
                mend="Give a mechanism such as cs.Linear(), or leave it out for cs.auto.",
            )
        self.support = support
        self.parents: tuple[Parent, ...] = tuple(parents)
        if component is not None and (not isinstance(component, str) or not component.strip()):
            raise DeclarationError(
                type(self).__name__,
                found=f"{component!r} as the component",
                mend='Name the part of the system that it measures: component="payment".',
            )
        self.mechanism: MechanismSpec | None = mechanism or Auto()
        self.component = component

    def __set_name__(self, owner: type, name: str) -> None:
        if not self.name:
            self.name = name

    def lag(self, steps: int = 1, *, initial: float = 0.0) -> Lagged:
        """This variable `steps` steps ago; `initial` is its value before the trace began."""
        return Lagged(self, steps=steps, initial=initial)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or '(unnamed)'}: {self.support}>"


Parent = Variable | Lagged | str


class Latent(Variable):
    """A variable that nobody logs: the state of a path, the size of a job, the host's type.

    Args:
        support: Its support; `size` makes it multi-dimensional.
        parents: Its causes, if any.
        per: "step" when each row has its own, "trace" when a whole trace shares one.
        mechanism: How it comes about, given parents; without parents it is standard normal
            (or a categorical with learned frequencies).
        component: The part of the system that it belongs to, for root causes.
    """

    kind = "latent"

    def __init__(
        self,
        support: Support,
        parents: Sequence[Parent] = (),
        *,
        per: Per = "step",
        mechanism: MechanismSpec | None = None,
        component: str | None = None,
    ) -> None:
        super().__init__(support, parents, mechanism=mechanism, component=component)
        if per not in ("step", "trace"):
            raise DeclarationError("Latent", found=f"per={per!r}", mend='Use "step" or "trace".')
        self.per = per
        if mechanism is None and not parents and not isinstance(support, Categorical):
            self.mechanism = StandardNormal()


class Observed(Variable):
    """A variable that is logged.

    Args:
        support: Its support.
        parents: Its causes.
        mechanism: How it follows from them; `cs.auto` chooses by default.
        component: The part of the system that it measures, for root causes: of all variables of
            one component, the component is what an incident is blamed on.
    """

    kind = "observed"


class Decision(Variable):
    """A logged variable that a policy or a model sets: it can be intervened upon in practice."""

    kind = "decision"


class Arm(Variable):
    """Which policy was live, assigned at random to whole traces (or rows): it has no causes.

    Args:
        support: The arms' names; by default the levels that occur in the data.
    """

    kind = "arm"
    per = "trace"

    def __init__(self, support: Categorical | None = None) -> None:
        super().__init__(Categorical() if support is None else support)


class State(Variable):
    """What one step hands to the next: a queue, a buffer, a cache. Set by its `transition`.

    Its value in a step is what the step finds. A log need not have a column for it; where there is
    one, it may hold what each step finds or what it leaves, and the transition tells which.

    Args:
        support: Its support.
        initial: Its value at the first step of a trace.
    """

    kind = "state"

    def __init__(self, support: Support, *, initial: float = 0.0) -> None:
        super().__init__(support)
        self.initial = initial
        self.mechanism = None


class Equation(Variable):
    """A deterministic function of its parents: known physics is written, not learned."""

    kind = "equation"

    def __init__(
        self,
        support: Support,
        function: Function,
        *,
        parents: Sequence[Parent] | None = None,
        component: str | None = None,
    ) -> None:
        arguments = _arguments(function)
        super().__init__(support, arguments if parents is None else parents, component=component)
        if len(arguments) != len(self.parents):
            raise DeclarationError(
                getattr(function, "__name__", "equation"),
                found=f"{len(arguments)} arguments for {len(self.parents)} parents",
                mend="Give one argument for each parent, in the same order.",
            )
        self.function = function
        self.mechanism = None
        self.__doc__ = function.__doc__


class Transition:
    """The function that gives a state's next value from this step's variables."""

    def __init__(self, state: State | str, function: Function) -> None:
        if not isinstance(state, str | Variable):
            raise DeclarationError(
                getattr(function, "__name__", "transition"),
                found=f"a transition of {state!r}",
                mend="Give the state: @cs.transition(backlog).",
            )
        self.state = state
        self.function = function
        self.parents = _arguments(function)


class Selected:
    """Which rows were logged at all, where that was not left to chance.

    "Only slow requests are logged" is `logged = cs.Selected([latency])`. It is no column: every
    row that is there was selected. Mechanisms above it are those of the selected rows, and a
    question that needs one of them is refused.

    Args:
        parents: What the selection looked at.

    Raises:
        DeclarationError: It looked at nothing, which is chance and needs no declaring.
    """

    def __init__(self, parents: Sequence[Variable | str]) -> None:
        if isinstance(parents, str | Variable) or not isinstance(parents, Sequence) or not parents:
            raise DeclarationError(
                "Selected",
                found=f"{parents!r} as what the selection looked at",
                mend="Give a list of variables: cs.Selected([latency]).",
            )
        self.parents: tuple[Variable | str, ...] = tuple(parents)


def equation(
    support: Support,
    *,
    parents: Sequence[Parent] | None = None,
    component: str | None = None,
) -> Callable[[Function], Equation]:
    """Declare a variable by a function of its parents; the arguments are the parents' names.

    With `parents`, the arguments are those variables in that order, whatever they are called:
    for names that are no Python names. `component` is as for `Observed`.

    The function takes and returns tensors shaped `[..., row]` (vectors `[..., row, size]`);
    categorical parents arrive as whole-number codes, booleans as booleans. An argument whose
    default is `variable.lag(1)` is that variable one step ago.

    Raises:
        DeclarationError: The function takes `*args` or `**kwargs`.

    Example:
        >>> import causalsys as cs
        >>> class Disk(cs.SCM):
        ...     size = cs.Observed(cs.Positive("MiB"))
        ...     speed = cs.Observed(cs.Positive("MiB/s"))
        ...     @cs.equation(cs.Positive("s"))
        ...     def duration(size, speed):
        ...         return size / speed
        >>> Disk.graph.parents("duration")
        ('size', 'speed')
    """
    return lambda function: Equation(support, function, parents=parents, component=component)


def transition(state: State | str) -> Callable[[Function], Transition]:
    """Declare the next value of `state` by a function of this step's variables."""
    return lambda function: Transition(state, function)


def _arguments(function: Function) -> tuple[Parent, ...]:
    parents: list[Parent] = []
    name = getattr(function, "__name__", repr(function))
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            name,
            found=f"{function!r}, whose arguments cannot be read",
            mend="Write a plain function whose arguments are the parents.",
        ) from error
    for argument in parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise DeclarationError(
                name,
                found=f"the argument *{argument.name}",
                mend="Name each parent as an argument of its own.",
            )
        default = argument.default
        parents.append(default if isinstance(default, Lagged) else argument.name)
    return tuple(parents)


__all__ = [
    "Arm",
    "Decision",
    "Equation",
    "Function",
    "Kind",
    "Lagged",
    "Latent",
    "Observed",
    "Parent",
    "Per",
    "Selected",
    "State",
    "Transition",
    "Variable",
    "equation",
    "transition",
]
