"""How many latents? A model is fitted with more and more of them, and asked the same question.

The number of latents is an assumption that data can refute, and never prove. What can be had:
whether more predict better on rows held out, whether fewer explain all covariances, and how much
the user's own answer depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalsys.data.read import as_frame, read
from causalsys.data.schema import Schema
from causalsys.data.traces import Traces
from causalsys.errors import (
    DataError,
    DeclarationError,
    EvidenceError,
    FitError,
    InterventionError,
    QueryError,
)
from causalsys.fit.fit import fit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.fit.overidentified import Overidentification, overidentification
from causalsys.query.ask import counterfactual
from causalsys.query.dimension_forms import child_of
from causalsys.query.dimension_traces import latents_of_traces
from causalsys.query.intervention import Do
from causalsys.query.likelihood import row_log_prob
from causalsys.query.sized import LatentDimension, Size, compared
from causalsys.scm.blocks import blocks
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.declare import Declared
from causalsys.scm.specs import StandardNormal
from causalsys.scm.supports import Categorical, Support

_FOLDS = 2


def latent_dimension(
    model: type[Declared],
    data: object,
    *,
    latent: str,
    sizes: Iterable[int] = range(4),
    do: Do | None = None,
    outcome: str | None = None,
    evidence: object = None,
    seed: int = 0,
    steps: int = 2000,
    ensemble: int = 8,
) -> LatentDimension:
    """Fit a model with one of its latents left out, and with more and more dimensions of it.

    Args:
        model: The model as declared.
        data: Rows as in `fit`.
        latent: The latent whose size is in doubt.
        sizes: Which sizes to try: dimensions, or levels of a categorical latent, where one
            level says as little as none. 0 leaves the latent out.
        do: The question's intervention, as in `counterfactual`.
        outcome: The question's outcome: its average over `evidence` under `do`.
        evidence: The rows that the question is about; by default `data`.
        seed: Fixes the split and the fits.
        steps: As in `fit`.
        ensemble: As in `fit`, for the answers.

    Returns:
        For each size of a latent of rows: held-out log likelihood (two halves, each predicted by
        a fit to the other; whole traces stay together), a test of over-identification where the
        likelihood is exact (linear with normal latents, or categories alone), and the answer. A
        size that cannot be fitted, or whose question cannot be answered, says why instead.

        Of a latent behind one variable of traces (see `cs.LowRank`) each size has a form: 0 that
        the noise is luck, which falls anew; 1 that it is the noise which the value reveals, as
        declared, or one latent that actions weigh differently; more are of low rank. Whole arms
        are left out, each foreseen step by step by a fit to the others (two halves, where there
        are no arms; of long data on 60,000 rows of whole traces), and a test says whether the
        past still foretells what each form leaves. Where sizes that foresee alike answer
        differently, `.spread` holds the least and the most.

    Raises:
        UnknownNameError: The model has no such variable.
        QueryError: It is no latent, a size is no whole number, or the question lacks a part.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> from causalsys.query.dimension import latent_dimension
        >>> class Host(cs.SCM):
        ...     kind = cs.Latent(cs.Real())
        ...     a = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
        ...     b = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
        ...     c = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> kind = rng.normal(size=(300, 1))
        >>> rows = pd.DataFrame(kind + 0.5 * rng.normal(size=(300, 3)), columns=["a", "b", "c"])
        >>> latent_dimension(Host, rows, latent="kind", sizes=[0, 1]).best
        1
    """
    tried = _checked(model.declaration, latent, sizes)
    if (do is None) != (outcome is None):
        raise QueryError(
            "do" if do is None else "outcome",
            found="half a question",
            mend="Give both do=... and outcome=..., or neither.",
        )
    if isinstance(do, Sequence):
        raise QueryError("do", found="several worlds", mend="Ask for one: do={...}.")
    if outcome is not None:
        model.declaration.node(outcome)
    options = FitOptions(seed, ensemble, steps)
    if child_of(model.declaration, latent) is not None:
        return latents_of_traces(
            model.declaration,
            data,
            latent=latent,
            sizes=tried,
            do=do,
            outcome=outcome,
            evidence=evidence,
            options=options,
        )
    declaration = _settled(model.declaration, data)
    halves = _halves(data, seed)
    found: list[tuple[Size, NDArray[np.float64] | None]] = []
    for size in tried:
        try:
            changed = resized(declaration, latent, size)
            fitted = fit(changed, data, options=options)
            scores = _held_out(changed, halves, options=replace(options, ensemble=1))
        except (DeclarationError, FitError) as error:
            found.append((Size(size, None, None, None, "not fitted", None, str(error)), None))
            continue
        test = _test(fitted, declaration, data, latent)
        answer, reason = None, scores if isinstance(scores, str) else ""
        if do is not None and outcome is not None:
            try:
                rows = data if evidence is None else evidence
                told = counterfactual(fitted, rows, do=do, outcome=outcome, seed=seed)
                answer = told.average(outcome)
            except (EvidenceError, InterventionError):
                raise
            except QueryError as error:
                reason = f"{reason}; {error}" if reason else str(error)
        held_out = None if isinstance(scores, str) else scores
        found.append((Size(size, None, None, None, test, answer, reason), held_out))
    unit = declaration.node(outcome).support.unit if outcome else ""
    return LatentDimension(latent, compared(found, _clusters(halves)), outcome or "", unit)


def resized(declaration: Declaration, latent: str, size: int) -> Declaration:
    """The same model with a latent of another size: dimensions, or levels; without it for 0.

    Raises:
        DeclarationError: An equation or a transition needs the latent as it is declared.
    """
    node = declaration.node(latent)
    if size == _size_of(node):
        return declaration
    for child in declaration.nodes.values():
        if child.function is not None and any(parent.name == latent for parent in child.parents):
            raise DeclarationError(
                child.name,
                found=f"a function of {latent}, which has another size there",
                mend="Leave this size out: what is written fixes the latent.",
            )
    if isinstance(node.support, Categorical):
        gone = size < 2
        support: Support = Categorical(size, node.support.unit) if size > 1 else node.support
    else:
        gone = size < 1
        support = replace(node.support, size=size if size > 1 else None)
    nodes: dict[str, Node] = {}
    for name, each in declaration.nodes.items():
        if name == latent:
            if not gone:
                nodes[name] = replace(each, support=support)
            continue
        kept = tuple(parent for parent in each.parents if not gone or parent.name != latent)
        alone = each.kind == "latent" and not kept and each.parents
        normal = alone and not isinstance(each.support, Categorical)
        mechanism = StandardNormal() if normal else each.mechanism
        nodes[name] = replace(each, parents=kept, mechanism=mechanism)
    # It is no longer the model that a class declares, so that it has no origin.
    return replace(declaration, nodes=nodes, origin="")


def _size_of(node: Node) -> int:
    if isinstance(node.support, Categorical):
        return node.support.cardinality
    return node.support.size or 1


def _checked(declaration: Declaration, latent: str, sizes: Iterable[int]) -> list[int]:
    node = declaration.as_written.node(latent)
    if node.kind != "latent":
        raise QueryError(latent, found="no latent", mend="Name a variable that nobody logs.")
    found = list(sizes)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in found)
    if not whole or not found:
        raise QueryError("sizes", found=repr(sizes), mend="Give whole numbers: sizes=range(4).")
    if isinstance(node.support, Categorical):
        found = [0 if size == 1 else size for size in found]
    return sorted(set(found))


def _settled(declaration: Declaration, data: object) -> Declaration:
    """The declaration with the levels that all the data have, which a half of them may lack."""
    supports = Schema.learn(declaration, as_frame(data)[0]).supports
    nodes = {n: replace(each, support=supports[n]) for n, each in declaration.nodes.items()}
    return replace(declaration, nodes=nodes)


@dataclass(frozen=True)
class _Half:
    """Rows, with the number of each one's trace or of the row itself."""

    data: object
    cluster: NDArray[np.int64]


