"""Make a model folder without weights: configuration, tokenizer and chat template.

Mocked workers and the load generator need a tokenizer and the shape of a model, nothing more. The
tokenizer is trained on the sources of Python's standard library, text that every image has, so
that nothing is downloaded. Usage: ``python tiny_model.py FOLDER``.
"""

import json
import sys
import sysconfig
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 8000
MAX_POSITIONS = 32768
PAD, START, END = "<pad>", "<s>", "</s>"

# The shape of an 8B Llama: the mocker derives the KV bytes per token (131,072) from it, and with
# them the time that a KV transfer takes.
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": MAX_POSITIONS,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

GENERATION = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": MAX_POSITIONS,
    "pad_token": PAD,
    "bos_token": START,
    "eos_token": END,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}


def training_files() -> list[str]:
    """Return the modules of the standard library in a fixed order."""
    library = Path(sysconfig.get_path("stdlib"))
    return sorted(str(path) for path in library.glob("*.py"))


def train_tokenizer(files: list[str]) -> Tokenizer:
    """Train a byte-level BPE, which can encode any text without an unknown token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train(files, trainer)
    return tokenizer


def write_model(folder: Path) -> None:
    """Write the files that Dynamo and AIPerf look for in a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer(training_files()).save(str(folder / "tokenizer.json"))
    for name, content in {
        "config.json": CONFIG,
        "generation_config.json": GENERATION,
        "tokenizer_config.json": TOKENIZER_CONFIG,
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
