"""What to fit again when parts of a system are deployed anew, and from where to start.

A mechanism says how one variable answers its parents. When another mechanism changes, it stays as
it is; only the values of its parents move (modularity; Pearl, Causality, 2009, section 1.3). So the
mechanisms of what was deployed are all that must be fitted again. What lies below them is another
matter where a mechanism, or the guide of a latent, was learned within the old range of values and
does not hold outside: Sage retrains it too (Gan et al., ASPLOS 2021, section 4.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causalsys.errors import FitError, UnknownNameError
from causalsys.fit.diagnostics import DistrictReport
from causalsys.fit.fitted import Fitted
from causalsys.fit.guide import Guide
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Declaration


def reached(declaration: Declaration, changed: Sequence[str]) -> tuple[str, ...]:
    """The learned variables of what changed and of what lies below it, in causal order.

    Args:
        declaration: The model.
        changed: Components or variables.

    Raises:
        FitError: It is no list of names, or nothing of it is learned.
        UnknownNameError: A name is neither a component nor a variable.
    """
    if isinstance(changed, str) or not changed:
        names = [changed] if changed else ["name"]
        raise FitError("changed", found=repr(changed), mend=f"Give a list: changed={names}.")
    own: set[str] = set()
    for name in changed:
        parts = {node.name for node in declaration.nodes.values() if node.component == name}
        if not parts and name in declaration.nodes:
            parts = {name}
        if not parts:
            known = {node.component for node in declaration.nodes.values() if node.component}
            where = "the components and variables of the model"
            raise UnknownNameError.among(name, [*sorted(known), *declaration.nodes], where=where)
        own |= parts
    below = own.union(*(declaration.graph.descendants(name) for name in own))
    found = tuple(n.name for n in declaration.nodes.values() if n.learned and n.name in below)
    if not found:
        raise FitError(
            changed[0],
            found="nothing that is learned, there or below",
            mend="Change its equation in the model, and fit that.",
        )
    return found


@dataclass(frozen=True)
class Before:
    """A district as it was fitted before: where its training goes on.

    The encoder of an amortised posterior is most of what training has to find, and a change of
    some mechanisms leaves most of it right; so a new fit that starts there needs few steps.

    Attributes:
        mechanisms: The mechanisms of its variables.
        guide: The guide of its latents; None where its likelihood is exact.
        report: How that fit went; its restarts were the search for an optimum.
    """

    mechanisms: Mapping[str, Mechanism]
    guide: Guide | None
    report: DistrictReport

    @classmethod
    def of(cls, fitted: Fitted, block: Block) -> Before | None:
        """A block's last fit; None where a fit cannot go on from it."""
        reports = [r for r in fitted.diagnostics.districts if r.latents == block.latents]
        guides = [g for g in fitted.guides if set(g.latents) <= set(block.latents)]
        wanted = 0 if reports and reports[0].method == "exact" else 1
        if len(reports) != 1 or len(guides) != wanted:
            return None
        names = (*block.latents, *block.variables)
        guide = guides[0] if guides else None
        return cls({name: fitted.mechanisms[name] for name in names}, guide, reports[0])
