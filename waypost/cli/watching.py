"""Looking at a mesh again and again: one frame after the other until Ctrl-C, also while the router is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self

from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from waypost.aio import AsyncClient

Look = Callable[["AsyncClient"], Awaitable["RenderableType"]]

PATIENCE_S = 3.0
"""Time that one call of a look may take."""


class Screen(Protocol):
    """Where frames are shown."""

    def show(self, frame: RenderableType) -> None: ...

    def away(self, error: str, since: datetime) -> None: ...


class Terminal:
    """Frames in one place of a terminal, below the line that says that the router is away.

    Args:
        whole: on a screen of its own, which is gone afterwards.
    """

    def __init__(self, console: Console, whole: bool) -> None:
        from rich.live import Live

        self._live = Live(console=console, screen=whole, auto_refresh=False, vertical_overflow="crop")
        self._last: RenderableType = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, frame: RenderableType) -> None:
        self._last = frame
        self._live.update(frame, refresh=True)

    def away(self, error: str, since: datetime) -> None:
        from rich.console import Group
        from rich.text import Text

        said = Text(f"router away since {since:%H:%M:%S}, trying again: {show.printable(error)}", "bold red")
        self._live.update(Group(said, self._last), refresh=True)


def watch(locate: Callable[[], str], look: Look, every_s: float, whole: bool) -> None:
    """Shows what `look` finds at the router that `locate` names, until Ctrl-C.

    Raises:
        CommandError: this is no terminal.
    """
    console = show.console()
    if not console.is_terminal:
        raise CommandError("this is no terminal, so there is nothing to be shown again and again", WRONG_USAGE)
    with suppress(KeyboardInterrupt), Terminal(console, whole) as screen:
        asyncio.run(keep_looking(locate, look, every_s, screen))


async def keep_looking(locate: Callable[[], str], look: Look, every_s: float, screen: Screen) -> None:
    """See `watch`; ends with the task."""
    from waypost.errors import RetryableError

    since: datetime | None = None
    while True:
        async with client(locate()) as called:
            try:
                while True:
                    screen.show(await look(called))
                    since = None
                    await asyncio.sleep(every_s)
            except RetryableError as error:
                since = since or datetime.now()
                screen.away(error.message, since)
        await asyncio.sleep(every_s)


def client(address: str) -> AsyncClient:
    """A client with a connection of its own: a shared one would wait before it connects again."""
    from waypost.aio import AsyncClient

    return AsyncClient(address, timeout=PATIENCE_S, options=[("grpc.use_local_subchannel_pool", 1)])
