"""Sharp bounds on a category that is not identified, from a fitted model's own law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.identify.bounds import chance, member_bounds
from causalsys.identify.discrete import categories, part
from causalsys.identify.question import Question, check_do
from causalsys.identify.unfold import Event
from causalsys.identify.unknowns import TooLargeError
from causalsys.query.ask import sample
from causalsys.query.exact import code_of, joint
from causalsys.scm.order import reached
from causalsys.scm.supports import Categorical, Level

if TYPE_CHECKING:
    import pandas as pd

_DRAWN = 100_000
"""Rows that a law is counted on; a frequency's standard error is then at most .0016."""


def bounds(
    fitted: Fitted,
    outcome: str,
    *,
    do: Mapping[str, Level],
    given: Mapping[str, Level],
    row: Mapping[str, Level],
    rising: Sequence[tuple[str, str]],
) -> pd.DataFrame:
    """What any model of the graph with the fitted law gives; see `FittedSCM.bounds`."""
    import pandas as pd

    name = fitted.node(outcome).name
    view, names = fitted.judge.view, {name, *do, *given, *row}
    check_do(fitted.declaration, list(do))
    for key in names:
        fitted.node(key)
    for both in sorted((set(do) & set(given)) | ({name} & {*do, *given})):
        raise QueryError(both, found="named twice in one question", mend="Name it once.")
    if not categories(view, names):
        raise QueryError(
            name,
            found="bounds of what is no small system of categories",
            mend=f'Ask for a spread: outcome="{name}", allow="spread".',
        )
    graph, cards = part(view, names)
    untrue = view.untrue(Question(name))
    for key in graph.nodes:
        if key in untrue:
            raise QueryError(
                key,
                found=f"bounds that need its law for all rows, while {untrue[key]}",
                mend="Log a random sample of all rows, beside those that are selected.",
            )
    done = {key: code_of(fitted, key, level) for key, level in do.items()}
    known = [Event(key, code_of(fitted, key, level), done) for key, level in given.items()]
    known += [Event(key, code_of(fitted, key, level)) for key, level in row.items()]
    laws = _laws(fitted, graph.nodes)
    support = fitted.schema.supports[name]
    assert isinstance(support, Categorical)
    rows = []
    for level in range(support.cardinality):
        try:
            found = member_bounds(
                graph,
                cards,
                laws,
                asked=chance(Event(name, level, done)),
                given=known,
                shared=_shared(fitted),
                rising=rising,
                relax=True,
            )
        except TooLargeError as error:
            raise QueryError(
                name,
                found=f"a program too large to solve ({error})",
                mend=f'Ask for a spread: outcome="{name}", allow="spread".',
            ) from error
        rows.append(
            {
                "low": found[0].low,
                "high": found[0].high,
                "least": min(each.low for each in found),
                "most": max(each.high for each in found),
                "sharp": found[0].sharp,
                "misfit": found[0].misfit,
            }
        )
    return pd.DataFrame(rows, index=pd.Index(list(support.levels or ()), name=name))


def _laws(fitted: Fitted, names: Sequence[str]) -> NDArray[np.float64]:
    """Every member's law, `[member, ...]`; counted on draws, where a latent is a number."""
    supports = fitted.schema.supports
    above = reached(names, {name: fitted.declaration.graph.parents(name) for name in supports})
    if all(isinstance(supports[name], Categorical) for name in above):
        return np.stack([joint(fitted, names, member) for member in range(fitted.members)])
    drawn = sample(fitted, _DRAWN, do=None, given=None, steps=1, samples=fitted.members, seed=0)
    shape = [getattr(supports[name], "cardinality", 0) for name in names]
    codes = [drawn.values[name][0].numpy() for name in names]
    cells = np.ravel_multi_index(codes, shape)
    counts = [np.bincount(each, minlength=int(np.prod(shape))) for each in cells]
    return np.stack(counts).reshape(-1, *shape) / _DRAWN


def _shared(fitted: Fitted) -> list[frozenset[str]]:
    """What each latent acts on, by way of latents or not."""
    graph = fitted.declaration.graph
    hidden = {latent: graph.children(latent) for latent in graph.latents}
    return [frozenset(reached([latent], hidden)) - set(graph.latents) for latent in graph.latents]
