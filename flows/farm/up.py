"""One machine's farm: a Prefect server with our deployments, and a warm worker for each GPU.

server → pools, deployments, automations → workers → tend them until told to stop

What `up` started ends with it: told so in order when it is told, and on its own when `up` is
killed. The next `up` clears away whatever of that did not work.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from flows.farm.crew import SERVES, TAKEBOARD
from flows.farm.environment import DATABASE, PASSWORD, server_environment, worker_environment
from flows.farm.gpus import find_gpus
from flows.farm.home import Home, Running, open_home
from flows.farm.names import CPU_POOL, GPU_POOL
from flows.farm.processes import Identity, Tended, end_all
from flows.farm.server import Listening, require_database, wait_until_ready
from flows.farm.stopping import Stop, stop_signals
from media.errors import CancelledError, StoreError, TakeboardError, UsageError
from media.files import file_lock

__all__ = ["UpOptions", "up"]

_WORKERS_SERVE_WITHIN_S = 60.0
_WORKERS_END_WITHIN_S = 60.0
"""They end their processes, and tell the server which runs are to be taken up again."""
_SERVER_ENDS_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.5
_MOST_ON_SQLITE = 3
"""Workers that one SQLite database serves without holding them up for seconds."""

_SERVER = "server"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the person asked for."""

    listening: Listening
    roots: tuple[Path, ...]
    """Folders in which storyboards, films and stores may be."""
    database: str = ""
    """Address of the server's database; empty: the environment's, or SQLite in the home."""
    gpus: str | None = None
    """As `gpus.find_gpus` takes them."""
    workers: bool = True


