"""What a worker process does: take a task, work, give the result or the error back."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from causalsys.errors import EngineError, brief


def serve(function: Callable[[Any], Any], pipe: Connection, others: Sequence[Connection]) -> None:
    """Work on what comes through the pipe until it is closed.

    Args:
        function: What is done with a task.
        pipe: This worker's end.
        others: Ends that the process inherited and that are not its own. While one of them is
            open here, the worker at its other end would not notice that the parent is gone.
    """
    for other in others:
        other.close()
    # Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A fork has its parent's thread pools without their threads; with one thread none is asked.
    torch.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)  # The parent is gone, or wants no more. Nothing of its own to clean up.
        pipe.send_bytes(_answer(function, task))


def _answer(function: Callable[[Any], Any], task: Any) -> bytes:
    """The result, or the error, as bytes."""
    try:
        return pickle.dumps((True, function(task), ""), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent raises it
        return _portable(error)


def _portable(error: BaseException) -> bytes:
    """An error as bytes; one that would not survive the pipe is told in words."""
    told = "".join(traceback.format_exception(error))
    try:
        packed = pickle.dumps((False, error, told))
        pickle.loads(packed)  # noqa: S301 - our own bytes, of this moment
    except Exception:  # noqa: BLE001 - any class may fail to be rebuilt, in any way
        stand_in = EngineError(
            "worker",
            found=f"{type(error).__name__}: {brief(error)}",
            mend="Read the note below: it says where.",
        )
        return pickle.dumps((False, stand_in, told))
    return packed
