"""Which answers of a server are worth asking for again."""

from __future__ import annotations

import httpx
import pytest

from flows.farm.asking import AWAY, is_away, shut_out

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
    with pytest.raises(AWAY) as page:
        httpx.Response(200, text="<html>be patient</html>").json()
    assert is_away(page.value), "a proxy has answered, and not the server"


@pytest.mark.parametrize(("code", "text", "said"), [(401, "", True), (403, CSRF, False)])
def test_a_wrong_password_is_said_with_what_to_do(code: int, text: str, said: bool) -> None:
    asked = httpx.Request("GET", "http://10.0.0.5:4200/api/admin/version")
    answer = httpx.Response(code, text=text, request=asked)
    error = shut_out(httpx.HTTPStatusError("no", request=asked, response=answer))
    if not said:
        assert error is None
        return
    assert error is not None
    assert "refuses (401)" in error.what
    assert "PREFECT_API_AUTH_STRING" in error.todo
    assert shut_out(httpx.ConnectError("refused")) is None
