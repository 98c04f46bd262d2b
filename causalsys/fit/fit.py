"""FIT: a declaration and data in, a fitted model out, one block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causalsys.data.read import Missing, as_frame, read
from causalsys.data.schema import Schema
from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.engine.progress import tracked
from causalsys.errors import FitError
from causalsys.fit.checkpoint import Checkpoint
from causalsys.fit.diagnostics import Diagnostics
from causalsys.fit.district import fit_district
from causalsys.fit.fitted import Fitted
from causalsys.fit.impute import impute
from causalsys.fit.options import FitOptions
from causalsys.fit.parts import Parts
from causalsys.fit.redeployed import Before, reached
from causalsys.fit.single import fit_single
from causalsys.fit.source import Source
from causalsys.fit.weights import Weights
from causalsys.scm.blocks import Block, blocks
from causalsys.scm.declaration import Declaration

_ROUNDS = 3
"""Rounds of imputing missing cells and fitting again."""


@one_thread()
def fit(
    declaration: Declaration,
    data: object,
    *,
    options: FitOptions,
    weight: str | NDArray[np.float64] | None = None,
    checkpoint: str | None = None,
) -> Fitted:
    """Fit every learned mechanism of a declaration.

    Args:
        declaration: The model.
        data: A frame, a mapping of columns, traces, or the path of a parquet file or folder.
        options: How to fit.
        weight: A column, or one non-negative number per row.
        checkpoint: A file that keeps finished blocks, so that a fit that was killed resumes to
            the same result when called again; it is removed at the end.

    Raises:
        DataError: The data do not fit the declaration.
        FitError: A mechanism cannot be fitted to them.
    """
    source = Source.of(declaration, data, options=options, weight=weight)
    schema = Schema.learn(declaration, as_frame(source.data)[0])
    missing: Missing = options.missing  # type: ignore[assignment]
    table = read(schema, source.data, weight=source.weight, missing=missing)
    plan = blocks(declaration)
    saved = Checkpoint.at(checkpoint, table=table, options=options) if checkpoint else None
    fitted = _fit_blocks(plan, table, options=options, saved=saved)
    if any(declaration.nodes[name].learned for name in table.missing):
        fitted = _with_imputation(fitted, plan, table=table, options=options)
    if saved is not None:
        saved.remove()
    return _noted(fitted, *source.notes)


@one_thread()
def refit(
    fitted: Fitted,
    data: object,
    *,
    only: Sequence[str] | None = None,
    changed: Sequence[str] | None = None,
    fresh: bool = False,
    options: FitOptions,
) -> Fitted:
    """Fit some mechanisms (and what shares a district with them) to new data.

    Every other mechanism is the very same object as before.

    Args:
        fitted: The model as it was.
        data: The new data.
        only: These variables.
        changed: What changed, and all that lies below it: components or variables.
        fresh: Whether districts with latents forget their last fit, and search anew.
        options: How to fit.

    Raises:
        UnknownNameError: A name is not a variable of the model (or a component).
        FitError: Both or neither of `only` and `changed` are given; one is no list of names; or
            a variable of `only` is not learned.
    """
    if (only is None) == (changed is None):
        raise FitError(
            "refit",
            found=f"only={only!r} and changed={changed!r}",
            mend='Give one of them: only=["x"], or changed=["payment"] with all that lies below.',
        )
    asked = changed is not None
    names = reached(fitted.declaration, changed or ()) if asked else _learned(fitted, only)
    source = Source.of(fitted.declaration, data, options=options)
    missing: Missing = options.missing  # type: ignore[assignment]
    table = read(fitted.schema, source.data, missing=missing)
    chosen = [
        block
        for block in blocks(fitted.declaration)
        if set(names) & {*block.latents, *block.variables}
    ]
    same = replace(options, ensemble=fitted.members)
    before = None if fresh else fitted
    again = _fit_blocks(tuple(chosen), table, options=same, before=before)
    notes = (f"refitted {', '.join(sorted(again.mechanisms))}", *source.notes)
    merged = _noted(_merged(fitted, again), *notes)
    if any(_has_gaps(block, table) for block in chosen):
        return _with_imputation(merged, tuple(chosen), table=table, options=same)
    return merged


def fit_block(
    block: Block,
    table: Table,
    *,
    options: FitOptions,
    weights: Weights,
    before: Fitted | None = None,
) -> Parts:
    """Fit one block to a table; a district with latents goes on from how it was `before`."""
    training = options.training(block.seed(options.seed))
    if block.latents:
        start = Before.of(before, block) if before is not None else None
        return fit_district(block, table, weight=weights.drawn, training=training, before=start)
    mechanism, report = fit_single(block.variables[0], table, weights=weights, training=training)
    return Parts({block.name: mechanism}, (), {block.name: report}, ())


def _fit_blocks(
    plan: tuple[Block, ...],
    table: Table,
    *,
    options: FitOptions,
    saved: Checkpoint | None = None,
    before: Fitted | None = None,
) -> Fitted:
    done = [saved.parts] if saved is not None else []
    weights = Weights(table.weight, table.layout.trace, options.ensemble, options.seed)
    for block in tracked(plan, what=f"fitting {table.schema.declaration.name}"):
        if saved is not None and saved.has(block):
            continue
        done.append(fit_block(block, table, options=options, weights=weights, before=before))
        if saved is not None:
            saved.save(block, done[-1])
    parts = Parts.joined(done)
    place = {name: i for i, name in enumerate(table.schema.declaration.nodes)}
    ordered = sorted(parts.mechanisms, key=place.__getitem__)
    return Fitted(
        table.schema,
        {name: parts.mechanisms[name] for name in ordered},
        tuple(sorted(parts.guides, key=lambda guide: guide.latents)),
        options.ensemble,
        options.seed,
        Diagnostics(
            {name: parts.variables[name] for name in ordered},
            tuple(sorted(parts.districts, key=lambda district: district.latents)),
            table.rows,
        ),
    )


def _with_imputation(
    fitted: Fitted, plan: tuple[Block, ...], *, table: Table, options: FitOptions
) -> Fitted:
    """Impute missing cells from the fit and fit again, each member on its own imputation.

    The rounds are a Monte Carlo EM (Wei and Tanner, 1990); with one imputation per member, the
    ensemble's spread includes what the missing cells leave open (Rubin, 1987).
    """
    touched = tuple(block for block in plan if _has_gaps(block, table))
    for turn in range(_ROUNDS):
        full = impute(fitted, table, seed=options.seed + turn + 1)
        fitted = _merged(fitted, _fit_blocks(touched, full, options=options))
    learned = sorted(name for name in table.missing if fitted.node(name).learned)
    told = ", ".join(f"{name} ({int(table.missing[name].sum())})" for name in learned)
    note = f"missing cells were inferred, taken as missing at random: {told}"
    return _noted(fitted, note)


def _learned(fitted: Fitted, only: Sequence[str] | None) -> Sequence[str]:
    if isinstance(only, str) or not only:
        names = [only] if only else ["name"]
        raise FitError("only", found=repr(only), mend=f"Give a list of variables: only={names}.")
    for name in only:
        if not fitted.node(name).learned:
            raise FitError(
                name,
                found="a variable that is declared, not learned",
                mend="Change its equation in the model, and fit that.",
            )
    return only


def _noted(fitted: Fitted, *notes: str) -> Fitted:
    told = (*fitted.diagnostics.notes, *notes)
    return replace(fitted, diagnostics=replace(fitted.diagnostics, notes=told))


def _merged(old: Fitted, fresh: Fitted) -> Fitted:
    """`old` with the blocks of `fresh` in place of its own."""
    latents = {name for guide in fresh.guides for name in guide.latents}
    latents |= {name for district in fresh.diagnostics.districts for name in district.latents}
    guides = [guide for guide in old.guides if not latents & set(guide.latents)]
    districts = [d for d in old.diagnostics.districts if not latents & set(d.latents)]
    diagnostics = replace(
        old.diagnostics,
        variables={**old.diagnostics.variables, **fresh.diagnostics.variables},
        districts=(*districts, *fresh.diagnostics.districts),
    )
    return replace(
        old,
        mechanisms={**old.mechanisms, **fresh.mechanisms},
        guides=(*guides, *fresh.guides),
        diagnostics=diagnostics,
    )


def _has_gaps(block: Block, table: Table) -> bool:
    nodes = table.schema.declaration.nodes
    return any(
        name in table.missing or any(parent.name in table.missing for parent in nodes[name].parents)
        for name in (*block.latents, *block.variables)
    )
