//! Which cases catch which broken store: exactly those meant for it.

use std::{collections::BTreeSet, time::Duration};

use payonce_core::{LedgerId, StoreError};
use payonce_store_testkit::{
    Harness, Hook, Shown, all,
    cases::demand,
    faulty::{Fault, FaultyDisk, FaultyHarness, FaultyStore},
    run,
};

/// Every fault, and the cases that must catch it.
const CAUGHT_BY: &[(Fault, &[&str])] = &[
    (Fault::None, &[]),
    (Fault::CutsLargeEntries, &["entries_come_back_byte_for_byte"]),
    (Fault::ForgetsItsName, &["the_ledger_id_stays"]),
    (
        Fault::ForgetsOnReopen,
        &[
            "entries_come_back_byte_for_byte",
            "what_is_acknowledged_survives_the_process",
            "a_large_batch_is_kept_whole_and_in_order",
            "a_fork_is_refused",
            "a_gap_is_refused",
            "a_repeated_entry_is_refused",
            "a_batch_that_does_not_hang_together_is_refused_whole",
            "a_failed_append_leaves_a_prefix",
            "the_head_after_a_failed_append_is_final",
            "reading_changes_nothing",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
            "the_writer_is_confirmed",
            "a_snapshot_survives_the_process",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "a_snapshot_is_no_part_of_the_log",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "dropping_needs_a_snapshot_there",
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
        ],
    ),
    (
        Fault::LosesTheLastEntry,
        &[
            "entries_come_back_byte_for_byte",
            "what_is_acknowledged_survives_the_process",
            "a_large_batch_is_kept_whole_and_in_order",
            "a_fork_is_refused",
            "a_gap_is_refused",
            "a_repeated_entry_is_refused",
            "a_batch_that_does_not_hang_together_is_refused_whole",
            "the_head_after_a_failed_append_is_final",
            "reading_changes_nothing",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
            "the_writer_is_confirmed",
            "a_snapshot_survives_the_process",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "a_snapshot_is_no_part_of_the_log",
            "a_damaged_snapshot_is_passed_over",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "dropping_needs_a_snapshot_there",
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
        ],
    ),
    (
        Fault::AcknowledgesBeforeWriting,
        &[
            "entries_come_back_byte_for_byte",
            "what_is_acknowledged_survives_the_process",
            "a_large_batch_is_kept_whole_and_in_order",
            "the_head_after_a_failed_append_is_final",
            "reading_changes_nothing",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
            "the_writer_is_confirmed",
            "a_snapshot_survives_the_process",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "a_snapshot_is_no_part_of_the_log",
            "a_damaged_snapshot_is_passed_over",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "dropping_needs_a_snapshot_there",
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
        ],
    ),
    (Fault::ReordersLargeBatches, &["a_large_batch_is_kept_whole_and_in_order"]),
    (Fault::CutsLargeBatches, &["a_large_batch_is_kept_whole_and_in_order"]),
    (Fault::RefusesEmptyBatches, &["an_empty_batch_changes_nothing"]),
    (Fault::AcceptsForks, &["a_fork_is_refused"]),
    (Fault::AcceptsGaps, &["a_gap_is_refused"]),
    (
        Fault::IgnoresRepeats,
        &[
            "a_repeated_entry_is_refused",
            "a_refused_append_poisons",
            "a_poisoned_store_tells_what_failed_first",
        ],
    ),
    (Fault::ComparesTheFirstEntryOnly, &["a_batch_that_does_not_hang_together_is_refused_whole"]),
    (Fault::KeepsSomeOfARefusedBatch, &["a_batch_that_does_not_hang_together_is_refused_whole"]),
    (
        Fault::GoesOnAfterARefusal,
        &["a_refused_append_poisons", "a_poisoned_store_tells_what_failed_first"],
    ),
    (Fault::GoesOnAfterAFailure, &["a_failed_append_poisons"]),
    (Fault::ReadsWhenPoisoned, &["a_refused_append_poisons", "a_failed_append_poisons"]),
    (Fault::ForgetsWhy, &["a_poisoned_store_tells_what_failed_first"]),
    (
        Fault::TearsABatch,
        &["a_failed_append_leaves_a_prefix", "the_head_after_a_failed_append_is_final"],
    ),
    (Fault::WritesLate, &["the_head_after_a_failed_append_is_final"]),
    (
        Fault::ReplaysFromTheBeginning,
        &["replay_starts_where_it_is_told", "reading_changes_nothing"],
    ),
    (
        Fault::ReplaysFromInsideAnEntry,
        &["replay_starts_where_it_is_told", "reading_changes_nothing"],
    ),
    (Fault::NeverStops, &["replay_stops_when_it_is_told"]),
    (Fault::ReplaysBeyondTheHead, &["replay_outside_the_log_is_refused"]),
    (
        Fault::LosesWhenRead,
        &[
            "replay_starts_where_it_is_told",
            "reading_changes_nothing",
            "a_base_stands_for_what_was_dropped",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
        ],
    ),
    (Fault::ServesDamage, &["a_damaged_entry_is_an_error"]),
    (Fault::StopsAtDamage, &["a_damaged_entry_is_an_error"]),
    (Fault::SkipsDamage, &["a_damaged_entry_is_an_error"]),
    (Fault::LocksNobody, &["a_second_writer_is_kept_out"]),
    (
        Fault::FencesNobody,
        &[
            "a_fenced_off_writer_is_refused_everything",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
        ],
    ),
    (
        Fault::FencesAppendsOnly,
        &[
            "a_fenced_off_writer_is_refused_everything",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
        ],
    ),
    (Fault::RepeatsItsNumber, &["a_second_writer_is_kept_out"]),
    (
        Fault::StallsWhenAsked,
        &["a_fenced_off_writer_is_refused_everything", "the_writer_is_confirmed"],
    ),
    (Fault::DisownsItsWriter, &["the_writer_is_confirmed"]),
    (
        Fault::InventsASnapshot,
        &[
            "reading_changes_nothing",
            "a_new_log_has_no_snapshot_and_no_base",
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "a_snapshot_elsewhere_beside_appends_is_refused",
            "a_snapshot_writer_ends_with_its_store",
        ],
    ),
    (
        Fault::KeepsOneSnapshot,
        &[
            "the_newest_snapshot_that_is_early_enough_is_served",
            "a_damaged_snapshot_is_passed_over",
            "a_snapshot_beside_appends_is_kept",
        ],
    ),
    (
        Fault::ForgetsSnapshots,
        &[
            "a_snapshot_survives_the_process",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
        ],
    ),
    (
        Fault::ServesAStaleSnapshot,
        &[
            "the_newest_snapshot_that_is_early_enough_is_served",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
            "a_base_is_never_evicted",
        ],
    ),
    (
        Fault::ServesALateSnapshot,
        &[
            "the_newest_snapshot_that_is_early_enough_is_served",
            "a_snapshot_beside_appends_is_kept",
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
            "an_earlier_base_is_refused",
        ],
    ),
    (
        Fault::ServesTheLastSaved,
        &[
            "an_older_snapshot_never_replaces_a_newer_one",
            "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
        ],
    ),
    (
        Fault::AcceptsSnapshotsBeyondTheHead,
        &[
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_elsewhere_beside_appends_is_refused",
        ],
    ),
    (
        Fault::AcceptsSnapshotsInsideAnEntry,
        &[
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "a_snapshot_elsewhere_beside_appends_is_refused",
            "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
            "an_earlier_base_is_refused",
        ],
    ),
    (
        Fault::AcceptsSnapshotsOfAFork,
        &["a_snapshot_of_a_fork_is_refused", "a_snapshot_elsewhere_beside_appends_is_refused"],
    ),
    (
        Fault::PoisonedByARefusedSnapshot,
        &[
            "a_snapshot_beyond_the_head_is_refused",
            "a_snapshot_inside_an_entry_is_refused",
            "a_snapshot_of_a_fork_is_refused",
            "an_earlier_base_is_refused",
        ],
    ),
    (Fault::PoisonedByAFailedSnapshot, &["a_failed_snapshot_is_of_that_call_alone"]),
    (Fault::PoisonedByAFailedDropping, &["a_failed_dropping_is_of_that_call_alone"]),
    (Fault::DropsWhenFailing, &["a_failed_dropping_is_of_that_call_alone"]),
    (
        Fault::DropsWhenSaving,
        &[
            "a_failed_dropping_is_of_that_call_alone",
            "what_a_fenced_off_writer_tries_leaves_no_trace",
            "an_older_snapshot_never_replaces_a_newer_one",
            "a_snapshot_is_no_part_of_the_log",
            "a_damaged_snapshot_is_passed_over",
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
            "dropping_needs_a_snapshot_there",
            "a_base_is_never_evicted",
        ],
    ),
    (
        Fault::ServesDamagedSnapshots,
        &["a_damaged_snapshot_is_passed_over", "a_damaged_base_is_an_error"],
    ),
    (Fault::RefusesDamagedSnapshots, &["a_damaged_snapshot_is_passed_over"]),
    (
        Fault::LosesSnapshotsBesideAppends,
        &[
            "a_snapshot_beside_appends_is_kept",
            "appends_go_on_beside_snapshots",
            "a_snapshot_elsewhere_beside_appends_is_refused",
        ],
    ),
    (
        Fault::ForgetsWhatIsAppendedBeside,
        &["a_snapshot_beside_appends_is_kept", "appends_go_on_beside_snapshots"],
    ),
    (
        Fault::AcceptsAnySnapshotBesideAppends,
        &[
            "a_snapshot_elsewhere_beside_appends_is_refused",
            "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
        ],
    ),
    (
        Fault::ServesWhatWasSavedBesideLast,
        &["an_older_snapshot_beside_appends_never_replaces_a_newer_one"],
    ),
    (Fault::FencesNoSnapshotWriter, &["a_snapshot_writer_ends_with_its_store"]),
    (
        Fault::DropsWithoutASnapshot,
        &["dropping_needs_a_snapshot_there", "an_earlier_base_is_refused"],
    ),
    (
        Fault::ForgetsTheBase,
        &[
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
        ],
    ),
    (Fault::EvictsTheBase, &["a_base_is_never_evicted"]),
    (
        Fault::ReplaysWhatIsLeft,
        &[
            "a_base_stands_for_what_was_dropped",
            "a_base_is_never_evicted",
            "the_log_goes_on_after_a_base",
            "a_later_base_replaces_an_earlier_one",
            "an_earlier_base_is_refused",
        ],
    ),
    (Fault::BeginsAnewAfterABase, &["the_log_goes_on_after_a_base"]),
    (Fault::KeepsTheFirstBase, &["a_later_base_replaces_an_earlier_one"]),
    (Fault::GoesBackToAnEarlierBase, &["an_earlier_base_is_refused"]),
    (Fault::IgnoresADamagedBase, &["a_damaged_base_is_an_error"]),
];

