"""What upstream's profiler does, and what it does wrong, each with the tests that hold it here.

Whoever renames one of those tests has to say here what holds the row instead.
"""

import pytest

# What a user of upstream's profiler expects to find.
FEATURES = {
    "parameters, with their defaults, and unknown ones reported": [
        "test_upstreams_manifests_are_accepted",
        "test_the_defaults_are_upstreams",
        "test_keys_of_all_generations",
        "test_what_we_do_not_know_is_reported",
        "test_what_has_no_effect_is_named",
    ],
    "GPUs from labels, or as the user says": [
        "test_discovery",
        "test_what_the_user_gives_wins_and_is_not_capped",
        "test_unknown_hardware_says_what_to_set",
    ],
    "the model from claim, folder and hub, and without any": [
        "test_a_claims_folder_says_what_the_model_is",
        "test_a_claim_without_a_path_is_a_hubs_cache",
        "test_a_model_that_is_a_path_is_read_from_the_jobs_image",
        "test_the_hub_says_what_a_model_is_and_how_large",
        "test_nothing_found_is_no_error_and_says_what_was_tried",
        "test_a_user_states_a_model_without_any_file",
    ],
    "search space, bounds of the user, mixtures over several nodes": [
        "test_what_is_tried_follows_from_the_kind_of_model",
        "test_limits_that_contradict_each_other_are_refused",
        "test_engines_larger_than_a_node_take_whole_nodes",
        "test_every_shape_and_reason_is_that_of_the_golden",
    ],
    "TP, TEP and DEP, and which of them are valid": [
        "test_a_mapping_is_called_what_it_does",
        "test_experts_that_do_not_divide_are_named",
        "test_a_shard_that_is_no_multiple_of_the_quantisation_block_is_refused",
        "test_what_is_possible_fits_divides_and_keeps_the_budget",
        "test_what_fits_divides_and_keeps_the_budget_is_possible",
    ],
    "three engines, their modes, mappings and nodes": [
        "test_the_graph_of_an_engine",
        "test_an_engine_of_its_own_is_an_ordinary_worker_under_its_name_in_a_pair",
        "test_a_pod_asks_for_the_gpus_of_its_node",
    ],
    "prefix cache off and on, prompts sent twice": [
        "test_prefill_meets_prompts_that_nothing_has_sent",
        "test_batches_only_meet_prompts_that_were_sent_before",
        "test_a_prompt_that_is_sent_again_meets_the_rank_that_knows_it",
    ],
    "waves over attention ranks, and concurrencies that fill them": [
        "test_a_burst_over_the_ranks_gives_the_time_of_one_prompt",
        "test_ranks_get_a_burst_of_prompts_and_the_warmth_for_all_of_them",
        "test_concurrencies_fill_every_rank_alike_and_never_more_than_it_holds",
    ],
    "KV capacity from every log, and from better sources": [
        "test_every_wording_of_a_log_is_read",
        "test_the_engines_own_samples_are_read",
        "test_without_metadata_the_metrics_say_it",
        "test_without_metrics_the_log_says_it",
        "test_an_engine_that_says_nothing_holds_what_the_memory_model_estimates",
    ],
    "selection, what is taken where nothing holds, and a warning": [
        "test_the_highest_throughput_per_gpu_within_the_targets_wins",
        "test_nothing_within_the_targets_is_said_with_the_nearest_figures",
        "test_unreachable_targets_are_said_in_message_and_report",
    ],
    "points of the curves, their bounds, answers and head-room": [
        "test_prompt_lengths_are_as_many_as_asked_for_and_hold_the_workloads",
        "test_prompt_lengths_leave_room_for_template_and_answer",
        "test_the_decode_grid_has_its_points_over_three_contexts",
        "test_a_measured_context_is_that_of_the_request",
        "test_answers_are_short_where_only_the_first_token_counts",
    ],
    "NPZ and JSON as upstream's planner reads them": [
        "test_the_archives_hold_upstreams_keys_dtypes_and_shapes",
        "test_the_keys_are_upstreams",
        "test_prefill_between_measured_points_is_off_by_little",
        "test_decode_between_measured_points_is_off_by_little",
    ],
    "the result: deployment, planner, curves; mockers, claim, image": [
        "test_the_result_is_a_planner_and_a_deployment_of_what_was_measured",
        "test_mockers_in_place_of_engines_replay_the_curves_and_hold_no_gpus",
        "test_the_pair_with_a_claim",
        "test_each_backend_has_its_image_and_release",
        "test_an_override_names_the_result_and_reaches_it",
    ],
    "status, progress, time-outs, clean-up, owners": [
        "test_progress_is_shown_in_upstreams_keys",
        "test_progress_counts_candidates_and_points",
        "test_a_candidate_that_does_not_come_up_in_time_says_what_the_scheduler_says",
        "test_nothing_is_left_deployed_at_the_end",
        "test_objects_of_a_run_belong_to_the_request",
    ],
}

