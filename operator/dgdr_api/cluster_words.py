"""What kubelet and scheduler say, without what helps nobody: the cause, once, in whole words."""

import re

_ELLIPSIS = " …"
# What the scheduler adds to every sentence, whether or not a pod could be evicted.
_SCHEDULERS_TAIL = re.compile(r"[.,;]?\s+(?:no new claims to deallocate|preemption:).*", re.DOTALL)
_BACKS_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: \w+)?:?\s*')


def shortened(text: str, most_chars: int) -> str:
    """Return a text of at most that many characters, cut behind a word."""
    if len(text) <= most_chars:
        return text
    head = text[: most_chars - len(_ELLIPSIS) + 1]
    # One word may be longer than all that there is room for.
    words = head.rpartition(" ")[0] or head[:-1]
    return f"{words.rstrip(' ,;:')}{_ELLIPSIS}"


def scheduler_words(sentence: str) -> str:
    """Return why there is no node, without what the scheduler says of preemption."""
    return _SCHEDULERS_TAIL.sub("", sentence).rstrip(". ")


def pull_cause(reason: str, words: str) -> str:
    """Return why an image cannot be pulled.

    A runtime tells the whole chain of its steps, each with the image or a URL, and the cause last.

    Args:
        reason: the kubelet's word, which has to do where there are no others.
        words: what the kubelet quotes of the runtime.
    """
    chain = _BACKS_OFF.sub("", " ".join(words.split()))
    # Some registries end with a page to read.
    causes = [part for part in chain.split(": ") if not part.startswith("http")]
    cause = causes[-1].rstrip(". ") if causes else ""
    if not cause:
        return reason
    return f"lookup failed: {cause}" if " lookup " in chain else cause
