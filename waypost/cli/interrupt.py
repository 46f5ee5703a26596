"""Ctrl-C that ends one thing and not the program."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue


@contextmanager
def on_ctrl_c(stop: Callable[[], object]) -> Iterator[None]:
    """Within the block, Ctrl-C calls `stop` in another thread and raises no KeyboardInterrupt.

    The exception comes between any two instructions of the main thread.  In grpcio it can come when a lock of the
    channel was taken and is not yet known to be held: nobody gives it back, and every later call of that channel waits
    until its deadline.  Only a `SimpleQueue` may be used in a signal handler whatever was interrupted.
    """
    pressed: SimpleQueue[bool] = SimpleQueue()

    def watch() -> None:
        while pressed.get():
            stop()

    watcher = threading.Thread(target=watch, name="waypost-ctrl-c")
    watcher.start()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.put(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        pressed.put(False)
        watcher.join()
