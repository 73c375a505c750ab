"""Where a user says which image runs, and what helps against one that cannot be pulled."""

from collections.abc import Mapping

from dgdr_api.effective import EffectiveSpec
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.request import ProfilingRequest

OF_OVERRIDES = "spec.overrides.dgd: image"
_OF_POLICY = "ProfilingPolicy spec.mocker.image"
_OF_INSTALLATION = "images.dynamoMocker of the installation:"
_CURE = "name an image that nodes reach, or add imagePullSecrets in overrides.dgd"


def fields_of_images(request: ProfilingRequest, spec: EffectiveSpec) -> Mapping[str, str]:
    """Return for each image that a candidate may run where it is said; overrides name others."""
    mocker, settings = request.images.dynamo_mocker, request.policy.mocker
    fields = {mocker: _OF_INSTALLATION} if mocker else {}
    if settings is not None and settings.image:
        fields[settings.image] = _OF_POLICY
    if spec.image is None:
        return fields
    # Beside one of upstream's images stand those of the other backends.
    siblings = (spec.worker_image(one) for one in Backend if one is not Backend.AUTO)
    fields |= {image: "spec.image: its sibling" for image in siblings if image}
    return {**fields, spec.image: "spec.image"}


def unpullable(image: str, cause: str, fields: Mapping[str, str]) -> str:
    """Say which image cannot be pulled, where it is named, why, and what helps."""
    field = fields.get(image, OF_OVERRIDES)
    return f'{field} "{image}" cannot be pulled ({cause}); {_CURE}'
