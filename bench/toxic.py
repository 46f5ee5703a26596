"""A TCP proxy that holds back what passes it, as a bad network or a struggling host does.

with slowed("127.0.0.1:5001") as proxy:
    proxy.delay_s = 0.2        # from now on, each way
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

CHUNK = 65536
PATIENCE_S = 10.0


class Proxy:
    """Passes bytes on, in order, `delay_s` after they came."""

    def __init__(self, target: str) -> None:
        self.delay_s = 0.0
        self._target = target.rsplit(":", 1)

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    async def stop(self) -> None:
        """Connections end with their peers'."""
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way: what was read waits for its time in a queue, so that a delay holds back nothing behind it."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        passing = asyncio.create_task(self._pass(queue, writer))
        data = b"-"
        with suppress(OSError):
            while data:
                data = await reader.read(CHUNK)
                queue.put_nowait((asyncio.get_running_loop().time() + self.delay_s, data))
        if data:
            queue.put_nowait((0.0, b""))
        await passing

    async def _pass(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def slowed(target: str) -> Iterator[Proxy]:
    """A proxy before `target`, on a thread of its own."""
    loop, proxy = asyncio.new_event_loop(), Proxy(target)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)

    run(proxy.start())
    try:
        yield proxy
    finally:
        run(proxy.stop())
        run(_cancelled())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


async def _cancelled() -> None:
    """All that is still under way."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
