"""The tiny model's tokenizer: a byte-level BPE with Qwen2.5's special tokens."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
"""Qwen2.5-VL's own, by its names; decoding with `skip_special_tokens` drops them."""
REPLY_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""One token each, but not special: a decoded reply keeps them, since the parser reads them."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}{{ '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>{{ '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\n' }}{%- endif -%}"
)
"""Qwen2.5-VL's conversation format without its default system message, which costs tokens."""


def train_tokenizer(corpus: Iterable[str], merges: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on `corpus` and return it as a Hugging Face tokenizer.

    Any text round-trips, since all 256 bytes are in the alphabet. The texts are sorted
    and counted once, so that the same set gives the same tokenizer in any order. `merges` bounds
    the vocabulary at 256 + merges + the special tokens.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + merges,
        initial_alphabet=alphabet,
        min_frequency=1,
        show_progress=False,
    )
    bpe.train_from_iterator(sorted(set(corpus)), trainer)
    bpe.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    bpe.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in REPLY_TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
