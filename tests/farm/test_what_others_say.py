"""What people write into tags and proxies answer must not end a worker, or a film's watch."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed

from flows.farm.taking import waiting_run
from flows.farm.watching import RunWatch


@pytest.mark.parametrize("said", ["night", "", "nan", "inf", "-5"])
def test_a_tag_that_is_no_number_counts_as_none(said: str) -> None:
    run = FlowRun(flow_id=uuid4(), tags=[f"seconds:{said}", f"chain:{said}", "left:7"])
    waiting = waiting_run(run, 3)
    assert (waiting.seconds, waiting.chain_s, waiting.left_s, waiting.place) == (0, 0, 7, 3)


def test_the_watch_goes_on_after_an_answer_that_is_not_the_servers() -> None:
    run = uuid4()
    client = _Proxied(run)
    with RunWatch(cast(SyncPrefectClient, client)).watched(run) as seen:
        assert seen.over.wait(10)
    assert seen.ended.type == StateType.COMPLETED
    assert client.asked == 2


class _Proxied:
    """A client whose first answer is a page of a proxy."""

    def __init__(self, run: UUID) -> None:
        self._run, self.asked = run, 0

    def read_flow_runs(self, **question: Any) -> list[FlowRun]:
        self.asked += 1
        if self.asked == 1:
            json.loads("<html>")
        return [FlowRun(id=self._run, flow_id=uuid4(), state=Completed())]
