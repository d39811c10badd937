import os
import time
from pathlib import Path

import ffmpeg
import pytest

from media.errors import MediaError
from media.ffmpeg import ffmpeg_exe, run_ffmpeg

ENDLESS = ["-f", "lavfi", "-i", "testsrc=size=64x48", "-t", "36000", "-f", "null", "-"]


def test_ffmpeg_is_there_and_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert os.access(ffmpeg_exe(), os.X_OK)
    monkeypatch.setenv("TAKEBOARD_FFMPEG", str(tmp_path / "none"))
    with pytest.raises(MediaError, match="TAKEBOARD_FFMPEG"):
        ffmpeg_exe()


def test_a_graph_is_run_and_its_log_returned(tmp_path: Path) -> None:
    out = tmp_path / "a b.mp4"
    source = ffmpeg.input("testsrc=size=64x48:rate=24", f="lavfi")
    log = run_ffmpeg(ffmpeg.output(source, str(out), t=1), what="draw", timeout_s=60)
    assert "frame=   24" in log
    assert out.stat().st_size > 0


def test_outputs_of_a_graph_are_bounded(tmp_path: Path) -> None:
    out = tmp_path / "a.raw"
    source = ffmpeg.input("testsrc=size=640x480", f="lavfi")
    graph = ffmpeg.output(source, str(out), f="rawvideo", t=20)
    run_ffmpeg(graph, what="draw", timeout_s=60, max_bytes=2_000_000)
    assert 0 < out.stat().st_size < 4_000_000


def test_a_failure_names_what_and_why(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^cannot join: ffmpeg says: .*No such file"):
        run_ffmpeg(["-i", str(tmp_path / "none"), "-f", "null", "-"], what="join", timeout_s=60)
    with pytest.raises(MediaError, match=r"No such filter: 'nonsense'"):
        run_ffmpeg([*ENDLESS[:4], "-vf", "nonsense", "-f", "null", "-"], what="x", timeout_s=60)


def test_a_full_disk_is_said_plainly() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    arguments = ["-f", "lavfi", "-i", "testsrc", "-t", "2", "-f", "rawvideo", "/dev/full"]
    with pytest.raises(MediaError, match="cannot mix: no space left on device") as caught:
        run_ffmpeg(arguments, what="mix", timeout_s=60)
    assert "disk space" in caught.value.todo


def test_ffmpeg_is_stopped_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"stopped after 0\.5 s"):
        run_ffmpeg(["-re", *ENDLESS], what="wait", timeout_s=0.5)
    assert time.monotonic() - began < 10


def test_an_interrupt_stops_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    processes: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if process not in processes:
            processes.append(process)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_ffmpeg(["-re", *ENDLESS], what="wait", timeout_s=60)
    assert processes[0].poll() is not None