/// Long enough for a sound store; one that stalls is waited for this long.
fn limit(fault: Fault) -> Duration {
    Duration::from_millis(if fault == Fault::StallsWhenAsked { 300 } else { 60_000 })
}

fn caught_by(fault: Fault) -> BTreeSet<&'static str> {
    all::<FaultyHarness>()
        .into_iter()
        .filter(|case| run(move || FaultyHarness::new(fault), *case, limit(fault)).is_err())
        .map(|case| case.name)
        .collect()
}

#[test]
fn each_broken_store_is_caught_by_the_cases_meant_for_it() {
    for (fault, meant) in CAUGHT_BY {
        assert_eq!(caught_by(*fault), meant.iter().copied().collect(), "{fault:?}");
    }
}

#[test]
fn every_fault_is_in_the_table_and_every_case_catches_one() {
    let faults: Vec<_> = CAUGHT_BY.iter().map(|(fault, _)| *fault).collect();
    assert_eq!(faults, Fault::ALL);
    let catching: BTreeSet<_> = CAUGHT_BY.iter().flat_map(|(_, meant)| meant.iter()).collect();
    let cases = all::<FaultyHarness>();
    let missing: Vec<_> = cases.iter().filter(|case| !catching.contains(&case.name)).collect();
    assert!(missing.is_empty(), "these catch nothing: {missing:?}");
    let sentences: BTreeSet<_> = cases.iter().map(|case| case.sentence).collect();
    assert!(sentences.into_iter().eq(1..=7), "each sentence of the contract has a case");
}

