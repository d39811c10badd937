"""Tickets: another machine reads the very job that was planned, or is told why not."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.backends.animatic import Animatic
from generator.backends.base import (
    Backend,
    ContinueFrom,
    CutFrom,
    Description,
    EditOf,
    KeyPicture,
    ListedShot,
    LoraWeight,
    MotionArea,
    Placement,
    Quote,
    Reference,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.footage import FootageBackend
from generator.keys import canonical, request_key
from generator.plan import Plan, ShotJob, plan_shots
from generator.rendering import render_take, tools_for
from generator.requests import assets_for
from generator.takes import Take, TakeStore
from generator.tickets import (
    ASSETS,
    TICKETS,
    assets_of_tickets,
    publish_ticket,
    read_ticket,
    render_ticket,
)
from media.errors import RefusalError, RenderError
from media.files import sha256_file
from media.shared_store import local_root
from media.store import MANIFEST, ContentStore
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.film import Asset, Continuation, Film, Keyframe
from storyboards.resolve import load_films
from storyboards.shot_schema import Camera
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend
from tests.generator.test_keys import CHANGES, REQUEST
from tests.generator.test_shot_groups import Sequences, film_of, shots

TOOLS = RenderTools({})
EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "storyboards/examples").glob("*/*.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path / "store")


@pytest.fixture
def board(tmp_path: Path) -> Asset:
    path = tmp_path / "film" / "Board 1.PNG"
    path.parent.mkdir()
    path.write_bytes(b"a picture")
    return Asset(path, sha256_file(path))


@pytest.fixture
def film(board: Asset) -> Film:
    return make_film([make_shot(keyframes=(Keyframe(0, board, 1.0),))], size=(64, 36))


def planned(film: Film, store: TakeStore, *backends: Backend) -> Plan:
    return plan_shots(film, {one.id: one for one in backends}, store.entries, {})


def one_job(film: Film, store: TakeStore) -> ShotJob:
    return planned(film, store, FakeBackend()).jobs[0]


def job_for(request: RenderRequest, **changes: Any) -> ShotJob:
    values: dict[str, Any] = {
        "shot_id": "sc010/sh0010",
        "take": 1,
        "backend": "fake",
        "revision": "1",
        "request": request,
        "key": request_key(request, "fake", "1"),
        "num_frames": request.num_frames,
        "state": "new",
        "stale_reason": "",
        "quote": Quote(0.25, 40.0, 0.1),
        "adjustments": ("frames to 97",),
        "losses": (),
        "waits_for": "",
    }
    return ShotJob(**{**values, **changes})


# What a request may hold, each kind as the planner makes it.


def hashes(board: Asset) -> st.SearchStrategy[str]:
    return st.just(board.sha256)


units = st.floats(0, 1)
exact = st.fractions(Fraction(0), Fraction(600), max_denominator=30030)
chosen = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
paths = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from(["0s", "1.0625s", "250ms", "0.000000000001s", "17f", "3599s"]),
            "x_m": st.floats(-100, 100),
            "lens_mm": st.none() | st.floats(8, 400),
        }
    ),
    min_size=2,
    max_size=3,
)
cameras = st.one_of(
    st.builds(
        lambda moves, lens_mm: Camera(move=tuple(moves), lens_mm=lens_mm),
        st.lists(st.sampled_from(CameraMove), max_size=4),
        st.floats(8, 400),
    ),
    paths.map(lambda path: Camera.model_validate({"path": path})),
)
placements = st.builds(
    Placement,
    subject=st.text(),
    description=st.text(),
    sha256=st.just(""),
    position=st.sampled_from(["far_left", "centre"]),
    facing=st.sampled_from(["camera", "away"]),
    depth=st.sampled_from(["near", "far"]),
    height_m=st.floats(0.1, 3),
    enters=st.sampled_from([None, "left", "right"]),
    speaking=st.lists(st.tuples(st.integers(0, 9), st.integers(10, 99))).map(tuple),
)
descriptions = st.builds(
    Description,
    slugline=st.text(),
    action=st.text(),
    size=st.sampled_from(ShotSize),
    angle=st.sampled_from(Angle),
    camera=cameras,
    setting_seed=st.integers(0, 2**32),
    placements=st.lists(placements, max_size=2).map(tuple),
    dialogue=st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=2).map(tuple),
    focus=st.none() | st.tuples(units, units),
)


def requests(board: Asset, *, whole: bool = False) -> st.SearchStrategy[RenderRequest]:
    """Any request that names no other file than `board`."""
    sha256 = hashes(board)
    listed = st.builds(ListedShot, st.text(), exact, exact)
    return st.builds(
        RenderRequest,
        prompt=st.text(),
        negative=st.text(),
        seed=st.integers(0, 2**32),
        size=st.tuples(st.integers(2, 8192), st.integers(2, 8192)),
        fps=st.sampled_from([Fraction(24), Fraction(30000, 1001)]),
        num_frames=st.integers(1, 10**6),
        profile=st.sampled_from(["draft", "standard", "fine"]),
        description=descriptions,
        references=st.lists(
            st.builds(
                Reference,
                kind=st.sampled_from(["image", "video", "audio"]),
                role=st.sampled_from(["character", "voice", "layer"]),
                sha256=sha256,
                subject=st.text(),
                strength=units | st.just(1),
                depth_m=st.none() | st.floats(0, 600),
            ),
            max_size=2,
        ).map(tuple),
        key_pictures=st.lists(
            st.builds(KeyPicture, st.integers(0, 99), sha256, units), max_size=2
        ).map(tuple),
        motion=st.lists(
            st.builds(
                MotionArea,
                box=st.none() | st.tuples(units, units, units, units),
                mask_sha256=st.just("") | sha256,
                trajectory=st.lists(st.tuples(units, units), max_size=3).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        continue_from=st.none()
        | st.builds(
            ContinueFrom,
            st.just("c" * 64),
            st.sampled_from(["shared_keyframe", "extend"]),
            st.integers(1, 33),
        ),
        edit=st.none()
        | st.builds(
            EditOf,
            st.just("e" * 64),
            st.sampled_from(["insert", "remove", "restyle", "relight"]),
            st.text(),
            st.just("") | sha256,
        ),
        audio=st.sampled_from(["native", "driven", "none"]),
        audio_sha256=st.just("") | sha256,
        loras=st.lists(st.builds(LoraWeight, sha256, units, st.text()), max_size=2).map(tuple),
        options=st.dictionaries(st.text(), chosen, max_size=4).map(
            lambda options: tuple(sorted(options.items()))
        ),
        shots=st.lists(listed, max_size=3).map(tuple),
        cut_from=st.none()
        if whole
        else st.none()
        | st.builds(
            CutFrom,
            requests(board, whole=True),
            st.integers(0, 5),
            st.lists(st.integers(1, 99)).map(tuple),
        ),
    )


def read_back(job: ShotJob, film: Film, store: TakeStore) -> ShotJob:
    publish_ticket(job, film, store)
    return read_ticket(job.key, store).job


def require_same(read: ShotJob, job: ShotJob) -> None:
    assert canonical(read.request) == canonical(job.request)
    assert read == job
    # 1, 1.0 and true are equal, yet different things to a backend.
    kinds = [[type(value) for _, value in one.request.options] for one in (read, job)]
    assert kinds[0] == kinds[1]


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_request_reads_back_exactly(
    film: Film, board: Asset, store: TakeStore, data: st.DataObject
) -> None:
    job = job_for(data.draw(requests(board)))
    require_same(read_back(job, film, store), job)


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_every_field_reads_back(field: str, film: Film, board: Asset, store: TakeStore) -> None:
    plain = {"a" * 64: board.sha256}
    changed = replace(REQUEST, **{field: _with_files(CHANGES[field], plain)})
    job = job_for(changed)
    require_same(read_back(job, film, store), job)


def _with_files(value: Any, names: dict[str, str]) -> Any:
    """`value` with digests that stand for real files."""
    if isinstance(value, str):
        return names.get(value, value)
    if type(value) is tuple:
        return tuple(_with_files(one, names) for one in value)
    if hasattr(value, "sha256"):
        return replace(value, sha256=names[value.sha256])
    if isinstance(value, MotionArea):
        return replace(value, mask_sha256=names[value.mask_sha256])
    return value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("make", [Animatic, lambda: Able("ltx2", native_audio=True)])
def test_what_is_planned_from_the_examples_reads_back(
    path: Path, make: Callable[[], Backend], store: TakeStore
) -> None:
    backend = make()
    for film in load_films(path):
        backends = dict.fromkeys(("ltx2", "wan", "animatic", "minimax_h3"), backend)
        plan = plan_shots(film, {**backends, "footage": FootageBackend()}, store.entries, {})
        for job in plan.jobs:
            require_same(read_back(job, film, store), job)
        assert {job.key for job in plan.jobs} <= set(
            ContentStore(store.entries.root, TICKETS).keys()
        )


@dataclass
class Able(FakeBackend):
    """Takes everything that a storyboard can say."""

    @property
    def capabilities(self) -> Any:
        return replace(
            FootageBackend.capabilities,
            native_audio=True,
            max_references={"image": 9, "video": 3, "audio": 3},
            loras=True,
            shots_per_generation=4,
        )


def test_another_machine_makes_the_take_with_nothing_but_the_store(
    tmp_path: Path, film: Film, board: Asset, store: TakeStore
) -> None:
    class Looks(FakeBackend):
        seen: bytes = b""

        def render(self, request: RenderRequest, tools: RenderTools) -> Any:
            path = tools.assets[request.key_pictures[0].sha256]
            assert path.suffix == ".png"
            Looks.seen = path.read_bytes()
            return super().render(request, tools)

    job = one_job(film, store)
    publish_ticket(job, film, store)
    shutil.rmtree(board.path.parent)
    take = render_ticket(job.key, store, lambda name: Looks(), TOOLS)
    assert (take.key, take.num_frames) == (job.key, job.request.num_frames)
    assert Looks.seen == b"a picture"
    ticket = read_ticket(job.key, store)
    assert (ticket.film_code, ticket.film_title) == (film.code, film.title)


def test_two_machines_share_tickets_through_an_object_store(
    tmp_path: Path, film: Film, board: Asset
) -> None:
    address = f"memory://{tmp_path.name}-{uuid.uuid4().hex}/takes"
    here, there = (
        TakeStore(local_root(address, {"TAKEBOARD_STORE_COPY": str(tmp_path / machine)}))
        for machine in ("here", "there")
    )
    job = one_job(film, here)
    for _ in range(2):
        publish_ticket(job, film, here)
    shutil.rmtree(board.path.parent)
    assert assets_of_tickets(there.entries.root) == {board.sha256}
    take = render_ticket(job.key, there, lambda name: FakeBackend(), TOOLS)
    assert not take.picture.is_relative_to(here.entries.root)
    assert here.find(job.key) is not None


def test_a_take_that_is_there_needs_no_ticket(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    take = render_take(job, FakeBackend(), store, tools_for(job, assets_for(film), store, TOOLS))

    def nobody(name: str) -> Backend:
        raise AssertionError(name)

    assert render_ticket(job.key, store, nobody, TOOLS) == take


def test_a_take_that_goes_on_finds_its_parent_in_the_store(store: TakeStore) -> None:
    first = make_shot()
    second = make_shot("sc010/sh0020", continues=Continuation(first.id, "extend", 1))
    film, backend = make_film([first, second], size=(64, 36)), FakeBackend()
    plan = planned(film, store, backend)
    for job in plan.jobs:
        publish_ticket(job, film, store)
    parent, child = (plan.job(shot.id) for shot in (first, second))
    with pytest.raises(RenderError, match="the take that it goes on from has not been rendered"):
        render_ticket(child.key, store, lambda name: backend, TOOLS)
    made = [render_ticket(job.key, store, lambda name: backend, TOOLS) for job in (parent, child)]
    assert "join" in made[1].manifest


def test_takes_of_one_generation_make_it_once(store: TakeStore) -> None:
    film, backend = film_of(shots(2)), Sequences()
    plan = planned(film, store, backend)
    takes: list[Take] = []
    for job in plan.jobs:
        publish_ticket(job, film, store)
        takes.append(render_ticket(job.key, store, lambda name: backend, TOOLS))
    assert len(backend.asked) == 1
    assert [take.num_frames for take in takes] == [24, 24]


def test_publishing_again_reads_nothing(film: Film, board: Asset, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    board.path.unlink()
    before = time.perf_counter()
    for _ in range(20):
        publish_ticket(job, film, store)
    assert (time.perf_counter() - before) / 20 < 0.05


def test_two_publish_at_once(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: publish_ticket(job, film, store), range(16)))
    require_same(read_ticket(job.key, store).job, job)
    for kind in (TICKETS, ASSETS):
        kept = ContentStore(store.entries.root, kind)
        assert (len(list(kept.keys())), kept.litter()) == (1, [])


def test_a_file_that_changed_since_the_plan_is_not_published(
    film: Film, board: Asset, store: TakeStore
) -> None:
    job = one_job(film, store)
    board.path.write_bytes(b"another one")
    with pytest.raises(RenderError, match=r"take 1: Board 1\.PNG has changed since the plan"):
        publish_ticket(job, film, store)
    assert not list(ContentStore(store.entries.root, ASSETS).keys())
    assert not list(ContentStore(store.entries.root, TICKETS).keys())


def test_a_file_that_changes_while_it_is_copied_is_not_published(
    film: Film, board: Asset, store: TakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = one_job(film, store)

    def changes(*_: object) -> dict[str, Path]:
        board.path.write_bytes(b"another one")
        return {board.sha256: board.path}

    monkeypatch.setattr("generator.tickets.verified_files", changes)
    with pytest.raises(RenderError, match=r"Board 1\.PNG has changed since the plan"):
        publish_ticket(job, film, store)
    assert not list(ContentStore(store.entries.root, ASSETS).keys())


def test_no_ticket_says_what_to_look_at(store: TakeStore) -> None:
    with pytest.raises(RenderError, match=r"has no ticket for the take aaaaaaaaaaaa; see that"):
        read_ticket("a" * 64, store)


def test_a_file_that_went_away_is_named_and_comes_back(
    film: Film, board: Asset, store: TakeStore
) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    assets = ContentStore(store.entries.root, ASSETS)
    shutil.rmtree(assets.entry_folder(board.sha256))
    with pytest.raises(RenderError, match=r"Board 1\.PNG is not in the store; start the film"):
        read_ticket(job.key, store)
    publish_ticket(job, film, store)
    assert read_ticket(job.key, store).assets.keys() == {board.sha256}


def rewrite(store: TakeStore, key: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the ticket anew, as whole as the store can tell."""
    tickets = ContentStore(store.entries.root, TICKETS)
    entry = tickets.find(key)
    assert entry is not None
    written = json.loads(entry.files["ticket.json"].read_text())
    change(written)
    shutil.rmtree(entry.folder)
    details = {**entry.details, "takeboard": written["takeboard"], "form": written["form"]}

    def build(folder: Path) -> dict[str, Any]:
        (folder / "ticket.json").write_text(json.dumps(written))
        return details

    tickets.make(key, build)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["job"]["request"].update(seed=8),
        lambda said: said["job"]["request"].pop("prompt"),
        lambda said: said["job"].update(key="b" * 64),
        lambda said: said["job"].update(revision="2"),
        lambda said: said.pop("job"),
    ],
)
def test_a_ticket_that_reads_as_another_take_is_refused(
    film: Film, store: TakeStore, change: Callable[[dict[str, Any]], object]
) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    rewrite(store, job.key, change)
    with pytest.raises(RenderError, match=r"is damaged: .* start the film again"):
        read_ticket(job.key, store)
    rewrite(store, job.key, lambda said: said.update(takeboard="0.0.9"))
    with pytest.raises(RenderError) as caught:
        read_ticket(job.key, store)
    assert "written by Takeboard 0.0.9 and does not read as that take's job" in str(caught.value)
    assert f"with this one, {version('takeboard')}; install the same" in str(caught.value)
    publish_ticket(job, film, store)
    require_same(read_ticket(job.key, store).job, job)


