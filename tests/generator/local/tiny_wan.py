"""Wan with random weights and tiny layers, from the real classes, saved as its folders.

Folders are laid out like the published ones: the transformers by name, the scheduler, the VAE,
the text encoder and, for models that look at a picture, the CLIP encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["TinyWan", "save_tiny_wan", "tiny_vae", "tiny_wide_vae"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-%"
TEXT_DIM = 16


class TinyWan:
    """Where each model was saved."""

    def __init__(self, root: Path) -> None:
        self.text = root / "t2v-a14b"
        """Two experts, as Wan 2.2 has them."""
        self.text21 = root / "t2v-2.1"
        self.ti2v = root / "ti2v-5b"
        self.image = root / "i2v-a14b"
        self.image21 = root / "i2v-2.1"
        self.first_last21 = root / "flf2v-2.1"
        self.vace = root / "vace"
        self.animate = root / "animate"
        self.lightning = root / "lightning"
        self.lora = root / "mara.safetensors"


def save_tiny_wan(root: Path) -> TinyWan:
    """Every model of the family, under `root`."""
    import torch
    from diffusers import (
        WanAnimatePipeline,
        WanImageToVideoPipeline,
        WanPipeline,
        WanVACEPipeline,
    )

    torch.manual_seed(0)
    tiny = TinyWan(root)
    shared = {"tokenizer": _tokenizer(), "text_encoder": _text_encoder(), "vae": tiny_vae()}

    def parts(**more: Any) -> dict[str, Any]:
        return {**shared, "scheduler": _scheduler(), **more}

    WanPipeline(
        transformer=_transformer(), transformer_2=_transformer(), boundary_ratio=0.875, **parts()
    ).save_pretrained(tiny.text)
    WanPipeline(transformer=_transformer(), **parts()).save_pretrained(tiny.text21)
    WanPipeline(
        transformer=_transformer(in_channels=48, out_channels=48),
        expand_timesteps=True,
        **parts(vae=tiny_wide_vae()),
    ).save_pretrained(tiny.ti2v)
    WanImageToVideoPipeline(
        transformer=_transformer(in_channels=36),
        transformer_2=_transformer(in_channels=36),
        boundary_ratio=0.9,
        **parts(),
    ).save_pretrained(tiny.image)
    eyes = {"image_encoder": _image_encoder(), "image_processor": _image_processor()}
    WanImageToVideoPipeline(
        transformer=_transformer(in_channels=36, image_dim=4), **parts(**eyes)
    ).save_pretrained(tiny.image21)
    # Both pictures in one sequence of CLIP tokens: a class token and 4 x 4 patches each.
    both = _transformer(in_channels=36, image_dim=4, pos_embed_seq_len=2 * 17)
    WanImageToVideoPipeline(transformer=both, **parts(**eyes)).save_pretrained(tiny.first_last21)
    WanVACEPipeline(transformer=_vace_transformer(), **parts()).save_pretrained(tiny.vace)
    WanAnimatePipeline(transformer=_animate_transformer(), **parts(**eyes)).save_pretrained(
        tiny.animate
    )
    _save_loras(tiny)
    return tiny


def _tokenizer() -> Any:
    from transformers import T5Tokenizer

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=[*special, *((letter, -3.0) for letter in LETTERS)], extra_ids=0)


def _text_encoder() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=4 + len(LETTERS), d_model=TEXT_DIM, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return UMT5EncoderModel(config).eval()


def tiny_vae() -> Any:
    """Of Wan 2.1 and the 14B models of 2.2: 8 pixels a latent."""
    from diffusers import AutoencoderKLWan

    return _lively(
        AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        factor=1.5,
    )


def tiny_wide_vae() -> Any:
    """Of Wan 2.2 TI2V-5B: 16 pixels a latent, packed two by two."""
    from diffusers import AutoencoderKLWan

    return _lively(
        AutoencoderKLWan(
            base_dim=3,
            z_dim=48,
            in_channels=12,
            out_channels=12,
            is_residual=True,
            patch_size=2,
            latents_mean=[0.0] * 48,
            latents_std=[1.0] * 48,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            scale_factor_spatial=16,
            scale_factor_temporal=4,
            temperal_downsample=[False, True, True],
        ),
        factor=1.5,
    )


def _scheduler() -> Any:
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )


_LAYERS = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "text_dim": TEXT_DIM,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 2,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 128,
}


def _transformer(
    in_channels: int = 16,
    out_channels: int = 16,
    image_dim: int | None = None,
    pos_embed_seq_len: int | None = None,
) -> Any:
    from diffusers import WanTransformer3DModel

    return _lively(
        WanTransformer3DModel(
            in_channels=in_channels,
            out_channels=out_channels,
            image_dim=image_dim,
            added_kv_proj_dim=24 if image_dim else None,
            pos_embed_seq_len=pos_embed_seq_len,
            **_LAYERS,
        )
    )


def _vace_transformer() -> Any:
    from diffusers import WanVACETransformer3DModel

    return _lively(
        WanVACETransformer3DModel(
            in_channels=16, out_channels=16, vace_layers=[0], vace_in_channels=96, **_LAYERS
        )
    )


def _animate_transformer() -> Any:
    from diffusers import WanAnimateTransformer3DModel

    return _lively(
        WanAnimateTransformer3DModel(
            in_channels=36,
            latent_channels=16,
            out_channels=16,
            image_dim=4,
            added_kv_proj_dim=24,
            motion_encoder_channel_sizes={"4": 8, "8": 8, "16": 8},
            motion_encoder_size=16,
            motion_style_dim=8,
            motion_dim=4,
            motion_encoder_dim=8,
            face_encoder_hidden_dim=16,
            face_encoder_num_heads=2,
            inject_face_latents_blocks=2,
            **_LAYERS,
        )
    )


def _lively(model: Any, factor: float = 3.0) -> Any:
    """Random in every layer and strong: some start as zeros or near, and a model that hardly
    hears its inputs would round them away in tests that ask whether one reaches the picture."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
            elif parameter.ndim > 1:
                parameter.mul_(factor)
    return model.eval()


def _image_encoder() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=4,
        projection_dim=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        intermediate_size=16,
        patch_size=8,
    )
    return CLIPVisionModel(config).eval()


def _image_processor() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(crop_size=32, size=32)


def _save_loras(tiny: TinyWan) -> None:
    """Few-step adapters for both experts, and one of a character, named as trainers name them."""
    import torch
    from safetensors.torch import save_file

    tiny.lightning.mkdir(parents=True)
    files = (
        tiny.lightning / "high_noise_model.safetensors",
        tiny.lightning / "low_noise_model.safetensors",
        tiny.lora,
    )
    width = _LAYERS["num_attention_heads"] * _LAYERS["attention_head_dim"]  # type: ignore[operator]
    for path in files:
        weights = {}
        for block in range(2):
            for layer in ("q", "v"):
                name = f"diffusion_model.blocks.{block}.self_attn.{layer}"
                weights[f"{name}.lora_A.weight"] = torch.randn(2, width)
                weights[f"{name}.lora_B.weight"] = torch.randn(width, 2) * 0.5
        save_file(weights, str(path))