#[test]
fn a_sound_store_with_an_able_harness_shows_every_case() {
    for case in all::<FaultyHarness>() {
        let shown = run(|| FaultyHarness::new(Fault::None), case, limit(Fault::None));
        assert_eq!(shown, Ok(Shown::Held), "{case:?}");
    }
}

/// A harness that can create and open, and says that it can damage no entry.
struct Bare(FaultyDisk);

impl Harness for Bare {
    type Store = FaultyStore;
    const LEFT_OUT: &'static [Hook] = &[Hook::DamageEntry];

    fn create(&mut self, ledger: LedgerId) -> Result<FaultyStore, StoreError> {
        self.0 = FaultyDisk::new(ledger, Fault::None);
        Ok(self.0.open())
    }

    fn reopen(&mut self) -> Result<FaultyStore, StoreError> {
        Ok(self.0.open())
    }
}

#[test]
fn a_hook_that_is_left_out_on_purpose_passes() {
    demand(|| Bare(FaultyDisk::default()), "a_damaged_entry_is_an_error");
}

#[test]
#[should_panic(expected = "write Harness::fail_next_append, or name it in Harness::LEFT_OUT")]
fn a_hook_that_was_forgotten_fails() {
    demand(|| Bare(FaultyDisk::default()), "a_failed_append_leaves_a_prefix");
}
