"""Pocket's two tokenizers, learned from the words it will meet: CLIP's byte-level BPE and BERT's word pieces."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import BertTokenizer, CLIPTokenizer

from easel.pocket.train.pictures import Store
from easel.pocket.world import words

SIZE = 1400
WINDOW = 77
"""Tokens of a prompt, as in Stable Diffusion."""

MANNERS = (
    "a photo of a painting by an artist, oil on canvas, highly detailed, bright colours, flowing brush strokes",
    "suprematism, flat tilted planes, geometric shapes, orphism, colour discs, concentric circles, rainbow, swirling",
    "street art stencil, black and white, spray paint on a wall, one red accent, impressionism, woodblock print",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 . , ! ? ' - : ( )",
    "abstract, blurry, low quality, ugly, deformed, Disneyland castle, panda mask, joy, sadness, happy, sad, is there",
)
"""Words of prompts that no caption has."""


def corpus(stores: list[Store]) -> Iterator[str]:
    """Every caption and question of the stores, and the tables' words."""
    for store in stores:
        for row in store.rows:
            yield from row.get("captions", [row.get("caption", "")])
            for question, answer in row.get("questions", []):
                yield f"{question} {answer}"
    tables = (words.STYLE_PHRASES, words.LIGHT_PHRASES, words.PLACE_PHRASES, words.STYLE_QUESTIONS)
    for text in (*(phrase for table in tables for phrase in table.values()), *words.ANSWERS, *MANNERS):
        for _ in range(20):
            yield text


def clip_tokenizer(texts: Iterator[str]) -> CLIPTokenizer:
    """Byte-level BPE with CLIP's word ends: unknown words fall into letters, nothing is ever unknown."""
    letters = sorted(ByteLevel.alphabet())
    start = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    learned = CLIPTokenizer(vocab={token: i for i, token in enumerate(start)}, merges=[]).backend_tokenizer
    trainer = BpeTrainer(vocab_size=SIZE, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False)
    learned.train_from_iterator(texts, trainer)
    merges = [tuple(merge) for merge in json.loads(learned.to_str())["model"]["merges"]]
    tokens = dict.fromkeys([*start[:-2], *("".join(merge) for merge in merges), *start[-2:]])
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=WINDOW)


def bert_tokenizer(texts: Iterator[str]) -> BertTokenizer:
    """Word pieces with BLIP's two extra tokens: [DEC] begins a decoded text, [ENC] an encoded one."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    empty = BertTokenizer(vocab={token: i for i, token in enumerate(special)})
    made = empty.train_new_from_iterator(texts, vocab_size=SIZE, show_progress=False)
    made.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
    return made


def tokenizers(stores: list[Store], work: Path) -> tuple[CLIPTokenizer, BertTokenizer]:
    """Both, learned once and kept below ``work``."""
    folders = work / "tokenizer-clip", work / "tokenizer-bert"
    if not folders[1].exists():
        clip_tokenizer(corpus(stores)).save_pretrained(folders[0])
        with tempfile.TemporaryDirectory(dir=work) as half:
            bert_tokenizer(corpus(stores)).save_pretrained(half)
            Path(half).rename(folders[1])
            Path(half).mkdir()
    return CLIPTokenizer.from_pretrained(folders[0]), BertTokenizer.from_pretrained(folders[1])


def ids(tokenizer: Any, texts: list[str], length: int) -> tuple[Tensor, Tensor]:
    """Token numbers (n, length) and their mask (n, length), padded and cut to ``length``."""
    made = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return made.input_ids, made.attention_mask
