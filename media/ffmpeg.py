"""The one place that starts ffmpeg: bounded in time, output and log, errors in one line."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

import ffmpeg
import imageio_ffmpeg

from media.errors import MediaError, translate_os_errors

__all__ = ["MAX_OUTPUT_BYTES", "ffmpeg_exe", "run_ffmpeg"]

MAX_OUTPUT_BYTES = 8 * 2**30
"""Largest file that one ffmpeg run may write: a graph that runs away must not fill the disk."""

_LOG_BYTES = 64 * 1024

_DISK_ERRORS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
}

# What ffmpeg says after the line that names the cause.
_TAIL = re.compile(
    r"Conversion failed|Exiting normally|Error opening (input|output) files?|Terminating|"
    r"Task finished with error|Nothing was written|Error while|frame=|video:|Press \[q\]|"
    r"Error (sending frames|submitting|muxing|marking|parsing global)|At least one output"
)
_CONTEXT = re.compile(r"^(\[[^\]]*\]\s*)+")


def run_ffmpeg(
    graph: Any | Sequence[str],
    *,
    what: str,
    timeout_s: float,
    max_bytes: int = MAX_OUTPUT_BYTES,
) -> str:
    """Run a ffmpeg-python output node, or a list of arguments, and return the end of its log.

    `what` completes "cannot …" in the MediaError, such as "dissolve sh0010 into sh0020". Each
    file output of a graph is limited to `max_bytes`; a list of arguments brings its own `-fs`.
    ffmpeg is stopped after `timeout_s`, on Ctrl-C and on any other exception.
    """
    arguments = _graph_arguments(graph, max_bytes) if _is_graph(graph) else list(graph)
    command = [ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *arguments]
    with translate_os_errors("start ffmpeg", command[0], MediaError):
        # In a session of its own, so that Ctrl-C in the terminal reaches Takeboard alone, which
        # then stops ffmpeg in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    log = _LogTail(process.stderr)
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise MediaError(
            f"cannot {what}: ffmpeg was stopped after {timeout_s:g} s",
            todo="try again with less load on the machine",
        ) from None
    finally:
        _stop(process)
        text = log.finish()
    if code != 0:
        _raise_failure(what, code, text)
    return text


@cache
def _bundled_ffmpeg() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaError(
            "no ffmpeg was found",
            todo="install the imageio-ffmpeg package or set TAKEBOARD_FFMPEG to an ffmpeg program",
        ) from error


def ffmpeg_exe() -> str:
    """The ffmpeg program: TAKEBOARD_FFMPEG when set, else the one that came with the wheel."""
    chosen = os.environ.get("TAKEBOARD_FFMPEG")
    if not chosen:
        return _bundled_ffmpeg()
    if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
        raise MediaError("TAKEBOARD_FFMPEG is not a program that can be run", where=chosen)
    return chosen


def _is_graph(graph: Any | Sequence[str]) -> bool:
    return isinstance(graph, ffmpeg.nodes.Stream)


def _graph_arguments(graph: Any, max_bytes: int) -> list[str]:
    """The graph's command line with `-fs` in front of every output that is a file."""
    try:
        arguments = [str(argument) for argument in ffmpeg.get_args(graph)]
    except (ValueError, TypeError) as error:
        raise MediaError(f"cannot build the ffmpeg graph: {error}") from error
    files = _output_files(graph)
    bounded: list[str] = []
    for index, argument in enumerate(arguments):
        if argument in files and index > 0 and arguments[index - 1] != "-i":
            bounded += ["-fs", str(max_bytes)]
        bounded.append(argument)
    return bounded


def _output_files(graph: Any) -> set[str]:
    nodes, _ = ffmpeg.dag.topo_sort(ffmpeg.nodes.get_stream_spec_nodes(graph))
    outputs = [node.kwargs for node in nodes if isinstance(node, ffmpeg.nodes.OutputNode)]
    names = {str(kwargs["filename"]) for kwargs in outputs if kwargs.get("format") != "null"}
    return {name for name in names if name != "-" and not name.startswith("pipe:")}


class _LogTail:
    """Reads ffmpeg's log in a thread and keeps its end: a full pipe would stall ffmpeg."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="ffmpeg-log", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while self._pipe is not None and (block := os.read(self._pipe.fileno(), 65536)):
            self._kept = (self._kept + block)[-_LOG_BYTES:]

    def finish(self) -> str:
        self._thread.join()
        if self._pipe is not None:
            self._pipe.close()
        return self._kept.decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _raise_failure(what: str, code: int, log: str) -> None:
    for words, number in _DISK_ERRORS.items():
        if words in log:
            with translate_os_errors(what, "ffmpeg", MediaError):
                raise OSError(number, os.strerror(number))
    raise MediaError(f"cannot {what}: ffmpeg says: {_cause(log) or f'exit code {code}'}")


def _cause(log: str) -> str:
    """The last line of the log that says something, without ffmpeg's component addresses."""
    lines = [_CONTEXT.sub("", line).strip() for line in re.split(r"[\r\n]+", log)]
    telling = [line for line in lines if line and not _TAIL.match(line)]
    return (telling or [line for line in lines if line] or [""])[-1][:300]
