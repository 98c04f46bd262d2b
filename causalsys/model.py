"""`SCM`: what a user subclasses to declare a model, with the verb that fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from causalsys.fit.fit import fit
from causalsys.fit.options import FitOptions
from causalsys.fitted import FittedSCM
from causalsys.identify.judge import Judge
from causalsys.identify.question import Name, Names, ask
from causalsys.identify.shapes import declared_shapes
from causalsys.identify.verdict import Verdict
from causalsys.identify.view import View
from causalsys.scm.declare import Declared, from_graph
from causalsys.scm.drawing import plot, to_dot
from causalsys.scm.interop import (
    Imported,
    from_dowhy,
    from_networkx,
    from_pgmpy,
    to_dowhy,
    to_networkx,
    to_pgmpy,
)
from causalsys.scm.supports import Real
from causalsys.scm.variables import Function, Observed, Variable

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes


class SCM(Declared):
    """A structural causal model. Subclass it, and name the variables in the body.

    Example:
        >>> import causalsys as cs
        >>> class Cache(cs.SCM):
        ...     load = cs.Observed(cs.Positive("req/s"))
        ...     hit_rate = cs.Observed(cs.Fraction(), parents=[load])
        ...     latency = cs.Observed(cs.Positive("ms"), parents=[load, hit_rate])
        >>> Cache.graph.parents("latency")
        ('hit_rate', 'load')
    """

    abstract: ClassVar[bool] = True

    @classmethod
    def from_graph(
        cls,
        graph: nx.DiGraph | Mapping[str, Iterable[str]] | Iterable[tuple[str, str]],
        *,
        name: str = "Model",
        variables: Mapping[str, Variable] | None = None,
        default: Variable | None = None,
        transitions: Mapping[str, Function] | None = None,
        selected: Sequence[str] = (),
        doc: str = "",
    ) -> type[SCM]:
        """Declare a model by a graph that comes from elsewhere.

        Args:
            graph: A networkx graph, edges (cause, effect), or {cause: [effects]}. The edge
                attribute `lag` makes an edge reach a later step.
            name: The model's name.
            variables: What a node is, for example `{"latency": cs.Observed(cs.Positive("ms"))}`;
                its parents come from the graph.
            default: What all other nodes are; real and observed by default.
            transitions: The function that gives each state's next value.
            selected: What decided which rows are logged at all; see `cs.Selected`.
            doc: What the model is about.

        Returns:
            A model like one that is declared by a class body.

        Raises:
            DeclarationError: The graph is no causal model.

        Example:
            >>> import causalsys as cs
            >>> model = cs.SCM.from_graph([("cart", "frontend"), ("pay", "frontend")])
            >>> model.graph.parents("frontend")
            ('cart', 'pay')
        """
        fallback = Observed(Real()) if default is None else default
        made = from_graph(
            cls,
            graph,
            name=name,
            variables=variables,
            default=fallback,
            transitions=transitions,
            selected=selected,
            doc=doc,
        )
        return made  # type: ignore[return-value]

    @classmethod
    def fit(
        cls,
        data: object,
        *,
        seed: int = 0,
        ensemble: int = 8,
        weight: str | NDArray[np.float64] | None = None,
        missing: str = "latent",
        steps: int = 2000,
        device: str = "cpu",
        checkpoint: str | None = None,
        rows_in_memory: int = 1_000_000,
    ) -> FittedSCM:
        """Fit every mechanism to logged data.

        Args:
            data: A pandas frame, a mapping of columns, `cs.Traces`, or the path of a parquet
                file or of a folder of them. Vectors are columns `name_0`, `name_1`, ...
            seed: Fixes every random choice.
            ensemble: How many parameter draws each mechanism has; their spread is the
                parameters' uncertainty. Member 0 is the best estimate.
            weight: A column, or one non-negative number per row.
            missing: With "latent" (the default) a missing cell is latent for its row, and is
                inferred; "error" refuses missing cells.
            steps: The most optimiser steps of a gradient fit.
            device: "cpu" or "cuda": where the gradient fits of variables without latent
                parents run.
            checkpoint: A file that keeps finished blocks: the same call, made again after a
                fit was interrupted, resumes to the same result.
            rows_in_memory: The most rows that are taken from a parquet file. Of a longer one a
                random sample is fitted to, drawn in one pass; the diagnostics say so.

        Raises:
            DataError: The data do not fit the declaration.
            FitError: A mechanism cannot be fitted to them.
        """
        options = FitOptions(seed, ensemble, steps, device, missing, rows_in_memory)
        core = fit(cls.declaration, data, options=options, weight=weight, checkpoint=checkpoint)
        return FittedSCM.of(core)

    @classmethod
    def identify(
        cls,
        outcome: Name,
        *,
        do: Names | Mapping[Name, Any] = (),
        given: Names | Mapping[Name, Any] = (),
        counterfactual: bool | Names = False,
        differs: Names = (),
        latent: bool = False,
    ) -> Verdict:
        """Whether a question can be answered from logs of this model, before there are any.

        Args:
            outcome: What is asked for.
            do: What is set: names, or a mapping as elsewhere, of which the names count.
            given: What is conditioned on, in the world in which `do` is done.
            counterfactual: True for a question about rows that were seen whole; the names of
                what is known of them, where that is not everything that is logged.
            differs: Variables whose mechanism differs where the question is asked.
            latent: Says that the outcome is meant to be a latent.

        Returns:
            The verdict: `identified` by the graph alone, with formula and adjustment set;
            `identified under` named assumptions on the mechanisms' shape; `bounded`; or
            `not identified`, with what would identify it.

        Raises:
            UnknownNameError: A name is not in the model.
            InterventionError: `do` sets an arm, or a state.
            QueryError: The question contradicts itself.

        Example:
            >>> import causalsys as cs
            >>> class Bow(cs.SCM):
            ...     heat = cs.Latent(cs.Real())
            ...     load = cs.Observed(cs.Real(), parents=[heat])
            ...     latency = cs.Observed(cs.Real(), parents=[heat, load])
            >>> verdict = Bow.identify("latency", do="load")
            >>> verdict.status, [addition.words for addition in verdict.additions]
            ('not identified', ['log heat', 'randomise load'])
        """
        question = ask(
            cls.declaration,
            outcome,
            do=do,
            given=given,
            counterfactual=counterfactual,
            differs=differs,
            latent=latent,
        )
        declaration = cls.declaration
        supports = {name: node.support for name, node in declaration.nodes.items()}
        return Judge(View(declaration, declared_shapes(declaration), supports)).verdict(question)

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph, *, name: str = "Model") -> type[SCM]:
        """Declare a model by a networkx graph, with what its attributes say of the variables.

        Example:
            >>> import causalsys as cs
            >>> import networkx as nx
            >>> cs.SCM.from_networkx(nx.DiGraph([("load", "latency")])).graph.order
            ('load', 'latency')
        """
        return cls._imported(from_networkx(graph), name)

    @classmethod
    def from_pgmpy(cls, model: Any, *, name: str = "Model") -> type[SCM]:
        """Declare a model by a pgmpy model; its latents and its states' names survive."""
        return cls._imported(from_pgmpy(model), name)

    @classmethod
    def from_dowhy(cls, model: Any, *, name: str = "Model") -> type[SCM]:
        """Declare a model by that of dowhy; what it counts as unobserved is a latent."""
        return cls._imported(from_dowhy(model), name)

    @classmethod
    def _imported(cls, found: Imported, name: str) -> type[SCM]:
        return cls.from_graph(
            found.graph, name=name, variables=found.variables, transitions=found.transitions
        )

    @classmethod
    def to_networkx(cls) -> nx.DiGraph:
        """The graph with each variable's kind and support, and each edge's lag, as attributes."""
        return to_networkx(cls.declaration.as_written)

    @classmethod
    def to_pgmpy(cls) -> Any:
        """The graph as a pgmpy DAG whose latents are marked."""
        return to_pgmpy(cls.declaration.as_written)

    @classmethod
    def to_dowhy(cls) -> Any:
        """The graph as dowhy's identification takes it, latents marked as unobserved."""
        return to_dowhy(cls.declaration.as_written)

    @classmethod
    def plot(cls, *, ax: Axes | None = None) -> Axes:
        """Draw the causal graph; returns the matplotlib axes."""
        return plot(cls.graph, ax=ax)

    @classmethod
    def to_dot(cls) -> str:
        """The graph as Graphviz text."""
        return to_dot(cls.graph)
