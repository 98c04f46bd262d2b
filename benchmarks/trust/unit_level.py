"""Questions about rows: our verdict against brute force over all discrete models of the graph.

Every graph is asked what `y` would have been, had `x` been 0 where it was 1:

    full row            everything is known of the row
    covariates          what comes before `x` is known
    and treatment       that, and `x`
    effect on treated   `x` alone
    necessity           `x` and `y`
    all but outcome     everything but `y`

Brute force (`response_types`) reads nothing of our method. y0's IDC* runs beside it: version 0.2.11
takes a variable in two worlds for one, and so says that necessity is identified.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from benchmarks.lines import Line
from benchmarks.trust.response_types import Question, ResponseTypes
from benchmarks.trust.with_y0_star import by_y0_star
from causalsys.identify.counterfactual import Determined, Event, counterfactual
from causalsys.identify.mixed import Mixed

NAME = "unit level"
GRAPHS = 300
SEED = 20_240
KINDS = (
    "full row",
    "covariates",
    "and treatment",
    "effect on treated",
    "necessity",
    "all but outcome",
)
_INSIDE = 1e-6
"""Distances are below 1e-12 or above 1e-3; nothing was ever seen between."""


def run(*, quick: bool) -> list[Line]:
    """How often our verdicts, and y0's, differ from brute force."""
    ours: Counter[tuple[str, bool, bool]] = Counter()
    theirs: Counter[tuple[bool | None, bool]] = Counter()
    graphs = 30 if quick else GRAPHS
    for number in range(graphs):
        rng = np.random.default_rng(SEED + number)
        graph = random_graph(rng, equation=number % 3 == 0)
        questions = asked(graph, rng)
        truth = ResponseTypes(graph, seed=number).distances(list(questions.values())) < _INSIDE
        for (kind, (outcome, given)), settled in zip(questions.items(), truth, strict=True):
            verdict = counterfactual(graph, outcome=outcome, given=given)
            ours[kind, isinstance(verdict, Determined), bool(settled)] += 1
            if not graph.known:
                says = by_y0_star(graph, outcome=outcome, given=given)
                theirs[says, bool(settled)] += 1
    return [*_of_ours(ours, graphs), *_of_theirs(theirs)]


def _of_ours(ours: Counter[tuple[str, bool, bool]], graphs: int) -> list[Line]:
    note = f"{graphs} random graphs, a third with a known equation; seeds from {SEED}"
    wrong = sum(ours[kind, True, False] for kind in KINDS)
    missed = sum(ours[kind, False, True] for kind in KINDS)
    rows = [
        Line(NAME, "identified, and brute force: not", wrong, "0", wrong == 0, note),
        Line(NAME, "not identified, and brute force: it is", missed, note=note),
    ]
    for kind in KINDS:
        count = {mine: ours[kind, mine, True] + ours[kind, mine, False] for mine in (True, False)}
        settled = ours[kind, True, True] + ours[kind, False, True]
        note = f"{count[True]} of {sum(count.values())}; by brute force {settled}"
        share = count[True] / sum(count.values())
        rows.append(Line(NAME, f"identified: {kind}", share, note=note))
    return rows


def _of_theirs(theirs: Counter[tuple[bool | None, bool]]) -> list[Line]:
    note = f"y0's IDC*, then its ID; {sum(theirs.values())} questions without known equations"
    cases = {
        "y0: identified, and brute force: not": theirs[True, False],
        "y0: not identified, and brute force: it is": theirs[False, True],
        "y0: breaks off": theirs[None, True] + theirs[None, False],
    }
    return [Line(NAME, case, count, note=note) for case, count in cases.items()]


def random_graph(rng: np.random.Generator, *, equation: bool) -> Mixed:
    """Three to five variables, `x` among the causes of `y`; perhaps a known equation."""
    while True:
        names = [*"abc"[: rng.integers(1, 4)], "x", "y"]
        names.remove("x")
        names.insert(int(rng.integers(len(names))), "x")
        dense, tied = rng.choice([0.4, 0.6, 0.8]), rng.choice([0.1, 0.2, 0.4])
        directed = [p for p in combinations(names, 2) if rng.random() < dense]
        bidirected = [p for p in combinations(names, 2) if rng.random() < tied]
        graph = Mixed.of(names, directed=directed, bidirected=bidirected)
        able = [n for n in names if graph.parents[n] and not graph.siblings[n] and n != "x"]
        if "x" not in graph.ancestors("y") or max(map(len, graph.parents.values())) > 2:
            continue
        if not equation:
            return graph
        if able:
            known = [str(rng.choice(able))]
            return Mixed.of(names, directed=directed, bidirected=bidirected, known=known)


def asked(graph: Mixed, rng: np.random.Generator) -> dict[str, Question]:
    """One question of each kind about a random row that the known equations allow."""
    row: dict[str, int] = {}
    for name in graph.nodes:
        sums = sum(row[parent] for parent in graph.parents[name]) % 2
        row[name] = sums if name in graph.known else int(rng.integers(2)) if name != "x" else 1
    seen = {name: Event(name, {}, str(value)) for name, value in row.items()}
    before = [seen[n] for n in graph.nodes[: graph.nodes.index("x")]]
    outcome = [Event("y", {"x": "0"}, str(rng.integers(2)))]
    evidence = {
        "full row": list(seen.values()),
        "covariates": before,
        "and treatment": [*before, seen["x"]],
        "effect on treated": [seen["x"]],
        "necessity": [seen["x"], seen["y"]],
        "all but outcome": [event for name, event in seen.items() if name != "y"],
    }
    return {kind: (outcome, evidence[kind]) for kind in KINDS}
