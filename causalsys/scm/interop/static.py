"""Libraries that know tables only: a model with lags has to be unrolled first."""

from __future__ import annotations

from causalsys.errors import DeclarationError
from causalsys.scm.declaration import Declaration


def refuse_lags(declaration: Declaration, library: str) -> None:
    """Say that `library` cannot hold this model, where it has lagged edges.

    Raises:
        DeclarationError: It has.
    """
    for edge in declaration.graph.edges:
        if edge.lag:
            later = "in the next step" if edge.lag == 1 else f"{edge.lag} steps later"
            raise DeclarationError(
                declaration.name,
                found=f"{edge.cause} acts on {edge.effect} {later}, and {library} has no steps",
                mend=f"Unroll it: {declaration.name}.graph.unrolled(3) is the networkx graph of "
                "(variable, step) over three steps.",
            )
