//! The cases, in the order of the contract's sentences.

use std::ops::ControlFlow;

use payonce_core::{EventSource, EventStore, Exclusion, Fence, SnapshotWriter, StoreError};

use crate::{
    harness::{Harness, Hook, Shown},
    subject::{
        LEDGER, Subject, Verdict, batch, entry, is_missing, is_not_next, is_poisoned, must,
        refused, replay, same, state_at,
    },
};

/// One case of the suite.
#[derive(Debug)]
pub struct Case<H: Harness> {
    /// Its name: what the store must do.
    pub name: &'static str,
    /// The number of the contract's sentence that it tests.
    pub sentence: u8,
    pub(crate) check: fn(&mut H) -> Verdict<Shown>,
}

impl<H: Harness> Clone for Case<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Harness> Copy for Case<H> {}

/// Defines the list of cases, and the macro that makes a test of each, from one table.
macro_rules! table {
    ($d:tt $($sentence:literal $name:ident,)*) => {
        /// All cases, in the order of the contract's sentences.
        #[must_use]
        pub fn all<H: Harness>() -> Vec<Case<H>> {
            vec![$(Case { name: stringify!($name), sentence: $sentence, check: $name },)*]
        }

        /// Expands to one test a case, for the harness that the expression makes.
        #[macro_export]
        macro_rules! conformance {
            ($d make:expr) => {
                $(
                    #[test]
                    fn $name() {
                        $crate::cases::demand(|| $d make, stringify!($name));
                    }
                )*
            };
        }
    };
}

table! {
    $
    1 entries_come_back_byte_for_byte,
    1 the_ledger_id_stays,
    2 what_is_acknowledged_survives_the_process,
    2 a_large_batch_is_kept_whole_and_in_order,
    2 an_empty_batch_changes_nothing,
    2 a_fork_is_refused,
    2 a_gap_is_refused,
    2 a_repeated_entry_is_refused,
    2 a_batch_that_does_not_hang_together_is_refused_whole,
    3 a_refused_append_poisons,
    3 a_failed_append_poisons,
    3 a_failed_append_leaves_a_prefix,
    3 the_head_after_a_failed_append_is_final,
    3 a_poisoned_store_tells_what_failed_first,
    3 a_failed_snapshot_is_of_that_call_alone,
    3 a_failed_dropping_is_of_that_call_alone,
    4 replay_starts_where_it_is_told,
    4 replay_stops_when_it_is_told,
    4 replay_outside_the_log_is_refused,
    4 reading_changes_nothing,
    4 a_damaged_entry_is_an_error,
    5 a_second_writer_is_kept_out,
    5 a_fenced_off_writer_is_refused_everything,
    5 what_a_fenced_off_writer_tries_leaves_no_trace,
    5 the_writer_is_confirmed,
    6 a_new_log_has_no_snapshot_and_no_base,
    6 a_snapshot_survives_the_process,
    6 the_newest_snapshot_that_is_early_enough_is_served,
    6 an_older_snapshot_never_replaces_a_newer_one,
    6 a_snapshot_beyond_the_head_is_refused,
    6 a_snapshot_inside_an_entry_is_refused,
    6 a_snapshot_of_a_fork_is_refused,
    6 a_snapshot_is_no_part_of_the_log,
    6 a_damaged_snapshot_is_passed_over,
    6 a_snapshot_beside_appends_is_kept,
    6 appends_go_on_beside_snapshots,
    6 a_snapshot_elsewhere_beside_appends_is_refused,
    6 an_older_snapshot_beside_appends_never_replaces_a_newer_one,
    6 a_snapshot_writer_ends_with_its_store,
    7 dropping_needs_a_snapshot_there,
    7 a_base_stands_for_what_was_dropped,
    7 a_base_is_never_evicted,
    7 the_log_goes_on_after_a_base,
    7 a_later_base_replaces_an_earlier_one,
    7 an_earlier_base_is_refused,
    7 a_damaged_base_is_an_error,
}

