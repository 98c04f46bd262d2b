"""Every exception that causalsys raises, in one tree.

```
CausalSysError
├── DeclarationError        the model as written is not a causal model
│   ├── CycleError          variables that cause each other within one step
│   └── SupportError        a mechanism that cannot produce its variable's support
├── UnknownNameError        a name that the model, the data or an answer does not have
├── DataError               the table, the traces or the file do not fit the declaration
│   ├── MissingColumnError  a variable without its column
│   └── OutsideSupportError a value that is not in its variable's support
├── FitError                the mechanisms cannot be fitted to these data
├── QueryError              the question is not well posed
│   ├── EvidenceError       the rows given as evidence
│   ├── InterventionError   what `do` asks for
│   └── NotIdentifiedError  graph, shapes and data together cannot carry an answer
├── PredictorError          a predictor that fails, or whose answers cannot be used
├── EngineError             where the work ran: a worker was lost
└── SavedModelError         a file that is cut short, altered, too new, or of another model
```

Each carries three parts, because a message without them costs its reader an hour: the
`variable` it is about, what was `found`, and the `mend`: what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CausalSysError(Exception):
    """Base of all errors of this package.

    Args:
        variable: The variable (or argument, or file) that the error is about.
        found: What was found, as a clause.
        mend: What the user can do, as an imperative sentence.

    Example:
        >>> raise CausalSysError("latency", found="a NaN in row 3", mend="Drop the row.")
        Traceback (most recent call last):
        ...
        causalsys.errors.CausalSysError: latency: a NaN in row 3. Drop the row.
    """

    def __init__(self, variable: str, *, found: str, mend: str) -> None:
        self.variable = variable
        self.found = found
        self.mend = mend
        super().__init__(f"{variable}: {found}. {mend}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling, so that a worker process can raise across its pipe."""
        return _rebuild, (type(self), self.variable, self.found, self.mend)


class DeclarationError(CausalSysError):
    """The model as written is not a causal model."""


class CycleError(DeclarationError):
    """Variables cause each other within one step."""


class SupportError(DeclarationError):
    """A mechanism cannot produce the support of its variable."""


class UnknownNameError(CausalSysError):
    """A name that is not there, with the names it may have been meant for."""

    @classmethod
    def among(cls, name: object, known: Iterable[str], *, where: str) -> UnknownNameError:
        """Say that `name` is not among `known`, and which of them look like it.

        Args:
            name: What was asked for.
            known: The names that exist.
            where: What has these names, for example "the model LoadBalancer".
        """
        names = sorted(map(str, known))
        close = difflib.get_close_matches(str(name), names, n=3)
        shown = ", ".join(close or names[:12]) or "none"
        mend = f"Did you mean {shown}?" if close else f"Known names: {shown}."
        return cls(str(name), found=f"no such name in {where}", mend=mend)


class DataError(CausalSysError):
    """The table, the traces or the file do not fit the declaration."""


class MissingColumnError(DataError):
    """A variable of the model has no column in the data."""


class OutsideSupportError(DataError):
    """A value is not in the support of its variable."""


class FitError(CausalSysError):
    """The mechanisms cannot be fitted to these data."""


class QueryError(CausalSysError):
    """The question is not well posed."""


class EvidenceError(QueryError):
    """The rows given as evidence cannot be used."""


class InterventionError(QueryError):
    """What `do` asks for cannot be done."""


class NotIdentifiedError(QueryError):
    """Graph, shapes and data together cannot carry an answer; the message holds the verdict."""


class PredictorError(CausalSysError):
    """A predictor raises, or answers with the wrong shape, a NaN, or no numbers."""


class EngineError(CausalSysError):
    """Where the work ran: a worker was lost, or an engine cannot be had."""


class SavedModelError(CausalSysError):
    """A saved model is cut short, altered, too new, or belongs to another model."""


def brief(error: BaseException) -> str:
    """What another exception says, in one line that fits into a message."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."


def _rebuild(kind: type[CausalSysError], variable: str, found: str, mend: str) -> CausalSysError:
    return kind(variable, found=found, mend=mend)