def _halves(data: object, seed: int) -> list[_Half]:
    """The data in two, by traces where there are any."""
    frame, layout = as_frame(data)
    cluster = np.arange(len(frame)) if layout is None else layout.trace.numpy()
    count = int(cluster.max()) + 1
    if count < 2 * _FOLDS:
        raise DataError(
            "data", found=f"{count} rows or traces", mend="Give more, to hold some out."
        )
    side = np.random.default_rng(seed).permutation(count) % _FOLDS
    found = []
    for half in range(_FOLDS):
        rows = side[cluster] == half
        part: object = frame[rows]
        if isinstance(data, Traces):
            part = Traces(frame[rows], data.trace, data.step)
        found.append(_Half(part, cluster[rows]))
    return found


def _held_out(
    declaration: Declaration, halves: Sequence[_Half], *, options: FitOptions
) -> NDArray[np.float64] | str:
    """The log likelihood of each row under the fit to the other half, or why there is none."""
    found = []
    for mine, other in zip(halves, reversed(halves), strict=True):
        fitted = fit(declaration, other.data, options=options)
        table = read(fitted.schema, mine.data)
        if table.missing:
            return "held-out rows with missing cells have no likelihood"
        try:
            found.append(row_log_prob(fitted, table))
        except EvidenceError as error:
            return f"held-out rows have no likelihood: {error.found}"
    return np.concatenate(found)


def _test(
    fitted: Fitted, declaration: Declaration, data: object, latent: str
) -> Overidentification | str:
    """The test of the latents that act on what the declared latent acts on."""
    block = next(block for block in blocks(declaration) if latent in block.latents)
    latents = [name for name in block.latents if name in fitted.declaration.nodes]
    table = read(fitted.schema, data)
    return overidentification(fitted, table, latents=latents, variables=block.variables)


def _clusters(halves: Sequence[_Half]) -> NDArray[np.int64]:
    return np.concatenate([half.cluster for half in halves])
