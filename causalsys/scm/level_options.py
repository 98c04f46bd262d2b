"""The options of a linear mechanism that name a categorical parent: what its levels set apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalsys.errors import DeclarationError
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    from causalsys.scm.declaration import Declaration, Node


def check_level_options(node: Node, declaration: Declaration) -> None:
    """Refuse levels of what is no categorical parent.

    Raises:
        DeclarationError: `by` or `scale_by` names no parent, or one that is no scalar category;
            or the variable is a vector.
    """
    for option in ("by", "scale_by"):
        key = getattr(node.mechanism, option, None)
        if key is None:
            continue
        parents = {parent.key: declaration.nodes[parent.name] for parent in node.parents}
        if key not in parents:
            told = ", ".join(parents) or "none"
            raise DeclarationError(
                node.name,
                found=f"{option}={key!r}, which is no parent (parents: {told})",
                mend="Name a categorical parent as the model does.",
            )
        support = parents[key].support
        if not isinstance(support, Categorical) or support.size or node.support.size:
            raise DeclarationError(
                node.name,
                found=f"{option}={key!r}, which is {support}, for {node.support}",
                mend="Name a parent that is one category, of a variable that is one number.",
            )
