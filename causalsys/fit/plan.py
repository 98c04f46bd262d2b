"""What is fitted together; see `scm/blocks.py`."""

from causalsys.scm.blocks import Block, blocks

__all__ = ["Block", "blocks"]
