"""One line spoken by eSpeak NG, as a process of its own.

eSpeak NG is GPL-3 and keeps state from one call to the next, so the library is loaded only
here, for one line. The process reads one JSON object on stdin and writes one JSON line (sample
rate, event times) followed by mono 16-bit PCM in native byte order. It is run by path with
`python -I -S`, so it may import nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

# Constants and layouts of espeak-ng's public header, speak_lib.h.
_SYNCHRONOUS, _UTF8, _BY_CHARACTER = 2, 1, 1
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_LIST_TERMINATED, _WORD, _CLAUSE_END = 0, 1, 5

_SEED = 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def main() -> int:
    """Exit status: 0 spoken, 2 the voice is unknown, 3 the engine failed."""
    request = json.load(sys.stdin.buffer)
    library = ctypes.CDLL(request["library"])
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, request["data"].encode(), 0)
    if rate <= 0:
        return 3
    # Voices flutter at random, from a seed that is the second at which they are loaded.
    library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        return 2
    for parameter, key in (
        (_RATE, "rate_wpm"),
        (_VOLUME, "volume"),
        (_PITCH, "pitch"),
        (_RANGE, "range"),
        (_WORD_GAP, "word_gap"),
    ):
        library.espeak_SetParameter(parameter, request[key], 0)
    spoken = _speak(library, request["text"], int(request["max_seconds"] * rate))
    if spoken is None:
        return 3
    pcm, words, ends = spoken
    header = {"sample_rate": rate, "words": words, "ends_ms": ends}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + pcm)
    return 0


def _speak(
    library: Any, text: str, max_samples: int
) -> tuple[bytes, list[tuple[int, int]], list[int]] | None:
    """PCM, `(character, ms)` of each word, and the ms at which clauses end."""
    pcm = bytearray()
    words: list[tuple[int, int]] = []
    ends: list[int] = []

    def collect(wave: Any, num_samples: int, events: Any) -> int:
        if wave and num_samples > 0:
            pcm.extend(ctypes.string_at(wave, num_samples * 2))
        index = 0
        while events[index].type != _LIST_TERMINATED:
            event = events[index]
            if event.type == _WORD:
                words.append((event.text_position - 1, event.audio_position_ms))
            elif event.type == _CLAUSE_END:
                ends.append(event.audio_position_ms)
            index += 1
        return int(len(pcm) > max_samples * 2)

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode() + b"\0"
    # Neither the SSML nor the phoneme flag: `<` and `[[` are text like any other.
    status = library.espeak_Synth(
        encoded, len(encoded), 0, _BY_CHARACTER, 0, _UTF8, None, None
    )  # fmt: skip
    return (bytes(pcm[: max_samples * 2]), words, ends) if status == 0 else None


if __name__ == "__main__":
    sys.exit(main())
