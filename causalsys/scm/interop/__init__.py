"""To and from networkx, pgmpy and dowhy, so that a user of those tools loses nothing."""

from causalsys.scm.interop.dowhy import from_dowhy, to_dowhy, to_gcm
from causalsys.scm.interop.imported import Imported
from causalsys.scm.interop.networkx import from_networkx, to_networkx
from causalsys.scm.interop.pgmpy import from_pgmpy, to_pgmpy

__all__ = [
    "Imported",
    "from_dowhy",
    "from_networkx",
    "from_pgmpy",
    "to_dowhy",
    "to_gcm",
    "to_networkx",
    "to_pgmpy",
]