def up(
    options: UpOptions, say: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> None:
    """Run the farm until Ctrl-C, SIGTERM or `takeboard down`.

    UsageError when it runs already or cannot run as asked; TakeboardError when the server does
    not start. Whatever happens, nothing that was started is left.
    """
    home = open_home(environ)
    with _alone(home), stop_signals() as stop:
        _clear_away(home, say)
        options.listening.require_free()
        workers = tuple(_workers(options, environ))
        if database := options.database or environ.get(DATABASE, ""):
            require_database(database)
        farm = _Farm(home, options, say, stop)
        try:
            farm.start(replace(options, database=database), workers, environ)
            farm.tend()
        except CancelledError:
            pass
        finally:
            farm.end()


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker that `up` starts."""

    name: str
    pool: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it has besides that of all workers."""


class _Farm:
    """The processes of this `up`."""

    def __init__(
        self, home: Home, options: UpOptions, say: Callable[[str], None], stop: Stop
    ) -> None:
        self._home, self._say, self._stop = home, say, stop
        self._url = options.listening.url
        self._tended: list[Tended] = []
        me = Identity.of(os.getpid())
        assert me is not None
        roots = options.roots if options.workers else ()
        self._running = Running(up=me, url=self._url, password_file=None, roots=roots)
        self._lifeline, self._ours = os.pipe()

    def start(
        self, options: UpOptions, workers: Sequence[_Worker], environ: Mapping[str, str]
    ) -> None:
        """Bring up the server, what stands on it, and the workers."""
        listening = options.listening
        password = environ.get(PASSWORD, "")
        if not password and not listening.is_private:
            password = self._home.password()
            self._running = self._running.model_copy(
                update={"password_file": self._home.password_file}
            )
        roots = {"TAKEBOARD_ROOTS": os.pathsep.join(map(str, options.roots))}
        for_server = roots | server_environment(
            environ, self._home, database=options.database, password=password,
            origin=listening.origin,
        )  # fmt: skip
        for_workers = {
            **worker_environment(environ, self._home, url=self._url, password=password), **roots
        }  # fmt: skip
        first = "" if self._home.database.exists() else " (the first time takes a minute)"
        self._say(f"starting the server on {listening.origin}{first}")
        where = (listening.host, str(listening.port))
        self._begin(_SERVER, (sys.executable, "-m", "flows.farm.serve", *where), for_server)
        self._furnish(for_workers)
        for worker in workers:
            command = (*TAKEBOARD, "worker", "--pool", worker.pool, "--name", worker.name)
            self._begin(worker.name, command, {**for_workers, **worker.environment})
        self._wait_for_workers()
        self._tell(options)

    def tend(self) -> None:
        """Start again what dies, until told to stop."""
        while not self._stop.asked.wait(_LOOK_EVERY_S):
            for one in self._tended:
                one.bound_log()
                if died := one.death():
                    self._say(died)
                if one.is_due():
                    self._start(one)

    def end(self) -> None:
        """End the workers, then the server, which they need to hand back what they do."""
        workers = {name: one for name, one in self._running.processes.items() if name != _SERVER}
        if workers:
            self._say("stopping: the workers hand back what they are doing")
        left = end_all(
            list(workers.values()), within_s=_WORKERS_END_WITHIN_S, hurry=self._stop.now.is_set
        )
        for name in (name for name, one in workers.items() if one in left):
            self._say(f"{name} did not end and was killed; the next `up` takes up what it did")
        if server := self._running.processes.get(_SERVER):
            end_all([server], within_s=_SERVER_ENDS_WITHIN_S, hurry=self._stop.now.is_set)
        for one in self._tended:
            one.forget()
        os.close(self._ours)
        os.close(self._lifeline)
        self._home.forget()
        self._say("ended")

    def _furnish(self, environ: Mapping[str, str]) -> None:
        """Put pools, deployments and automations on the server, as soon as it answers."""
        furnish = self._tend_one("furnish", (sys.executable, "-m", "flows.farm.furnish"), environ)
        self._start(furnish)
        process = furnish.process
        assert process is not None
        wait_until_ready(self._url, self._server_died)
        while process.poll() is None:
            if how := self._server_died():
                raise TakeboardError(f"the server did not start: {how}", where=self._url)
            self._stop.asked.wait(_LOOK_EVERY_S / 2)
        self._tended.remove(furnish)
        self._note({n: one for n, one in self._running.processes.items() if n != furnish.name})
        if process.returncode:
            raise TakeboardError(_last_line(furnish.log), where=self._url)

    def _wait_for_workers(self) -> None:
        """Until the server knows of each: a film that is planned sooner finds no GPU."""
        deadline = time.monotonic() + _WORKERS_SERVE_WITHIN_S
        waiting = [one for one in self._tended if one.name != _SERVER]
        while waiting and time.monotonic() < deadline:
            if self._stop.asked.wait(_LOOK_EVERY_S / 2):
                raise CancelledError("cancelled")
            waiting = [one for one in waiting if one.runs() and SERVES not in one.said()]

    def _server_died(self) -> str:
        """How, and where that is written; CancelledError when we are told to stop meanwhile."""
        if self._stop.asked.is_set():
            raise CancelledError("cancelled")
        log = self._tended[0].log
        return f"{_last_line(log)}; see {log}" if self._tended[0].death() else ""

    def _begin(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._start(self._tend_one(name, command, environ))

    def _tend_one(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Tended:
        one = Tended(name, command, environ, self._home.logs / f"{name}.log")
        self._tended.append(one)
        return one

    def _start(self, one: Tended) -> None:
        self._note({**self._running.processes, one.name: one.start(self._lifeline)})

    def _note(self, processes: Mapping[str, Identity]) -> None:
        self._running = self._running.model_copy(update={"processes": dict(processes)})
        self._home.note(self._running)

    def _tell(self, options: UpOptions) -> None:
        """What is up, and what to type next."""
        say, workers = self._say, [one.name for one in self._tended if one.name != _SERVER]
        say(f"Takeboard is up: {self._running.ui}")
        say(f"  workers  {', '.join(workers) or 'none'}")
        say(f"  films    in {', '.join(map(str, options.roots))}")
        say(f"  logs     {self._home.logs}")
        if not options.database and len(workers) > _MOST_ON_SQLITE:
            say("  database SQLite; so many workers need PostgreSQL: see --database")
        if not options.listening.is_private:
            file = self._running.password_file
            say(f"  open to  other machines; password in {file or f'the environment, {PASSWORD}'}")
            say("           put TLS in front: the password is not encrypted on its way")
        say("Next: takeboard produce FILM --farm. To end it: Ctrl-C here, or takeboard down.")


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the home; UsageError when another `up` has it."""
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(home.lock, timeout_s=0))
        except StoreError as error:
            running = home.running()
            raise UsageError(
                "Takeboard is up already" + (f" (process {running.up.pid})" if running else ""),
                where=running.ui if running else str(home.folder),
                todo="end it with `takeboard down`, or run another with its own TAKEBOARD_HOME",
            ) from error
        yield


def _clear_away(home: Home, say: Callable[[str], None]) -> None:
    """End what an `up` that was killed has left."""
    if (before := home.running()) is None:
        return
    left = [process for process in before.processes.values() if process.runs()]
    if left:
        say("an earlier `up` was killed; ending what it left")
        end_all(left, within_s=_SERVER_ENDS_WITHIN_S)
    home.forget()


def _workers(options: UpOptions, environ: Mapping[str, str]) -> Iterator[_Worker]:
    """Those of this machine. UsageError for a GPU that is not there."""
    if not options.workers:
        return
    host = socket.gethostname()
    yield _Worker(f"{host}-{CPU_POOL}", CPU_POOL)
    for gpu in find_gpus(options.gpus, environ):
        yield _Worker(f"{host}-{gpu.name}", GPU_POOL, {"CUDA_VISIBLE_DEVICES": gpu.uuid})


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "it said nothing"
