"""Whole LTX-2 pipelines with a few thousand random weights, in the layout of the real folders.

The compression is the real one (8 frames and 32x32 pixels a latent), so that sizes, frame rules and
keyframe positions are what they are on the full model; only widths and depths are small.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from generator.backends.base import Description, Placement, RenderRequest
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

__all__ = ["asked", "save_adapter", "save_pipeline", "save_upsampler", "tiny_vae"]

_WORDS = (
    *("a", "woman", "in", "yellow", "oilskin", "grips", "the", "rail", "and", "turns", "to"),
    *("camera", "waves", "break", "below", "lamp", "shot", "close", "up", "wide", "dusk"),
    *("says", "quiet", "never", "went", "out", "blurry", "text", "man", "rain"),
)
_HIDDEN = 16
_LAYERS = 2
_MEL_BINS = 16
_LATENT_CHANNELS = 4


def asked(num_frames: int = 17, **changes: Any) -> RenderRequest:
    """A shot of Mara, in two stages of a few latents each."""
    shot = Description(
        "EXT. GALLERY - DUSK",
        "Mara turns.",
        ShotSize.MS,
        Angle.EYE,
        Camera(),
        3,
        placements=(Placement("Mara", "grey braid", "", "left", "camera", "mid", 1.7),),
    )
    request = RenderRequest(
        "a woman turns to camera",
        "",
        5,
        (128, 64),
        Fraction(24),
        num_frames,
        "standard",
        shot,
        audio="native",
    )
    return replace(request, **changes)


def save_pipeline(folder: Path, generation: Literal["2.3", "2.5"] = "2.3", seed: int = 0) -> Path:
    """`folder` with an LTX2Pipeline of `generation` in it: Gemma 3 or Gemma 4 in front."""
    import torch
    from diffusers import (
        AutoencoderKLLTX2Audio,
        FlowMatchEulerDiscreteScheduler,
        LTX2Pipeline,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2DurationHead, LTX2TextConnectors

    torch.manual_seed(seed)
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=2 * _MEL_BINS // 4,
        ch_mult=(1, 1, 1),
        num_res_blocks=1,
        resolution=32,
        latent_channels=2,
        mel_bins=_MEL_BINS,
    )
    connectors = LTX2TextConnectors(
        caption_channels=_HIDDEN,
        text_proj_in_factor=_LAYERS + 1,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=8,
        video_gated_attn=True,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=4,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=8,
        audio_gated_attn=True,
        connector_rope_base_seq_len=32,
        rope_double_precision=False,
        rope_type="split",
        per_modality_projections=True,
        video_hidden_dim=16,
        audio_hidden_dim=8,
        proj_bias=True,
    )
    transformer = LTX2VideoTransformer3DModel(
        in_channels=_LATENT_CHANNELS,
        out_channels=_LATENT_CHANNELS,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        gated_attn=True,
        cross_attn_mod=True,
        audio_in_channels=2 * _MEL_BINS // 4,
        audio_out_channels=2 * _MEL_BINS // 4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        audio_gated_attn=True,
        audio_cross_attn_mod=True,
        num_layers=2,
        caption_channels=_HIDDEN,
        rope_double_precision=False,
        rope_type="split",
        use_prompt_embeddings=False,
        perturbed_attn=True,
        ff_bias=generation == "2.3",
        use_keyframes_abs_pos_embedding=generation == "2.5",
    )
    head = LTX2DurationHead(
        video_cross_attention_dim=16,
        audio_cross_attention_dim=8,
        pooler_hidden_dim=8,
        num_pooler_heads=2,
        mlp_hidden_dim=8,
    )
    pipeline = LTX2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=1024,
            max_image_seq_len=4096,
            shift_terminal=0.1,
        ),
        vae=tiny_vae(),
        audio_vae=audio_vae,
        text_encoder=_gemma3() if generation == "2.3" else _gemma4(),
        tokenizer=_tokenizer(),
        connectors=connectors,
        transformer=transformer,
        vocoder=_vocoder(generation),
        duration_head=head if generation == "2.5" else None,
    )
    pipeline.save_pretrained(folder)
    return folder


def save_upsampler(folder: Path) -> Path:
    """`folder` with the latent upsampler of a second stage, as `latent_upsampler/`."""
    import torch
    from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel

    torch.manual_seed(5)
    upsampler = LTX2LatentUpsamplerModel(
        in_channels=_LATENT_CHANNELS,
        mid_channels=32,
        num_blocks_per_stage=1,
        use_rational_resampler=False,
    )
    upsampler.save_pretrained(folder / "latent_upsampler")
    return folder


def save_adapter(path: Path, seed: int, scale: float = 1.0, **metadata: str) -> Path:
    """A LoRA file of the transformer's attention, large enough to be seen."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    state = {}
    for block in range(2):
        for layer in ("to_q", "to_k", "to_v"):
            name = f"transformer.transformer_blocks.{block}.attn1.{layer}"
            state[f"{name}.lora_A.weight"] = torch.randn(4, 16, generator=generator) * scale
            state[f"{name}.lora_B.weight"] = torch.randn(16, 4, generator=generator) * scale
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata=metadata or None)
    return path


