"""A wire between the functions and Postgres that can be cut at a chosen moment.

It is a TCP proxy on loopback. What a client says until the server speaks is a question,
also the beginning of a connection: psycopg asks one for each statement, so that cutting
at a question is cutting before, within or after that statement and its commit.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from psycopg.conninfo import conninfo_to_dict, make_conninfo

Moment = Literal["before", "within", "meanwhile", "after"]
"""Before the question arrives; within it, so that half of it does; once it has arrived,
without waiting for what becomes of it; or when the answer is there, unheard."""
MOMENTS: Final[tuple[Moment, ...]] = get_args(Moment)

_AT_ONCE: Final = 65_536


@dataclass(eq=False, slots=True)
class _Link:
    client: socket.socket
    server: socket.socket
    questions: int = 0
    answered: bool = True
    """The client's next words are a new question."""
    unheard: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def close(self) -> None:
        with self.lock:
            if self.closed:
                return
            self.closed = True
            for end in (self.client, self.server):
                with suppress(OSError):  # the other side may have hung up
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


class Wire:
    """`url` leads to the database of `target`, through here."""

    def __init__(self, target: str) -> None:
        self._target = conninfo_to_dict(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = make_conninfo(
            target,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._plan: dict[int, Moment] = {}
        self._asked = 0
        self.cuts: list[Moment] = []
        """What was done of the plan."""
        self.cut_a_beginning = False
        """One of them kept a connection from being made."""
        self._thread = threading.Thread(target=self._accept, name="wire", daemon=True)
        self._thread.start()

    def plan(self, cuts: Mapping[int, Moment]) -> None:
        """Cut at these of the questions to come, counted from 1 over all connections,
        and at nothing that was planned before."""
        with self._lock:
            self._plan, self._asked = dict(cuts), 0
            self.cuts, self.cut_a_beginning = [], False

    @property
    def links(self) -> int:
        """How many connections there are."""
        with self._lock:
            return len(self._links)

    def hang_up(self) -> int:
        """End all connections, as a server does that restarts; tells how many."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()
        return len(links)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                link = _Link(client, self._server())
            except OSError:
                client.close()
                continue
            with self._lock:
                self._links.add(link)
            for work in (self._questions, self._answers):
                threading.Thread(target=work, args=(link,), daemon=True).start()

    def _server(self) -> socket.socket:
        host, port = str(self._target["host"]), self._target.get("port") or 5432
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
        else:
            server = socket.create_connection((host, int(port)))
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _questions(self, link: _Link) -> None:
        with self._until_the_end(link):
            while words := link.client.recv(_AT_ONCE):
                moment = None
                if link.answered:
                    link.answered = False
                    moment = self._next_question(link)
                if moment == "before":
                    return
                if moment == "within":
                    link.server.sendall(words[: len(words) // 2])
                    return
                if moment is not None:
                    # Or the answer might come before the end, and nobody see an end.
                    link.unheard = True
                link.server.sendall(words)
                if moment == "meanwhile":
                    return

    def _answers(self, link: _Link) -> None:
        with self._until_the_end(link):
            while words := link.server.recv(_AT_ONCE):
                if link.unheard:
                    return
                link.answered = True
                link.client.sendall(words)

    def _next_question(self, link: _Link) -> Moment | None:
        with self._lock:
            self._asked += 1
            moment = self._plan.pop(self._asked, None)
            if moment is not None:
                self.cuts.append(moment)
                self.cut_a_beginning |= link.questions == 0
            link.questions += 1
            return moment

    @contextmanager
    def _until_the_end(self, link: _Link) -> Iterator[None]:
        try:
            with suppress(OSError):  # either side may hang up at any time
                yield
        finally:
            link.close()
            with self._lock:
                self._links.discard(link)
