//! What every database must do, and what is particular to each.
//!
//! A behaviour is a function of `&dyn Store`, or of its database where it is about several processes.
//! [`suite`] turns each into a test on one engine, every test with a database of its own; a further
//! engine is one further line at the end of this file.

use hookmirror::model::changes::{Applied, Outcome, Planned};
use hookmirror::model::ledger::{EventFilter, EventRecord, EventSummary, UserReport};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use crate::support::given::{at, key, user_id};

mod attribution;
mod by_hand;
mod crowded_groups;
mod event_changes;
mod facts;
mod failures;
mod findings;
mod freshness;
mod groups;
mod ledger;
mod listing;
mod mending;
mod operators;
mod outbox;
mod pauses;
mod payments;
mod plans;
mod postgres;
mod previews;
mod reassessment;
mod replay_leases;
mod replay_orders;
mod replay_pauses;
mod replays;
mod retention;
mod retries;
mod sqlite;
mod sweeps;
mod timelines;
mod upgrade;
mod users;

macro_rules! suite {
    ($engine:ident: $($area:ident($of:ident): $($behaviour:ident)+;)+) => {
        $(mod $area {
            $(#[tokio::test]
            async fn $behaviour() {
                let database = crate::support::database::$engine().await;
                super::super::$area::$behaviour(suite!(@$of database)).await;
            })+
        })+
    };
    (@store $database:ident) => { &*$database.store };
    (@database $database:ident) => { &$database };
}

