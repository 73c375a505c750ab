import pytest

from dgdr_api import names


@pytest.mark.parametrize(
    ("dgdr", "candidate"),
    [("q", "p-tp2"), ("a" * 30, "p-tp2"), ("a" * 33, "p-tp16"), ("a.b-" * 12, "p-tp2")],
)
def test_a_candidates_name_fits_the_budget_and_ends_in_its_id(dgdr: str, candidate: str) -> None:
    name = names.candidate_dgd_name(dgdr, candidate)
    assert len(name) + len("frontend") <= names.MAX_DGD_AND_COMPONENT_CHARS
    assert name.endswith(f"-{candidate}")
    assert ".-" not in name
    assert "--" not in name


def test_a_short_name_is_not_changed() -> None:
    assert names.candidate_dgd_name("q", "p-tp2") == "q-p-tp2"


def test_long_names_stay_apart() -> None:
    first, second = (names.candidate_dgd_name("a" * 33 + tail, "p-tp2") for tail in "xy")
    assert first != second


def test_curves_are_named_after_the_run_and_not_after_the_name() -> None:
    name = names.profile_data_config_map("6e6c0d1c-0000-0000-0000-000000000000")
    assert name.startswith("planner-profile-data-")
    assert len(name) == len("planner-profile-data-") + 8
    assert name == names.profile_data_config_map("6e6c0d1c-0000-0000-0000-000000000000")


def test_objects_of_a_request() -> None:
    assert names.job_name("q") == "profile-q"
    assert names.output_config_map("q") == "dgdr-output-q"
    assert names.points_config_map("q", 0) == "dgdr-points-q-0"
    assert names.dgd_name("q") == "q-dgd"
    assert names.dgd_name("q", "mine") == "mine"
    assert names.component_name("q.x-dgd", "VllmDecodeWorker") == "q-x-dgd-vllmdecodeworker"
    assert names.dynamo_namespace("ns", "q-dgd") == "ns-q-dgd"
    assert names.frontend_url("ns", "q-dgd") == "http://q-dgd-frontend.ns.svc.cluster.local:8000"
