"""Which answers of a server are worth asking for again."""

from __future__ import annotations

import httpx
import pytest

from flows.farm.asking import is_away

CSRF = "Invalid CSRF token or client identifier."


@pytest.mark.parametrize(
    ("code", "text", "away"),
    [
        (503, "", True),
        (429, "", True),
        (403, CSRF, True),  # the token of another first request of ours has replaced it
        (403, "Forbidden", False),
        (401, "", False),
        (422, "", False),
    ],
)
def test_what_is_answered_otherwise_a_little_later(code: int, text: str, away: bool) -> None:
    asked = httpx.Request("POST", "http://127.0.0.1:4200/api/x")
    answer = httpx.Response(code, text=text, request=asked)
    assert is_away(httpx.HTTPStatusError("no", request=asked, response=answer)) is away


def test_no_answer_is_one_that_may_come_later() -> None:
    assert is_away(httpx.ConnectError("refused"))
    assert not is_away(ValueError("a defect"))
