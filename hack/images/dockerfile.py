"""The part of the Dockerfile that a target is built from, and nothing else.

An image's key hashes only this part, so that an edit of one target leaves the others alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hack.images.errors import ImageError

_FROM = re.compile(r"^FROM\s+(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_COPY_FROM = re.compile(r"\s--from=(\S+)")
_COPY = re.compile(r"^(?:COPY|ADD)\s+(?P<words>[^\n]+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One ``FROM`` with its instructions; continued lines are joined."""

    name: str
    base: str
    instructions: tuple[str, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """Names that may be stages: the base and every ``--from``."""
        copied = [name for line in self.instructions for name in _COPY_FROM.findall(line)]
        return (self.base, *copied)

    @property
    def sources(self) -> tuple[str, ...]:
        """Paths of the build context that the stage copies."""
        found: list[str] = []
        for line in self.instructions:
            copy = _COPY.match(line)
            if copy and not _COPY_FROM.search(line):
                words = [w for w in copy["words"].split() if not w.startswith("--")]
                found += words[:-1]
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """What precedes the first stage, and the stages in their order."""

    preamble: tuple[str, ...]
    stages: tuple[Stage, ...]

    def used_by(self, target: str) -> tuple[Stage, ...]:
        """Return the stages that ``target`` is made from, itself included, in file order."""
        by_name = {stage.name: stage for stage in self.stages}
        if target not in by_name:
            raise ImageError(f"Dockerfile has no target {target!r}; it has {sorted(by_name)}")
        used: set[str] = set()
        waiting = [target]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in used:
                used.add(name)
                waiting += by_name[name].needs
        return tuple(stage for stage in self.stages if stage.name in used)

    def text_of(self, target: str) -> str:
        """Return all instructions that determine ``target``, without comments."""
        lines = list(self.preamble)
        for stage in self.used_by(target):
            lines += [f"FROM {stage.base} AS {stage.name}", *stage.instructions]
        return "\n".join(lines)

    def sources_of(self, target: str) -> tuple[str, ...]:
        """Return the paths of the build context that ``target`` depends on."""
        return tuple(sorted({path for stage in self.used_by(target) for path in stage.sources}))


def parse(text: str) -> Dockerfile:
    """Split a Dockerfile into stages."""
    preamble: list[str] = []
    stages: list[tuple[str, str, list[str]]] = []
    for line in _logical_lines(text):
        opens = _FROM.match(line)
        if opens:
            stages.append((opens["name"] or str(len(stages)), opens["base"], []))
        else:
            (stages[-1][2] if stages else preamble).append(line)
    return Dockerfile(
        preamble=tuple(preamble),
        stages=tuple(
            Stage(name=name, base=base, instructions=tuple(lines)) for name, base, lines in stages
        ),
    )


def _logical_lines(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(kept))
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines()]
