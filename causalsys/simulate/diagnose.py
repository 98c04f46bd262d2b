"""What a set of traces can tell of a mechanism, and what it cannot, in words.

A simulator fitted to a randomised trial is as good as the comparisons that the trial made. Whether
it made them is seen in the traces: which arms vary their actions, which actions are compared with
which, how many independent states of the world the latent went through, where it does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from causalsys.data.read import read
from causalsys.data.traces import as_traces
from causalsys.errors import FitError, UnknownNameError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.marginal import as_additive
from causalsys.fit.lasting.overidentification import j_test
from causalsys.fit.single import sample_of
from causalsys.simulate.seen import Seen, seen_of

Level = Literal["note", "warning"]
_FEW_REGIMES = 30
_RARE = 1e-3
_INVISIBLE = 0.05
_UNBALANCED = 0.001
_MISSHAPEN = 0.01
_LOOSE = 0.05


@dataclass(frozen=True)
class Remark:
    """One thing that traces do or do not tell.

    Attributes:
        about: What it is about: "arms", "overlap", "regimes", "balance", "visibility",
            "precision", "shape".
        level: "note", or "warning" where an answer would suffer.
        words: What was found, and what it means.
        value: The number behind it.
    """

    about: str
    level: Level
    words: str
    value: float

    def __str__(self) -> str:
        return f"{self.level}: {self.words}"


@dataclass(frozen=True)
class Diagnosis:
    """What traces tell of the mechanism of one variable.

    Attributes:
        variable: The variable.
        constraint: What identifies its mechanism: "sequential", "arms" or "none".
        remarks: What was found.
    """

    variable: str
    constraint: str
    remarks: tuple[Remark, ...]

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """Those under which an answer would suffer."""
        return tuple(remark for remark in self.remarks if remark.level == "warning")

    def __str__(self) -> str:
        head = f"{self.variable}, identified by {_WORDS[self.constraint]}:"
        return "\n".join([head, *(f"  {remark}" for remark in self.remarks)])


_WORDS = {
    "sequential": "actions that look at the past of its noise only",
    "arms": "randomised arms alone",
    "none": "nothing",
}


def diagnose(fitted: Fitted, traces: object, *, seed: int = 0) -> tuple[Diagnosis, ...]:
    """What traces tell of each variable whose noise lasts, and what they cannot.

    Args:
        fitted: The model.
        traces: The traces that it was fitted to.
        seed: Fixes the rows that are looked at.

    Returns:
        One diagnosis for each variable that reveals a latent; print it.

    Raises:
        EvidenceError: The traces do not fit the model.
        UnknownNameError: No variable of the model reveals a latent.

    The list of what to look at: condition of the arm × action moments; regimes per arm; the second
    eigenvalue of the overlap graph (Fiedler, 1973); balance of the noise over arms (Kruskal and
    Wallis, 1952); steps where the noise does not show; standard errors; the J test of the shape.
    """
    table = read(fitted.schema, as_traces(fitted.declaration, traces), purpose="evidence")
    lasting = [node for node in fitted.declaration.nodes.values() if node.lasting]
    if not lasting:
        raise UnknownNameError(
            fitted.declaration.name,
            found="no variable that reveals a lasting latent",
            mend="Declare one: a latent with one child, or mechanism=...(memory=True).",
        )
    found = abduct(fitted, table, samples=1, seed=seed)
    told = []
    for node in lasting:
        constraint = fitted.judge.view.exogeneity(node.name).constraint
        seen = seen_of(node, fitted, found, constraint=constraint)
        remarks = [remark for look in _LOOKS for remark in look(seen)]
        remarks += _precision(seen, fitted)
        if constraint == "sequential":  # The test takes that actions tell nothing of the noise.
            remarks += _shape(node.name, fitted, found, seed=seed)
        told.append(Diagnosis(node.name, constraint, tuple(remarks)))
    return tuple(told)


def _arms(seen: Seen) -> Iterator[Remark]:
    """Arms whose action never changes within a trace compare nothing in time."""
    for arm, name in enumerate(seen.arms):
        mine = seen.arm == arm
        if not mine.any():
            yield Remark("arms", "warning", f"arm {name} has no traces", 0.0)
            continue
        switches = float(seen.switched[mine].mean())
        if seen.action is not None and switches == 0 and seen.constraint != "arms":
            words = f"arm {name} never changes {seen.action} within a trace and adds nothing"
            yield Remark("arms", "note", words, switches)
    if seen.action is not None and seen.arms:
        share = seen.shares()
        values = np.linalg.svd(share, compute_uv=False)
        rank = int((values > 1e-6 * values[0]).sum())
        if rank < share.shape[1]:
            words = (
                f"the {len(share)} arms mix the {share.shape[1]} actions in {rank} independent "
                "ways: arms alone could not tell them apart"
            )
            level: Level = "warning" if seen.constraint == "arms" else "note"
            yield Remark("arms", level, words, float(rank))
        else:
            condition = float(values[0] / values[-1])
            words = f"the arm × action shares have condition number {condition:.3g}"
            yield Remark("arms", "note", words, condition)


def _overlap(seen: Seen) -> Iterator[Remark]:
    """Actions are compared where one trace has both, directly or by way of others.

    By arms alone they are compared between traces, and what one trace has says nothing.
    """
    if seen.action is None:
        return
    used = seen.used()
    for action in np.flatnonzero(used.sum(axis=0) == 0):
        words = f"{seen.action} {seen.levels[action]} is never taken: its mechanism is unknown"
        yield Remark("overlap", "warning", words, 0.0)
    if seen.constraint == "arms":
        return
    taken = np.flatnonzero(used.sum(axis=0) > 0)
    together = used[:, taken].T @ used[:, taken]
    apart = [
        (seen.levels[taken[i]], seen.levels[taken[j]])
        for i in range(len(taken))
        for j in range(i)
        if together[i, j] == 0
    ]
    if apart:
        shown = "; ".join(f"{b} and {a}" for a, b in sorted(apart, key=str)[:3])
        more = f", and {len(apart) - 3} more pairs," if len(apart) > 3 else ""
        words = f"{seen.action} {shown}{more} are never both used within one trace"
        yield Remark("overlap", "note", words, float(len(apart)))
    scale = np.sqrt(np.diag(together))
    affinity = together / np.outer(scale, scale)
    np.fill_diagonal(affinity, 0)
    degree = affinity.sum(axis=1)
    joined = degree > 0
    root = np.sqrt(np.where(joined, degree, 1))
    laplacian = np.diag(joined.astype(float)) - affinity / np.outer(root, root)
    second = float(np.sort(np.linalg.eigvalsh(laplacian))[1]) if len(taken) > 1 else 1.0
    if second < 1e-9:
        words = f"the values of {seen.action} fall into groups that no trace connects"
        yield Remark("overlap", "warning", f"{words}: between them nothing is compared", second)
    else:
        words = (
            f"the overlap of {seen.action} is connected (second eigenvalue {second:.2g}, between "
            "0, apart, and 1 or so, all compared with all)"
        )
        yield Remark("overlap", "note", words, second)


def _regimes(seen: Seen) -> Iterator[Remark]:
    """Independent states of the world: steps, divided by how long the noise remembers.

    Arms are compared by so many; neighbours in time are compared at every change of the action.
    """
    counts: dict[object, float] = {}
    for arm, name in enumerate(seen.arms or ("the traces",)):
        mine = seen.arm == arm if seen.arms else np.ones(seen.traces, dtype=bool)
        if mine.any():
            counts[name] = seen.regimes(mine)
    if not counts:
        return
    least = min(counts, key=lambda name: counts[name])
    few = counts[least] < _FEW_REGIMES and seen.constraint == "arms"
    words = f"{least} went through about {counts[least]:.0f} independent states of the latent"
    if len(counts) > 1:
        words += f", the fewest of all arms (the most: {max(counts.values()):.0f})"
    yield Remark("regimes", "warning" if few else "note", words, counts[least])


def _balance(seen: Seen) -> Iterator[Remark]:
    """Randomised arms have the latent alike."""
    groups = [seen.trace_means[seen.arm == arm] for arm in range(len(seen.arms))]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2:
        return
    from scipy.stats import kruskal

    p = float(kruskal(*groups).pvalue)
    if p < _UNBALANCED:
        words = f"the latent is not alike in all arms (p = {p:.1g}): no trial, or a wrong mechanism"
        yield Remark("balance", "warning", words, p)
    else:
        yield Remark("balance", "note", f"the latent is alike in all arms (p = {p:.2f})", p)


def _visibility(seen: Seen) -> Iterator[Remark]:
    """Where the value hardly moves with the noise, it hardly tells it."""
    share = float((seen.slope < _INVISIBLE * np.median(seen.slope)).mean())
    if share > _RARE:
        words = f"{share:.1%} of steps hardly depend on the latent: there it is invisible"
        yield Remark("visibility", "warning" if share > 0.1 else "note", words, share)


def _precision(seen: Seen, fitted: Fitted) -> Iterator[Remark]:
    """How far the members of the ensemble are apart, from one action to another."""
    if seen.action is None or fitted.members < 3:
        return
    spread = seen.spread(fitted)
    worst = int(spread.argmax())
    level: Level = "warning" if spread[worst] > _LOOSE else "note"
    words = (
        f"{seen.variable} under {seen.action} {seen.levels[worst]} is known least well: "
        f"a standard error of {spread[worst]:.2%}"
    )
    yield Remark("precision", level, words, float(spread[worst]))


def _shape(name: str, fitted: Fitted, found: Abducted, *, seed: int) -> Iterator[Remark]:
    """Over-identifying moments of a mechanism that is additive on a scale."""
    table = found.table
    mechanism = as_additive(fitted.mechanisms[name].members(torch.zeros(1, dtype=torch.int64)))
    if mechanism is None or name in table.missing:
        return
    sample = sample_of(name, table, weight=torch.ones(1, table.rows, dtype=torch.float64))
    known = table.complete(fitted.node(name))
    rows = torch.arange(table.rows) if known is None else known.nonzero()[:, 0]
    course = Course(table.layout.trace[rows], table.layout.position[rows])
    generator = torch.Generator().manual_seed(seed)
    try:
        test = j_test(mechanism, sample, course=course, generator=generator)
    except FitError:
        return  # Too few traces for so many moments.
    if test.p < _MISSHAPEN:
        words = (
            f"the latent does not act on {name} by one factor or shift alike under all its causes "
            f"({test}): try cs.Monotone() or cs.SplineFlow()"
        )
        yield Remark("shape", "warning", words, test.p)
    else:
        yield Remark("shape", "note", f"one factor or shift for all causes fits ({test})", test.p)


_LOOKS: tuple[Callable[[Seen], Iterator[Remark]], ...] = (
    _arms,
    _overlap,
    _regimes,
    _balance,
    _visibility,
)
