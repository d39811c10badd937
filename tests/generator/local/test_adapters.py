"""Adapters on a real transformer with few weights: swapped, weighted, refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from generator.local.adapters import lora_name, set_loras
from generator.local.family import Placing
from generator.local.levers import place
from media.errors import RenderError

Lora = tuple[str, str, float]


def tiny_transformer(width: int = 24) -> Any:
    import torch
    from diffusers import WanTransformer3DModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=width // 2,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )


def output_of(transformer: Any) -> Any:
    import torch

    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 4, 2, 8, 8, generator=generator)
    words = torch.randn(1, 6, 16, generator=generator)
    with torch.no_grad():
        return transformer(noise, torch.tensor([500]), words)[0]


def tiny_pipe(rung: Any = "resident", loras: tuple[Lora, ...] = ()) -> Any:
    from diffusers import WanPipeline

    pipe = WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=None,
        scheduler=None,
        transformer=tiny_transformer(),
    )
    set_loras(pipe, loras, base="wan")
    place(pipe.transformer, Placing(rung=rung))
    return pipe


def write_lora(
    path: Path, seed: int, *, width: int = 24, layer: str = "transformer.blocks.{}.attn1.to_q"
) -> Lora:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for at in range(2):
        name = layer.format(at)
        tensors[f"{name}.lora_A.weight"] = torch.randn(4, width, generator=generator)
        tensors[f"{name}.lora_B.weight"] = torch.randn(width, 4, generator=generator)
    save_file(tensors, path)
    return (f"{seed:064x}"[::-1], str(path), 0.8)


@pytest.fixture
def loras(tmp_path: Path) -> Sequence[Lora]:
    return [write_lora(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]


@pytest.mark.parametrize("rung", ["resident", "group_offload"])
def test_adapters_are_swapped_without_a_trace(loras: Sequence[Lora], rung: str) -> None:
    import torch

    first, second = loras
    wanted: list[tuple[Lora, ...]] = [(), (first,), (second,), (first, second), ()]
    expected = [output_of(tiny_pipe("resident", some).transformer) for some in wanted]
    assert not torch.equal(expected[0], expected[1])
    assert not torch.equal(expected[1], expected[2])
    pipe = tiny_pipe(rung)
    for some, right in zip(wanted, expected, strict=True):
        set_loras(pipe, some, base="wan")
        assert torch.equal(output_of(pipe.transformer), right)


def test_a_weight_changes_without_loading_again(
    loras: Sequence[Lora], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    sha256, path, _ = loras[0]
    pipe = tiny_pipe("resident", (loras[0],))
    half = output_of(tiny_pipe("resident", ((sha256, path, 0.4),)).transformer)
    monkeypatch.setattr(type(pipe), "load_lora_weights", lambda *_, **__: pytest.fail("loaded"))
    set_loras(pipe, ((sha256, path, 0.4),), base="wan")
    assert torch.equal(output_of(pipe.transformer), half)


def test_adapters_of_the_backend_stay(loras: Sequence[Lora]) -> None:
    import torch

    both = output_of(tiny_pipe("resident", tuple(loras)).transformer)
    pipe = tiny_pipe()
    path = Path(loras[0][1])
    pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="sheet")
    set_loras(pipe, (loras[1],), base="wan", besides={"sheet": 0.8})
    assert torch.allclose(output_of(pipe.transformer), both, atol=1e-6)
    set_loras(pipe, (), base="wan", besides={"sheet": 0.8})
    alone = output_of(tiny_pipe("resident", (loras[0],)).transformer)
    assert torch.equal(output_of(pipe.transformer), alone)


@pytest.mark.parametrize(
    "foreign",
    [
        {"width": 48},
        {"layer": "transformer.single_blocks.{}.q"},
        {"layer": "unet.blocks.{}.attn1.to_q"},
    ],
)
def test_an_adapter_of_another_model_is_refused(tmp_path: Path, foreign: dict[str, Any]) -> None:
    import torch

    lora = write_lora(tmp_path / "foreign.safetensors", 5, **foreign)
    pipe = tiny_pipe()
    with pytest.raises(RenderError, match=r"foreign.safetensors: expected an adapter for wan"):
        set_loras(pipe, (lora,), base="wan")
    assert torch.equal(output_of(pipe.transformer), output_of(tiny_transformer().eval()))


def test_a_file_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 20)
    with pytest.raises(RenderError, match="expected an adapter for wan"):
        set_loras(tiny_pipe(), (("a" * 64, str(tmp_path / "noise.safetensors"), 1.0),), base="wan")


def test_names_follow_the_content() -> None:
    assert lora_name("ab" * 32) == "lora_abababababababab"
