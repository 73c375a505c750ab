"""Where engines find the model: on the hub, in a volume that is the hub's cache, or in a folder."""

from dataclasses import dataclass

from dgdr_api import names
from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Component, Graph, Json
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.engines import base

CACHE_VOLUME = "model-cache"
# Where the libraries of the hub keep what they fetched.
HUB_HOME = "HF_HOME"
# Optional: a model that needs no token must not wait for a Secret that nobody made.
TOKEN: Json = {"secretRef": {"name": names.HF_TOKEN_SECRET, "optional": True}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model by its name, and the claim with its files."""

    model: str
    cache: EffectiveModelCache | None = None
    trust_remote_code: bool = False

    @property
    def folder(self) -> str | None:
        """The model's folder; None when the hub's libraries find the model by its name."""
        return self.cache.model_path if self.cache else None

    @property
    def place(self) -> str:
        """What an engine is told to load."""
        return self.folder or self.model

    def reachable(self, component: Component) -> Component:
        """Return the component with the hub's token and the claim."""
        component = component.with_(env_from=(TOKEN,))
        if self.cache is None:
            return component
        # Without a folder the claim holds models as the hub's libraries store them, by name.
        hub = () if self.folder else ({"name": HUB_HOME, "value": self.cache.mount_path},)
        return component.with_(
            env=hub,
            volumes=(claim_volume(self.cache),),
            volume_mounts=({"name": CACHE_VOLUME, "mountPath": self.cache.mount_path},),
        )

    @property
    def frontend_args(self) -> tuple[str, ...]:
        """The frontend loads the tokenizer itself, and must find it where the workers do."""
        if self.folder is None:
            return ()
        return ("--model-name", self.model, "--model-path", self.folder)

    def skeleton(self, name: str, shape: Shape, *, backend: str, image: str) -> Graph:
        """Return a frontend and the engines of a shape, as yet without arguments."""
        parts = base.parts_of(shape)
        engines = (self._engine(part, f"dynamo.{backend}", image) for part in parts)
        frontend = self.reachable(base.frontend(image, self.frontend_args))
        return Graph(name=name, components=(frontend, *engines), backend=backend)

    def _engine(self, part: base.Part, module: str, image: str) -> Component:
        return self.reachable(
            Component(
                name=part.name,
                role=part.role,
                replicas=1,
                image=image,
                command=("python3", "-m", module),
                container=base.CONTAINER,
            )
        )


def claim_volume(cache: EffectiveModelCache) -> Json:
    """Return the volume of a claim."""
    return {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": cache.pvc_name}}
