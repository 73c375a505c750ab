"""Write down the engine options that AIConfigurator writes for TensorRT-LLM: JSON on stdout.

TensorRT-LLM's own model of them (``LlmArgs``) cannot be read without its package, which is not on
PyPI in the releases that Dynamo pins. AIConfigurator has one template of the engine's YAML for each
release that it generates for; a name is in it because the engine takes it. Needs the package's
files alone: ``pip install --no-deps aiconfigurator``.
"""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

PACKAGE = "aiconfigurator"
FOLDER = "aiconfigurator/generator/config/backend_templates/trtllm"
TEMPLATE = re.compile(r"extra_engine_args\.(.+)\.yaml\.j2")
KEY = re.compile(r"^( *)([a-z_]+):")


def names(template: str) -> list[str]:
    """Return the paths of a template's options, dotted."""
    found: list[str] = []
    above: list[tuple[int, str]] = []
    for line in template.splitlines():
        key = KEY.match(line)
        if key is None:
            continue
        depth, name = len(key[1]), key[2]
        above = [outer for outer in above if outer[0] < depth]
        found.append(".".join([*(outer for _, outer in above), name]))
        above.append((depth, name))
    return sorted(set(found))


def main() -> None:
    package = distribution(PACKAGE)
    folder = Path(str(package.locate_file(FOLDER)))
    releases = {
        release[1]: names(path.read_text())
        for path in sorted(folder.iterdir())
        if (release := TEMPLATE.fullmatch(path.name))
    }
    source = {"package": PACKAGE, "version": package.version, "templates": FOLDER}
    print(json.dumps({"source": source, "releases": releases}))


if __name__ == "__main__":
    main()
