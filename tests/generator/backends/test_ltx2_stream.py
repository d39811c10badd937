"""LTX-2's frames in a stream: bit for bit those of decoding at once, in memory that stays flat."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from generator.backends.ltx2_parts.stream import steady_decoder, stream_decode  # noqa: E402
from media.errors import RenderError  # noqa: E402
from tests.generator.local.tiny_ltx2 import tiny_vae  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def at_once(vae: Any, latents: Any) -> Any:
    with torch.no_grad():
        return vae.decode(latents, return_dict=False)[0]


def noise(num_latents: int, height: int = 2, width: int = 3) -> Any:
    generator = torch.Generator().manual_seed(num_latents)
    return torch.randn(1, 4, num_latents, height, width, generator=generator)


@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("generation", ["2.0", "2.3"])
def test_is_bit_for_bit_what_decoding_at_once_gives(generation: Any, causal: bool) -> None:
    vae = steady_decoder(tiny_vae(generation, causal=causal))
    for num_latents in (1, 2, 3, 5, 11):
        latents = noise(num_latents)
        chunks = list(stream_decode(vae, latents))
        assert all(1 <= chunk.shape[2] <= 8 for chunk in chunks)
        whole = at_once(vae, latents)
        assert whole.shape[2] == 8 * (num_latents - 1) + 1
        assert torch.equal(torch.cat(chunks, dim=2), whole)


@pytest.mark.parametrize("generation", ["2.0", "2.3"])
def test_steadying_changes_no_more_than_rounding(generation: Any) -> None:
    latents = noise(5)
    whole = at_once(tiny_vae(generation), latents)
    steady = at_once(steady_decoder(tiny_vae(generation)), latents)
    assert torch.allclose(steady, whole, atol=2e-3)
    in_bf16 = at_once(tiny_vae(generation).bfloat16(), latents.bfloat16())
    steady_vae = steady_decoder(tiny_vae(generation).bfloat16())
    streamed = torch.cat(list(stream_decode(steady_vae, latents.bfloat16())), dim=2)
    assert torch.equal(streamed, at_once(steady_vae, latents.bfloat16()))
    assert (streamed.float() - in_bf16.float()).abs().mean() < 1e-3


def test_threads_do_not_change_a_bit() -> None:
    vae, latents = steady_decoder(tiny_vae("2.0")), noise(4, 3, 3)
    alone = torch.cat(list(stream_decode(vae, latents)), dim=2)
    torch.set_num_threads(2)
    try:
        assert torch.equal(torch.cat(list(stream_decode(vae, latents)), dim=2), alone)
    finally:
        torch.set_num_threads(1)


def test_whoever_waits_for_frames_keeps_their_gradients() -> None:
    for chunk in stream_decode(steady_decoder(tiny_vae()), noise(3)):
        assert torch.is_grad_enabled()
        assert not chunk.requires_grad


def test_a_decoder_that_draws_noise_is_refused() -> None:
    from diffusers import AutoencoderKLLTX2Video

    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_block_out_channels=(8, 16, 32),
        decoder_layers_per_block=(1,) * 4,
        decoder_inject_noise=(True, False, False, False),
    )
    with pytest.raises(RenderError, match="injects noise"):
        steady_decoder(vae)


class LiveBytes(TorchDispatchMode):  # type: ignore[misc]
    """Counts the bytes of all tensors that are alive inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._held: dict[int, list[int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor)
        return made

    def _note(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        held = self._held.setdefault(storage.data_ptr(), [0, storage.nbytes()])
        self._now += 0 if held[0] else held[1]
        self.peak = max(self.peak, self._now)
        held[0] += 1
        weakref.finalize(tensor, self._drop, storage.data_ptr())

    def _drop(self, place: int) -> None:
        held = self._held[place]
        held[0] -= 1
        if not held[0]:
            self._now -= held[1]
            del self._held[place]


def test_memory_is_flat_between_33_and_321_frames() -> None:
    vae, latents = steady_decoder(tiny_vae()), noise(41, 2, 2)

    def streamed(num_latents: int) -> int:
        frames = 0
        with LiveBytes() as live:
            for chunk in stream_decode(vae, latents[:, :, :num_latents]):
                frames += chunk.shape[2]
        assert frames == 8 * num_latents - 7
        return live.peak

    # After 33 frames not every layer has its past yet; after 65 nothing grows by a byte.
    longest = streamed(41)
    assert longest == streamed(9) < 1.15 * streamed(5)
    with LiveBytes() as live:
        at_once(vae, latents)
    assert live.peak > 10 * longest