/// Runs one case and panics if the store breaks it: what the tests of [`conformance!`] call. A case that
/// shows nothing because the harness leaves out a [`Hook`] fails too, unless [`Harness::LEFT_OUT`] names it: a
/// suite that passes by not looking is worse than none.
///
/// # Panics
/// With the breach, for a hook left out, or if there is no case of that name.
///
/// [`conformance!`]: crate::conformance
pub fn demand<H: Harness + 'static>(make: impl FnOnce() -> H + Send + 'static, name: &str) {
    let case = all::<H>().into_iter().find(|case| case.name == name);
    let case = case.expect("the macro names cases of the table");
    match crate::run(make, case, std::time::Duration::from_secs(60)) {
        Ok(Shown::LeftOut(hook)) if !H::LEFT_OUT.contains(&hook) => {
            panic!("{name} shows nothing: write Harness::{hook}, or name it in Harness::LEFT_OUT")
        }
        Ok(_) => {}
        Err(breach) => panic!("{breach}"),
    }
}

// 1. A store moves bytes.

fn entries_come_back_byte_for_byte<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::new(harness)?;
    for events in [1, 2, 15, 16, 31, 1_000, 30_000, 1] {
        subject.append(&[events])?;
    }
    subject.expect_log(1)?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

fn the_ledger_id_stays<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::new(harness)?;
    same("the ledger id", subject.store.ledger_id(), LEDGER)?;
    let subject = subject.restart_unchecked()?;
    same("the ledger id before the fence", subject.store.ledger_id(), LEDGER)?;
    Ok(Shown::Held)
}

// 2. `append` is all or nothing per entry, keeps a prefix of several, durable.

fn what_is_acknowledged_survives_the_process<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::new(harness)?;
    for sizes in [&[1][..], &[2, 1], &[1; 7]] {
        subject.append(sizes)?;
        subject = subject.restart()?;
        subject.expect_log(1)?;
    }
    Ok(Shown::Held)
}

fn a_large_batch_is_kept_whole_and_in_order<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::new(harness)?;
    let sizes: Vec<u16> = (0..300).map(|nth| 1 + nth % 7 * 40).collect();
    subject.append(&sizes)?;
    subject.expect_log(1)?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

fn an_empty_batch_changes_nothing<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    must("an empty append", subject.store.append(&[]))?;
    subject.append(&[1])?;
    subject.expect_log(1)?;
    Ok(Shown::Held)
}

/// Checks that an append is refused as not the next one and leaves the log as it was.
fn refuses_append<H: Harness>(
    mut subject: Subject<'_, H>,
    entries: &[payonce_core::Entry],
) -> Verdict<Shown> {
    let actual = subject.head();
    let wrong = entries.iter().map(payonce_core::Entry::before);
    let outcome = subject.store.append(entries);
    refused("the append", outcome, |error| match error {
        StoreError::NotNext { expected, actual: found } => {
            // Within an append the head is that of the entry before.
            wrong.into_iter().any(|before| before == *expected)
                && (entries.len() > 1 || *found == actual)
        }
        _ => false,
    })?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

fn a_fork_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    // The same seq, another chain: an entry that follows a rewritten last entry.
    let before = subject.heads[subject.heads.len() - 2];
    let mut forked = entry(before, 99, 1).after();
    forked.seq = subject.head().seq;
    refuses_append(subject, &batch(forked, &[1]))
}

fn a_gap_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let skipped = entry(subject.head(), 1, 1).after();
    refuses_append(subject, &batch(skipped, &[1]))
}

fn a_repeated_entry_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let before = subject.head();
    subject.append(&[2])?;
    refuses_append(subject, &batch(before, &[2]))
}

fn a_batch_that_does_not_hang_together_is_refused_whole<H: Harness>(
    harness: &mut H,
) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let mut entries = batch(subject.head(), &[1, 1, 1]);
    let _ = entries.remove(1);
    refuses_append(subject, &entries)
}

// 3. After any error of an append the outcome is unknown, until the store is opened again.

