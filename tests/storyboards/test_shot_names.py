"""Shots as people name them on the command line and in forms."""

from __future__ import annotations

import pytest

from media.errors import UsageError
from storyboards.shot_names import shot_named
from tests.factories import make_shot

SHOTS = [make_shot(id) for id in ("sc010/sh0010", "sc010/sh0020", "sc020/sh0010")]


@pytest.mark.parametrize("name", ["sc010/sh0020", "sh0020"])
def test_the_scene_may_be_left_out_where_it_is_clear(name: str) -> None:
    assert shot_named(SHOTS, name).id == "sc010/sh0020"


def test_a_shot_of_several_scenes_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="several scenes, expected sc010/sh0010 or sc020/sh0010"):
        shot_named(SHOTS, "sh0010")


@pytest.mark.parametrize("name", ["sh0021", "sc010/sh002", "0020", "", "/sh0020"])
def test_part_of_a_name_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="there is no shot"):
        shot_named(SHOTS, name)
