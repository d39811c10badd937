"""HunyuanVideo 1.5 with random weights and tiny layers, from the real classes, in its folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["save_tiny_hunyuan"]

WIDTH = 16
"""Of both text encoders, the image encoder and the transformer."""

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tiny_hunyuan(folder: Path) -> tuple[Path, Path]:
    """Folders of a text model and an image model that share all but transformer and eyes."""
    import torch
    from diffusers import (
        ClassifierFreeGuidance,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideo15ImageToVideoPipeline,
        HunyuanVideo15Pipeline,
    )
    from transformers import ByT5Tokenizer

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    shared = {
        "tokenizer": tokenizer,
        "text_encoder": _text_encoder(len(tokenizer)),
        "tokenizer_2": ByT5Tokenizer(),
        "text_encoder_2": _glyph_encoder(),
        "vae": _vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "guider": ClassifierFreeGuidance(guidance_scale=6.0),
    }
    text, image = folder / "text", folder / "image"
    HunyuanVideo15Pipeline(transformer=_transformer(), **shared).save_pretrained(text)
    HunyuanVideo15ImageToVideoPipeline(
        transformer=_transformer(), image_encoder=_eyes(), feature_extractor=_fitter(), **shared
    ).save_pretrained(image)
    return text, image


def _tokenizer() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    vocab = {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
    for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"):
        vocab[name] = len(vocab)
    return Qwen2Tokenizer(vocab=vocab, merges=[], chat_template=CHAT)


def _text_encoder(vocab_size: int) -> Any:
    from transformers import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    config = Qwen2_5_VLTextConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
    )
    return Qwen2_5_VLTextModel(config).eval()


def _glyph_encoder() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval()


def _eyes() -> Any:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    return SiglipVisionModel(config).eval()


def _fitter() -> Any:
    from transformers import SiglipImageProcessor

    return SiglipImageProcessor(size={"height": 32, "width": 32})


def _vae() -> Any:
    from diffusers import AutoencoderKLHunyuanVideo15

    return AutoencoderKLHunyuanVideo15(
        latent_channels=4, block_out_channels=(8, 8, 8, 8, 8), layers_per_block=1
    ).eval()


def _transformer() -> Any:
    from diffusers import HunyuanVideo15Transformer3DModel

    return HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        num_refiner_layers=1,
        mlp_ratio=1.0,
        text_embed_dim=WIDTH,
        text_embed_2_dim=WIDTH,
        image_embed_dim=WIDTH,
        rope_axes_dim=(4, 6, 6),
    ).eval()