def test_a_form_from_the_future_is_refused(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    rewrite(store, job.key, lambda said: said.update(takeboard="99.0", form=2))
    with pytest.raises(RenderError, match=r"Takeboard 99\.0 .* install the same version"):
        read_ticket(job.key, store)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"form": 1}', b"\xff\xfe"])
def test_a_ticket_that_is_cut_short_is_put_aside(film: Film, store: TakeStore, text: bytes) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    tickets = ContentStore(store.entries.root, TICKETS)
    (tickets.entry_folder(job.key) / "ticket.json").write_bytes(text)
    with pytest.raises(RenderError, match="has no ticket"):
        read_ticket(job.key, store)
    publish_ticket(job, film, store)
    require_same(read_ticket(job.key, store).job, job)
    # A maker that wrote it so is refused as well.
    shutil.rmtree(tickets.entry_folder(job.key))
    tickets.make(job.key, lambda folder: {"n": (folder / "ticket.json").write_bytes(text)})
    with pytest.raises(RenderError, match="is damaged"):
        read_ticket(job.key, store)


def test_a_machine_with_other_weights_refuses(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    other = FakeBackend(revision="1+other")
    with pytest.raises(
        RenderError, match=r"planned for fake 1, but this machine has 1\+other; give"
    ):
        render_ticket(job.key, store, lambda name: other, TOOLS)
    unready = FakeBackend(unready="needs torch")
    with pytest.raises(RefusalError, match="sc010/sh0010 take 1: fake needs torch"):
        render_ticket(job.key, store, lambda name: unready, TOOLS)
    assert other.renders == unready.renders == []


def test_a_machine_with_other_parts_refuses(film: Film, store: TakeStore) -> None:
    class Parts(FakeBackend):
        part = "a"

        def snap(self, request: RenderRequest) -> Snapped:
            if self.part == "none":
                raise RefusalError("needs the part vace")
            return Snapped(replace(request, options=(("part.weights", self.part),)))

    backend = Parts()
    job = planned(film, store, backend).jobs[0]
    publish_ticket(job, film, store)
    backend.part = "b"
    with pytest.raises(RenderError, match="would make another take: options changed; give every"):
        render_ticket(job.key, store, lambda name: backend, TOOLS)
    backend.part = "none"
    with pytest.raises(RefusalError, match="take 1: needs the part vace; give every"):
        render_ticket(job.key, store, lambda name: backend, TOOLS)
    backend.part = "a"
    render_ticket(job.key, store, lambda name: backend, TOOLS)


def test_a_backend_that_is_not_installed_is_named(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    none: dict[str, Backend] = {}
    with pytest.raises(RenderError, match="take 1: there is no backend fake in this installation"):
        render_ticket(job.key, store, none.__getitem__, TOOLS)


def test_assets_of_tickets(film: Film, board: Asset, store: TakeStore) -> None:
    assert assets_of_tickets(store.entries.root) == frozenset()
    job = one_job(film, store)
    publish_ticket(job, film, store)
    assert assets_of_tickets(store.entries.root) == {board.sha256}
    (ContentStore(store.entries.root, TICKETS).entry_folder(job.key) / MANIFEST).unlink()
    assert assets_of_tickets(store.entries.root) == frozenset()
