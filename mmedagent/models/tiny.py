"""A tiny, real `Qwen2_5_VLForConditionalGeneration` with its own tokenizer and processor.

Simplified against Qwen2.5-VL: size, vocabulary and tied embeddings. Everything that code can
meet (architecture, rotary sections, image tokens, chat format, files on disk) is the same.
"""

import math
from collections.abc import Iterable

import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from mmedagent.models.processor import ImageOnlyProcessor, image_processor
from mmedagent.models.tokenizer import train_tokenizer
from mmedagent.recipes.model import TinyModel


def build_tiny(
    recipe: TinyModel, corpus: Iterable[str], seed: int
) -> tuple[Qwen2_5_VLForConditionalGeneration, ImageOnlyProcessor]:
    """Build a randomly initialised model whose tokenizer knows the words of `corpus`.

    The same recipe, set of texts and seed give the same weights (float32) and tokenizer. The
    caller's random state is left as it was.
    """
    tokenizer = train_tokenizer(corpus, recipe.merges)
    processor = ImageOnlyProcessor(
        image_processor=image_processor(recipe.image_size, recipe.patch_size),
        tokenizer=tokenizer,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(_config(recipe, tokenizer))
        _initialise(model, recipe.embedding_std)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model.eval(), processor


def _config(recipe: TinyModel, tokenizer: PreTrainedTokenizerBase) -> Qwen2_5_VLConfig:
    token = tokenizer.convert_tokens_to_ids
    half = recipe.hidden_size // recipe.heads // 2
    height = width = half * 3 // 8
    return Qwen2_5_VLConfig(
        text_config={
            "dtype": "float32",
            "vocab_size": len(tokenizer),
            "hidden_size": recipe.hidden_size,
            "intermediate_size": recipe.intermediate_size,
            "num_hidden_layers": recipe.layers,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.heads,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [half - height - width, height, width],
            },
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "dtype": "float32",
            "depth": recipe.vision_depth,
            "hidden_size": recipe.vision_hidden_size,
            "intermediate_size": 2 * recipe.vision_hidden_size,
            "num_heads": recipe.heads,
            "patch_size": recipe.patch_size,
            "window_size": 8 * recipe.patch_size,
            "out_hidden_size": recipe.hidden_size,
            "fullatt_block_indexes": [recipe.vision_depth - 1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
    )


def _initialise(model: Qwen2_5_VLForConditionalGeneration, embedding_std: float) -> None:
    """Embeddings `embedding_std`, other matrices 1/sqrt(fan-in), biases 0, norms 1.

    Transformers' default (0.02 throughout) did not learn at this width.
    """
    embeddings = model.get_input_embeddings().weight
    for parameter in model.parameters():
        if parameter is embeddings:
            torch.nn.init.normal_(parameter, std=embedding_std)
        elif parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1 / math.sqrt(parameter[0].numel()))
        # Vectors keep what their modules gave them: 0 for biases, 1 for norms.
