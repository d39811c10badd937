"""A machine without weights plans as the machines do that have them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from contract import request_for

from generator.backends import registry
from generator.backends.base import KeyPicture
from generator.backends.elsewhere import BackendsElsewhere
from generator.backends.registry import InstalledBackends
from generator.backends.told import ToldBackend, ToldMachine, is_on_device, read_told, tell_machine
from generator.grouping import setup_of
from generator.local import levers, readiness
from generator.local.settings import LocalSettings
from generator.plan import plan_shots
from media.errors import RefusalError
from media.store import ContentStore
from storyboards.film import OwnFootage
from tests.factories import make_asset, make_film, make_shot
from tests.fakes import FakeBackend
from tests.told_machines import MODELS, machine, told_by


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no models file."""
    monkeypatch.delenv("TAKEBOARD_MODELS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def over_the_wire(told: ToldMachine) -> ToldMachine:
    read = read_told(json.loads(json.dumps(told.facts())))
    assert read is not None
    return read


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planning machine has neither torch nor what levers need."""
    monkeypatch.setattr(readiness, "find_spec", lambda name: None)
    monkeypatch.setattr(levers, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", MODELS)
def test_plans_as_the_machine_that_renders(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings, backends = machine(tmp_path / "gpu1", **{name: MODELS[name]})
    there = backends[name]
    assert there.unready == ""
    told = over_the_wire(tell_machine(backends, settings))
    request.getfixturevalue("bare")
    here = BackendsElsewhere({"gpu1": told})[name]
    assert (here.id, here.revision, here.unready) == (there.id, there.revision, "")
    assert here.capabilities == there.capabilities
    for profile in ("draft", "standard", "fine"):
        asked = request_for(40, size=(1280, 720), profile=profile)
        assert here.snap(asked) == there.snap(asked)
        assert here.quote(here.snap(asked).request) == there.quote(there.snap(asked).request)
    pictured = replace(asked, key_pictures=(KeyPicture(0, "a" * 64),))
    assert here.snap(pictured) == there.snap(pictured)
    assert told.can_make(f"{name}@{there.revision} lora")
    assert not told.can_make(f"{name}@{there.revision}x")


def test_other_weights_are_another_revision(tmp_path: Path) -> None:
    one, other = (told_by(tmp_path / word, wan=MODELS["wan"]) for word in ("a", "b"))
    assert one.backends["wan"].revision != other.backends["wan"].revision
    same = told_by(tmp_path / "deeper" / "a", wan=MODELS["wan"])
    assert same == one, "wherever the folders are"


def test_neither_paths_nor_addresses_nor_keys_are_told(tmp_path: Path) -> None:
    settings, backends = machine(tmp_path / "gpu1", ltx2=MODELS["ltx2"])
    model = settings.models["ltx2"].model_copy(
        update={"url": "http://10.0.0.7:8000", "key_env": "SECRET_KEY", "model": "inner"}
    )
    server = model.model_copy(update={"source": "", "dialect": "sglang"})
    settings = settings.model_copy(update={"models": {"ltx2": model, "openai_video": server}})
    said = json.dumps(tell_machine(backends, settings).facts())
    for secret in (str(tmp_path), "gpu1", "10.0.0.7", "SECRET_KEY", "openai_video", "sglang"):
        assert secret not in said
    assert len(said) < 1000


def test_everything_that_this_installation_knows_fits_a_variable(tmp_path: Path) -> None:
    everything = {
        **MODELS,
        "wan": {**MODELS["wan"], "parts": ("i2v", "vace", "animate")},
    }
    assert len(json.dumps(told_by(tmp_path, **everything).facts())) < 4000


def test_only_what_a_device_makes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tell_machine(InstalledBackends(), LocalSettings()).backends == {}
    backends = {"animatic": InstalledBackends()["animatic"], "fake": FakeBackend()}
    assert tell_machine(backends, LocalSettings()).backends == {}
    assert not is_on_device(backends["animatic"])


@pytest.mark.parametrize(
    "facts",
    [
        None,
        "",
        {},
        [],
        {"form": 2, "takeboard": "9.9"},
        {"form": 1},
        {"form": 1, "takeboard": "1", "more": 1},
    ],
)
def test_what_cannot_be_read_is_nothing(facts: object) -> None:
    assert read_told(facts) is None


def test_what_no_machine_has_is_refused_by_name(tmp_path: Path) -> None:
    backends = BackendsElsewhere({})
    assert sorted(backends) == sorted(registry.known_backends())
    assert backends["animatic"].unready == ""
    there = backends["wan"]
    assert there.unready == "is ready on no machine of the farm that is online"
    with pytest.raises(RefusalError, match="is ready on no machine"):
        there.snap(request_for())
    film = make_film([make_shot(backends=("wan", "auto")), make_shot("sc010/sh0020")])
    notes = backends.notes(film)
    assert len(notes) == 2
    assert notes[0].startswith("wan, which sc010/sh0010 asks for, is ready on no machine")
    assert notes[1].startswith("no machine of the farm that is online has a model ready")


def test_own_footage_asks_for_no_machine() -> None:
    source = OwnFootage(make_asset("clip.mp4"), 0, False)
    film = make_film([make_shot(backends=("wan",), source=source)])
    assert BackendsElsewhere({}).notes(film) == ()


def test_most_machines_decide_and_the_others_are_named(tmp_path: Path) -> None:
    common, odd = (told_by(tmp_path / word, wan=MODELS["wan"]) for word in ("a", "b"))
    machines = {"gpu1": odd, "gpu2": common, "gpu3": common}
    backends = BackendsElsewhere(machines)
    assert backends["wan"].revision == common.backends["wan"].revision
    (note,) = backends.notes(make_film([make_shot(backends=("wan",))]))
    assert f"revision {backends['wan'].revision} of gpu2, gpu3; gpu1 (" in note
    assert "differs in weights or settings and will not make its takes" in note
    two = [BackendsElsewhere(dict(pairs))["wan"].revision for pairs in _both_orders(odd, common)]
    assert two[0] == two[1], "a tie does not depend on names or order"


def _both_orders(one: ToldMachine, other: ToldMachine) -> list[list[tuple[str, ToldMachine]]]:
    return [[("gpu1", one), ("gpu2", other)], [("gpu1", other), ("gpu2", one)]]


def test_another_version_s_revision_is_not_planned(tmp_path: Path) -> None:
    told = told_by(tmp_path, wan=MODELS["wan"])
    newer = told.backends["wan"].model_copy(update={"revision": "2+abc"})
    machine = told.model_copy(update={"takeboard": "99.0", "backends": {"wan": newer}})
    backends = BackendsElsewhere({"gpu1": machine, "gpu2": None})
    assert "as revision 2+abc with Takeboard 99.0" in backends["wan"].unready
    named, silent = backends.notes(make_film([make_shot(backends=("wan",))]))
    assert "wan, which sc010/sh0010 asks for, cannot be planned for gpu1" in named
    assert silent.startswith("gpu2 is online and has not told what it can make")


def test_a_backend_of_another_package_plans_with_its_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = ToldBackend(revision="1")
    machine = ToldMachine(form=1, takeboard="1", backends={"fake": ready})
    for unready, why in [
        ("", ""),
        ("needs a key", "is ready on gpu1, but cannot plan here: needs"),
    ]:
        fake = FakeBackend(unready=unready)
        monkeypatch.setitem(registry._CLASSES, "fake", "tests.fakes:FakeBackend")
        monkeypatch.setattr("tests.fakes.FakeBackend", lambda fake=fake: fake)
        assert BackendsElsewhere({"gpu1": machine})["fake"].unready.startswith(why)


def test_a_backend_that_only_they_have_is_left_out(tmp_path: Path) -> None:
    told = told_by(tmp_path, wan=MODELS["wan"])
    machine = told.model_copy(update={"backends": {"sora9": told.backends["wan"]}})
    assert "sora9" not in BackendsElsewhere({"gpu1": machine})


def test_auto_takes_a_model_of_the_machines(tmp_path: Path, bare: None) -> None:
    film = make_film([make_shot()], size=(1280, 720))
    store = ContentStore(tmp_path / "store", "takes")
    drawn = plan_shots(film, BackendsElsewhere({}), store, {}).jobs
    assert [job.backend for job in drawn] == ["animatic"]


def test_the_setup_of_a_take_is_one_that_the_machine_can_make(tmp_path: Path) -> None:
    told = told_by(tmp_path / "gpu1", wan=MODELS["wan"])
    film = make_film([make_shot()], size=(1280, 720))
    store = ContentStore(tmp_path / "store", "takes")
    (job,) = plan_shots(film, BackendsElsewhere({"gpu1": told}), store, {}).jobs
    assert job.backend == "wan"
    assert job.revision == told.backends["wan"].revision
    assert told.can_make(setup_of(job))
    assert not told_by(tmp_path / "gpu2", wan=MODELS["wan"]).can_make(setup_of(job))
