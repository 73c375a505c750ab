"""Curves say of which engine they are."""

from dataclasses import replace

import pytest

from dgdr_api.effective import effective
from dgdr_api.fingerprint import fingerprint_of
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.described import described
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.render import Setting, candidate_graph, final_graph
from dgdr_profiler.core.sizing import Replicas
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.vllm import Vllm
from support.profiling import DIGEST, TP1, TP2, point

ENGINE = Vllm(image="images.test/vllm-runtime:1", source=ModelSource(model="org/model"))
SETTING = Setting(
    dgdr="q",
    namespace="ns",
    uid="uid-1",
    wanted=effective(DGDRSpec.model_validate({"model": "org/model"})),
)
PREFILL = [point(TP2, prefill_cell(isl)) for isl in (256, 738, 2048, 6144)]
DECODE = [point(TP1, decode_cell(isl, 96, n)) for isl in (256, 2048) for n in (1, 8, 30)]
CHOSEN = Selection(
    prefill=PrefillOption(candidate=TP2, point=PREFILL[2]),
    decode=DecodeOption(candidate=TP1, point=DECODE[-1]),
    sla_reachable=True,
    reason="",
)
GRAPH = final_graph(ENGINE, SETTING, CHOSEN, Replicas(prefill=2, decode=3))


def test_each_curve_has_the_engine_of_its_role() -> None:
    curves = described(CHOSEN, GRAPH, PREFILL, DECODE)
    prefill, decode = curves.prefill.provenance.fingerprint, curves.decode.provenance.fingerprint
    assert prefill is not None
    assert decode is not None
    assert (prefill.mapping, prefill.gpus, prefill.image) == ("TP=2", 2, ENGINE.image)
    assert (decode.mapping, decode.gpus, decode.image) == ("TP=1", 1, ENGINE.image)
    assert prefill.args != decode.args
    assert prefill.image_digest == decode.image_digest == DIGEST


@pytest.mark.parametrize(("role", "candidate"), [(Role.PREFILL, TP2), (Role.DECODE, TP1)])
def test_what_is_deployed_is_what_was_measured(role: Role, candidate: Candidate) -> None:
    measured = candidate_graph(ENGINE, SETTING, candidate)
    (was,), (runs,) = measured.with_role(role), GRAPH.with_role(role)
    assert fingerprint_of(was).differences(fingerprint_of(runs)) == ()


def test_the_deployment_that_is_handed_over_is_of_its_curves() -> None:
    curves = described(CHOSEN, GRAPH, PREFILL, DECODE)
    for role, data in ((Role.PREFILL, curves.prefill), (Role.DECODE, curves.decode)):
        (component,) = GRAPH.with_role(role)
        assert data.provenance.fingerprint is not None
        assert data.provenance.fingerprint.differences(fingerprint_of(component)) == ()


def test_mockers_that_replay_what_was_measured_claim_no_digest_of_the_real_engine() -> None:
    curves = described(CHOSEN, GRAPH, PREFILL, DECODE, replayed=True)
    assert curves.decode.provenance.fingerprint is not None
    assert curves.decode.provenance.fingerprint.image_digest is None


def test_both_curves_of_an_aggregated_engine_have_its_fingerprint() -> None:
    worker = Component(name="worker", role=Role.WORKER, image="images.test/vllm:1", gpus=1)
    both = replace(CHOSEN, prefill=replace(CHOSEN.prefill, candidate=TP1), aggregated=True)
    curves = described(both, Graph(name="q", components=(worker,)), PREFILL, DECODE)
    assert curves.prefill.provenance.fingerprint == curves.decode.provenance.fingerprint
    assert curves.prefill.provenance.fingerprint is not None


def test_of_an_engine_that_the_graph_does_not_name_nothing_is_claimed() -> None:
    curves = described(CHOSEN, Graph(name="q"), PREFILL, DECODE)
    assert curves.prefill.provenance.fingerprint is None