fn expect_poisoned<H: Harness>(subject: &mut Subject<'_, H>) -> Verdict {
    let (head, entries) = (subject.head(), batch(subject.head(), &[1]));
    let store = &mut subject.store;
    refused("an append afterwards", store.append(&entries), is_poisoned)?;
    refused("an empty append afterwards", store.append(&[]), is_poisoned)?;
    refused("asking for the head afterwards", store.head(), is_poisoned)?;
    refused("a replay afterwards", replay(store, 1), is_poisoned)?;
    refused("a snapshot afterwards", store.save_snapshot(head, b"state"), is_poisoned)?;
    refused("loading a snapshot afterwards", store.load_snapshot(u64::MAX), is_poisoned)?;
    refused("reading the base afterwards", store.base(), is_poisoned)?;
    refused("dropping history afterwards", store.drop_history(head), is_poisoned)?;
    refused("confirming the owner afterwards", store.confirm_owner(), is_poisoned)?;
    refused("a fence afterwards", store.fence(), is_poisoned)
}

fn a_refused_append_poisons<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let repeated = batch(subject.heads[0], &[1]);
    refused("the append", subject.store.append(&repeated), is_not_next)?;
    expect_poisoned(&mut subject)?;
    Ok(Shown::Held)
}

const CANNOT_FAIL: Shown = Shown::LeftOut(Hook::FailNextAppend);

fn a_failed_append_poisons<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    if !subject.harness.fail_next_append(&mut subject.store) {
        return Ok(CANNOT_FAIL);
    }
    let entries = batch(subject.head(), &[1, 1]);
    refused("the append", subject.store.append(&entries), |_| true)?;
    expect_poisoned(&mut subject)?;
    Ok(Shown::Held)
}

/// Fails an append of seven entries, reopens, and treats what is there as acknowledged if it is a
/// prefix.
fn failed<H: Harness>(harness: &mut H) -> Verdict<Option<Subject<'_, H>>> {
    let mut subject = Subject::filled(harness)?;
    if !subject.harness.fail_next_append(&mut subject.store) {
        return Ok(None);
    }
    let mut entries = batch(subject.head(), &[1, 2, 1, 3, 1, 1, 2]);
    refused("the append", subject.store.append(&entries), |_| true)?;
    let mut subject = subject.restart_unchecked()?;
    let head = must("the fence after a failed append", subject.store.fence())?.head;
    let survived = entries.iter().filter(|entry| entry.after().seq <= head.seq).count();
    entries.truncate(survived);
    subject.note(&entries);
    same("the head after a failed append", head, subject.head())?;
    Ok(Some(subject))
}

fn a_failed_append_leaves_a_prefix<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let Some(subject) = failed(harness)? else { return Ok(CANNOT_FAIL) };
    subject.expect_log(1)?;
    Ok(Shown::Held)
}

fn the_head_after_a_failed_append_is_final<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let Some(mut subject) = failed(harness)? else { return Ok(CANNOT_FAIL) };
    // Others than those that failed, under the same seqs.
    let entries = batch(entry(subject.head(), 2, 1).after(), &[4, 1]);
    let mut others = vec![entry(subject.head(), 2, 1)];
    others.extend(entries);
    must("an append after a failed one", subject.store.append(&others))?;
    subject.note(&others);
    subject.expect_log(1)?;
    subject.restart()?.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

fn a_poisoned_store_tells_what_failed_first<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Err(first) = subject.store.append(&batch(subject.heads[0], &[1])) else {
        return Err("a repeated entry was not refused".into());
    };
    let entries = batch(subject.head(), &[1]);
    for nth in 1..=2 {
        match subject.store.append(&entries) {
            Err(StoreError::Poisoned { cause }) => {
                same(&format!("the cause told by call {nth}"), &*cause, &*first.to_string())?;
            }
            other => return Err(format!("call {nth} after a failure: {other:?}")),
        }
    }
    Ok(Shown::Held)
}

const CANNOT_FAIL_MAINTENANCE: Shown = Shown::LeftOut(Hook::FailNextMaintenance);

