"""What looks like a secret, taken out of texts that pods wrote.

A log line, a traceback or a server's answer may hold a token, and a status, an event or a ConfigMap
is read by more people than a log. Every text of a pod passes here before it gets there.
"""

import re

MARK = "[token]"

# Tokens that tell themselves by their beginning: of model hubs, of clouds, of code hosts; JWTs.
_KNOWN = (
    r"\b(?:hf_|sk-|nvapi-|gh[opsu]_|github_pat_|glpat-|xox[abp]-)[\w-]{8,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
)
_BEARER = r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
_SECRET = re.compile(f"{_KNOWN}|{_BEARER}")
# A name that says what its value is; a short value is a number or a word, such as "token: str".
_NAMED = re.compile(
    r"""(?i)([\w-]*(?:password|passwd|secret|token|api[_-]?key)["']?\s*[=:]\s*["']?)"""
    r"""[^\s"'\\,;<>()\[\]{}]{8,}"""
)
_USER_OF_URL = re.compile(r"(\w://)[^\s/@:]+:[^\s/@]+@")


def without_secrets(text: str) -> str:
    """Return the text with what looks like a secret replaced by ``[token]``."""
    text = _USER_OF_URL.sub(rf"\1{MARK}@", _SECRET.sub(MARK, text))
    return _NAMED.sub(rf"\1{MARK}", text)
