"""What goes wrong with an operator that is left alone, each with the tests that hold it here.

Whoever renames one of those tests has to say here what holds the row instead.
"""

import pytest

ROWS = {
    "a missed target is told where one looks": [
        "test_missed_targets_are_told_until_the_end",
        "test_targets_that_hold_are_told_without_a_warning",
        "test_unreachable_targets_are_said_in_message_and_report",
    ],
    "what can be known before a run is said before it": [
        "test_a_budget_below_the_fewest_replicas_is_told",
        "test_a_foreign_deployment_of_that_name_is_told_before_anything_is_profiled",
        "test_plan_needs_what_the_planner_needs",
        "test_an_override_of_another_shape_fails_and_an_edit_cures_it",
    ],
    "a malformed field is a condition": [
        "test_no_common_mistake_in_a_graph_is_an_exception",
        "test_no_common_mistake_in_a_request_is_an_exception",
        "test_no_common_mistake_in_a_result_is_an_exception",
        "test_a_field_that_cannot_be_read_is_told_once",
    ],
    "a failed Job is not started again by itself": [
        "test_a_failed_job_that_is_gone_is_not_started_again",
        "test_an_expired_job_of_a_failed_request_stays_away",
        "test_a_job_may_expire_when_its_end_is_on_record",
    ],
    "an outage ends nothing": [
        "test_what_changes_on_a_bad_day_is_acted_on_after_it",
        "test_a_start_outlasts_an_outage",
        "test_the_end_of_an_outage_that_one_key_sees_is_the_end_for_all",
    ],
    "a change of the installation moves no pod": [
        "test_other_settings_replace_no_pod_and_are_said",
        "test_another_rendering_replaces_no_pod",
        "test_an_upgrade_moves_nothing_until_it_is_asked_to",
    ],
    "nodes are reduced and followed": [
        "test_nodes_are_kept_as_they_are_read",
        "test_nodes_without_gpus_are_not_looked_at",
    ],
    "nothing that is not ours is deleted or widened": [
        "test_a_users_binding_stays_as_it_is_whatever_its_labels_say",
        "test_a_users_copy_of_a_service_is_not_pruned",
        "test_a_users_copy_of_a_candidate_is_not_swept",
    ],
    "two pods, one leader, versions on writes": [
        "test_a_killed_leader_is_followed_when_its_lease_has_run_out",
        "test_what_a_stale_look_leads_to_is_refused_by_its_version",
        "test_no_write_goes_out_when_it_may_not_lead",
    ],
    "a platform team's limits bind": [
        "test_what_loosens_a_limit_is_refused_by_field_with_a_cure",
        "test_policies_that_are_kept_apart_may_be_read_there",
        "test_a_candidate_beyond_the_limit_gets_no_pods_and_says_why",
    ],
    "the fix of a refused Job is taken": ["test_the_fix_of_a_job_that_was_refused_is_taken"],
    "a label that is gone is no deletion": [
        "test_a_deployment_whose_label_was_removed_serves_on_and_is_left_alone"
    ],
    "kstatus, Argo CD and Flux read every status": [
        "test_kstatus_reads_every_status_as_it_is_meant",
        "test_argo_cd_reads_every_status_as_it_is_meant",
        "test_flux_reads_every_status_as_it_is_meant",
    ],
    "what was measured is what runs": [
        "test_engines_stay_on_the_product_that_is_measured_and_so_does_the_result"
    ],
    "what the API server writes its own way settles": [
        "test_what_the_api_server_writes_its_own_way_is_no_difference",
        "test_spellings_of_one_amount_are_equal",
    ],
    "waiting has a deadline, or says since when": [
        "test_the_schedulers_sentence_is_kept_without_its_tail",
        "test_a_deployment_that_is_not_ready_is_named_and_since_when",
        "test_what_is_refused_for_good_is_tried_ever_more_rarely",
    ],
    "rest costs nothing": [
        "test_at_rest_there_is_nothing_to_read",
        "test_a_deployed_request_at_rest_asks_the_server_nothing",
        "test_a_server_that_asks_for_time_gets_it_from_edits_too",
        "test_a_burst_is_free_and_then_each_waits_a_little_longer",
    ],
    "each namespace is trusted by itself": ["test_each_namespace_is_trusted_by_itself"],
    "what has no effect is named": [
        "test_a_field_of_the_spec_is_accepted_and_named",
        "test_a_field_of_a_component_is_accepted_and_named",
        "test_a_misspelt_key_of_the_planner_is_told_and_stops_nothing",
    ],
    "rights are those that are needed": [
        "test_every_right_of_the_operator_is_used",
        "test_every_call_of_the_operator_is_allowed",
        "test_a_profiling_job_may_read_and_write_its_own_records",
        "test_restricted_workers_keep_to_the_pod_security_standard",
    ],
    "an error of a candidate is seen, and one that all share stops the run": [
        "test_an_image_that_does_not_come_is_told",
        "test_an_image_that_two_candidates_cannot_pull_ends_the_run",
    ],
    "a value that is hardly meant is asked back": [
        "test_a_value_that_is_hardly_meant_is_asked_back_and_served"
    ],
    "status answers at once where objects are missing": ["test_what_is_missing_is_asked_for_once"],
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_checklist_has_tests_that_exist(row: str, names_of_tests: set[str]) -> None:
    assert ROWS[row]
    assert sorted(set(ROWS[row]) - names_of_tests) == []
