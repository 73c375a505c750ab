"""A request that the oldest supported release of Dynamo serves, over a slow network."""

from hack.demo.kube import Kube
from hack.demo.platform import load_images, run_module
from hack.images.builder import reference_of
from support.e2e import CLUSTER, NAMESPACE, example, policy, prepare

IMAGE = "dynamo-mocker-1.0"
DGDR = "release"
SPEEDUP_RATIO = 0.25
GB_PER_S = 1


def ask(kube: Kube) -> None:
    """Ask for it; asking again changes nothing."""
    run_module("hack.images", "build", IMAGE)
    load_images(CLUSTER, (IMAGE,))
    prepare(kube)
    mocker = {"image": reference_of(IMAGE), "speedupRatio": SPEEDUP_RATIO}
    kube.apply(
        policy(DGDR, NAMESPACE, maxGpusPerEngine=1, kvTransferGbPerS=GB_PER_S, mocker=mocker)
    )
    asked = example("dgdr", DGDR, sla={"ttft": 900, "itl": 60})
    asked["metadata"]["annotations"] = {"dgdr.dev/profiling-policy": DGDR}
    kube.apply(asked)