fn a_failed_snapshot_is_of_that_call_alone<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let at = subject.head();
    if !subject.harness.fail_next_maintenance(&mut subject.store) {
        return Ok(CANNOT_FAIL_MAINTENANCE);
    }
    let outcome = subject.store.save_snapshot(at, &state_at(at));
    refused("the snapshot", outcome, |error| !is_poisoned(error))?;
    subject.append(&[1])?;
    subject.expect_log(1)?;
    subject.snapshot(at)?;
    subject.expect_snapshot(u64::MAX, Some(at))?;
    Ok(Shown::Held)
}

fn a_failed_dropping_is_of_that_call_alone<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let at = subject.heads[5];
    subject.snapshot(at)?;
    if !subject.harness.fail_next_maintenance(&mut subject.store) {
        return Ok(CANNOT_FAIL_MAINTENANCE);
    }
    let outcome = subject.store.drop_history(at);
    refused("dropping history", outcome, |error| !is_poisoned(error))?;
    subject.append(&[1])?;
    // It may have become the base in spite of the error: then history before it may be gone.
    let base = must("reading the base", subject.store.base())?.map_or(0, |base| base.at.seq);
    subject.expect_log(base + 1)?;
    must("dropping history again", subject.store.drop_history(at))?;
    subject.expect_base(Some(at))?;
    subject.expect_log(at.seq + 1)?;
    Ok(Shown::Held)
}

// 4. `replay` yields all acknowledged entries, in order, or an error.

fn replay_starts_where_it_is_told<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    for from in 1..=subject.head().seq + 1 {
        subject.expect_log(from)?;
    }
    Ok(Shown::Held)
}

fn replay_stops_when_it_is_told<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let mut yielded = 0;
    let outcome = subject.store.replay(1, &mut |_| {
        yielded += 1;
        if yielded == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    must("a replay that is told to stop", outcome)?;
    same("how many entries it yielded", yielded, 3)?;
    Ok(Shown::Held)
}

fn replay_outside_the_log_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let beyond = subject.head().seq + 2;
    refused("a replay from beyond the head", replay(&subject.store, beyond), is_missing)?;
    refused("a replay from the last seq", replay(&subject.store, u64::MAX), is_missing)?;
    subject.expect_log(1)?;
    Ok(Shown::Held)
}

fn reading_changes_nothing<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    for _ in 0..2 {
        subject.expect_log(1)?;
        subject.expect_log(3)?;
        subject.expect_snapshot(u64::MAX, None)?;
        subject.expect_base(None)?;
        subject = subject.restart()?;
    }
    subject.append(&[1])?;
    subject.expect_log(1)?;
    Ok(Shown::Held)
}

fn a_damaged_entry_is_an_error<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let (damaged, _) = subject.entries[4];
    let Subject { harness, store, .. } = subject;
    harness.kill(store);
    if !harness.damage_entry(damaged) {
        return Ok(Shown::LeftOut(Hook::DamageEntry));
    }
    // Opening may find it, or a replay.
    let Ok(mut store) = harness.reopen() else { return Ok(Shown::Held) };
    if store.fence().is_err() {
        return Ok(Shown::Held);
    }
    let outcome = replay(&store, 1);
    refused("a replay over it", outcome, |error| matches!(error, StoreError::Corrupt { .. }))?;
    Ok(Shown::Held)
}

// 5. One writer.

fn a_second_writer_is_kept_out<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    match subject.store.exclusion() {
        Exclusion::Lock => {
            let second = subject.harness.reopen().map(|_| "it opened");
            let is_locked = |error: &StoreError| matches!(error, StoreError::Locked { .. });
            refused("a second writer", second, is_locked)?;
            // The lock ends with the handle, and not before.
            subject.restart()?.append(&[1])?;
        }
        Exclusion::Atomic => {
            let mut second = must("a second handle", subject.harness.reopen())?;
            let Fence { head, number } = must("its fence", second.fence())?;
            same("the head that it finds", head, subject.head())?;
            must("its append", second.append(&batch(head, &[1])))?;
            let mut third = must("a third handle", subject.harness.reopen())?;
            let later = must("its fence", third.fence())?.number;
            let rises = number.is_none() || number < later;
            same("whether the number of a fence is above those before", rises, true)?;
        }
        Exclusion::None => return Ok(NOT_EXCLUDED),
    }
    Ok(Shown::Held)
}

