"""YAML that people write, read as kubectl reads it."""

from collections.abc import Iterator
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML alone takes an unquoted 2024-01-02 for a date; to kubectl it is text."""


def _text(loader: _Loader, date: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(date))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def documents(text: str) -> Iterator[Any]:
    """Yield the documents that hold something.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return (one for one in yaml.load_all(text, _Loader) if one is not None)
