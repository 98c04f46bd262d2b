"""Missing cells filled in from a fit, for each member in its own way."""

from __future__ import annotations

from causalsys.data.derived import derive
from causalsys.data.table import Table
from causalsys.errors import DataError, EvidenceError
from causalsys.fit.abduct import abduct
from causalsys.fit.fitted import Fitted


def impute(fitted: Fitted, table: Table, *, seed: int) -> Table:
    """The table with missing cells drawn from their posterior, member by member.

    Args:
        fitted: The model, `members` draws of its parameters.
        table: Data with gaps.
        seed: Fixes the draws.

    Returns:
        Values `[member, row]` where a variable had gaps; no gaps are left.

    Raises:
        DataError: A gap cannot be inferred.
    """
    try:
        found = abduct(fitted, table, samples=fitted.members, seed=seed)
    except EvidenceError as error:
        raise DataError(error.variable, found=error.found, mend=error.mend) from None
    completed = {
        name: found.table.values[name] for name in table.values if name in found.table.values
    }
    filled = Table(table.schema, completed, {}, table.weight, table.layout, table.index)
    return derive(filled)