const NOT_EXCLUDED: Shown = Shown::NoOccasion("the store excludes no second writer");
const NOT_TAKEN_OVER: Shown = Shown::NoOccasion("a writer of this store cannot be taken over");

fn a_fenced_off_writer_is_refused_everything<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    type Call<S> = fn(&mut S, payonce_core::Head) -> Result<(), StoreError>;
    let calls: [(&str, Call<H::Store>); 4] = [
        ("its append", |store, head| store.append(&batch(head, &[1]))),
        ("its snapshot", |store, head| store.save_snapshot(head, b"state")),
        ("its dropping of history", |store, head| store.drop_history(head)),
        ("its confirmation", |store, _| store.confirm_owner()),
    ];
    let mut subject = Subject::filled(harness)?;
    if subject.store.exclusion() != Exclusion::Atomic {
        return Ok(NOT_TAKEN_OVER);
    }
    let at = subject.head();
    subject.snapshot(at)?;
    for (what, call) in calls {
        let mut second = must("a second handle", subject.harness.reopen())?;
        must("its fence", second.fence())?;
        let outcome = call(&mut subject.store, at);
        refused(what, outcome, |error| matches!(error, StoreError::Fenced { .. }))?;
        subject.store = second;
    }
    Ok(Shown::Held)
}

fn what_a_fenced_off_writer_tries_leaves_no_trace<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    if subject.store.exclusion() != Exclusion::Atomic {
        return Ok(NOT_TAKEN_OVER);
    }
    let head = subject.head();
    subject.snapshot(head)?;
    let mut second = must("a second handle", subject.harness.reopen())?;
    must("its fence", second.fence())?;
    // Whatever is answered: the new writer's head is definite.
    let _ = subject.store.append(&batch(head, &[1]));
    let _ = subject.store.drop_history(head);
    subject.store = second;
    subject.append(&[2, 1])?;
    subject.expect_log(1)?;
    subject.expect_base(None)?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

fn the_writer_is_confirmed<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::new(harness)?;
    must("confirming the owner", subject.store.confirm_owner())?;
    subject.append(&[1])?;
    must("confirming the owner after an append", subject.store.confirm_owner())?;
    let mut subject = subject.restart()?;
    must("confirming the owner after a restart", subject.store.confirm_owner())?;
    Ok(Shown::Held)
}

// 6. A snapshot is an accelerator, never the truth.

fn a_new_log_has_no_snapshot_and_no_base<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::new(harness)?;
    subject.expect_snapshot(u64::MAX, None)?;
    subject.expect_base(None)?;
    Ok(Shown::Held)
}

fn a_snapshot_survives_the_process<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let at = subject.head();
    subject.snapshot(at)?;
    subject.expect_snapshot(u64::MAX, Some(at))?;
    subject.restart()?.expect_snapshot(u64::MAX, Some(at))?;
    Ok(Shown::Held)
}

fn the_newest_snapshot_that_is_early_enough_is_served<H: Harness>(
    harness: &mut H,
) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let (early, late) = (subject.heads[3], subject.head());
    subject.snapshot(early)?;
    subject.snapshot(late)?;
    for (at_most, expected) in [
        (0, None),
        (early.seq - 1, None),
        (early.seq, Some(early)),
        (late.seq - 1, Some(early)),
        (late.seq, Some(late)),
        (u64::MAX, Some(late)),
    ] {
        subject.expect_snapshot(at_most, expected)?;
    }
    Ok(Shown::Held)
}

fn an_older_snapshot_never_replaces_a_newer_one<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let (early, late) = (subject.heads[3], subject.head());
    subject.snapshot(late)?;
    subject.snapshot(early)?;
    subject.expect_snapshot(u64::MAX, Some(late))?;
    subject.restart()?.expect_snapshot(u64::MAX, Some(late))?;
    Ok(Shown::Held)
}

