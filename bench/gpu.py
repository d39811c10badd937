"""How fast shots are made on a GPU, against plain diffusers calls for the same latents.

python -m bench.gpu ltx2 --folder /scratch/models        LTX-2.3, 22B, random weights
python -m bench.gpu wan --folder /scratch/models         Wan 2.1 T2V-14B, random weights

A model is built once under the folder (some 50 GB) and used again. For each lever one shot is
made twice (the first warms up), then a film of `--shots` shots, two takes in the making at a
time as `produce` does it. Columns: seconds of denoising a shot and their ratio to the plain call;
seconds a shot of the whole film; share of the film in which the GPU was busy; peak memory.
No figure is printed without a GPU.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.gpu_models import save_ltx2, save_wan
from generator.backends.base import Backend, Description, RenderRequest, RenderTools
from generator.backends.ltx2 import LTX2
from generator.backends.wan import WanBackend
from generator.local.device import free_memory
from generator.local.pool import shared_pool
from generator.local.settings import LocalSettings
from media.errors import TakeboardError
from media.video import MEZZANINE, write_video
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["MODELS", "Figures", "Model", "main", "measure_film", "measure_lever"]

Levers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Model:
    """One model to be measured, and the levers that are tried on it: settings by name."""

    backend: str
    variant: str
    build: Callable[[Path, str], Path]
    make: Callable[[LocalSettings], Backend]
    plain: Callable[[Path, RenderRequest, str], float]
    size: tuple[int, int]
    num_frames: int
    fps: Fraction
    levers: Levers


@dataclass(slots=True)
class Figures:
    """What was seen of one lever."""

    denoise_s: float
    film_s_a_shot: float
    busy: float | None
    """0 to 1; None: the GPU does not say."""
    peak_mb: float
    notes: list[str] = field(default_factory=list)


def main() -> None:
    """Print the table of one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("--folder", type=Path, required=True, help="where models are built")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--lever", action="append", help="only these; default: all")
    given = parser.parse_args()
    device = _require_gpu()
    model = MODELS[given.model]
    folder = given.folder / f"{model.backend}-{model.variant}"
    if not folder.exists():
        _require_room(given.folder, 70)
        print(f"building {folder}", flush=True)
        model.build(folder, device)
        free_memory(device)
    _print_head(model, device)
    plain_s = model.plain(folder, shot_request(model), device)
    free_memory(device)
    print(f"{'plain diffusers':<20} {plain_s:9.2f} s     1.00x", flush=True)
    for lever in given.lever or model.levers:
        try:
            seen = measure_lever(model, folder, model.levers[lever], given.shots, device)
        except TakeboardError as error:
            print(f"{lever:<20} refused: {error}", flush=True)
            continue
        busy = "      –" if seen.busy is None else f"{seen.busy:7.1%}"
        ratio = f"{seen.denoise_s / plain_s:7.2f}x"
        film = f"{seen.film_s_a_shot:9.2f} s {busy} {seen.peak_mb / 1024:7.1f} GiB"
        print(f"{lever:<20} {seen.denoise_s:9.2f} s {ratio} {film}", flush=True)
        for note in seen.notes:
            print(f"    {note}", flush=True)


def measure_lever(
    model: Model, folder: Path, lever: Mapping[str, Any], shots: int, device: str
) -> Figures:
    """One shot twice, then a film, with the lever's settings."""
    settings = LocalSettings.model_validate(
        {
            "device": device,
            "models": {
                model.backend: {"source": str(folder), "variant": model.variant, **lever},
            },
        }
    )
    backend = model.make(settings)
    try:
        with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as scratch:
            return measure_film(backend, model, shots, Path(scratch))
    finally:
        shared_pool(device).clear()
        free_memory(device)


def measure_film(backend: Backend, model: Model, shots: int, scratch: Path) -> Figures:
    """Seconds of denoising a warm shot, and of a film of `shots` different ones."""
    tools = RenderTools({}, cache=scratch / "store")
    requests = [backend.snap(shot_request(model, seed=seed)).request for seed in range(shots + 2)]
    backend.prepare(requests, tools)
    _make(backend, requests[-1], tools, scratch / "warm.mp4")
    alone = _make(backend, requests[-2], tools, scratch / "alone.mp4")
    started = time.monotonic()
    with _gpu_busy() as busy, ThreadPoolExecutor(2) as makers:
        film = list(
            makers.map(
                lambda shot: _make(backend, requests[shot], tools, scratch / f"{shot}.mp4"),
                range(shots),
            )
        )
    film_s = time.monotonic() - started
    peak = max(one.peak_memory_mb() for one in (alone, *film))
    share = sum(busy) / len(busy) / 100 if busy else None
    notes = list(dict.fromkeys(alone.warnings))
    return Figures(alone.timings["denoise_s"], film_s / shots, share, peak, notes)


def shot_request(model: Model, seed: int = 0) -> RenderRequest:
    """A shot of words alone, at the model's own size and length."""
    words = Description(
        "EXT. LIGHTHOUSE - DUSK", "Waves.", ShotSize.LS, Angle.EYE, Camera(), setting_seed=1
    )
    return RenderRequest(
        prompt="waves break below a lighthouse, a lamp begins to turn",
        negative="",
        seed=seed,
        size=model.size,
        fps=model.fps,
        num_frames=model.num_frames,
        profile="standard",
        description=words,
        audio="native" if model.backend == "ltx2" else "none",
    )


