"""What an attribution is asked with, checked before anything is computed."""

from __future__ import annotations

from causalsys.data.read import as_frame
from causalsys.data.schema import columns_of, no_column
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import fitted_model, named
from causalsys.rootcause.attribution_sweep import Sweep
from causalsys.scm.supports import Categorical


def target_of(fitted: Fitted, target: str) -> str:
    """The target's name, if it is one that can be attributed.

    Raises:
        UnknownNameError: The model has none of this name.
        QueryError: It is no number that is logged and has a noise above it, or the model has lags
            or states.
    """
    name = fitted_model(fitted).node(named(target)).name
    support = fitted.schema.supports[name]
    if isinstance(support, Categorical) or support.size:
        kind = "a vector" if support.size else "a category"
        raise QueryError(
            name, found=f"{kind} as the target", mend="Name a number: its values have an order."
        )
    if fitted.declaration.temporal:
        raise QueryError(
            name,
            found=f"a target of {fitted.declaration.name}, which has lags or states",
            mend="Declare a model of independent rows; earlier values may be columns of their own.",
        )
    if fitted.node(name).kind == "latent":
        raise QueryError(
            name, found="a latent as the target", mend="Name something that is logged."
        )
    if not Sweep.to(name, fitted.schema).players:
        raise QueryError(
            name, found="nothing learned among its causes", mend="Name a variable with noise."
        )
    return name


def checked_columns(rows: object, sweep: Sweep) -> None:
    """Refuse rows without a column for an observed cause of the target.

    Raises:
        MissingColumnError: One has none.
    """
    frame, _ = as_frame(rows, what="rows")
    for node in sweep.nodes:
        if node.learned and node.kind != "latent":
            for column in columns_of(node):
                if column not in frame.columns:
                    raise no_column(node.name, column, frame.columns)


def asked_word(given: object, name: str, known: tuple[str, ...]) -> None:
    """Refuse what is none of these words.

    Raises:
        QueryError: It is none.
    """
    if given not in known:
        raise QueryError(name, found=repr(given), mend=f"Give one of {', '.join(known)}.")


__all__ = ["asked_word", "checked_columns", "target_of"]
