"""Latents with dynamics of their own: what their steps tell of each other identifies them.

Given its state, what a step shows is independent of all other steps. So the step before, the step
itself and the one after are three views of one state, and with as many states as the model says,
they settle the law of the states and what each of them shows, for every action that is taken in
each of them (E. Gassiat, A. Cleynen and S. Robin, Inference in finite state space non parametric
hidden Markov models, Statistics and Computing 26, 2016; E. S. Allman, C. Matias and J. A. Rhodes,
Annals of Statistics 37, 2009). No randomised trial is needed (Veritas): an action that looks at the
past, or even at the state, is one more thing that a step shows. It takes that no action acts on the
latent, which the declaration refuses.
"""

from __future__ import annotations

from collections.abc import Collection

from causalsys.identify import words
from causalsys.identify.verdict import Assumption
from causalsys.identify.view import View
from causalsys.scm.blocks import Block
from causalsys.scm.dynamics import goes_on
from causalsys.scm.specs import AutoRegressive, Dynamics, Logged

Granted = tuple[Assumption, ...]


def has_dynamics(view: View, block: Block) -> bool:
    """Whether a latent of the block goes on by a law of its own."""
    nodes = view.declaration.nodes
    return any(name in nodes and goes_on(nodes[name]) for name in block.latents)


def by_dynamics(view: View, block: Block) -> Granted | None:
    """Under what a block with such a latent is identified as a whole; None if under nothing known.

    A decision that sees the latent must have a mechanism: where it is only logged, what it knew
    of the latent is not told apart from chance, and nothing here would be right.
    """
    nodes = view.declaration.nodes
    if len(block.latents) != 1 or not block.variables:
        return None
    (latent,) = block.latents
    tied = [node for node in nodes.values() if any(ref.name == latent for ref in node.parents)]
    late = [r for n in tied if n.name != latent for r in n.parents if r.name == latent and r.lag]
    if late or any(isinstance(nodes[name].mechanism, Logged) for name in block.variables):
        return None
    equations = sorted(n.name for n in tied if n.function is not None)
    return (
        _dynamics(latent, nodes[latent].mechanism),
        _shown(view, latent, block.variables, equations),
        *_seen(view, latent, block.variables),
    )


def _dynamics(latent: str, spec: object) -> Assumption:
    assert isinstance(spec, Dynamics)
    how = (
        "returns to its mean by the same share in every step, with normal shocks"
        if isinstance(spec, AutoRegressive)
        else f"is a Markov chain of {spec.states} states, "  # type: ignore[attr-defined]
        "whose transitions are the same in every step"
    )
    return Assumption(
        "Markov dynamics", f"{latent} {how}, and nothing that is done acts on it", (latent,)
    )


def _shown(
    view: View, latent: str, variables: Collection[str], equations: Collection[str]
) -> Assumption:
    names = tuple(sorted(variables))
    if equations:
        return Assumption(
            "declared physics",
            f"{latent} acts by {', '.join(equations)} as written, and beyond it each variable "
            "strays by noise that is new in every step",
            names,
            "fitted.diagnostics, by the calibration of each variable",
        )
    return Assumption(
        "states that show",
        f"each state of {latent} has a law of its own, of the declared family, noise is new in "
        "every step, and each action was taken in each state",
        names,
        "fitted.diagnostics, by the calibration of each variable",
    )


def _seen(view: View, latent: str, variables: Collection[str]) -> Granted:
    """What is assumed of decisions that see the latent."""
    nodes = view.declaration.nodes
    seers = sorted(name for name in variables if nodes[name].kind == "decision")
    if not seers:
        return ()
    return (
        Assumption(
            "overlap in the latent",
            f"it sees {latent}, in the way its mechanism is declared, and each action was taken in "
            "each state, or the physics tells what it would have done",
            tuple(seers),
        ),
    )


def of_rows(view: View, block: Block, needed: Collection[str]) -> Granted | None:
    """Under what rows' own change is identified: their noise is told apart, too."""
    found = by_dynamics(view, block)
    return None if found is None else (*found, *words.noises(needed, view.shapes))
