"""A file of finished blocks, so that a fit that was killed goes on where it stopped.

Blocks are seeded each on its own, so a resumed fit gives the same result as one that was never
interrupted. A checkpoint of other data, another model or other options is not used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from causalsys.data.table import Table
from causalsys.errors import SavedModelError
from causalsys.fit import archive
from causalsys.fit.options import FitOptions
from causalsys.fit.parts import Parts, decode, encode
from causalsys.scm.blocks import Block


@dataclass
class Checkpoint:
    """The finished blocks of a fit that is under way.

    Attributes:
        path: The file.
        key: A digest of the model, the data and the options.
        table: The data; its schema is needed to read mechanisms back.
        done: Names of the finished blocks.
        parts: What they gave.
    """

    path: Path
    key: str
    table: Table
    done: list[str]
    parts: Parts

    @classmethod
    def at(cls, path: str | Path, *, table: Table, options: FitOptions) -> Checkpoint:
        """The checkpoint at `path`, with what an earlier run of the same fit left there.

        Raises:
            SavedModelError: The file is of another fit, or damaged.
        """
        place = archive.place(path)
        key = _key(table, options)
        fresh = cls(place, key, table, [], Parts({}, (), {}, ()))
        if not place.exists():
            return fresh
        tensors, content = archive.read(place)
        if content.get("key") != key:
            raise SavedModelError(
                place.name,
                found="a checkpoint of another model, other data or other options",
                mend="Delete it, or give another path.",
            )
        parts = decode(tensors, content, schema=table.schema)
        return cls(place, key, table, list(content["done"]), parts)

    def has(self, block: Block) -> bool:
        """Whether `block` is finished."""
        return block.name in self.done

    def save(self, block: Block, parts: Parts) -> None:
        """Add a finished block, and write the file."""
        self.done.append(block.name)
        self.parts = Parts.joined([self.parts, parts])
        tensors, content = encode(self.parts)
        archive.write(self.path, tensors, content={**content, "key": self.key, "done": self.done})

    def remove(self) -> None:
        """Delete the file: the fit is complete."""
        self.path.unlink(missing_ok=True)


def _key(table: Table, options: FitOptions) -> str:
    digest = hashlib.sha256(table.schema.declaration.fingerprint.encode())
    digest.update(json.dumps(asdict(options), sort_keys=True).encode())
    rows = {"weight": table.weight, "trace": table.layout.trace}
    for part in (table.values, table.missing, rows):
        for name in sorted(part):
            digest.update(name.encode())
            digest.update(part[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
