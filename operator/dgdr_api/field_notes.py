"""Fields of a request that are accepted and come to nothing yet, in words."""

from collections.abc import Iterator

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, Hardware, SearchStrategy, Sla


def field_notes(spec: DGDRSpec) -> tuple[str, ...]:
    """Return a sentence for each field that has no effect as it is given."""
    return tuple(_notes(spec))


def _notes(spec: DGDRSpec) -> Iterator[str]:
    sla, hardware = spec.sla or Sla(), spec.hardware or Hardware()
    if sla.optimization_type is not None:
        yield (
            "spec.sla.optimizationType has no effect yet: among what holds the targets, the fewest "
            "GPUs win"
        )
    if hardware.interconnect is not None:
        yield "spec.hardware.interconnect has no effect yet: candidates are measured as they run"
    if hardware.rdma is not None:
        yield (
            "spec.hardware.rdma has no effect yet: ask for the network's devices in overrides.dgd"
        )
    if spec.search_strategy is SearchStrategy.RAPID:
        yield "spec.searchStrategy rapid has no effect yet: it measures, as thorough does"
