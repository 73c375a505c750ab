"""Make a model folder with weights: a Llama of 32 million random parameters.

What it says means nothing, but it costs an engine what a model costs: prefill, KV cache, decoding
step by step. Much smaller, and a step would be the engine's own overhead; much larger, and a run
would take an hour. The tokenizer is the tiny model's. The seed is fixed, so that every build makes
the same weights. Usage: ``python tiny_llama.py FOLDER``, where PyTorch and Transformers are.
"""

import sys
from pathlib import Path

import torch
from tiny_model import GENERATION, VOCABULARY, write_model
from transformers import LlamaConfig, LlamaForCausalLM

SEED = 7
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY,
    hidden_size=512,
    intermediate_size=1408,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=4,
    max_position_embeddings=8192,
    tie_word_embeddings=False,
    # Processors without bfloat16 of their own take many times as long with it.
    dtype="float32",
    **GENERATION,
)


def write_llama(folder: Path) -> None:
    """Write tokenizer, configuration and weights."""
    write_model(folder)
    torch.manual_seed(SEED)
    LlamaForCausalLM(CONFIG).save_pretrained(folder)
    # Weights come readable for their writer alone, and engines run as somebody else.
    for path in folder.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    write_llama(Path(sys.argv[1]))
