"""Simulation of more traces than memory holds: batch by batch, and what is kept of each adds up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalsys.data.stream import Batch, Piece, Stream
from causalsys.data.traces import Traces
from causalsys.engine.base import Engine, seed_of
from causalsys.engine.here import as_engine
from causalsys.engine.progress import tracked
from causalsys.errors import DataError, InterventionError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count
from causalsys.simulate.aggregate import RECORDED, Aggregates
from causalsys.simulate.collect import Collector, named_goals, wanted_columns
from causalsys.simulate.objective import Goal
from causalsys.simulate.simulate import Simulator, check_fitted, named
from causalsys.simulate.written import folder_for, write

if TYPE_CHECKING:
    import pandas as pd

_CELLS = 64_000_000
"""Numbers in a batch, by all variables, recorded and under each policy; what is made of them on the
way takes about as much again. Half a gigabyte."""


def simulate_batches(
    fitted: Fitted,
    path: str | Path,
    *,
    policies: Mapping[str, Any],
    objectives: Iterable[Goal] | Mapping[str, Goal] = (),
    rows: str | Path | None = None,
    behaviour: Mapping[Any, Any] | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    batch: int | None = None,
    trace: str = "trace",
    step: str = "step",
) -> Aggregates:
    """What traces in a parquet file or folder would have been under policies that never ran.

    As `cs.simulate`, for traces of which not all fit into memory. They are read in batches of
    whole traces; each is abducted once for all policies, and of its rows only aggregates are kept.
    The numbers depend neither on the engine nor on the size of the batches, as long as the rows
    determine the noises; where these must be drawn (missing cells, mechanisms that are no
    bijection), the draws are those of the batch.

    Args:
        fitted: A model with a decision.
        path: A parquet file or folder. The rows of a trace are adjacent and in order; a trace may
            go on in the next file, by the order of their paths.
        policies: As for `cs.simulate`; no policy may be named "recorded".
        objectives: Means and quantiles to keep ready, as a list or by name: "p99 latency", or a
            function of columns with a value for each row (see `cs.validate_fix`). It is given whole
            traces, some at a time.
        rows: A folder to write the simulated rows to, with one folder for each policy. It appears
            once all of them are written.
        behaviour: As for `cs.simulate`: the policies that made the record, by arm.
        engine: Where to work: `cs.Here()`, this process, by default; `cs.Cores(n)`.
        seed: Fixes random policies; a trace's draws go by its name, not by its batch.
        batch: The most rows of a batch. Memory grows with it, and so does speed, up to a point; by
            default a million for two policies and ten variables, fewer for more of either.
        trace: The column that names a row's trace.
        step: The column that numbers a trace's steps.

    Returns:
        Means, quantiles, shares and intervals of every column and objective, under each policy and
        as recorded. What is computed of other traces in the same way can be added to it.

    Raises:
        DataError: The file cannot be read, or its traces have gaps or come back.
        EvidenceError: The traces do not fit the model.
        InterventionError: A policy cannot be used, or returned what is no decision.
        NotIdentifiedError: Graph, shapes and data cannot carry what the policies change.
        QueryError: An objective cannot be had from batches, or `rows` is there already.
        EngineError: A worker was lost.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd, tempfile
        >>> class Queue(cs.SCM):
        ...     arrivals = cs.Observed(cs.Positive("req"), mechanism=cs.Marginal())
        ...     waiting = cs.State(cs.Positive("req"))
        ...     served = cs.Decision(cs.Positive("req"), [waiting], mechanism=cs.Logged())
        ...     @cs.transition(waiting)
        ...     def later(waiting, arrivals, served):
        ...         return (waiting + arrivals - served).clamp(min=0)
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"trace": np.repeat([0, 1], 50), "step": [*range(50)] * 2})
        >>> log["arrivals"], log["served"] = rng.exponential(2, 100), rng.uniform(0, 4, 100)
        >>> fitted = Queue.fit(log, ensemble=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log.to_parquet(f"{folder}/log.parquet")
        ...     found = simulate_batches(
        ...         fitted, folder, policies={"all": lambda waiting: waiting},
        ...         objectives=["p99 served"])
        >>> found
        <Aggregates of 2 traces, 100 steps, under all>
        >>> bool(abs(found.mean("served") - log["served"].mean()) < 1e-9)
        True
    """
    check_fitted(fitted)
    if not isinstance(path, str | Path):
        raise DataError(
            "traces",
            found=f"a {type(path).__name__}",
            mend="Give a parquet file or folder; what is in memory goes to cs.simulate.",
        )
    seed = count(seed, "seed", least=0)
    where = as_engine(engine)
    if RECORDED in named(policies):
        raise InterventionError(
            RECORDED, found="a policy of that name", mend="Name it otherwise: the log is called so."
        )
    goals = named_goals(objectives)
    stream = Stream.open(path, trace=trace, step=step, what="traces")
    wanted = wanted_columns(fitted.schema, stream.columns, goals)
    columns = stream.columns if rows is not None else [trace, step, *wanted]
    collector = Collector.of(fitted.schema, columns, goals)
    pieces = stream.pieces(_most(batch, stream, fitted, worlds=len(policies) + 3))
    with folder_for(rows, tuple(policies)) as folder:

        def work(piece: Piece) -> Aggregates:
            found: Aggregates | None = None
            frames = stream.frames(piece.batches, columns=columns)
            for each, frame in zip(piece.batches, frames, strict=True):
                part = simulated(each, Traces(frame, trace=trace, step=step))
                found = part if found is None else found + part
            assert found is not None
            return found

        def simulated(each: Batch, traces: Traces) -> Aggregates:
            simulator = Simulator.of(fitted, traces, seed=seed_of(seed, each.first))
            lean = replace(simulator, luck=seed, keep="recorded")
            simulation = lean.run(policies, behaviour=behaviour)

            def keep(policy: str, frame: pd.DataFrame) -> None:
                if folder is not None:
                    write(frame, folder, policy=policy, start=each.start)

            return collector.collect(simulation, lengths=each.lengths, keep=keep)

        whole: Aggregates | None = None
        # Closed before the folder is: no worker writes into what is being removed.
        with closing(where.map(work, pieces)) as parts:
            for part in tracked(parts, what="simulating", total=len(pieces)):
                whole = part if whole is None else whole + part
    assert whole is not None
    return whole


def _most(batch: int | None, stream: Stream, fitted: Fitted, *, worlds: int) -> int:
    """How many rows a batch may have."""
    if batch is not None:
        return count(batch, "batch")
    width = sum(support.size or 1 for support in fitted.schema.supports.values())
    longest = int(stream.lengths.max())
    most = max(_CELLS // (width * worlds), longest)
    # A last batch of few traces would take as long as any other, so all are made alike.
    return min(most, stream.rows // -(-stream.rows // most) + longest)