macro_rules! every_behaviour {
    ($engine:ident) => {
        suite! { $engine:
            users(store):
                the_newest_revision_wins_in_any_order_and_any_split
                an_equal_revision_writes_nothing
                a_tombstone_is_final
                the_earliest_deletion_stands
                every_column_comes_back_as_it_went_in
                a_user_belongs_to_the_source_that_told_of_the_newest_state
                nothing_is_known_of_a_stranger;
            ledger(store):
                a_later_delivery_of_a_settled_event_only_counts
                deliveries_within_a_batch_count_as_one_attempt
                the_same_id_of_another_source_is_another_event
                a_failed_event_is_processed_again_by_a_later_delivery
                a_payload_that_must_not_be_kept_is_not_kept
                the_first_delivery_keeps_its_bytes_and_time
                the_first_delivery_keeps_its_headers
                a_batch_of_more_rows_than_one_statement_takes_is_whole
                an_empty_batch_is_nothing;
            freshness(store):
                the_latest_event_of_each_source_is_told
                the_oldest_event_without_its_effect_is_told;
            failures(store):
                a_refused_value_fails_its_event_alone
                a_batch_of_nothing_but_refused_values_is_recorded
                metadata_too_deep_for_the_database_fails_its_event_alone
                a_refused_event_fails_in_the_same_way_each_time;
            timelines(store):
                any_id_of_one_person_tells_the_same
                a_strangers_payment_by_the_same_customer_is_the_strangers
                what_is_nobodys_and_what_nobody_knows_have_their_own
                attempts_deliveries_and_deeds_are_in_it
                of_a_long_timeline_the_newest_are_told;
            groups(store):
                each_failed_attempt_is_counted_in_its_group
                what_the_database_refuses_is_counted_once
                what_succeeds_later_does_not_fail_now
                an_event_on_its_way_back_counts_as_retrying
                a_resolved_group_is_open_again_with_the_next_failure
                an_acknowledged_group_stays_so;
            crowded_groups(database):
                workers_that_fail_alike_do_not_hinder_each_other;
            listing(store):
                each_filter_by_itself
                filters_together
                brackets_in_a_pattern_are_text
                newest_first_and_no_more_than_the_limit
                counts_are_by_source_and_state
                ignored_events_are_counted_by_their_reason
                queued_events_that_the_ledger_holds_count_once;
            findings(store):
                pages_put_together_are_the_listing
                a_page_goes_on_after_an_event_that_it_does_not_list
                a_survey_counts_what_the_listing_shows
                nothing_is_found_in_an_empty_ledger;
            payments(store):
                a_named_user_is_entitled_before_being_mirrored
                facts_of_one_session_join_in_any_order
                a_customer_is_known_by_an_older_session
                a_session_waits_for_its_user_and_is_released
                a_waiting_event_is_released_though_another_delivery_failed
                a_customer_told_by_an_earlier_event_is_linked
                every_event_of_a_released_session_is_released
                an_older_session_takes_the_customer_over
                an_expired_session_waits_for_nobody
                the_mirror_is_the_same_for_every_order_of_payments;
            facts(store):
                every_column_of_a_fact_comes_back_as_it_went_in
                what_a_fact_does_not_tell_comes_back_as_nothing
                every_status_can_be_stored
                a_later_account_of_a_fact_replaces_its_row
                a_refund_may_come_before_its_session
                a_refund_finds_its_subscription_in_any_order
                a_linked_customer_releases_what_waits_for_it
                a_session_releases_the_subscription_that_it_began
                the_first_owner_of_a_customer_holds;
            attribution(store):
                what_nobody_has_heard_of_cannot_be_given
                ownership_says_whose_and_why
                a_session_that_is_given_is_released_and_counts
                what_is_somebodys_is_not_given_by_mistake
                who_loses_a_payment_loses_what_followed_from_it
                what_was_given_stays_given
                a_subscription_is_given_with_all_that_hangs_on_it
                a_gift_of_an_unpaid_session_is_paid_when_the_money_comes;
            by_hand(store):
                what_waits_is_listed_longest_first_and_counted
                what_is_given_by_hand_takes_its_customer_along_and_is_recorded
                a_dry_run_leaves_nothing_but_its_record
                what_changed_hands_since_is_not_given_away;
            reassessment(database):
                another_policy_changes_those_who_are_late
                a_verdict_of_an_earlier_version_is_derived_anew
                all_who_are_late_are_looked_at;
            retries(store):
                only_what_is_due_is_leased
                a_retry_is_the_event_as_it_came
                the_longest_due_are_leased_first
                a_lease_moves_the_time
                what_is_back_on_the_queue_is_not_leased
                a_lost_lease_says_nothing
                an_event_processed_since_is_not_queued_again
                a_retried_event_is_applied_like_any_other
                the_last_attempt_ends_as_failed
                two_schedulers_at_once_lease_different_events;
            replays(database):
                each_replay_of_an_event_processes_it_once
                an_event_that_was_replayed_is_as_it_was
                a_message_of_a_replay_that_is_closed_only_counts
                an_event_that_the_ledger_has_lost_is_not_swallowed
                one_processing_settles_all_that_a_batch_holds_of_an_event
                a_replay_mends_the_mirror
                what_was_done_is_not_undone_by_a_failing_replay
                a_replay_leads_where_processing_leads
                a_refused_value_fails_its_replay_alone
                what_was_waiting_is_released_by_a_replay;
            mending(database):
                every_column_of_a_user_is_mended
                what_follows_from_a_payment_is_mended
                what_is_right_is_not_written
                an_older_event_mends_nothing_and_breaks_nothing
                what_is_told_again_gives_way_to_what_is_newer
                a_user_who_should_be_gone_is_removed
                other_deliveries_look_at_revisions_only;
            replay_orders(database):
                a_replay_has_what_matches_in_the_order_of_arrival
                a_plan_changes_nothing_and_is_recorded
                what_is_not_kept_is_not_replayed_and_told
                nothing_to_replay_is_no_replay
                what_came_of_a_replay_is_told
                what_is_cancelled_is_exact
                what_has_ended_is_not_cancelled;
            replay_leases(database):
                an_event_is_leased_as_it_came
                events_about_one_subject_go_one_after_the_other
                two_schedulers_together_keep_the_pace
                each_replay_has_its_own_pace
                a_lease_that_ran_out_is_leased_again
                what_is_queued_is_not_leased_until_nothing_moves
                a_lost_lease_of_a_replay_says_nothing
                what_is_gone_is_settled_and_holds_up_nobody
                nothing_is_written_while_nothing_runs;
            replay_pauses(database):
                messages_in_flight_go_back_and_are_processed_once
                a_report_that_comes_after_the_pause_says_nothing
                other_sources_of_a_replay_do_not_wait
                what_is_put_aside_and_replayed_is_done_for_both
                what_waits_for_a_source_can_be_cancelled
                what_a_queue_lost_meanwhile_goes_there_again;
            outbox(store):
                a_desired_state_is_leased_once_and_delivered
                each_instance_gets_its_own_users_and_one_the_strangers
                newer_desires_replace_older_ones
                what_clerk_holds_already_is_not_sent
                a_change_and_back_while_leased_is_sent_again
                a_change_while_leased_waits_for_the_lease
                a_lease_excludes_a_second_one_until_it_expires
                a_late_settlement_without_effect_is_ignored
                a_write_under_a_lost_lease_is_made_good
                a_write_under_a_lost_lease_makes_the_next_one_doubtful
                a_charged_failure_counts_and_an_uncharged_one_does_not
                a_new_desire_starts_without_failures
                a_parked_entry_waits_for_a_new_desire
                a_user_unknown_to_clerk_is_tried_again_once_mirrored
                a_user_mirrored_while_clerk_denied_it_is_tried_again
                what_was_not_sent_is_due_and_otherwise_as_before
                a_deletion_ends_delivery_for_good
                a_payment_of_a_deleted_user_is_not_sent
                the_longest_due_go_first_and_no_more_than_the_limit
                a_change_and_back_before_a_lease_is_not_sent
                a_change_and_back_of_what_was_not_confirmed_is_sent
                a_lease_that_sent_nothing_leaves_what_is_known
                undelivered_are_listed_the_longest_desired_first
                an_entry_knows_the_trace_that_asked_for_it;
            operators(store):
                a_dry_run_changes_nothing_and_is_recorded
                what_is_retried_is_due_without_failures
                what_is_under_way_is_not_sent_twice_at_once
                what_is_discarded_waits_for_a_change
                what_ends_after_it_was_discarded_stays_so
                entries_are_listed_counted_and_found;
            event_changes(store):
                what_did_not_end_is_given_up_and_nothing_else
                what_was_given_up_stays_so
                what_is_to_be_tried_again_is_due_now
                more_than_one_transaction_takes_is_changed_and_recorded
                the_record_is_read_page_by_page;
            pauses(database):
                events_of_a_paused_source_are_put_aside
                what_has_ended_or_waits_is_not_put_aside
                what_was_put_aside_goes_back_oldest_first
                a_retry_that_meets_a_pause_keeps_its_place
                what_is_put_aside_too_late_goes_back_too
                who_paused_what_is_known;
            previews(database):
                a_preview_leaves_every_row_as_it_was
                a_preview_shows_what_processing_then_does
                what_the_mirror_lost_is_shown_as_mended
                what_would_fail_does_not_become_worse
                what_is_applied_stays_so_if_it_would_be_ignored_now
                what_the_database_refuses_fails_alone
                others_that_would_no_longer_wait_are_told
                only_the_first_received_and_those_with_bytes_are_previewed;
            retention(store):
                old_payloads_go_and_their_rows_stay
                what_is_not_finished_keeps_its_payload
                a_later_delivery_does_not_bring_a_payload_back
                the_steps_of_a_sweep_are_one_line_of_the_record
                two_sweeps_at_once_take_each_payload_once
                old_events_go_with_their_attempts
                what_is_about_a_deleted_user_goes_after_the_grace
                payments_of_a_deleted_user_go_with_them
                a_customer_of_a_living_user_as_well_is_kept
                late_events_about_an_erased_user_go_too
                what_is_found_to_be_about_an_erased_user_later_goes_too
                the_second_look_comes_when_what_was_going_on_is_over
                a_person_with_many_events_takes_several_steps
                an_operator_erases_at_once
                what_is_due_again_without_its_payload_fails;
            sweeps(database):
                a_deletion_of_an_earlier_version_counts_from_the_first_sweep;
        }
    };
}

