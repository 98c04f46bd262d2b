"""One file of tensors and JSON: safetensors, with a format version and a digest.

Nothing in it can be executed. It is written beside its place and then moved there, so that a
reader never sees half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from causalsys.errors import SavedModelError, brief

FORMAT = 1
_KEY = "causalsys"
"""The one key of the metadata: safetensors writes several in an order that varies by run."""


def place(path: object) -> Path:
    """Where a file is or goes.

    Raises:
        SavedModelError: It is no path.
    """
    if not isinstance(path, str | Path):
        raise SavedModelError(
            "path", found=f"a {type(path).__name__}", mend='Give a path such as "model.cs".'
        )
    return Path(path)


def write(path: Path, tensors: Mapping[str, Tensor], *, content: Mapping[str, Any]) -> None:
    """Write an archive, atomically.

    Raises:
        SavedModelError: The folder is missing or cannot be written.
    """
    text = json.dumps(content, sort_keys=True)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    head = {"format": FORMAT, "digest": _digest(stored, text), "content": text}
    metadata = {_KEY: json.dumps(head, sort_keys=True)}
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            save_file(stored, temporary, metadata=metadata)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise SavedModelError(
            path.name,
            found=f"a place that cannot be written ({error.strerror})",
            mend="Choose another.",
        ) from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read an archive and check its digest.

    Raises:
        SavedModelError: There is no such file, or it is cut short, altered, or of a newer
            format.
    """
    if not path.is_file():
        raise SavedModelError(path.name, found="no such file", mend="Check the path.")
    try:
        with safe_open(path, framework="pt") as archive:
            head = _head(path, archive.metadata() or {})
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise SavedModelError(
            path.name,
            found=f"a file that is cut short or no saved model ({brief(error)})",
            mend="Save the model again.",
        ) from None
    text = str(head.get("content", ""))
    if head.get("digest") != _digest(tensors, text):
        raise SavedModelError(
            path.name,
            found="a digest that does not match: the file was altered",
            mend="Save the model again; nothing of this file is used.",
        )
    content = _object(text)
    if content is None:
        raise SavedModelError(path.name, found="no readable content", mend="Save it again.")
    return tensors, content


def _head(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Format, digest and content, of a format that this version reads."""
    head = _object(metadata.get(_KEY, "")) or {}
    written = head.get("format")
    if not isinstance(written, int):
        raise SavedModelError(
            path.name, found="no causalsys model", mend="Give a file that `save` wrote."
        )
    if written > FORMAT:
        raise SavedModelError(
            path.name,
            found=f"format {written}, newer than this version's {FORMAT}",
            mend="Update causalsys.",
        )
    return head


def _object(text: str) -> dict[str, Any] | None:
    """A JSON object; None where the text is none."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
