"""Chunks, and how long a download takes: TCP slow start, and then the path's capacity."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK, CAP = 4.0, 10.0
"""Seconds of video in a chunk, and the most that the buffer holds."""

WINDOW = 2 * 1500 * 8 / 1e6
"""Megabits in flight at first: two packets of 1500 bytes."""


def download_time(size: Tensor, capacity: Tensor, rtt: Tensor) -> Tensor:
    """Seconds to download a chunk.

    The window starts at two packets and doubles each round trip, until a window per round trip
    would exceed the capacity; from there on the capacity is used in full. Within a round trip the
    window is sent evenly, so that time is continuous in all three arguments. Each chunk starts from
    the first window, and the request itself takes no time. A chunk that ends within slow start
    does not feel the capacity: the latent is invisible there.

    Args:
        size: Megabits.
        capacity: Mbit/s.
        rtt: Seconds. All three broadcast.

    Example:
        >>> capacity, rtt = torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.1])
        >>> download_time(torch.tensor([4.0, 0.072]), capacity, rtt)
        tensor([4.1320, 0.2000])
    """
    product = capacity * rtt / WINDOW
    rounds = product.clamp(min=1).log2().ceil()
    slow = WINDOW * (2**rounds - 1)
    within = (size / WINDOW + 1).log2().floor()
    left = size - WINDOW * (2**within - 1)
    early = within * rtt + left * rtt / (WINDOW * 2**within)
    late = rounds * rtt + (size - slow) / capacity
    return torch.where(size < slow, early, late)
