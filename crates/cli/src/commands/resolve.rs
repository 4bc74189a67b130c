//! `payonce resolve`: an operator's word. The only command that writes to a log.

use std::{ops::ControlFlow, path::Path};

use payonce::{
    Abandon, Answer, Assertion, Config, Event, FactRefusal, FailPart, Failure as PartFailure,
    FailureReason, Ledger, Machine, MarkPaid, OpenedBy, Opening, PartId, PaymentId, Remember,
    State,
    audit::{FsReader, decode_events, history},
    store_fs::{FsError, FsStore, Options},
};

use crate::{
    advice::advise,
    cli::{ResolveArgs, WordArg},
    commands::With,
    copy::close,
    io::{Failure, Io, Outcome},
    log::{newest_state, seed},
    payments::status_name,
    units::short,
};

const PROGRAM: &str = concat!("payonce resolve ", env!("CARGO_PKG_VERSION"));

pub(crate) fn run(arguments: &ResolveArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let id: PaymentId = arguments.id.parse().map_err(Failure::refused)?;
    let answer = answer(arguments, id)?;
    let directory = &arguments.dir;
    let (store, _) = FsStore::open(directory, Options::default())
        .map_err(|error| locked_or(directory, &error))?;
    let state = newest_state(&store).map_err(Failure::refused)?;
    // The log keeps who and why also where the fact itself has no room for it.
    let holder = format!("{}: {}", arguments.by, arguments.why);
    describe(&state, id, with, io)?;
    let events = rehearse(state, answer.clone(), &holder, io)?;
    let recorded = match events {
        Ok(events) if events.is_empty() => {
            return Err(Failure::refused("the ledger knows that already: nothing was recorded"));
        }
        Ok(events) => events,
        Err(refusal) => {
            return Err(Failure::refused(format!("refused, nothing was recorded: {refusal}")));
        }
    };
    writeln!(io.out, "will be recorded, beside that the log was opened by {PROGRAM} ({holder}):")?;
    for event in &recorded {
        let payment = event.payment().map_or(String::new(), |id| format!(" [{}]", short(id)));
        writeln!(io.out, "  {}{payment}: {}", event.name(), event.words())?;
    }
    if !arguments.yes && !confirmed(io)? {
        return Err(Failure::refused("not confirmed: nothing was recorded"));
    }
    record(store, answer, &holder, io)
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
    })
}

/// What is said where another program holds the log: who, and that it takes the word itself.
fn locked_or(directory: &Path, error: &FsError) -> Failure {
    let FsError::Locked { holder, .. } = error else { return Failure::refused(error) };
    let mut opened = String::new();
    if let Ok(reader) = FsReader::open(directory) {
        let _ = history(&reader, |record| {
            for event in record.events {
                if let Event::Opened { program, holder, .. } = event {
                    let shown = payonce::audit::Shown(program.as_str()).to_string();
                    opened = format!(", opened by {shown}");
                    if !holder.is_empty() {
                        let holder = payonce::audit::Shown(holder.as_str()).to_string();
                        opened = format!("{opened} ({holder})");
                    }
                }
            }
            ControlFlow::Continue(())
        });
    }
    let process = holder.map_or(String::new(), |process| format!(" by process {process}"));
    Failure::refused(format!(
        "the log is held{process}{opened}: give your word to that program, at its own endpoint for \
         operators, or stop it first; nothing was recorded, and no file of the log may be deleted to \
         get past this"
    ))
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
fn record(store: FsStore, answer: Answer, holder: &str, io: &mut Io<'_>) -> Outcome {
    let mut opening = Opening::new(Remember::Forever, seed());
    opening.program = PROGRAM.into();
    opening.holder = holder.into();
    let mut recovery = Ledger::open(store, &opening, io.now).map_err(Failure::refused)?;
    let replies = recovery.answer([answer], io.now).map_err(Failure::refused)?;
    let head = recovery.head();
    close(recovery.into_store())?;
    for reply in replies {
        reply.map_err(Failure::refused)?;
    }
    Ok(writeln!(
        io.out,
        "recorded; the log ends at {head}; the node draws the conclusion at its next start"
    )?)
}
