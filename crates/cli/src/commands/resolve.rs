//! `payonce resolve`: an operator's word. The only command that writes to a log.

use std::ops::ControlFlow;

use payonce::{
    Abandon, Answer, Config, Event, EventStore, FactRefusal, FailPart, Failure as PartFailure,
    FailureReason, Head, Ledger, MarkPaid, Opening, PartId, PaymentHash, PaymentId, Remember,
    State, UnblockHash, UnixMillis,
    audit::{EventSource, Shown, decode_events, verify},
    machine::{Assertion, Machine, OpenedBy},
    store_fs::{FsError, FsStore, Options},
};

use crate::{
    address::Address,
    advice::{advise, blocked_for},
    cli::{ResolveArgs, WordArg},
    commands::With,
    copy::close,
    io::{Failure, Io, Outcome},
    log::{Log, newest_state, reading, seed},
    payments::status_name,
    units::short,
};

const PROGRAM: &str = concat!("payonce resolve ", env!("CARGO_PKG_VERSION"));

pub(crate) fn run(arguments: &ResolveArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let id: PaymentId = arguments.id.parse().map_err(Failure::refused)?;
    let answer = answer(arguments, id)?;
    match &arguments.dir {
        Address::Directory(directory) => {
            // Opening a log for writing begins to mend it: a damaged one is left as it is. No word is so
            // urgent that the log need not be sound.
            reading(&arguments.dir, |log| verify(log, seed()))?;
            let (store, _) = FsStore::open(directory, Options::default())
                .map_err(|error| cannot_open(&arguments.dir, &error))?;
            Word { arguments, with, id, answer }.give(store, io, close)
        }
        #[cfg(feature = "postgres")]
        Address::Postgres(text) => {
            let mut database = crate::postgres::Database::read(&arguments.dir, text)?;
            // No lock holds a ledger of a database: who opens it shuts its writer out. One that is at work
            // must stop by itself, or its node learns it in the middle of a payment.
            database.config = database.config.spare_writer_seen_within(SPARED);
            let store = database.open()?;
            Word { arguments, with, id, answer }
                .give(store, io, |store| store.close().map_err(Failure::refused))
        }
        #[cfg(not(feature = "postgres"))]
        Address::Postgres(_) => Err(crate::log::no_postgres(&arguments.dir)),
    }
}

/// For how long a writer of a database counts as at work after it was seen: a node ticks once a minute.
#[cfg(feature = "postgres")]
const SPARED: std::time::Duration = std::time::Duration::from_secs(180);

/// A word on its way into a log.
struct Word<'a> {
    arguments: &'a ResolveArgs,
    with: With<'a>,
    id: PaymentId,
    answer: Answer,
}

impl Word<'_> {
    /// Shows what it will record, asks, and records it.
    fn give<S: EventStore>(
        self,
        store: S,
        io: &mut Io<'_>,
        close: impl FnOnce(S) -> Outcome,
    ) -> Outcome {
        let Self { arguments, with, id, answer } = self;
        let state = newest_state(&store).map_err(Failure::refused)?;
        let head = state.head();
        // The log keeps who and why also where the fact itself has no room for it.
        let holder = format!("{}: {}", arguments.by, arguments.why);
        if arguments.word == WordArg::Unblock {
            describe_hash(&state, hash_of(id), io)?;
        } else {
            describe(&state, id, with, io)?;
        }
        let recorded = match rehearse(state, answer.clone(), &holder, io)? {
            Ok(events) if events.is_empty() => {
                return Err(Failure::refused(
                    "the ledger knows that already: nothing was recorded",
                ));
            }
            Ok(events) => events,
            Err(refusal) => {
                return Err(Failure::refused(format!("refused, nothing was recorded: {refusal}")));
            }
        };
        writeln!(
            io.out,
            "will be recorded, beside that the log was opened by {PROGRAM} ({holder}):"
        )?;
        for event in &recorded {
            let payment = event.payment().map_or(String::new(), |id| format!(" [{}]", short(id)));
            writeln!(io.out, "  {}{payment}: {}", event.name(), event.words())?;
        }
        if !arguments.yes && !confirmed(io)? {
            return Err(Failure::refused("not confirmed: nothing was recorded"));
        }
        let head = record(store, (answer, head), &holder, io.now, close)?;
        Ok(writeln!(
            io.out,
            "recorded; the log ends at {head}; the node draws the conclusion at its next start"
        )?)
    }
}

fn answer(arguments: &ResolveArgs, id: PaymentId) -> Result<Answer, Failure> {
    let word = Assertion {
        although_listed: arguments.although_listed,
        ..Assertion::new(&arguments.by, &arguments.why)
    };
    let part: Option<PartId> =
        arguments.part.as_ref().map(|part| part.parse()).transpose().map_err(Failure::refused)?;
    Ok(match arguments.word {
        WordArg::Failed => {
            let part = part.ok_or_else(|| {
                Failure::refused(
                    "which part failed? give --part; `show` lists them, `--format json` in full",
                )
            })?;
            let failure = PartFailure { assertion: Some(word), ..PartFailure::default() };
            Answer::Failed(FailPart { id, part, failure })
        }
        WordArg::Paid => {
            let paid = MarkPaid::new(id).asserted(word);
            Answer::Paid(part.map_or(paid.clone(), |part| paid.part(part)))
        }
        WordArg::Abandon => Answer::GivenUp(Abandon { id, reason: FailureReason::UserAbandoned }),
        WordArg::Unblock => {
            let engine = arguments.engine.as_deref().unwrap_or_default();
            Answer::Unblocked(UnblockHash::new(hash_of(id)).engine(engine))
        }
    })
}