def _make(backend: Backend, request: RenderRequest, tools: RenderTools, out: Path) -> Any:
    made = backend.render(request, tools)
    write_video(out, made.frames, size=made.size, fps=made.fps, encoding=MEZZANINE)
    made.audio()
    return made


@contextmanager
def _gpu_busy() -> Iterator[list[float]]:
    """Percent of time in which a kernel ran, sampled five times a second while inside."""
    seen: list[float] = []
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        meter = subprocess.Popen(
            [*command, "-lms", "200"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        yield seen
        return

    def read() -> None:
        assert meter.stdout is not None
        for line in meter.stdout:
            with suppress(ValueError):
                seen.append(float(line.split(",")[0]))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        meter.terminate()
        meter.wait(timeout=10)
        reader.join(timeout=10)


def _plain_ltx2(folder: Path, request: RenderRequest, device: str) -> float:
    """Seconds of the second of two distilled calls of LTX2Pipeline, to latents."""
    import torch
    from diffusers import LTX2Pipeline
    from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES

    pipe = LTX2Pipeline.from_pretrained(folder, dtype=torch.bfloat16).to(device)
    guidance = {"guidance_scale": 1.0, "stg_scale": 0.0, "modality_scale": 1.0}
    guidance |= {f"audio_{name}": scale for name, scale in guidance.items()}
    return _second_call_s(
        lambda seed: pipe(
            request.prompt,
            width=request.size[0],
            height=request.size[1],
            num_frames=request.num_frames,
            frame_rate=float(request.fps),
            sigmas=DISTILLED_SIGMA_VALUES,
            num_inference_steps=len(DISTILLED_SIGMA_VALUES),
            guidance_rescale=0.0,
            audio_guidance_rescale=0.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
            **guidance,
        ),
        device,
    )


def _plain_wan(folder: Path, request: RenderRequest, device: str) -> float:
    """Seconds of the second of two calls of WanPipeline with the backend's steps, to latents."""
    import torch
    from diffusers import WanPipeline

    from generator.backends.wan_parts.family import sampling_of
    from generator.backends.wan_parts.models import wan_of

    model = MODELS["wan"]
    settings = LocalSettings.model_validate(
        {"models": {"wan": {"source": str(folder), "variant": model.variant}}}
    )
    snapped = model.make(settings).snap(request).request
    sampling = sampling_of(wan_of(settings.models["wan"]), snapped, "text")
    pipe = WanPipeline.from_pretrained(folder, dtype=torch.bfloat16).to(device)
    width = pipe.transformer.config.text_dim
    embeds = torch.randn(1, 512, width, dtype=torch.bfloat16, device=device)
    return _second_call_s(
        lambda seed: pipe(
            prompt_embeds=embeds,
            negative_prompt_embeds=embeds,
            width=snapped.size[0],
            height=snapped.size[1],
            num_frames=snapped.num_frames,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
        ),
        device,
    )


def _second_call_s(call: Callable[[int], object], device: str) -> float:
    import torch

    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    call(0)
    wait()
    started = time.monotonic()
    call(1)
    wait()
    return time.monotonic() - started


def _require_gpu() -> str:
    try:
        import torch

        there = torch.cuda.is_available()
    except ImportError:
        there = False
    if not there:
        raise SystemExit("no GPU was found, so there is nothing to measure and no figure to print")
    return "cuda:0"


def _require_room(folder: Path, gigabytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SystemExit(f"{folder}: expected {gigabytes} GB of room, found {free:.0f}")


def _print_head(model: Model, device: str) -> None:
    import torch

    width, height = model.size
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}", end=", ")
    print(f"diffusers {version('diffusers')}; {model.backend} {model.variant}", end=", ")
    print(f"{width}x{height}, {model.num_frames} frames")
    print(f"{'':<20} {'denoise':>11} {'ratio':>8} {'film, a shot':>11} {'busy':>7} {'peak':>11}")


_LEVERS: dict[str, dict[str, Any]] = {
    "no lever": {},
    "compile": {"compile": True},
    "cuDNN attention": {"attention": "_native_cudnn"},
    "Flash attention": {"attention": "flash"},
    "fp8": {"precision": "fp8"},
    "int8": {"precision": "int8"},
    "compile, fp8": {"compile": True, "precision": "fp8"},
    "group offload": {"offload": "group"},
}

MODELS: Mapping[str, Model] = {
    "ltx2": Model(
        backend="ltx2",
        variant="2.3",
        build=save_ltx2,
        make=LTX2,
        plain=_plain_ltx2,
        size=(768, 512),
        num_frames=121,
        fps=Fraction(24),
        levers={**_LEVERS, "TaylorSeer": {"step_cache": "taylorseer"}},
    ),
    "wan": Model(
        backend="wan",
        variant="2.1",
        build=save_wan,
        make=WanBackend,
        plain=_plain_wan,
        size=(832, 480),
        num_frames=81,
        fps=Fraction(16),
        levers={**_LEVERS, "FirstBlockCache": {"step_cache": "firstblock"}},
    ),
}


if __name__ == "__main__":
    main()
