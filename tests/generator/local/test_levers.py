"""Levers and rungs on real modules with few weights, and refusals that load nothing."""

from __future__ import annotations

from typing import Any

import pytest

from generator.local import levers
from generator.local.family import Placing
from generator.local.levers import ATTENTIONS, LeverSupport, lever_refusal, place, step_cache
from generator.local.settings import ModelSettings
from media.errors import RenderError
from tests.generator.local.test_adapters import output_of, tiny_transformer

RUNGS = ("resident", "quantised", "group_offload", "sequential_offload")


def tiny_text_encoder(kind: str) -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2Model, UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    if kind == "umt5":
        config = UMT5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
        return UMT5EncoderModel(config).eval()
    qwen = Qwen2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    return Qwen2Model(qwen).eval()


@pytest.fixture(scope="session")
def exact() -> Any:
    return output_of(tiny_transformer().eval())


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("quantise", ["", "fp8"])
def test_a_transformer_on_every_rung(exact: Any, rung: Any, quantise: Any) -> None:
    import torch

    placed = place(tiny_transformer(), Placing(rung=rung, quantise=quantise))
    got = output_of(placed)
    small = {weight.dtype for weight in placed.parameters()} == {
        torch.float8_e4m3fn,
        torch.float32,
    }
    rounded = rung == "quantised" or quantise == "fp8"
    assert small == rounded
    # 8 bits keep 3 of the mantissa: a few hundredths in outputs of about 1.
    assert torch.allclose(got, exact, atol=0.1 if rounded else 1e-6)
    assert torch.equal(got, exact) != rounded


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("kind", ["umt5", "qwen2"])
def test_a_text_encoder_on_every_rung(rung: Any, kind: str) -> None:
    import torch

    words = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        exact = tiny_text_encoder(kind)(input_ids=words)[0]
        placed = place(tiny_text_encoder(kind), Placing(rung=rung), levers=False)
        got = placed(input_ids=words)[0]
    atol = 0.3 if rung == "quantised" else 1e-6
    assert torch.allclose(got, exact, atol=atol)


def test_attention_is_the_modules_own(exact: Any) -> None:
    import torch
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    before = _AttentionBackendRegistry.get_active_backend()[0]
    placed = place(tiny_transformer(), Placing(attention="_native_math"))
    assert placed.blocks[0].attn1.processor._attention_backend.value == "_native_math"
    assert torch.allclose(output_of(placed), exact, atol=1e-5)
    assert _AttentionBackendRegistry.get_active_backend()[0] == before


@pytest.mark.parametrize(("name", "said"), [("flash", "flash-attn"), ("warp", "must be one of")])
def test_attention_that_is_not_there_is_an_error(name: str, said: str) -> None:
    with pytest.raises(RenderError, match=said):
        place(tiny_transformer(), Placing(attention=name))


def test_repeated_blocks_are_compiled_and_nothing_else() -> None:
    placed = place(tiny_transformer(), Placing(compile=True))
    assert all(block._compiled_call_impl is not None for block in placed.blocks)
    assert placed._compiled_call_impl is None


def test_what_has_no_repeated_blocks_is_not_compiled() -> None:
    import torch

    with pytest.raises(RenderError, match="Linear has no repeated blocks"):
        place(torch.nn.Linear(2, 2), Placing(compile=True))


def test_a_step_cache_leaves_nothing_to_the_next_take() -> None:
    import torch

    transformer = tiny_transformer().eval()
    at = [900]

    def denoised() -> Any:
        generator = torch.Generator().manual_seed(3)
        noise = torch.randn(1, 4, 2, 8, 8, generator=generator)
        words = torch.randn(1, 6, 16, generator=generator)
        for step in range(12):
            with torch.no_grad(), transformer.cache_context("cond"):
                at[0] = 900 - 50 * step
                noise = noise - transformer(noise, torch.tensor(at), words)[0] / 10
        return noise

    plain = denoised()
    cached = []
    for _ in range(2):
        with step_cache(transformer, "pyramid", num_steps=12, timestep=lambda: at[0]):
            cached.append(denoised())
    assert not torch.equal(cached[0], plain)
    assert torch.equal(cached[0], cached[1])
    with pytest.raises(KeyError), step_cache(transformer, "taylorseer", num_steps=12):
        raise KeyError("a take that failed")
    assert torch.equal(denoised(), plain)


def test_without_a_name_there_is_no_cache() -> None:
    with step_cache(object(), "", num_steps=4):
        pass


@pytest.mark.parametrize(
    ("asked", "support", "said"),
    [
        ({}, LeverSupport(), ""),
        ({"compile": True}, LeverSupport(), ""),
        ({"compile": True}, LeverSupport(compile=False), "compile: this model cannot"),
        (
            {"attention": "sage"},
            LeverSupport(attention=False, reasons=(("attention", "it masks"),)),
            "attention sage: it masks",
        ),
        ({"precision": "fp8"}, LeverSupport(quantise=frozenset({"int8"})), "precision fp8: "),
        ({"step_cache": "teacache"}, LeverSupport(), "expected one of firstblock, "),
        ({"step_cache": "pyramid"}, LeverSupport(), "step_cache pyramid: this model's blocks"),
        ({"step_cache": "pyramid"}, LeverSupport(step_caches=frozenset({"pyramid"})), ""),
    ],
)
def test_levers_are_refused_with_a_reason(
    asked: dict[str, Any], support: LeverSupport, said: str
) -> None:
    refusal = lever_refusal(ModelSettings(**asked), support)
    assert said in refusal
    assert bool(refusal) == bool(said)


@pytest.mark.parametrize(
    ("asked", "package"),
    [({"precision": "int8"}, "torchao"), ({"attention": "sage"}, "sageattention")],
)
def test_some_levers_need_their_package(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], package: str
) -> None:
    model = ModelSettings(**asked)
    monkeypatch.setattr(levers, "find_spec", lambda name: None)
    assert f"{package}, which is not installed" in lever_refusal(model, LeverSupport())
    monkeypatch.setattr(levers, "find_spec", lambda name: object())
    assert lever_refusal(model, LeverSupport()) == ""


def test_attentions_are_those_of_diffusers() -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName

    assert set(ATTENTIONS) == {name.value for name in AttentionBackendName}


def test_an_unknown_attention_is_refused_before_anything_is_loaded() -> None:
    said = lever_refusal(ModelSettings(attention="xformer"), LeverSupport())
    assert said.startswith("attention: expected one of native, ")
    assert said.endswith("got 'xformer', did you mean \"xformers\"?")
