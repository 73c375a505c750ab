"""What fits a column of ``kubectl get``: the cause, in one short sentence."""

import re
from textwrap import shorten

COLUMN_CHARS = 120
# A pod's name takes half of the column, and the condition has it.
_POD = re.compile(r"\bpod [a-z0-9][a-z0-9.-]*(?:, |: )(?=\S)")
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n")


def in_a_column(text: str, prefix: str = "") -> str:
    """Return the first sentence behind a prefix, cut where it is longer than a column."""
    first = _SENTENCE_ENDS.split(_POD.sub("", text).strip(), maxsplit=1)[0]
    room = COLUMN_CHARS - len(prefix)
    return f"{prefix}{first if len(first) <= room else _cut(first, room)}"


def _cut(sentence: str, room: int) -> str:
    words = shorten(sentence, room, placeholder=" …")
    # A single word may be longer than the column.
    return words if len(words) > 2 else f"{sentence[: room - 1]}…"