/// Where a hash is told in place of an id: it has as many bytes.
const fn hash_of(id: PaymentId) -> PaymentHash {
    PaymentHash::from_bytes(*id.as_bytes())
}

/// What is said where a log cannot be opened for writing. If another program holds it: who, and that it
/// takes the word itself; where its operators reach it stands in what the log was opened with.
fn cannot_open(address: &Address, error: &FsError) -> Failure {
    let holder = match error {
        FsError::Locked { holder, .. } => holder,
        FsError::NotALedger { .. } if Log::open(address).is_ok() => {
            return Failure::refused(
                "no lock keeps a second writer out of a key-value store: give your word to the node \
                 that has it open; nothing was recorded",
            );
        }
        error => return Failure::refused(error),
    };
    let process = holder.map_or(String::new(), |process| format!(" by process {process}"));
    let opened = last_opened(address).unwrap_or_default();
    Failure::refused(format!(
        "the log is held{process}{opened}: give your word to that program, at its own endpoint for \
         operators, or stop it first; nothing was recorded, and no file of the log may be deleted to \
         get past this"
    ))
}

/// With what the log was opened last, in words.
fn last_opened(address: &Address) -> Option<String> {
    let log = Log::open(address).ok()?;
    let (head, first) = (log.head().ok()?.seq, log.start().ok()?.seq + 1);
    let (mut opened, mut back) = (None, 1 << 8);
    loop {
        // Nearly always it is close to the end.
        let from = head.saturating_sub(back).max(first);
        log.replay(from, &mut |entry| {
            let _ = decode_events(entry.bytes, |_, event| {
                if let Event::Opened { program, holder, .. } = event {
                    opened = Some((program, holder));
                }
            });
            ControlFlow::Continue(())
        })
        .ok()?;
        if opened.is_some() || from == first {
            break;
        }
        back *= 16;
    }
    let (program, holder) = opened?;
    let (program, holder) =
        (Shown(program.as_str()).to_string(), Shown(holder.as_str()).to_string());
    let holder = if holder.is_empty() { holder } else { format!(" ({holder})") };
    Some(format!(", opened by {program}{holder}"))
}

/// How the payment stands before.
fn describe(state: &State, id: PaymentId, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let Some(view) = state.payment_view(&id) else {
        return Ok(writeln!(io.out, "payment {id} is not known")?);
    };
    let status = status_name(view.status.kind()).replace('_', " ");
    writeln!(io.out, "payment {id} is {status}, {} parts out", view.unresolved)?;
    if let Some(advice) = advise(state, &id, with.clock.now) {
        writeln!(io.out, "  {}", advice.why)?;
    }
    Ok(())
}

/// For whom a hash is blocked before.
fn describe_hash(state: &State, hash: PaymentHash, io: &mut Io<'_>) -> Outcome {
    let who = blocked_for(state, &hash).unwrap_or_else(|| "nobody".into());
    Ok(writeln!(io.out, "hash {hash} is blocked for {who}")?)
}

type Rehearsed = Result<Vec<Event>, FactRefusal>;

/// What would be recorded, decided on the same state by the same machine, and written nowhere.
fn rehearse(state: State, answer: Answer, holder: &str, io: &Io<'_>) -> Result<Rehearsed, Failure> {
    let by = OpenedBy { program: PROGRAM, holder, fence: None };
    let config = Config::new(Remember::Forever);
    let (mut machine, opened) = Machine::open(state, config, by, false, io.now);
    let step = machine.submit(answer, io.now);
    let mut events = Vec::new();
    if let Some(entry) = &step.entry {
        decode_events(entry.bytes(), |_, event| events.push(event)).map_err(Failure::refused)?;
    }
    let entries = [opened].into_iter().chain(step.entry);
    machine.confirmed(entries).map_err(Failure::refused)?;
    let reply = machine.release(step.ticket).map_err(|_| Failure::refused("not decided"))?;
    Ok(reply.map(|_| events))
}

fn confirmed(io: &mut Io<'_>) -> Result<bool, Failure> {
    write!(io.out, "type yes to record it: ")?;
    io.out.flush()?;
    let mut typed = String::new();
    io.input.read_line(&mut typed)?;
    Ok(typed.trim() == "yes")
}

/// Tells that one fact: recovery is begun and not finished, so that the node's next start draws the
/// conclusions, with its own answers.
fn record<S: EventStore>(
    store: S,
    (answer, shown): (Answer, Head),
    holder: &str,
    now: UnixMillis,
    close: impl FnOnce(S) -> Outcome,
) -> Result<Head, Failure> {
    let mut opening = Opening::new(Remember::Forever, seed());
    opening.program = PROGRAM.into();
    opening.holder = holder.into();
    let mut recovery = Ledger::open(store, &opening, now).map_err(Failure::refused)?;
    // Where no lock is held, another writer may have been there since: what was shown was decided on
    // another log. That it is opened is one event.
    if recovery.head().seq != shown.seq + 1 {
        close(recovery.into_store())?;
        return Err(Failure::refused(
            "the log went on while you read: nothing of your word was recorded; look at it once more",
        ));
    }
    let replies = recovery.answer([answer], now).map_err(Failure::refused)?;
    let head = recovery.head();
    close(recovery.into_store())?;
    for reply in replies {
        reply.map_err(Failure::refused)?;
    }
    Ok(head)
}
