"""The model that is taken where a user declares none: every input causes the target."""

from __future__ import annotations

from collections.abc import Sequence

from causalsys.scm.declaration import Declaration
from causalsys.scm.declare import Declared, from_graph
from causalsys.scm.specs import Linear
from causalsys.scm.supports import Categorical, Real
from causalsys.scm.variables import Latent, Observed, Variable


def default_model(inputs: Sequence[str], target: str, *, classes: int) -> Declaration:
    """A declaration from names alone.

    Args:
        inputs: The inputs. They do not cause each other, which a user who knows better should
            declare: it matters for shifts, for missing inputs, and for the hidden class.
        target: What they cause; linear in them, with a noise that follows the residuals.
        classes: Levels of one hidden class that acts on all inputs and on the target; without it
            (1) there is none.
    """
    linear = Linear(noise="empirical")
    variables: dict[str, Variable] = {target: Observed(Real(), mechanism=linear)}
    edges = [(name, target) for name in inputs]
    if classes > 1:
        context = free("context", [*inputs, target])
        variables[context] = Latent(Categorical(classes))
        variables |= {name: Observed(Real(), mechanism=Linear()) for name in (*inputs, target)}
        edges += [(context, name) for name in (*inputs, target)]
    made = from_graph(
        Declared,
        edges,
        name="Default",
        variables=variables,
        default=Observed(Real()),
        transitions=None,
        selected=(),
        doc="Every input causes the target.",
    )
    return made.declaration


def free(name: str, taken: Sequence[str]) -> str:
    """A name that is not taken, near `name`."""
    while name in taken:
        name += "_"
    return name


__all__ = ["default_model", "free"]