/// Applies a batch at a time.
async fn apply(store: &dyn Store, now: i64, batch: &[Planned]) -> Vec<Applied> {
    let applied = store.apply(batch, at(now)).await.unwrap();
    let answered: Vec<_> = applied.iter().map(|applied| &applied.key).collect();
    let asked: Vec<_> = batch.iter().map(|planned| &planned.event.key).collect();
    assert_eq!(answered, asked, "one answer for each entry, in order");
    applied
}

async fn outcomes(store: &dyn Store, now: i64, batch: &[Planned]) -> Vec<Outcome> {
    let applied = apply(store, now, batch).await;
    applied.iter().map(|applied| applied.outcome).collect()
}

async fn record_of(store: &dyn Store, event: &str) -> EventRecord {
    store.find_event(&key(event)).await.unwrap().unwrap()
}

async fn state_of(store: &dyn Store, event: &str) -> EventState {
    record_of(store, event).await.summary.state
}

async fn report(store: &dyn Store, user: &str) -> UserReport {
    store.find_user(&user_id(user)).await.unwrap().unwrap()
}

async fn everything(store: &dyn Store) -> Vec<EventSummary> {
    store
        .list_events(&EventFilter::default(), 10_000)
        .await
        .unwrap()
}

/// Every order of a few things.
fn permutations<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for place in 0..of.len() {
        let mut rest = of.to_vec();
        let first = rest.remove(place);
        for mut order in permutations(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

mod on_sqlite {
    every_behaviour!(sqlite);
}

mod on_postgres {
    every_behaviour!(postgres);
}
