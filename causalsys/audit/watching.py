"""`audit.monitor`: every mechanism under watch, and the predictor's error as a node of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from causalsys.audit.subject import Subject
from causalsys.detect.monitor import monitor
from causalsys.detect.monitoring import Monitoring
from causalsys.errors import QueryError

ERROR = "error"


def watching(
    subject: Subject,
    rows: object,
    *,
    normal: object,
    nodes: Sequence[str] | None = None,
    false_alarms: float = 0.01,
    per: int | Literal["run"] = "run",
    folds: int = 5,
    drift: bool = True,
    reset: bool = False,
    seed: int = 0,
) -> Monitoring:
    """Watch a system and its predictor: see `Audit.monitor`."""
    if ERROR in subject.fitted.declaration.nodes:
        raise QueryError(
            ERROR,
            found="a variable of the model, and what the predictor's error is called here",
            mend="Rename the variable.",
        )
    usual = subject.period(normal, what="normal")
    later = subject.period(rows, what="rows")
    found = monitor(
        subject.fitted,
        later.rows,
        normal=usual.rows,
        nodes=nodes,
        errors={ERROR: (usual.error, later.error)},
        false_alarms=false_alarms,
        per=per,
        folds=folds,
        drift=drift,
        reset=reset,
        seed=seed,
    )
    return replace(found, notes=(*found.notes, *subject.predictor.notes))


__all__ = ["ERROR", "watching"]