# Mistakes that upstream made.
MISTAKES = {
    "the first of two lines about the KV cache counts": ["test_every_wording_of_a_log_is_read"],
    "a rank's capacity is taken for the engine's": [
        "test_a_log_speaks_of_one_rank",
        "test_limits_are_those_of_all_ranks_together",
    ],
    "an empty log makes an empty sweep": [
        "test_nothing_said_is_an_error_in_words_and_no_empty_sweep"
    ],
    "the engine's batch limit is ignored": ["test_in_flight_is_bounded_by"],
    "concurrencies exceed what the cache holds": [
        "test_concurrencies_fill_every_rank_alike_and_never_more_than_it_holds"
    ],
    "a short range has a step of 0": [
        "test_levels_stay_within_what_the_engine_holds",
        "test_an_engine_that_holds_one_request_at_a_time_still_gets_a_grid",
    ],
    "an argument written --key=value stays": ["test_a_flag_is_removed_in_every_form"],
    "TEP-8 and DEP-8 share a name": ["test_no_two_mappings_share_a_name"],
    "fewer KV heads than GPUs are refused": ["test_kv_heads_may_be_repeated"],
    "mixtures are known by three names": [
        "test_a_mixture_is_known_by_its_fields_whatever_its_architecture_is_called"
    ],
    "mixtures end at one node": ["test_with_two_nodes_671_billion_parameters_run_on_both"],
    "candidates are larger than the budget": [
        "test_nothing_that_is_tried_breaks_a_limit_and_nothing_is_lost",
        "test_the_gpu_budget_is_never_exceeded",
    ],
    "one slow candidate ends the run": [
        "test_a_candidate_that_cannot_be_measured_is_given_up_and_the_rest_goes_on"
    ],
    "no result is a success": ["test_nothing_measured_is_a_failure_with_the_reasons"],
    "a curve that failed goes unnoticed": [
        "test_too_few_points_are_no_curve",
        "test_a_curve_does_without_a_prompt_length_that_keeps_failing",
    ],
    "weights in two formats are counted twice": ["test_weights_in_two_formats_are_counted_once"],
    "points without figures stay": [
        "test_whatever_the_load_tool_says_becomes_a_sound_point_or_a_failure",
        "test_points_without_a_latency_are_dropped",
    ],
    "an unknown block has no effect and no word": [
        "test_what_the_server_refuses_is_refused_here_too",
        "test_what_we_do_not_know_is_reported",
    ],
    "the next pods wait behind GPUs that are not free yet": [
        "test_retiring_waits_for_the_pods_whose_gpus_are_wanted"
    ],
}

# Requests that upstream's profiler is tested with, by the number in its matrix.
SCENARIOS = {
    "1 rapid, a dense model on 8 GPUs": [
        "test_a_dense_model_is_measured_on_every_part_of_a_node",
        "test_without_a_planner_the_deployment_stands_alone",
    ],
    "2 a rate on 64 GPUs": [
        "test_a_dense_model_is_measured_on_every_part_of_a_node",
        "test_a_named_load_gives_the_first_replicas_by_the_planners_sizing",
    ],
    "2b a model in a claim": ["test_every_candidate_reads_the_model_from_the_claim"],
    "2c a target for the whole answer": [
        "test_a_target_for_the_whole_answer_replaces_both_others",
        "test_a_target_for_the_whole_answer_is_split_as_the_engines_split_it",
    ],
    "2d concurrency and rate": ["test_a_load_that_is_given_twice_is_refused"],
    "3 a planner with targets": [
        "test_with_a_planner_the_curves_are_measured_whatever_the_sweep",
        "test_the_result_is_a_planner_and_a_deployment_of_what_was_measured",
    ],
    "3b a planner and mockers": [
        "test_with_a_planner_the_curves_are_measured_whatever_the_sweep",
        "test_mockers_in_place_of_engines_replay_the_curves_and_hold_no_gpus",
    ],
    "4 a model that no database knows": [
        "test_a_model_that_no_database_knows_is_measured_like_any_other"
    ],
    "5 its planner scales by load": [
        "test_a_model_that_no_database_knows_is_measured_like_any_other"
    ],
    # Upstream refuses it or warns because it has no curves then; here they are measured.
    "5b its planner scales by throughput": [
        "test_a_model_that_no_database_knows_is_measured_like_any_other"
    ],
    "6 thorough on 64 GPUs with a rate": ["test_a_dense_model_is_measured_on_every_part_of_a_node"],
    # The sweep of the curves is measured in both; there is no simulated one.
    "7 thorough, a planner's rapid sweep": [
        "test_with_a_planner_the_curves_are_measured_whatever_the_sweep"
    ],
    "7b thorough, a planner's thorough sweep": [
        "test_with_a_planner_the_curves_are_measured_whatever_the_sweep"
    ],
    "8 nothing fits": ["test_a_model_that_no_gpu_holds_is_refused_before_the_first_pod"],
    "9a a mixture with an override's long arguments": [
        "test_long_arguments_of_an_override_are_in_every_candidate",
        "test_arguments_append_to_a_workers_in_v1alpha1_and_replace_a_frontends",
        "test_shared_memory_that_v1alpha1_disables_has_no_size",
    ],
    "10 pull secrets in an override": [
        "test_pull_secrets_beside_the_components_are_those_of_all_pods",
        "test_pull_secrets_of_a_components_pods_are_in_every_candidate",
    ],
    "11 rapid, any backend": [
        "test_auto_lets_every_backend_compete",
        "test_auto_means_the_backends_that_there_is_an_image_for",
    ],
    "12 a mixture over two nodes": ["test_a_mixture_is_measured_with_its_experts_spread"],
}

# Open, and named nowhere above: the blob of v1alpha1 requests and the flags of upstream's profiler
# (requests are of v1beta1; conversion comes with a webhook), nvidia-smi in a pod (labels of the
# nodes and the request say what GPUs there are), and a dry run (no field asks for one yet, and none
# may that has no effect).


@pytest.mark.parametrize("row", [*FEATURES, *MISTAKES, *SCENARIOS])
def test_a_row_of_the_checklist_has_tests_that_exist(row: str, names_of_tests: set[str]) -> None:
    wanted = (FEATURES | MISTAKES | SCENARIOS)[row]
    assert wanted
    assert sorted(set(wanted) - names_of_tests) == []
