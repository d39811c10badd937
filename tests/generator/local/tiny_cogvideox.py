"""CogVideoX 1.5 with random weights and tiny layers, from the real classes, saved as its folders.

Two latents a patch in time (`patch_size_t=2`) and rotary positions, as in the 1.5 checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["save_tiny_cogvideox"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-%"


def save_tiny_cogvideox(folder: Path) -> tuple[Path, Path]:
    """Folders of a text model and an image model that share all but the transformer."""
    import torch
    from diffusers import CogVideoXImageToVideoPipeline, CogVideoXPipeline

    torch.manual_seed(0)
    shared = {
        "tokenizer": _tokenizer(),
        "text_encoder": _text_encoder(),
        "vae": _vae(),
        "scheduler": _scheduler(),
    }
    text, image = folder / "text", folder / "image"
    CogVideoXPipeline(transformer=_transformer(4), **shared).save_pretrained(text)
    with_picture = _transformer(8, ofs_embed_dim=8)
    CogVideoXImageToVideoPipeline(transformer=with_picture, **shared).save_pretrained(image)
    return text, image


def _tokenizer() -> Any:
    from transformers import T5Tokenizer

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=[*special, *((letter, -3.0) for letter in LETTERS)], extra_ids=0)


def _text_encoder() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=4 + len(LETTERS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return T5EncoderModel(config).eval()


def _vae() -> Any:
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(
        block_out_channels=(4, 4, 4, 4),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        invert_scale_latents=True,
    ).eval()


def _transformer(in_channels: int, ofs_embed_dim: int | None = None) -> Any:
    from diffusers import CogVideoXTransformer3DModel

    return CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=in_channels,
        out_channels=4,
        time_embed_dim=8,
        ofs_embed_dim=ofs_embed_dim,
        text_embed_dim=16,
        num_layers=2,
        sample_width=12,
        sample_height=8,
        sample_frames=17,
        patch_size=2,
        patch_size_t=2,
        max_text_seq_length=226,
        use_rotary_positional_embeddings=True,
        patch_bias=False,
    ).eval()


def _scheduler() -> Any:
    from diffusers import CogVideoXDPMScheduler

    return CogVideoXDPMScheduler(
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        set_alpha_to_one=True,
        snr_shift_scale=1.0,
    )
