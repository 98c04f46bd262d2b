"""`FittedSCM`: a fitted model with its verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.read import read
from causalsys.errors import QueryError
from causalsys.fit.archive import place
from causalsys.fit.check import Check, check
from causalsys.fit.fit import refit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.fit.pyro_model import program
from causalsys.fit.save import load as read_model
from causalsys.fit.save import save
from causalsys.identify.question import Name, Names
from causalsys.identify.question import ask as ask_question
from causalsys.identify.verdict import Verdict
from causalsys.query import ask
from causalsys.query.answer import Answer
from causalsys.query.bounded import bounds
from causalsys.query.exact import exact
from causalsys.query.intervention import Do
from causalsys.query.sensitivity import Sensitivity, sensitivity
from causalsys.scm.declare import Declared
from causalsys.scm.supports import Level

if TYPE_CHECKING:
    import pandas as pd


class FittedSCM(Fitted):
    """A fitted structural causal model: ask it, save it. Immutable."""

    @classmethod
    def of(cls, core: Fitted) -> Self:
        """The same model with the verbs."""
        return cls(**{item.name: getattr(core, item.name) for item in fields(core)})

    def counterfactual(
        self,
        evidence: object,
        *,
        do: Do | Sequence[Do],
        outcome: str | None = None,
        allow: str | None = None,
        redraw: Sequence[str] = (),
        differs: Sequence[str] = (),
        samples: int | None = None,
        seed: int = 0,
    ) -> Answer:
        """What these very rows would have been, had something been done.

        Args:
            evidence: Rows as in `fit`, or one row as a mapping. A variable that is missing is
                inferred, and the answer says so.
            do: What is done, by variable: a value, one value per row, a function of named
                variables (a shift, a policy), a torch distribution, or `cs.under`. A list
                asks for several worlds at once.
            outcome: What you will read, where that is one variable: the verdict is on it, and if
                it is not identified, that is said now. Otherwise what is not identified raises
                once it is read.
            allow: With "spread", an outcome that is not identified is answered by what models
                that fit as well say at least and at most: `answer.spread(outcome)`.
            redraw: Learned variables whose noise is luck that another run would not repeat:
                it is drawn anew instead of kept, and the interval is one for such a run.
            differs: Variables whose mechanism differs where these rows come from; a question
                that needs one of them is refused.
            samples: Draws per row; by default one per member where the evidence determines
                the noises, and 128 where something must be inferred.
            seed: Fixes the draws.

        Raises:
            EvidenceError: The evidence cannot be used, or does not suffice.
            InterventionError: `do` cannot be done.
            NotIdentifiedError: Graph, shapes and data cannot carry any of the answer.
            UnknownNameError: A name is not in the model.
        """
        return ask.counterfactual(
            self,
            evidence,
            do=do,
            outcome=outcome,
            allow=allow,
            redraw=redraw,
            differs=differs,
            samples=samples,
            seed=seed,
        )

    def sample(
        self,
        rows: int = 1000,
        *,
        do: Do | Sequence[Do] | None = None,
        given: Mapping[str, Any] | None = None,
        outcome: str | None = None,
        allow: str | None = None,
        differs: Sequence[str] = (),
        steps: int = 1,
        samples: int | None = None,
        seed: int = 0,
    ) -> Answer:
        """New rows of the model, under an intervention or not, given some values or not.

        Args:
            rows: How many rows; in a model with lags or states, how many traces.
            do: As in `counterfactual`.
            given: Values to condition on, by variable.
            outcome: As in `counterfactual`.
            allow: As in `counterfactual`.
            differs: As in `counterfactual`.
            steps: How long the traces are.
            samples: How many parameter draws each row is repeated for; one per member by
                default.
            seed: Fixes the draws.
        """
        return ask.sample(
            self,
            rows,
            do=do,
            given=given,
            outcome=outcome,
            allow=allow,
            differs=differs,
            steps=steps,
            samples=samples,
            seed=seed,
        )

    def exact(
        self,
        name: str,
        *,
        do: Mapping[str, Level] | None = None,
        given: Mapping[str, Level] | None = None,
    ) -> pd.DataFrame:
        """The exact distribution of a category whose causes are categories too.

        Args:
            name: The variable; it may be a latent.
            do: Levels that are set.
            given: Levels that are known, in the world in which `do` is done.

        Returns:
            A row per level: its probability, and the ends of the 90 % interval over members.

        Raises:
            QueryError: Something the question depends on is no category.
        """
        return exact(self, name, do=do or {}, given=given or {})

    def bounds(
        self,
        outcome: str,
        *,
        do: Mapping[str, Level],
        given: Mapping[str, Level] | None = None,
        row: Mapping[str, Level] | None = None,
        rising: Sequence[tuple[str, str]] = (),
    ) -> pd.DataFrame:
        """Sharp bounds on the probabilities of a category, whatever its latents and noise are.

        They are the least and the most over all models of the graph that have the fitted law of
        what is observed; no shape of a mechanism is assumed, no number of a latent's levels.

        Args:
            outcome: A category whose causes are categories too.
            do: Levels that are set.
            given: Levels that hold in the world in which `do` is done.
            row: What is known of a row as it was. `bounds("y", do={"x": False}, row={"x": True,
                "y": True})` bounds the probability that x was necessary for y (Pearl, 2009, 9.2).
            rising: Pairs (cause, effect): the effect's level never falls as the cause's rises.

        Returns:
            A row per level: `low` and `high` by the best estimate of the law, `least` and `most`
            over all members; whether both ends are attained (`sharp`); and the share of rows that
            contradict the graph (`misfit`), which is 0 unless the graph is wrong.

        Raises:
            QueryError: Something in question is no category, or the program is too large.
            EvidenceError: What is known of the row cannot happen.

        Source: Balke and Pearl (JASA 1997); see `causalsys.identify.bounds`.
        """
        return bounds(self, outcome, do=do, given=given or {}, row=row or {}, rising=tuple(rising))

    def identify(
        self,
        outcome: Name,
        *,
        do: Names | Mapping[Name, Any] = (),
        given: Names | Mapping[Name, Any] = (),
        counterfactual: bool | Names = False,
        differs: Names = (),
        latent: bool = False,
    ) -> Verdict:
        """Whether a question can be answered, as `SCM.identify`, by the mechanisms as fitted."""
        question = ask_question(
            self.declaration,
            outcome,
            do=do,
            given=given,
            counterfactual=counterfactual,
            differs=differs,
            latent=latent,
        )
        return self.judge.verdict(question)

    def sensitivity(
        self,
        evidence: object,
        *,
        do: Do | Sequence[Do],
        outcome: str,
        of: Literal["mean"] | float = "mean",
        threshold: float = 0.0,
        strengths: Sequence[float] | None = None,
        between: tuple[str, str] | None = None,
        level: float = 0.9,
        samples: int | None = None,
        seed: int = 0,
    ) -> Sensitivity:
        """How strong a confounder that nobody thought of would have to be to change a conclusion.

        The effect is that of `do` on the average over the rows, against what was observed, or of
        the first of two worlds against the second. What it is compared with, and how: see
        `causalsys.query.sensitivity.sensitivity`, which this calls.

        Args:
            evidence: Rows as for `counterfactual`.
            do: One world as for `counterfactual`, or two.
            outcome: The variable that the effect is on: a number or a boolean.
            of: "mean" over the rows, or a quantile such as 0.99.
            threshold: What the conclusion compares the effect with, in the outcome's unit.
            strengths: The correlations to show, inside (-1, 1).
            between: The one cause and effect whose noises are tied; by default all.
            level: The level of the intervals.
            samples: Draws per row.
            seed: Fixes the draws.

        Raises:
            NotIdentifiedError: There is no one effect even without a hidden confounder.
            QueryError: The outcome is not affected, or an argument is none that can be used.
            InterventionError: A variable in `do` has no noise that a confounder could tie.
        """
        return sensitivity(
            self,
            evidence,
            do=do,
            outcome=outcome,
            of=of,
            threshold=threshold,
            strengths=strengths,
            between=between,
            level=level,
            samples=samples,
            seed=seed,
        )

    def log_prob(self, data: object) -> NDArray[np.float64]:
        """The log likelihood of each row in nats, `[row]`, latents integrated out."""
        return ask.log_prob(self, data)

    def check(self, data: object, *, level: float = 0.05, seed: int = 0) -> Check:
        """Test the graph's implied independences, and each variable's predicted distribution.

        The report says which independences fail, and in `mends` which edge or latent would mend
        each; which of them is true, the data often cannot tell.

        Args:
            data: Rows as in `fit`, best such as the model was not fitted to.
            level: The rate of false rejections over all tests together (Holm's correction).
            seed: Fixes the draws behind categorical and count variables.
        """
        if not isinstance(level, int | float) or not 0 < level < 1:
            raise QueryError("level", found=repr(level), mend="Give a number between 0 and 1.")
        return check(self, read(self.schema, data), level=level, seed=seed)

    def to_pyro(self) -> Callable[..., dict[str, Tensor]]:
        """The model as a Pyro program: called with a number of rows, it samples every variable.

        Values are shaped `[member, row]`; condition it with `pyro.condition`.
        """
        return partial(program, self)

    def refit(
        self,
        data: object,
        *,
        only: Sequence[str] | None = None,
        changed: Sequence[str] | None = None,
        fresh: bool = False,
        seed: int | None = None,
    ) -> Self:
        """A new model in which some mechanisms are fitted to new data.

        Every other mechanism stays bit for bit as it was. A variable that shares a latent with a
        refitted one is refitted with it; such a district goes on from its last fit (mechanisms
        and guide), which costs a part of the search that found it.

        When a service is deployed anew, its own mechanisms change, and no other's: `only` names
        their variables, and is enough where the others' families hold in the range of values
        that their parents have now. `changed` refits all that lies below as well, since a network
        or a guide that was learned within the old range need not hold outside it (Sage; Gan et
        al., ASPLOS 2021); that costs more, and leaves less data behind each estimate where the new
        data are fewer than the old.

        Args:
            data: Rows as in `fit`, of the time since the change.
            only: The variables.
            changed: Components or variables: they, and what lies below them.
            fresh: Whether districts with latents are searched anew instead, as where so much
                changed that the old latents mean nothing.
            seed: Fixes the fit; that of the last fit without it.

        Raises:
            FitError: Both or neither of `only` and `changed`; nothing of them is learned.
            UnknownNameError: A name that the model does not have.
            DataError: The data do not fit the model.
        """
        options = FitOptions(self.seed if seed is None else seed, self.members)
        found = refit(self, data, only=only, changed=changed, fresh=fresh, options=options)
        return type(self).of(found)

    def save(self, path: str | Path) -> None:
        """Write the model to one file: tensors and JSON, nothing that can be executed."""
        save(self, place(path))


def load(path: str | Path, *, model: type[Declared] | None = None) -> FittedSCM:
    """Read a fitted model that `save` wrote.

    Nothing in the file is executed; the model's equations are found by importing the class
    that declares them, whose fingerprint must match.

    Args:
        path: The file.
        model: The declaring class, where it cannot be imported by its name.

    Raises:
        SavedModelError: The file is cut short, altered or too new, or the class has changed.
    """
    return FittedSCM.of(read_model(place(path), model=model))
