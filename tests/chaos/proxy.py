"""A TCP proxy on loopback that can be told to misbehave."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Self, TypeVar

Result = TypeVar("Result")
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 16_384
# Closing with this says RST, as a machine does that has forgotten the connection.
_AT_ONCE: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Stands before a port or a Unix socket of this machine; a context manager.

    Any thread may call any method. What a fault keeps back is not lost: it goes on when
    the fault is over, unless somebody has hung up by then.
    """

    def __init__(
        self, upstream: str | int, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """`upstream` is the path of a Unix socket, or a port of 127.0.0.1. With `tls`
        it speaks that to its clients."""
        self._upstream = upstream
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: dict[asyncio.StreamWriter, socket.socket] = {}
        self._flowing = asyncio.Event()
        self._delay = 0.0
        self._bytes_per_second = float("inf")
        # Not listening, it keeps the port for us while nobody is to be let in.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = int(self._holder.getsockname()[1])
        self.connections = 0
        """Taken so far."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen)
        self.heal()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def refuse(self) -> None:
        """Nobody listens, and whoever is connected is cut off."""
        self._run(self._stop_listening)
        self.cut()

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        self._run(self._cut)

    def freeze(self) -> None:
        """Take what is sent, and new connections too, and let nothing through."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def slow_down(self, *, delay: float, bytes_per_second: float) -> None:
        """Let everything arrive so many seconds later, and not much at a time."""
        self._delay, self._bytes_per_second = delay, bytes_per_second

    def heal(self) -> None:
        """Everything goes through again, at once, on the same port as before."""
        self._delay, self._bytes_per_second = 0.0, float("inf")
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._run(self._listen)

    def _run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def done() -> Result:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(60)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
            )

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        for writer, connection in list(self._writers.items()):
            with suppress(OSError):  # closed by now
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()

    async def _close(self) -> None:
        await self._stop_listening()
        await self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._keep(writer)
        self.connections += 1
        try:
            await self._flowing.wait()
            there = await self._connect()
            self._keep(there[1])
            try:
                await asyncio.gather(
                    self._pump(reader, there[1]), self._pump(there[0], writer)
                )
            finally:
                self._writers.pop(there[1], None)
                there[1].close()
        except (OSError, asyncio.CancelledError):
            # Nobody is there, somebody was cut off, or the proxy is being closed: to
            # the client it looks alike.
            pass
        finally:
            self._writers.pop(writer, None)
            writer.close()
            self._tasks.discard(task)

    def _keep(self, writer: asyncio.StreamWriter) -> None:
        # Its socket too: a writer over TLS forgets it when the handshake fails.
        self._writers[writer] = writer.get_extra_info("socket")

    async def _connect(self) -> Pipe:
        if isinstance(self._upstream, str):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection("127.0.0.1", self._upstream)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            await asyncio.sleep(self._delay + len(chunk) / self._bytes_per_second)
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        # The end of one direction is the end of both: neither protocol half-closes.
        writer.close()
