"""Every error that Takeboard raises on purpose.

TakeboardError               exit 1   anything below, caught as one
├── StoryboardError          exit 2   the storyboard is wrong: carries every Problem found
├── UsageError               exit 2   a command was called with something that cannot be
├── BudgetError              exit 3   a cap stops the film before anything is spent
├── RenderError              exit 4   a shot could not be rendered
│   └── RefusalError         exit 4   a backend will not render this request at all
├── MediaError               exit 5   a media file or ffmpeg failed
├── StoreError               exit 6   the take store cannot be read or written
├── WaitingError             exit 7   a person's approval is waited for
└── CancelledError           exit 130 somebody pressed Ctrl-C or cancelled the run

Each says what happened, where, and what to do. Third-party exceptions are translated where
they enter. Only the command line turns an error into an exit code.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BudgetError",
    "CancelledError",
    "MediaError",
    "Problem",
    "RefusalError",
    "RenderError",
    "StoreError",
    "StoryboardError",
    "TakeboardError",
    "UsageError",
    "WaitingError",
    "translate_os_errors",
    "without_login",
]


class TakeboardError(Exception):
    """What happened, where, and what to do about it, as one line each."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = without_login(what), without_login(where), todo
        super().__init__(self.what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.todo}" if self.todo else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive pickling by themselves, and errors cross processes.
        return (_rebuild, (type(self), self.what, self.where, self.todo), self.__dict__)


_LOGIN = re.compile(r"(?<=://)[^/\s]+@")


def without_login(text: str) -> str:
    """Without the name and the password that somebody wrote into an address."""
    return _LOGIN.sub("", text)


def _rebuild(cls: type[TakeboardError], what: str, where: str, todo: str) -> TakeboardError:
    error = cls.__new__(cls)
    TakeboardError.__init__(error, what, where=where, todo=todo)
    return error


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a storyboard; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.what}"


class StoryboardError(TakeboardError):
    """A storyboard with problems: all of them, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(TakeboardError):
    """A command or setting that cannot be carried out as asked."""

    exit_code = 2


class BudgetError(TakeboardError):
    """The quote is over a cap; nothing was spent."""

    exit_code = 3


class RenderError(TakeboardError):
    """A shot could not be rendered; finished takes are kept."""

    exit_code = 4


class RefusalError(RenderError):
    """A backend cannot render the request; said before a weight loads or a cent is spent."""


class MediaError(TakeboardError):
    """A media file is missing, damaged or not what it should be, or ffmpeg failed."""

    exit_code = 5


class StoreError(TakeboardError):
    """The take store cannot be read or written (disk full, read-only, damaged)."""

    exit_code = 6


class WaitingError(TakeboardError):
    """The film goes on once a person has approved; everything finished is kept."""

    exit_code = 7


class CancelledError(TakeboardError):
    """The run was cancelled; everything finished is kept and a new run resumes."""

    exit_code = 130


_REMEDIES = {
    errno.ENOSPC: "free some disk space and run again: finished takes are kept",
    errno.EDQUOT: "free some of your disk quota and run again: finished takes are kept",
    errno.EROFS: "choose a folder that can be written with --store, --out or TAKEBOARD_STORE",
    errno.EACCES: "choose a folder that can be written with --store, --out or TAKEBOARD_STORE",
    errno.EPERM: "choose a folder that can be written with --store, --out or TAKEBOARD_STORE",
}


@contextmanager
def translate_os_errors(
    what: str, where: Path | str, error: type[TakeboardError] = StoreError
) -> Iterator[None]:
    """Turn an OSError raised inside into one clear `error`: what was tried, where, what to do."""
    try:
        yield
    except OSError as os_error:
        reason = (os_error.strerror or str(os_error)).lower()
        todo = _REMEDIES.get(os_error.errno or 0, "")
        raise error(f"cannot {what}: {reason}", where=str(where), todo=todo) from os_error
