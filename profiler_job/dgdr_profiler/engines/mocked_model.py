"""The model that mockers serve: they need its tokenizer and shape, and no weights."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Component
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.source import CACHE_VOLUME, ModelSource, claim_volume

DEFAULT_PATH = "/model"
DEFAULT_NAME = "model"
# A claim's folder is mounted below, under the model's name, whatever it is called in the claim.
CLAIM_MOUNT = "/models"


@dataclass(frozen=True, slots=True, kw_only=True)
class MockedModel:
    """Where mockers find their model, and under which name it is served.

    ``source`` is the request's, where its claim has the files; ``None`` where the image has them.
    """

    path: str = DEFAULT_PATH
    name: str = DEFAULT_NAME
    source: ModelSource | None = None

    def reachable(self, component: Component) -> Component:
        """Return the component, frontend or mocker, with the model's files.

        Raises:
            InvalidRequest: the frontend would not find them.
        """
        if self.source is None or self.source.cache is None:
            return component.with_(working_dir=_working_dir(self.path, self.name))
        if self.source.folder is None:
            return self.source.reachable(component)
        return component.with_(
            working_dir=_working_dir(self.path, self.name),
            volumes=(claim_volume(self.source.cache),),
            volume_mounts=(_mount(self.source.cache, self.source.folder, self.path),),
        )


def in_image(path: str | None, name: str | None) -> MockedModel:
    """Return a model that the mocker's image has."""
    return MockedModel(path=path or DEFAULT_PATH, name=name or DEFAULT_NAME)


def in_claim(source: ModelSource) -> MockedModel | None:
    """Return the model of a request; None where it has no claim."""
    if source.cache is None:
        return None
    path = source.model if source.folder is None else f"{CLAIM_MOUNT}/{source.model}"
    return MockedModel(path=path, name=source.model, source=source)


def _mount(cache: EffectiveModelCache, folder: str, path: str) -> dict[str, str]:
    inside = PurePosixPath(folder).relative_to(cache.mount_path).as_posix()
    sub_path = {} if inside == "." else {"subPath": inside}
    return {"name": CACHE_VOLUME, "mountPath": path, **sub_path}


def _working_dir(path: str, name: str) -> str:
    """Return the folder that both processes run in.

    Dynamo's frontend looks for a folder named like the model in its own working directory, so the
    path must end with the name.

    Raises:
        InvalidRequest: it does not.
    """
    if not path.startswith("/") or not f"{path}/".endswith(f"/{name}/"):
        raise InvalidRequest(
            f"ProfilingPolicy spec.mocker.modelName: {name} must be the end of modelPath "
            f"{path}; the frontend finds the model's folder by its name"
        )
    return str(PurePosixPath(path.removesuffix(name)))
