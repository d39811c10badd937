"""Machines made of the kernel's namespaces, on a network of their own that can be unplugged.

Each has its own network, host name, process ids and disk, and reaches the others by their
addresses alone. Nothing of it touches the network of the machine that runs the tests, and when the
process that made them ends, however it ends, they are gone with all that runs on them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

__all__ = ["DISK", "Lan", "Machine", "Program", "lan", "why_no_machines"]

T = TypeVar("T")

DISK = Path("/mnt")
"""Where a machine sees its own disk; nobody else sees it there."""

REPOSITORY = Path(__file__).parents[2]
_MOST = 9
_TOOLS = ("ip", "unshare", "nsenter", "mount", "hostname")
_CLONE_NEWNET = 0x40000000

# Process 1 of a machine reads from a pipe that we hold: it ends with us, and the kernel ends with
# it all that runs there. The disks of the others are hidden. Their hardware addresses are written
# down, so that packets to a machine that is unplugged vanish without a word, as behind a router.
_BOOT = """set -e
hostname "$1"
mount --bind "$2" /mnt
mount -t tmpfs tmpfs "$3"
ip link set lo up
echo booted
read _
ip -batch /mnt/network
echo connected
exec cat
"""
_BOOTED = ("unshare", "-n", "-u", "-m", "-p", "-f", "--mount-proc", "--kill-child")
_SWITCH = """set -e
ip link add lan type bridge
ip link set lan up
echo ready
exec cat
"""
_TRIAL = """set -e
mount -t tmpfs tmpfs /mnt
ip link add lan type bridge
ip link add one type veth peer name other
"""


def why_no_machines() -> str:
    """Why this machine cannot make any; empty: it can."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(missing)} (Debian: iproute2, util-linux)"
    if hidden := [path for path in (REPOSITORY, Path(sys.prefix)) if path.is_relative_to(DISK)]:
        return f"{hidden[0]} would be hidden by a machine's disk"
    trial = [*_BOOTED, "sh", "-c", _TRIAL]
    try:
        tried = subprocess.run(trial, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "making one has no end"
    return f"needs root and network namespaces: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(slots=True)
class Program:
    """What runs on a machine, with what it printed."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def printed(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def ended(self, within_s: float) -> int:
        """Its exit code, once it has ended by itself."""
        return self.popen.wait(within_s)


@dataclass(slots=True)
class Machine:
    """One machine."""

    name: str
    address: str
    disk: Path
    """Its disk as we see it."""
    _lan: Lan
    _init: subprocess.Popen[bytes]
    _pid: int
    _num_programs: int = 0

    @property
    def port(self) -> str:
        """The end of its cable at the switch."""
        return f"to-{self.name}"

    def start(self, *command: str, where: str = "work", **environment: str) -> Program:
        """Start a program there, in a folder of its disk."""
        self._num_programs += 1
        log = self.disk / f"log-{self._num_programs}"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                self._command(command, where), env=_environment(environment),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        return Program(popen, log)

    def takeboard(self, *words: str, **environment: str) -> Program:
        """Start one of our own commands there."""
        return self.start(*_TAKEBOARD, *words, **environment)

    def from_here(self, ask: Callable[[], T]) -> T:
        """What `ask` gets when it is asked from that machine's network, by a thread of ours."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter() -> None:
            with Path(f"/proc/{self._pid}/ns/net").open("rb") as network:
                if libc.setns(network.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "cannot enter the machine's network")

        with ThreadPoolExecutor(1, initializer=enter) as pool:
            return pool.submit(ask).result()

    def unplug(self) -> None:
        """Nothing comes or goes any more, and nobody is told: no connection is closed."""
        self._lan.switch("ip", "link", "set", self.port, "nomaster")

    def plug(self) -> None:
        """Put the cable back."""
        self._lan.switch("ip", "link", "set", self.port, "master", "lan")

    def power_off(self) -> None:
        """End all that runs there, at once; the machine does not come back."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._init.wait(20)

    def _command(self, command: Sequence[str], where: str) -> list[str]:
        entering = ["nsenter", "--target", str(self._pid), "-n", "-u", "-m", "-p", "--"]
        return [*entering, "sh", "-c", 'cd "$0" && exec "$@"', str(DISK / where), *command]


@dataclass(slots=True)
class Lan:
    """The switch, and the machines on it."""

    folder: Path
    machines: dict[str, Machine] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _switch: int = 0

    def add(self, name: str) -> Machine:
        """A machine that is plugged in."""
        number = len(self.machines) + 1
        assert number <= _MOST
        disk = self.folder / name
        for part in ("tmp", "home", "run", "work"):
            (disk / part).mkdir(parents=True, exist_ok=True)
        (disk / "tmp").chmod(0o1777)
        (disk / "run").chmod(0o700)
        (disk / "network").write_text(_network(number))
        init = self._begin(
            *_BOOTED, "sh", "-c", _BOOT, "sh", name, str(disk), str(self.folder), said="booted"
        )
        (pid,) = _children(init.pid)
        machine = Machine(name, _address(number), disk, self, init, pid)
        self._stack.callback(machine.power_off)
        cable = ("type", "veth", "peer", "name", "eth0", "address", _hardware(number))
        self.switch("ip", "link", "add", machine.port, *cable, "netns", str(pid))
        self.switch("ip", "link", "set", machine.port, "up", "master", "lan")
        assert init.stdin is not None
        assert init.stdout is not None
        init.stdin.write(b"\n")
        init.stdin.flush()
        assert init.stdout.readline() == b"connected\n"
        self.machines[name] = machine
        return machine

    def switch(self, *command: str) -> None:
        """Do something at the switch."""
        inside = ["nsenter", "--target", str(self._switch), "-n", *command]
        subprocess.run(inside, check=True, capture_output=True, timeout=20)

    def _begin(self, *command: str, said: str) -> subprocess.Popen[bytes]:
        with (self.folder / "boot.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._stack.callback(_let_go, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"{said}\n".encode(), f"{command[-1]}: {line!r}"
        return process


@contextmanager
def lan(folder: Path) -> Iterator[Lan]:
    """A network without machines; in `folder` are the disks of those that are added."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Lan(folder)
    with made._stack:
        made._switch = made._begin("unshare", "-n", "sh", "-c", _SWITCH, said="ready").pid
        yield made


_TAKEBOARD = (sys.executable, "-c", "from flows.cli import main; main()")


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Of a machine where nothing is set up but Takeboard."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(DISK / "home"),
        "TMPDIR": str(DISK / "tmp"),
        "XDG_RUNTIME_DIR": str(DISK / "run"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        **more,
    }


def _network(number: int) -> str:
    """What process 1 tells `ip`."""
    others = [one for one in range(1, _MOST + 1) if one != number]
    return "\n".join(
        [
            f"addr add {_address(number)}/24 dev eth0",
            "link set eth0 up",
            *(
                f"neigh add {_address(one)} lladdr {_hardware(one)} dev eth0 nud permanent"
                for one in others
            ),
            "",
        ]
    )


def _address(number: int) -> str:
    return f"10.77.0.{number}"


def _hardware(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait(10)
