"""MiniMax-H3 with random weights and tiny layers, from the real classes, saved as its folders.

What the model fixes stays as it is: 51 layers of the text encoder (the fiftieth is read), chunks of
17 frames, 32 pixels a patch, 32 kHz. What is only size is small: the canvas is 64 pixels high.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["save_tiny_h3"]

HIDDEN = 16
SPECIAL = (
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def save_tiny_h3(folder: Path) -> Path:
    """The folder, laid out like the published repository, with both transformers."""
    import torch
    from diffusers import MiniMaxH3Scheduler

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder / "tokenizer")
    _eyes().save_pretrained(folder / "processor")
    clips = {"size": {"shortest_edge": 2 * 32 * 32, "longest_edge": 24 * 64 * 64}}
    (folder / "processor" / "video_preprocessor_config.json").write_text(json.dumps(clips))
    _text_encoder(tokenizer).save_pretrained(folder / "text_encoder")
    _transformer().save_pretrained(folder / "transformer")
    _transformer().save_pretrained(folder / "transformer_ref")
    _vae().save_pretrained(folder / "vae")
    _audio_vae().save_pretrained(folder / "audio_vae")
    MiniMaxH3Scheduler(shift=12.0).save_pretrained(folder / "scheduler")
    MiniMaxH3Scheduler(shift=3.0).save_pretrained(folder / "audio_scheduler")
    index = {
        "_blocks_class_name": "MiniMaxH3Blocks",
        "canvas_short_edge": 64,
        "canvas_max_pixels": 64 * 128,
        "reference_image_short_edge": 64,
    }
    (folder / "modular_model_index.json").write_text(json.dumps(index))
    return folder


def _tokenizer() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2TokenizerFast

    vocab = {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
    for name in SPECIAL:
        vocab[name] = len(vocab)
    return Qwen2TokenizerFast(vocab=vocab, merges=[], additional_special_tokens=list(SPECIAL[1:]))


def _eyes() -> Any:
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(
        patch_size=16, temporal_patch_size=2, merge_size=2, min_pixels=32 * 32, max_pixels=64 * 64
    )


def _text_encoder(tokenizer: Any) -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN,
            "num_hidden_layers": 51,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    return Qwen3VLForConditionalGeneration(config).eval()


def _transformer() -> Any:
    from diffusers import MiniMaxH3Transformer3DModel

    return MiniMaxH3Transformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        hidden_size=HIDDEN,
        num_layers=2,
        num_refiner_layers=1,
        ffn_dim=HIDDEN,
        in_channels=24,
        audio_in_channels=32,
        text_dim=HIDDEN,
        freq_dim=16,
        time_embed_hidden_dim=HIDDEN,
        time_embed_dim=8,
        rope_freq_dim=2,
    ).eval()


def _vae() -> Any:
    import torch
    from diffusers import AutoencoderKLMiniMaxH3

    vae = AutoencoderKLMiniMaxH3(
        latent_channels=24,
        block_out_channels=(4, 4, 4, 4, 4, 4),
        layers_per_block=1,
        norm_num_groups=2,
        decoder_num_layers=1,
        decoder_num_attention_heads=2,
        decoder_attention_head_dim=16,
        decoder_num_register_tokens=1,
        decoder_ffn_mult=1,
        latents_mean=(0.1,) * 24,
        latents_std=(0.9,) * 24,
    )
    with torch.no_grad():
        # Untrained, its attention counts for nothing: a frame would not depend on its chunk.
        for name, weight in vae.decoder.named_parameters():
            if "scale" in name:
                weight.fill_(1.0)
            elif ".attn." in name and name.endswith("weight") and weight.ndim == 2:
                weight.mul_(6)
    return vae.eval()


def _audio_vae() -> Any:
    from diffusers import AutoencoderKLMiniMaxH3Audio

    return AutoencoderKLMiniMaxH3Audio(
        encoder_dim=2,
        latent_dim=32,
        latent_channels=32,
        num_attention_heads=2,
        decoder_dim=128,
        resblock_kernel_sizes=(3,),
        resblock_dilation_sizes=((1,),),
        latents_mean=[0.1] * 32,
        latents_std=[0.9] * 32,
    ).eval()
