"""A mapping that cannot be changed, and yet can be copied, pickled and printed like a dict."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict whose items are settled when it is made.

    Example:
        >>> FrozenDict(a=1)["a"]
        1
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a model cannot be changed; refit it, or declare another one")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> FrozenDict[K, V]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenDict[K, V]:
        from copy import deepcopy

        return FrozenDict({key: deepcopy(value, memo) for key, value in self.items()})
