import errno
import os
import pickle
from pathlib import Path

import pytest

import media.errors as errors
from media.errors import (
    CancelledError,
    MediaError,
    Problem,
    RefusalError,
    RenderError,
    StoreError,
    StoryboardError,
    TakeboardError,
    UsageError,
    translate_os_errors,
)


def test_the_hierarchy_drawn_is_the_hierarchy_there() -> None:
    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, TakeboardError):
            assert f"{name} " in drawn
            line = next(line for line in drawn.splitlines() if f"{name} " in line)
            assert f"exit {kind.exit_code}" in line
    assert issubclass(RefusalError, RenderError)


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = MediaError("the file is empty", where="a.mp4", todo="render it again")
    assert str(error) == "a.mp4: the file is empty; render it again"
    assert str(CancelledError("stopped")) == "stopped"


@pytest.mark.parametrize(
    "error",
    [
        MediaError("what", where="where", todo="todo"),
        StoryboardError([Problem("b.yaml", 2, 1, "x", "wrong"), Problem("a.yaml", 1, 1, "", "w")]),
    ],
)
def test_errors_cross_processes(error: TakeboardError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_problems_come_in_the_order_of_the_file() -> None:
    late, early = Problem("a", 10, 1, "p", "w"), Problem("a", 9, 1, "p", "w")
    assert StoryboardError([late, early]).problems == (early, late)


@pytest.mark.parametrize(
    ("number", "todo"),
    [(errno.ENOSPC, "disk space"), (errno.EROFS, "--out"), (errno.EACCES, "--out")],
)
def test_os_errors_say_what_to_do(number: int, todo: str) -> None:
    with (
        pytest.raises(StoreError, match="cannot write") as caught,
        translate_os_errors("write", Path("x")),
    ):
        raise OSError(number, os.strerror(number))
    assert todo in caught.value.todo


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(KeyError), translate_os_errors("write", "x", MediaError):
        raise KeyError("k")


def test_a_password_in_an_address_is_told_to_nobody() -> None:
    address = "https://takeboard:canary@farm.example:4200/api"
    error = UsageError(f"no answer for url '{address}'", where=address)
    assert str(error) == (
        "https://farm.example:4200/api: no answer for url 'https://farm.example:4200/api'"
    )
    assert str(StoreError("gone", where="/films/a@b")) == "/films/a@b: gone"
