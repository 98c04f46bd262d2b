"""Are verdicts on effects right? Against y0, against brute force, and against pairs of models.

On 1000 random graphs, seed 0: two to eight variables, of which some are latents of two or three
observed ones, and a question for each (ID) and one with a condition (IDC).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

import numpy as np

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.trust.discrete import LETTERS, Discrete, disagreement
from benchmarks.trust.with_y0 import by_y0
from causalsys.identify.adjustment import identify_effect
from causalsys.identify.effect import Identified
from causalsys.identify.mixed import Mixed
from causalsys.identify.steps import steps_of
from causalsys.scm.resolve import resolve

NAME = "interventional"
SEED = 0
GRAPHS, PROVED, LARGE = 1000, 200, 30


@dataclass(frozen=True)
class Case:
    """A graph with latents, and a question.

    Attributes:
        observed: What is logged, in causal order.
        edges: From cause to effect.
        latents: The observed variables that each latent acts on.
        question: Outcome, do and given.
    """

    observed: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    latents: tuple[tuple[str, ...], ...]
    question: dict[str, tuple[str, ...]]

    @property
    def mixed(self) -> Mixed:
        """The graph with its latents projected out."""
        ties = {pair for names in self.latents for pair in combinations(names, 2)}
        return Mixed.of(self.observed, directed=self.edges, bidirected=sorted(ties))

    @property
    def fewer(self) -> Iterator[Case]:
        """The same case, each time without one of the latents."""
        for left_out in range(len(self.latents)):
            kept = self.latents[:left_out] + self.latents[left_out + 1 :]
            yield replace(self, latents=kept)

    @property
    def model(self) -> Mixed:
        """The graph that a declaration of all this gets."""
        hidden = {f"u{i}": names for i, names in enumerate(self.latents)}
        variables = {name: cs.Latent(cs.Real()) for name in hidden}
        for name in self.observed:
            parents = [cause for cause, effect in self.edges if effect == name]
            parents += [latent for latent, names in hidden.items() if name in names]
            variables[name] = cs.Observed(cs.Real(), parents=parents)
        return steps_of(resolve("Random", variables, transitions=[], doc="")).mixed


def drawn(rng: random.Random, *, largest: int = 8, given: bool) -> Case:
    """A case at random; what is done comes before what is asked in three of four cases."""
    hidden = rng.randint(1, max(1, min(4, largest - 3)))
    names = LETTERS[: rng.randint(2, largest - hidden)]
    dense = rng.uniform(0.3, 0.8)
    edges = tuple(pair for pair in combinations(names, 2) if rng.random() < dense)
    sizes = (min(rng.choice((2, 2, 3)), len(names)) for _ in range(hidden))
    latents = tuple(tuple(sorted(rng.sample(names, size))) for size in sizes)
    order = list(names) if rng.random() < 0.75 else rng.sample(names, len(names))
    asked = rng.randint(1, min(2, len(names) - 1))
    done = rng.randint(1, min(2, len(names) - asked))
    between = order[done : len(names) - asked]
    seen = rng.sample(between, rng.randint(1, min(2, len(between)))) if given and between else ()
    question = {"outcome": tuple(order[-asked:]), "do": tuple(order[:done]), "given": tuple(seen)}
    return Case(tuple(names), edges, latents, question)


def run(*, quick: bool) -> list[Line]:
    """Measure; a few minutes on one core."""
    count = 60 if quick else GRAPHS
    plain = [drawn(random.Random(f"{SEED} {i}"), given=False) for i in range(count)]
    cases = plain + [drawn(random.Random(f"{SEED} {i} given"), given=True) for i in range(count)]
    ours = [_identified(case) for case in cases]
    theirs = [by_y0(case.mixed, **case.question) for case in cases]
    rows = []
    for which, part in (("ID", slice(count)), ("IDC", slice(count, None))):
        wrong = sum(bool(a) != b for a, b in zip(ours[part], theirs[part], strict=True))
        share = sum(map(bool, ours[part])) / count
        note = f"{count} graphs, seed {SEED}; {share:.0%} identified; none skipped"
        rows.append(_none(f"verdicts unlike y0's, {which}", wrong, note))
    return [
        *rows,
        *_latents(plain, theirs),
        *_proofs(cases, ours, quick=quick),
        *_large(quick=quick),
    ]


def _identified(case: Case) -> Identified | None:
    found = identify_effect(case.mixed, **case.question)
    return found if isinstance(found, Identified) else None


def _none(case: str, measured: float, note: str, *, most: float = 0) -> Line:
    target = "0" if most == 0 else f"≤ {most:g}"
    return Line(NAME, case, measured, target, measured <= most, note)


def _latents(cases: list[Case], theirs: list[bool]) -> list[Line]:
    """Whether leaving out a latent changes our verdict wherever it changes theirs."""
    lost = 0
    for case in cases:
        declared, meant = case.model, case.mixed
        lost += declared.parents != meant.parents or declared.siblings != meant.siblings
    changed = same = 0
    for case, with_all in zip(cases, theirs, strict=False):
        for fewer in case.fewer:
            if by_y0(fewer.mixed, **fewer.question) != with_all:
                changed += 1
                same += bool(_identified(fewer)) == bool(_identified(case))
    return [
        _none("latents without which y0 decides otherwise, and we do not", same, f"of {changed}"),
        _none("declarations whose latents are lost", lost, f"of {len(cases)}"),
    ]


def _proofs(cases: list[Case], ours: list[Identified | None], *, quick: bool) -> list[Line]:
    """Formulas against brute force, and verdicts against pairs of models."""
    error = 0.0
    for seed, (case, found) in enumerate(zip(cases, ours, strict=True)):
        if found:
            model = Discrete(case.mixed)
            logits = model.draw(seed)
            joint = model.distribution(logits).numpy()
            truth = model.effect(logits, **case.question).numpy()
            values = found.formula.evaluate(joint, case.observed)
            error = max(error, float(np.abs(values - truth).max()))
    small = [
        drawn(random.Random(f"{SEED} {i} small"), largest=6, given=i % 2 == 1)
        for i in range(20 if quick else PROVED)
    ]
    unproved = refuted = hedges = 0
    for case in small:
        found = _identified(case)
        apart = disagreement(case.mixed, **case.question) > 1e-7
        hedges += not found
        unproved += not found and not apart
        refuted += bool(found) and apart
    note = f"{len(small)} graphs of at most five observed variables, seed {SEED}"
    right = sum(map(bool, ours))
    return [
        _none("formulas against brute force, largest error", error, f"{right} formulas", most=1e-9),
        _none("said identified, and two models differ", refuted, note),
        _none("said not identified, and no two models found", unproved, f"{note}; {hedges} such"),
    ]


def _large(*, quick: bool) -> list[Line]:
    """The time of a verdict, formula and additions included, where there are 50 variables."""
    names = [f"v{i:02d}" for i in range(50)]
    pairs = list(combinations(names, 2))
    times: dict[str, list[float]] = {"new rows": [], "these rows": []}
    for seed in range(5 if quick else LARGE):
        rng = random.Random(f"{SEED} {seed} large")
        edges = [pair for pair in pairs if rng.random() < rng.choice((0.04, 0.1, 0.2))]
        latents = {f"u{i:02d}": pair for i, pair in enumerate(rng.sample(pairs, 20))}
        edges += [(latent, name) for latent, pair in latents.items() for name in pair]
        model = cs.SCM.from_graph(edges, variables=dict.fromkeys(latents, cs.Latent(cs.Real())))
        do, outcome = rng.choice(names[:25]), rng.choice(names[25:])
        for kind, taken in times.items():
            before = time.perf_counter()
            verdict = model.identify(outcome, do=do, counterfactual=kind == "these rows")
            assert str(verdict)
            taken.append(time.perf_counter() - before)
    return [
        _none(
            f"slowest verdict on 50 variables and 20 latents, {kind}, seconds",
            max(taken),
            f"{len(taken)} graphs, seed {SEED}; median {median(taken):.3f} s",
            most=1,
        )
        for kind, taken in times.items()
    ]
