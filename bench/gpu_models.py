"""Full-size models with random weights, as folders: how fast they are does not depend on weights.

Transformers and VAEs have the published widths and depths. The text encoder is a narrow one that
gives embeddings of the real shape: prompts are encoded once and play no part in what is measured.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["save_ltx2", "save_wan"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;'- "
_GEMMA_WIDTH = 3840
_GEMMA_LAYERS = 48
"""google/gemma-3-12b: what LTX-2's connectors were made for."""


def save_ltx2(folder: Path, device: str) -> Path:
    """LTX-2.3: 48 layers, 4096 wide (22B), with its VAE, connectors and 48 kHz vocoder."""
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2Pipeline,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2VocoderWithBWE

    with _whole(folder), _random_weights(device):
        gates = {"gated_attn": True, "cross_attn_mod": True}
        audio_gates = {f"audio_{name}": True for name in gates}
        pipeline = LTX2Pipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(
                use_dynamic_shifting=True,
                base_shift=0.95,
                max_shift=2.05,
                base_image_seq_len=1024,
                max_image_seq_len=4096,
                shift_terminal=0.1,
            ),
            vae=AutoencoderKLLTX2Video(),
            audio_vae=AutoencoderKLLTX2Audio(),
            text_encoder=_narrow_gemma(),
            tokenizer=_tokenizer(),
            connectors=LTX2TextConnectors(
                rope_type="split",
                per_modality_projections=True,
                proj_bias=True,
                video_connector_num_attention_heads=32,
                audio_connector_num_attention_heads=32,
                audio_connector_attention_head_dim=64,
                video_gated_attn=True,
                audio_gated_attn=True,
            ),
            transformer=LTX2VideoTransformer3DModel(
                rope_type="split",
                use_prompt_embeddings=False,
                perturbed_attn=True,
                **gates,
                **audio_gates,
            ),
            vocoder=LTX2VocoderWithBWE(),
        )
        pipeline.save_pretrained(folder)
    return folder


def save_wan(folder: Path, device: str) -> Path:
    """Wan 2.1 T2V-14B: 40 layers, 5120 wide, with its VAE."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanPipeline,
        WanTransformer3DModel,
    )
    from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

    letters = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters += [(letter, -3.0) for letter in _LETTERS.strip()]
    with _whole(folder), _random_weights(device):
        encoder = UMT5Config(
            vocab_size=len(letters), d_model=4096, d_kv=64, d_ff=256, num_layers=1, num_heads=4
        )
        WanPipeline(
            tokenizer=T5Tokenizer(vocab=letters, extra_ids=0),
            text_encoder=UMT5EncoderModel(encoder),
            vae=AutoencoderKLWan(),
            scheduler=UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
            ),
            transformer=WanTransformer3DModel(),
        ).save_pretrained(folder)
    return folder


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """A folder that could not be finished is not left behind for the next run to find."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _random_weights(device: str) -> Iterator[None]:
    """Modules made inside are made on the device in bfloat16: 22B in float32 fit nowhere."""
    import torch

    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _narrow_gemma() -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = {
        "vocab_size": 256,
        "hidden_size": _GEMMA_WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": _GEMMA_LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
    }
    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=253,
        boi_token_index=254,
        eoi_token_index=255,
    )
    return Gemma3ForConditionalGeneration(config)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    vocabulary = {word: at for at, word in enumerate((*special, *_LETTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=1024,
    )
