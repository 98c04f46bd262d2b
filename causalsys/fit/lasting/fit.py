"""Which estimator a lasting noise calls for: the strongest independence that the graph states.

u_t ⟂ parents_t | u_<t, additive on a scale    sequential moments, from all rows (`moments.py`)
the same, any other bijective mechanism        likelihood under the noise's history (`flow.py`)
u ⟂ arm alone, additive on a scale             moments over arms (`arms.py`)
neither                                        as if rows were independent, and said so
"""

from __future__ import annotations

from dataclasses import replace

import torch

from causalsys.data.table import Layout, Table
from causalsys.errors import FitError
from causalsys.fit.lasting.arms import fit_arms
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.flow import ROWS, fit_flow
from causalsys.fit.lasting.marginal import as_additive
from causalsys.fit.lasting.moments import fit_moments
from causalsys.fit.weights import Weights
from causalsys.identify.exogeneity import Exogeneity
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.draws import some_traces
from causalsys.mechanisms.training import Training
from causalsys.scm.order import parts
from causalsys.scm.supports import Categorical


def fit_lasting(
    mechanism: Mechanism,
    sample: Sample,
    *,
    table: Table,
    rows: torch.Tensor,
    weights: Weights,
    training: Training,
    exogeneity: Exogeneity,
) -> Mechanism:
    """A variable's mechanism under what identifies it.

    Args:
        mechanism: The mechanism, fitted as if rows were independent.
        sample: Its data.
        table: The table that they are of.
        rows: Which rows of the table, rising, `[row]`.
        weights: How much each of these rows counts.
        training: The seed.
        exogeneity: What the graph says of the noise.

    Raises:
        FitError: No row follows another, or the data do not vary what must be told.
    """
    course = Course(table.layout.trace[rows], table.layout.position[rows], _arm(table, exogeneity))
    if course.steps < 2:
        raise FitError(
            type(mechanism.spec).__name__,
            found="a noise that lasts from step to step, but no row that follows another",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )
    plain = replace(sample, weight=weights.plain)
    generator = training.generator()
    additive = as_additive(mechanism)
    if exogeneity.constraint == "none":
        return mechanism.noted(
            f"fitted as if its noise were independent of its causes, but {exogeneity.reason}: "
            "what policies change of it is refused"
        )
    if exogeneity.constraint == "arms":
        if additive is not None:
            return fit_arms(additive, plain, course=course, generator=generator)
        return mechanism.noted(
            f"{exogeneity.reason}, and by arms alone only an additive mechanism is fitted: declare "
            'cs.Multiplicative() or cs.Linear(link="log")'
        )
    told = _apart(mechanism, sample, course=course)
    if additive is not None:
        return fit_moments(additive, plain, course=course, generator=generator).noted(*told)
    some = _some_traces(course, generator=generator)
    part = replace(sample.take(some), weight=weights.take(some).drawn)
    taken = _taken(course, some)
    return fit_flow(mechanism, part, course=taken, generator=generator).noted(*told)


def _apart(mechanism: Mechanism, sample: Sample, *, course: Course) -> list[str]:
    """Notes on actions that no trace brings together: between them nothing is compared in time."""
    found = []
    for key, support in mechanism.parents.items():
        if not isinstance(support, Categorical) or support.size or key not in sample.parents:
            continue
        levels = support.levels or ()
        used = torch.zeros(course.traces, len(levels), dtype=torch.float64)
        used[course.trace, sample.parents[key][0].long()] = 1
        taken = {str(levels[code]): code for code in used.sum(0).nonzero()[:, 0].tolist()}
        together = used.T @ used > 0
        ties = [(a, b) for a, i in taken.items() for b, j in taken.items() if together[i, j]]
        groups = parts(taken, ties)
        if len(groups) > 1:
            told = " | ".join(", ".join(group) for group in groups)
            found.append(
                f"no trace has {key} of two of these groups, so they are hardly compared: {told}; "
                "a policy that moves traces from one to another is not to be trusted"
            )
    return found


def _arm(table: Table, exogeneity: Exogeneity) -> torch.Tensor | None:
    """The code of each trace's arm, `[trace]`."""
    names = exogeneity.arms or tuple(
        node.name for node in table.schema.declaration.nodes.values() if node.kind == "arm"
    )
    if not names or names[0] not in table.values:
        return None
    return table.values[names[0]][0][table.layout.first_rows]


def _some_traces(course: Course, *, generator: torch.Generator) -> torch.Tensor:
    """The rows of whole traces, drawn at random until there are enough, `[row]`."""
    if len(course.trace) <= ROWS:
        return torch.arange(len(course.trace))
    kept = some_traces(torch.bincount(course.trace), ROWS, generator=generator)
    return Layout(course.trace, course.position).rows_of(kept)


def _taken(course: Course, rows: torch.Tensor) -> Course:
    """The course of some rows, its traces numbered anew."""
    trace, inverse = torch.unique_consecutive(course.trace[rows], return_inverse=True)
    arm = None if course.arm is None else course.arm[trace]
    return Course(inverse, course.position[rows], arm)
