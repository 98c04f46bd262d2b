"""A variable whose parents are all observed: direct maximum likelihood, on its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.fit.diagnostics import VariableReport
from causalsys.fit.lasting.fit import fit_lasting
from causalsys.fit.weights import ENOUGH, Weights
from causalsys.identify.exogeneity import exogeneity
from causalsys.mechanisms.auto import fit_mechanism, title
from causalsys.mechanisms.base import Mechanism, Sample, normal_of_gumbel
from causalsys.mechanisms.build import build
from causalsys.mechanisms.draws import some_rows
from causalsys.mechanisms.training import Training
from causalsys.scm.specs import Logged

_TESTED = 2000


def fit_single(
    name: str, table: Table, *, weights: Weights, training: Training
) -> tuple[Mechanism, VariableReport]:
    """Fit one variable's mechanism to the rows in which it and its parents are known.

    Args:
        name: The variable.
        table: The data.
        weights: How much each row counts.
        training: How gradient fits run.

    Raises:
        FitError: There are too few rows, or none in which the variable and its parents are
            all known.
    """
    node = table.schema.declaration.nodes[name]
    assert node.mechanism is not None
    if isinstance(node.mechanism, Logged):
        left = build(
            node.mechanism, table.schema.supports[name], parents=table.schema.parent_supports(node)
        )
        return left, VariableReport("Logged", "as declared: it is only replaced", None, None, 0)
    if node.per == "trace":
        # What belongs to a trace counts once, however long it is.
        first = table.layout.first_rows
        table, weights = table.take(first), weights.take(first)
    sample = sample_of(name, table, weight=weights.plain)
    known = table.complete(node)
    weights = weights if known is None else weights.take(known.nonzero()[:, 0])
    if sample.rows < 2:
        raise FitError(
            name,
            found="1 row in which it and its parents are known",
            mend="Give more rows: one says nothing of how it varies.",
        )
    support, parents = table.schema.supports[name], table.schema.parent_supports(node)
    try:
        choice = fit_mechanism(
            node.mechanism, support, parents, sample, training, resample=weights.resampled
        )
    except FitError as error:
        raise FitError(name, found=error.found, mend=error.mend) from error
    mechanism = choice.mechanism
    if node.lasting:
        mechanism = _remembering(mechanism, name, table, sample, weights, training)
    # The steps of a noise that lasts are not so many independent draws of its law.
    calibration = None if node.lasting else calibrated(mechanism, sample, training)
    warnings = list(mechanism.notes)
    if calibration is not None and calibration < 1e-4:
        warnings.append(
            f"its noise does not follow its law (Kolmogorov-Smirnov p = {calibration:.1g}); "
            "try another mechanism"
        )
    used = min(sample.rows, ENOUGH) if mechanism.resampled else sample.rows
    if used < sample.rows:
        warnings.append(f"fitted to {used:,} of {sample.rows:,} rows, taken at random")
    report = VariableReport(
        family=type(choice.spec).__name__,
        reason=choice.reason,
        held_out=choice.scores.get(title(choice.spec)),
        calibration=calibration,
        rows=used,
        warnings=tuple(warnings),
    )
    return mechanism, report


def _remembering(
    mechanism: Mechanism,
    name: str,
    table: Table,
    sample: Sample,
    weights: Weights,
    training: Training,
) -> Mechanism:
    """The mechanism under what identifies it, where its noise lasts from step to step."""
    declaration = table.schema.declaration
    known = table.complete(declaration.nodes[name])
    rows = torch.arange(table.rows) if known is None else known.nonzero()[:, 0]
    try:
        return fit_lasting(
            mechanism,
            sample,
            table=table,
            rows=rows,
            weights=weights,
            training=training,
            exogeneity=exogeneity(declaration, name),
        )
    except FitError as error:
        raise FitError(name, found=error.found, mend=error.mend) from error


def sample_of(name: str, table: Table, *, weight: Tensor) -> Sample:
    """A variable with its parents in the rows where all are known, as a mechanism learns it.

    Raises:
        FitError: There are no such rows.
    """
    node = table.schema.declaration.nodes[name]
    sample = Sample(table.values[name], table.parents_of(node), weight)
    known = table.complete(node)
    if known is None:
        return sample
    if not bool(known.any()):
        raise FitError(
            name,
            found="no row in which it and its parents are all known",
            mend="Give data that have them together, or declare one of them latent.",
        )
    return sample.take(known.nonzero()[:, 0])


def calibrated(mechanism: Mechanism, sample: Sample, training: Training) -> float | None:
    """The p-value of member 0's noise against its law; None where there is too little to say."""
    if sample.rows < 20:
        return None
    from scipy.special import kolmogorov, ndtr

    generator = training.generator()
    some = sample.take(some_rows(sample.rows, _TESTED, generator=generator))
    first = mechanism.members(torch.zeros(1, dtype=torch.int64))
    with torch.no_grad():
        noise = first.pull(
            some.value[:1], {k: v[:1] for k, v in some.parents.items()}, generator=generator
        )
    if mechanism.noise == "gumbel":
        noise = normal_of_gumbel(noise)
    below = ndtr(np.sort(noise.flatten().numpy()))
    count = len(below)
    above = np.arange(1, count + 1) / count - below
    distance = np.maximum(above, 1 / count - above).max()
    # The limiting law, corrected for the number of rows (Stephens, 1970): right to 1 %, at once.
    return float(kolmogorov(distance * (count**0.5 + 0.12 + 0.11 / count**0.5)))