fn a_snapshot_beyond_the_head_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let at = entry(subject.head(), 1, 1).after();
    refuses_snapshot(subject, at)
}

fn a_snapshot_inside_an_entry_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    // The second entry has the seqs 2 and 3.
    let mut at = subject.heads[2];
    at.seq = 2;
    refuses_snapshot(subject, at)
}

fn a_snapshot_of_a_fork_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = Subject::filled(harness)?;
    let at = entry(subject.heads[2], 99, 1).after();
    same("the test's own seqs", at.seq, subject.heads[3].seq)?;
    refuses_snapshot(subject, at)
}

/// Checks that a snapshot is refused before anything was written, and that the store goes on.
fn refuses_snapshot<H: Harness>(
    mut subject: Subject<'_, H>,
    at: payonce_core::Head,
) -> Verdict<Shown> {
    refused("the snapshot", subject.store.save_snapshot(at, b"state"), is_missing)?;
    subject.expect_snapshot(u64::MAX, None)?;
    subject.append(&[1])?;
    subject.restart()?.expect_snapshot(u64::MAX, None)?;
    Ok(Shown::Held)
}

fn a_snapshot_is_no_part_of_the_log<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    for _ in 0..4 {
        let at = subject.head();
        subject.snapshot(at)?;
        subject.append(&[1])?;
    }
    subject.expect_log(1)?;
    subject.expect_base(None)?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

const CANNOT_DAMAGE: Shown = Shown::LeftOut(Hook::DamageSnapshot);

fn a_damaged_snapshot_is_passed_over<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let (early, late) = (subject.heads[3], subject.head());
    subject.snapshot(early)?;
    subject.snapshot(late)?;
    let Subject { harness, store, heads, entries } = subject;
    harness.kill(store);
    if !harness.damage_snapshot(late.seq) {
        return Ok(CANNOT_DAMAGE);
    }
    let mut store = must("opening over a damaged snapshot", harness.reopen())?;
    must("the fence over a damaged snapshot", store.fence())?;
    let subject = Subject { harness, store, heads, entries };
    subject.expect_snapshot(u64::MAX, Some(early))?;
    subject.expect_log(1)?;
    Ok(Shown::Held)
}

const NOT_BESIDE: Shown = Shown::NoOccasion("the store saves no snapshots beside appends");

fn a_snapshot_beside_appends_is_kept<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Some(mut writer) = subject.store.snapshot_writer() else { return Ok(NOT_BESIDE) };
    let early = subject.head();
    subject.append(&[1, 2])?;
    must("a snapshot beside appends", writer.save_snapshot(early, &state_at(early)))?;
    subject.expect_snapshot(u64::MAX, Some(early))?;
    let late = subject.head();
    must("another one", writer.save_snapshot(late, &state_at(late)))?;
    subject.append(&[1])?;
    subject.expect_snapshot(u64::MAX, Some(late))?;
    subject.expect_snapshot(late.seq - 1, Some(early))?;
    drop(writer);
    let subject = subject.restart()?;
    subject.expect_log(1)?;
    subject.expect_snapshot(u64::MAX, Some(late))?;
    Ok(Shown::Held)
}

/// Saves, from a thread of its own, one snapshot at each head that comes; ends with the heads.
fn save_all(
    mut writer: Box<dyn SnapshotWriter + Send>,
    heads: std::sync::mpsc::Receiver<payonce_core::Head>,
) -> std::thread::JoinHandle<Verdict> {
    std::thread::spawn(move || {
        heads.into_iter().try_for_each(|at| {
            must("a snapshot while others append", writer.save_snapshot(at, &state_at(at)))
        })
    })
}