def tiny_vae(generation: Literal["2.0", "2.3"] = "2.3", *, causal: bool = False) -> Any:
    """An AutoencoderKLLTX2Video, decoder blocks as in LTX-2.0 (residual) or as from LTX-2.3 on."""
    import torch
    from diffusers import AutoencoderKLLTX2Video

    torch.manual_seed(3)
    decoder: dict[str, Any] = {
        "decoder_block_out_channels": (8, 16, 32),
        "decoder_layers_per_block": (1, 1, 1, 1),
        "decoder_spatial_padding_mode": "reflect",
    }
    if generation == "2.3":
        decoder = {
            "decoder_block_out_channels": (4, 8, 8, 16),
            "decoder_layers_per_block": (1, 1, 1, 2, 1),
            "decoder_spatio_temporal_scaling": (True, True, True, True),
            "decoder_inject_noise": (False,) * 5,
            "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
            "upsample_residual": (False,) * 4,
            "upsample_factor": (2, 2, 1, 2),
            "decoder_spatial_padding_mode": "zeros",
        }
    vae = AutoencoderKLLTX2Video(
        latent_channels=_LATENT_CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_causal=causal,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
        **decoder,
    )
    vae.latents_mean.copy_(torch.linspace(-0.2, 0.2, _LATENT_CHANNELS))
    vae.latents_std.copy_(torch.linspace(0.8, 1.2, _LATENT_CHANNELS))
    return vae.eval()


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys((*special, *_WORDS)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=1024,
    )


def _gemma3() -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    config = Gemma3Config(
        text_config={
            "vocab_size": 64,
            "hidden_size": _HIDDEN,
            "intermediate_size": 16,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "sliding_window": 64,
        },
        vision_config={
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        image_token_index=60,
        boi_token_index=61,
        eoi_token_index=62,
    )
    return Gemma3ForConditionalGeneration(config).eval()


def _gemma4() -> Any:
    from transformers import Gemma4UnifiedConfig, Gemma4UnifiedForConditionalGeneration

    config = Gemma4UnifiedConfig(
        text_config={
            "vocab_size": 64,
            "hidden_size": _HIDDEN,
            "intermediate_size": 16,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "global_head_dim": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 64,
        },
        image_token_id=60,
        boi_token_id=61,
        eoi_token_id=62,
        audio_token_id=59,
        boa_token_id=58,
        eoa_token_index=57,
        video_token_id=56,
    )
    return Gemma4UnifiedForConditionalGeneration(config).eval()


def _vocoder(generation: str) -> Any:
    from diffusers.pipelines.ltx2 import LTX2Vocoder, LTX2VocoderWithBWE

    if generation == "2.3":
        # 160 samples of 16 kHz are 480 of 48 kHz.
        return LTX2Vocoder(
            in_channels=2 * _MEL_BINS,
            hidden_channels=16,
            upsample_kernel_sizes=[16, 12, 10],
            upsample_factors=[8, 6, 10],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3, 5]],
            output_sampling_rate=48000,
        )
    return LTX2VocoderWithBWE(
        in_channels=2 * _MEL_BINS,
        hidden_channels=16,
        upsample_kernel_sizes=[11, 8, 4],
        upsample_factors=[5, 8, 4],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        bwe_in_channels=32,
        bwe_hidden_channels=16,
        bwe_upsample_kernel_sizes=[12, 11, 16],
        bwe_upsample_factors=[6, 5, 8],
        bwe_resnet_kernel_sizes=[3],
        bwe_resnet_dilations=[[1, 3, 5]],
        num_mel_channels=16,
    )
