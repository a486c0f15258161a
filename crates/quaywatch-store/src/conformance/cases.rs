//! The list of all cases.

use super::{Case, changes, configuration, history, lists, people, proofs, steps, stream};

macro_rules! cases {
    ($($module:ident :: $case:ident,)*) => {
        &[$(Case { name: stringify!($case), run: $module::$case },)*]
    };
}

/// Every case, in the order of the reference.
pub const CASES: &[Case] = cases![
    configuration::a_new_store_has_the_default_account_and_the_local_location,
    configuration::edits_are_numbered_and_the_same_again_changes_nothing,
    configuration::a_change_set_is_applied_whole_or_not_at_all,
    configuration::removed_things_come_back_with_their_key_and_numbers_are_never_reused,
    configuration::the_bin_is_emptied_after_its_time,
    configuration::names_of_channels_are_unique_and_can_be_passed_on,
    configuration::owners_and_accounts_do_not_see_each_other,
    configuration::every_change_is_in_the_feed,
    configuration::the_accepted_configuration_and_the_locations_are_remembered,
    configuration::a_hundred_thousand_changes_are_one,
    steps::an_old_fence_writes_nothing_and_gets_its_step_back,
    steps::a_step_written_twice_changes_nothing,
    steps::a_step_is_written_whole_or_not_at_all,
    steps::a_shard_is_loaded_as_it_was_left,
    steps::intervals_follow_each_other_also_when_written_twice,
    steps::notices_wait_until_they_are_delivered,
    steps::incidents_are_found_by_monitor_window_and_state,
    steps::evidence_and_inputs_are_read_back,
    steps::the_inbox_keeps_what_is_not_acknowledged,
    steps::blind_time_is_one_row_a_location,
    steps::the_last_commit_survives_sorting,
    history::results_are_the_same_in_every_layer,
    history::a_check_is_given_once_however_often_it_came,
    history::late_results_are_merged_into_what_is_packed,
    history::locations_and_neighbours_are_kept_apart,
    history::summaries_are_the_same_in_every_layer,
    history::every_status_has_its_last_check,
    history::a_clock_that_was_wrong_holds_nothing_up,
    history::each_layer_is_deleted_after_its_own_time,
    changes::a_rename_keeps_the_number_and_an_old_revision_changes_nothing,
    changes::what_is_in_the_bin_comes_back_unless_its_name_was_given_away,
    changes::channels_change_by_number_as_monitors_do,
    changes::a_pause_outlives_reloads_and_ends_by_itself,
    changes::every_change_is_in_the_audit_log_as_it_was_and_as_it_is,
    lists::pages_of_monitors_are_what_one_finds_by_looking_at_all,
    lists::a_list_follows_edits_the_bin_and_other_accounts_are_not_in_it,
    stream::transitions_are_numbered_and_written_with_their_intervals,
    stream::incidents_are_filtered_and_paged,
    stream::intervals_of_the_account_are_filtered_and_paged,
    stream::notices_of_an_incident_say_how_they_stand,
    stream::a_call_that_comes_twice_gets_the_first_answer_for_a_day,
    stream::an_account_has_a_name_a_plan_settings_and_counts,
    people::people_are_found_by_number_and_by_mail_whatever_the_case,
    people::a_code_is_used_once,
    people::passkeys_and_other_providers_lead_to_one_person,
    people::sessions_end_one_by_one_or_all_but_one,
    people::tokens_are_found_by_hash_and_stay_when_they_are_revoked,
    people::an_account_keeps_its_last_owner,
    people::a_server_is_set_up_once,
    people::an_invitation_lets_one_person_in,
    people::what_people_do_is_in_the_audit_log_of_their_accounts,
    proofs::a_session_begins_only_by_what_is_still_so,
    proofs::an_address_claims_only_whom_nothing_lets_in,
    proofs::invitations_end_with_whoever_made_them,
    proofs::a_role_changes_only_from_what_it_was,
];