fn appends_go_on_beside_snapshots<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Some(writer) = subject.store.snapshot_writer() else { return Ok(NOT_BESIDE) };
    let (heads, to_save) = std::sync::mpsc::channel();
    let saving = save_all(writer, to_save);
    for _ in 0..40 {
        // After a failed save its thread has ended and receives no more heads; the thread reports that.
        let _ = heads.send(subject.head());
        subject.append(&[3, 1])?;
    }
    let last = subject.heads[subject.heads.len() - 3];
    drop(heads);
    saving.join().map_err(|_| "saving a snapshot beside appends panicked")??;
    subject.append(&[1])?;
    subject.expect_log(1)?;
    subject.expect_snapshot(u64::MAX, Some(last))?;
    let subject = subject.restart()?;
    subject.expect_log(1)?;
    subject.expect_snapshot(u64::MAX, Some(last))?;
    Ok(Shown::Held)
}

fn a_snapshot_elsewhere_beside_appends_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Some(mut writer) = subject.store.snapshot_writer() else { return Ok(NOT_BESIDE) };
    let mut inside = subject.heads[2];
    inside.seq = 2;
    let fork = entry(subject.heads[2], 99, 1).after();
    let beyond = entry(subject.head(), 1, 1).after();
    for (what, at) in [("inside an entry", inside), ("of a fork", fork), ("ahead", beyond)] {
        let outcome = writer.save_snapshot(at, b"state");
        refused(&format!("a snapshot {what} beside appends"), outcome, is_missing)?;
    }
    subject.expect_snapshot(u64::MAX, None)?;
    // A refusal leaves both as they were.
    subject.append(&[1])?;
    let at = subject.head();
    must("a snapshot after refused ones", writer.save_snapshot(at, &state_at(at)))?;
    subject.expect_snapshot(u64::MAX, Some(at))?;
    Ok(Shown::Held)
}

fn an_older_snapshot_beside_appends_never_replaces_a_newer_one<H: Harness>(
    harness: &mut H,
) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Some(mut writer) = subject.store.snapshot_writer() else { return Ok(NOT_BESIDE) };
    let (early, late) = (subject.heads[3], subject.head());
    subject.snapshot(late)?;
    must("an older snapshot", writer.save_snapshot(early, &state_at(early)))?;
    subject.expect_snapshot(u64::MAX, Some(late))?;
    must("dropping history", subject.store.drop_history(late))?;
    let outcome = writer.save_snapshot(early, &state_at(early));
    refused("a snapshot before the base", outcome, is_missing)?;
    subject.expect_base(Some(late))?;
    subject.expect_snapshot(u64::MAX, Some(late))?;
    Ok(Shown::Held)
}

fn a_snapshot_writer_ends_with_its_store<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let Some(mut writer) = subject.store.snapshot_writer() else { return Ok(NOT_BESIDE) };
    let at = subject.head();
    match subject.store.exclusion() {
        Exclusion::Lock => subject = subject.restart()?,
        Exclusion::Atomic => {
            let mut second = must("a second handle", subject.harness.reopen())?;
            must("its fence", second.fence())?;
            subject.store = second;
        }
        Exclusion::None => return Ok(NOT_EXCLUDED),
    }
    let outcome = writer.save_snapshot(at, &state_at(at));
    let is_fenced = |error: &StoreError| matches!(error, StoreError::Fenced { .. });
    refused("a snapshot for a store that is over", outcome, is_fenced)?;
    subject.append(&[1])?;
    subject.expect_log(1)?;
    subject.expect_snapshot(u64::MAX, None)?;
    Ok(Shown::Held)
}

// 7. A base is history.

fn dropping_needs_a_snapshot_there<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = Subject::filled(harness)?;
    let (at, elsewhere) = (subject.heads[3], subject.heads[5]);
    refused("dropping without one", subject.store.drop_history(at), is_missing)?;
    subject.snapshot(elsewhere)?;
    refused("dropping with one elsewhere", subject.store.drop_history(at), is_missing)?;
    let mut forked = elsewhere;
    forked.chain = at.chain;
    refused("dropping on a fork", subject.store.drop_history(forked), is_missing)?;
    subject.expect_base(None)?;
    subject.expect_log(1)?;
    subject.restart()?.expect_log(1)?;
    Ok(Shown::Held)
}

/// A log whose history up to its `nth` head was dropped.
fn dropped<H: Harness>(harness: &mut H, nth: usize) -> Verdict<Subject<'_, H>> {
    let mut subject = Subject::filled(harness)?;
    let at = subject.heads[nth];
    subject.snapshot(at)?;
    must("dropping history", subject.store.drop_history(at))?;
    Ok(subject)
}

/// Checks that the log begins after this base.
fn expect_begins_after<H: Harness>(subject: &Subject<'_, H>, base: payonce_core::Head) -> Verdict {
    subject.expect_base(Some(base))?;
    subject.expect_log(base.seq + 1)?;
    refused("a replay of what was dropped", replay(&subject.store, base.seq), is_missing)?;
    refused("a replay from the beginning", replay(&subject.store, 1), is_missing)?;
    subject.expect_snapshot(base.seq - 1, None)
}

fn a_base_stands_for_what_was_dropped<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = dropped(harness, 5)?;
    let base = subject.heads[5];
    expect_begins_after(&subject, base)?;
    subject.expect_snapshot(u64::MAX, Some(base))?;
    let subject = subject.restart()?;
    expect_begins_after(&subject, base)?;
    subject.expect_snapshot(u64::MAX, Some(base))?;
    Ok(Shown::Held)
}

fn a_base_is_never_evicted<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = dropped(harness, 5)?;
    let base = subject.heads[5];
    for _ in 0..5 {
        subject.append(&[1])?;
        let at = subject.head();
        subject.snapshot(at)?;
        subject.expect_snapshot(u64::MAX, Some(at))?;
        subject.expect_base(Some(base))?;
        subject.expect_snapshot(base.seq, Some(base))?;
    }
    expect_begins_after(&subject.restart()?, base)?;
    Ok(Shown::Held)
}

fn the_log_goes_on_after_a_base<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = dropped(harness, 10)?;
    let base = subject.head();
    subject = subject.restart()?;
    subject.append(&[2, 1])?;
    expect_begins_after(&subject, base)?;
    expect_begins_after(&subject.restart()?, base)?;
    Ok(Shown::Held)
}

fn a_later_base_replaces_an_earlier_one<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = dropped(harness, 5)?;
    let (first, base) = (subject.heads[5], subject.heads[8]);
    must("naming the base again", subject.store.drop_history(first))?;
    expect_begins_after(&subject, first)?;
    subject.snapshot(base)?;
    must("dropping more history", subject.store.drop_history(base))?;
    expect_begins_after(&subject, base)?;
    expect_begins_after(&subject.restart()?, base)?;
    Ok(Shown::Held)
}

fn an_earlier_base_is_refused<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let mut subject = dropped(harness, 8)?;
    let (base, earlier) = (subject.heads[8], subject.heads[5]);
    refused("an earlier snapshot", subject.store.save_snapshot(earlier, b"state"), is_missing)?;
    refused("an earlier base", subject.store.drop_history(earlier), is_missing)?;
    expect_begins_after(&subject, base)?;
    Ok(Shown::Held)
}

fn a_damaged_base_is_an_error<H: Harness>(harness: &mut H) -> Verdict<Shown> {
    let subject = dropped(harness, 5)?;
    let base = subject.heads[5];
    let Subject { harness, store, .. } = subject;
    harness.kill(store);
    if !harness.damage_snapshot(base.seq) {
        return Ok(CANNOT_DAMAGE);
    }
    // Opening may find it, or whoever asks for it.
    let Ok(mut store) = harness.reopen() else { return Ok(Shown::Held) };
    if store.fence().is_err() {
        return Ok(Shown::Held);
    }
    let is_corrupt = |error: &StoreError| matches!(error, StoreError::Corrupt { .. });
    refused("reading it", store.base().map(|_| "it came back"), is_corrupt)?;
    let loaded = store.load_snapshot(u64::MAX).map(|_| "it came back");
    refused("loading a snapshot", loaded, is_corrupt)?;
    Ok(Shown::Held)
}
