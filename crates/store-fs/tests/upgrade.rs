//! Two programs on one log: this one, and one that knows a made-up version 2 of the format: a new field
//! of requests that is compared, one that is not, a new event, a new kind of part. The same test built
//! with `--cfg payonce_format_2` is the other one; `PAYONCE_FORMAT_2` is where it lies (`.ci/run` builds
//! it). Each step is a process of its own, which opens the log, does one thing and closes it.

use std::{env, fs, path::Path, process::Command};

use payonce_core::{
    Acknowledge, ClaimPart, Dispatch, FinalizePart, Ledger, LedgerId, MaxFee, Msat, NewPart,
    Opening, PartId, Pay, PayReply, PaymentId, Preimage, Remember, Request, RetryPolicy, Tick,
    UnixMillis, verify,
};
use payonce_store_fs::{FsReader, FsStore, Options};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const LEDGER: LedgerId = LedgerId::from_bytes([0x2f; 32]);
const ROLE: &str = "step";
const OPTIONS: Options = {
    let mut options = Options::DEFAULT;
    options.segment_bytes = 4 << 10;
    options.preallocate_bytes = 4 << 10;
    options
};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, directory, verb, number] if role == ROLE => {
            let number = number.parse().expect("a small number");
            match step(Path::new(directory), verb, number) {
                Ok(told) => print(&told),
                Err(error) => print(&format!("refused: {error}")),
            }
        }
        // The arguments of `cargo test`: a filter is for tests by name, and this is one test.
        [filter, ..] if !filter.starts_with('-') && !"upgrade".contains(filter.as_str()) => {}
        _ if cfg!(payonce_format_2) => print("the other program: run by the one without version 2"),
        _ => upgrade_and_roll_back(),
    }
}

#[expect(clippy::print_stdout, reason = "what a step tells, and a test without a harness")]
fn print(told: &str) {
    println!("{told}");
}

type Failed = Box<dyn std::error::Error>;

// The steps.

fn bytes(kind: u8, number: u8) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[0] = number;
    bytes
}

fn id(number: u8) -> PaymentId {
    PaymentId::from_bytes(bytes(1, number))
}

fn part(number: u8) -> PartId {
    PartId::from_bytes(bytes(2, number))
}

fn preimage(number: u8) -> Preimage {
    Preimage::from_bytes(bytes(3, number))
}

fn request(number: u8) -> Request {
    let hash = preimage(number).payment_hash();
    let request = Request::invoice(hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
    request.instructions("lnbc1").payer_note("for all versions")
}

/// The same with what only the other program can say.
#[cfg(payonce_format_2)]
fn newer(number: u8, urgent: bool) -> Request {
    let mut request = request(number);
    request.details.change(|detail| {
        if urgent {
            detail.urgency = Some(7);
        } else {
            detail.remark = "nobody compares it".into();
        }
    });
    request
}

fn step(directory: &Path, verb: &str, number: u8) -> Result<String, Failed> {
    if verb == "create" {
        FsStore::create(directory, LEDGER, OPTIONS)?;
        return Ok("created".into());
    }
    if verb == "verify" {
        let state = verify(&FsReader::open(directory)?, 1)?;
        return Ok(format!("{} {}", state.head(), state.digest()));
    }
    #[cfg(payonce_format_2)]
    if verb == "event" {
        return new_event(directory);
    }
    let (store, _) = FsStore::open(directory, OPTIONS)?;
    let recovery = Ledger::open(store, &Opening::new(Remember::Forever, 1), NOW)?;
    let mut ledger = recovery.finish(NOW)?;
    let told = match verb {
        "pend" => begin(&mut ledger, number, request(number)),
        "pay" => {
            begin(&mut ledger, number, request(number))?;
            end(&mut ledger, number)
        }
        "end" => end(&mut ledger, number),
        "forget" => forget(&mut ledger),
        "repeat" => repeat(&mut ledger, number, request(number)),
        "snapshot" => Ok(ledger.save_snapshot()?.to_string()),
        "drop" => {
            let stored = ledger.save_snapshot()?;
            Ok(ledger.drop_history(stored, 1)?.to_string())
        }
        #[cfg(payonce_format_2)]
        _ => newer_step(&mut ledger, verb, number),
        #[cfg(not(payonce_format_2))]
        _ => Err(format!("no step {verb}").into()),
    }?;
    ledger.into_store().close()?;
    Ok(told)
}

type Disk = Ledger<FsStore>;

fn begin(ledger: &mut Disk, number: u8, request: Request) -> Result<String, Failed> {
    ledger.execute(Pay::new(id(number), request), NOW)?;
    let parts = vec![NewPart::htlc(part(number), Msat(1_000), Msat(1), 900_000)];
    ledger.execute(Dispatch { id: id(number), attempt: 1, parts }, NOW)?;
    Ok("begun".into())
}

fn end(ledger: &mut Disk, number: u8) -> Result<String, Failed> {
    ledger.execute(ClaimPart::new(id(number), part(number), preimage(number)), NOW)?;
    ledger.execute(FinalizePart { id: id(number), part: part(number) }, NOW)?;
    Ok("ended".into())
}

/// Everything that is over becomes a tombstone.
fn forget(ledger: &mut Disk) -> Result<String, Failed> {
    let ids = ledger.query(|state| state.outbox().map(|unread| unread.id).collect())?;
    ledger.execute(Acknowledge { ids }, NOW)?;
    for minute in 1..=9 {
        ledger.execute(Tick::new(), NOW.plus(60_000 * minute))?;
    }
    Ok("forgotten".into())
}

fn repeat(ledger: &mut Disk, number: u8, request: Request) -> Result<String, Failed> {
    match ledger.execute(Pay::new(id(number), request), NOW)? {
        PayReply::Duplicate(_) => Ok("duplicate".into()),
        PayReply::Accepted => Ok("accepted".into()),
    }
}

#[cfg(payonce_format_2)]
fn newer_step(ledger: &mut Disk, verb: &str, number: u8) -> Result<String, Failed> {
    use payonce_core::{AdoptPart, PartKind};
    match verb {
        "urgent" => begin(ledger, number, newer(number, true)),
        "remark" => begin(ledger, number, newer(number, false)),
        "repeat-urgent" => repeat(ledger, number, newer(number, true)),
        "repeat-remark" => repeat(ledger, number, newer(number, false)),
        "kind" => {
            ledger.execute(
                AdoptPart {
                    id: id(number),
                    part: part(number),
                    payment_hash: preimage(number).payment_hash(),
                    amount: None,
                    fee: None,
                    kind: PartKind::Hosted,
                },
                NOW,
            )?;
            Ok("adopted".into())
        }
        _ => Err(format!("no step {verb}").into()),
    }
}

/// An event that no command of the core makes.
#[cfg(payonce_format_2)]
fn new_event(directory: &Path) -> Result<String, Failed> {
    use payonce_core::{Entry, Event, EventStore};
    let (mut store, _) = FsStore::open(directory, OPTIONS)?;
    let epoch = verify(&store, 1)?.epoch();
    let head = store.fence()?.head;
    store.append(&[Entry::new(head, epoch, NOW, &[Event::Remarked { id: id(1) }])?])?;
    store.close()?;
    Ok("remarked".into())
}

// The parent.

/// The two programs, and a log.
struct Programs {
    other: String,
    directory: tempfile::TempDir,
}

impl Programs {
    fn new(other: &str) -> Self {
        let this = Self { other: other.into(), directory: tempfile::tempdir().expect("writable") };
        this.old("create", 0, "created");
        this
    }

    /// The same log again, for what goes another way from here.
    fn fork(&self) -> Self {
        let directory = tempfile::tempdir().expect("writable");
        for file in fs::read_dir(self.directory.path()).expect("readable") {
            let file = file.expect("readable");
            fs::copy(file.path(), directory.path().join(file.file_name())).expect("copied");
        }
        Self { other: self.other.clone(), directory }
    }

    fn run(&self, program: &Path, verb: &str, number: u8) -> String {
        let step = Command::new(program)
            .arg(ROLE)
            .arg(self.directory.path())
            .args([verb, &number.to_string()])
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let errors = String::from_utf8_lossy(&step.stderr);
        assert!(step.status.success(), "{verb} {number}: {errors}");
        String::from_utf8_lossy(&step.stdout).trim().to_owned()
    }

    /// A step of this program, and what it must tell.
    fn old(&self, verb: &str, number: u8, expected: &str) {
        let this = env::current_exe().expect("a path");
        let told = self.run(&this, verb, number);
        assert!(told.contains(expected), "version 1, {verb} {number}: {told}, not {expected}");
    }

    /// A step of the other one.
    fn new_one(&self, verb: &str, number: u8, expected: &str) {
        let told = self.run(Path::new(&self.other), verb, number);
        assert!(told.contains(expected), "version 2, {verb} {number}: {told}, not {expected}");
    }

    /// Both read the log, and the same in it: head, chain and digest.
    fn agree(&self) {
        let this = env::current_exe().expect("a path");
        let old = self.run(&this, "verify", 0);
        assert!(old.starts_with("seq ") && old.contains(" 1:"), "{old}");
        assert_eq!(self.run(Path::new(&self.other), "verify", 0), old);
    }

    /// Only the other one reads it; this one says why.
    fn only_newer(&self) {
        self.new_one("verify", 0, "seq ");
        for verb in ["verify", "repeat"] {
            self.old(verb, 1, "format version 2");
        }
    }
}

fn upgrade_and_roll_back() {
    let Some(other) = env::var_os("PAYONCE_FORMAT_2") else {
        let required = env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "PAYONCE_REQUIRE=all, but PAYONCE_FORMAT_2 names no other program");
        print("skipped: PAYONCE_FORMAT_2 does not name the program that knows version 2");
        return;
    };
    let other = other.to_string_lossy();
    as_long_as_nothing_new_is_used(&other);
    bases_survive(&other);
    an_odd_field_is_kept(&other);
    what_is_new_is_refused_by_name(&other);
    what_is_new_and_forgotten_is_no_hindrance(&other);
    print("upgrade: ok");
}

fn as_long_as_nothing_new_is_used(other: &str) {
    let log = Programs::new(other);
    log.old("pay", 1, "ended");
    log.old("pend", 2, "begun");
    log.old("snapshot", 0, "seq ");
    log.agree();
    log.new_one("pay", 3, "ended");
    log.new_one("snapshot", 0, "seq ");
    log.agree();
    log.old("end", 2, "ended");
    log.old("pay", 4, "ended");
    log.new_one("repeat", 1, "duplicate");
    log.agree();
    // What the program that stored it could not say is not compared; what it could is, also once the
    // old program has kept the state.
    log.old("snapshot", 0, "seq ");
    log.new_one("repeat-urgent", 1, "duplicate");
    log.new_one("repeat-urgent", 4, "duplicate");
    log.new_one("repeat-urgent", 3, "is known with different urgency");
    log.old("forget", 0, "forgotten");
    log.new_one("repeat-urgent", 1, "duplicate");
    log.new_one("repeat-urgent", 3, "is known with different urgency");
}

fn bases_survive(other: &str) {
    let log = Programs::new(other);
    log.old("pay", 1, "ended");
    log.old("drop", 0, "seq ");
    log.agree();
    log.new_one("pay", 2, "ended");
    log.new_one("drop", 0, "seq ");
    log.agree();
    log.old("repeat", 1, "duplicate");
    log.old("pend", 3, "begun");
    log.old("drop", 0, "seq ");
    log.new_one("end", 3, "ended");
    log.agree();
}

fn an_odd_field_is_kept(other: &str) {
    let log = Programs::new(other);
    log.new_one("remark", 1, "begun");
    log.agree();
    log.old("repeat", 1, "is known with different unknown field");
    log.old("drop", 0, "seq ");
    log.agree();
    log.new_one("repeat-remark", 1, "duplicate");
    log.new_one("repeat", 1, "duplicate");
    log.old("end", 1, "ended");
    log.old("forget", 0, "forgotten");
    log.old("repeat", 1, "is known with different unknown field");
    log.agree();
}

fn what_is_new_is_refused_by_name(other: &str) {
    let log = Programs::new(other);
    log.old("pay", 1, "ended");
    for (verb, number, told) in
        [("urgent", 2, "begun"), ("kind", 2, "adopted"), ("event", 0, "remarked")]
    {
        let forked = log.fork();
        forked.new_one(verb, number, told);
        forked.only_newer();
        // A snapshot and a base of it as well.
        forked.new_one("drop", 0, "seq ");
        forked.only_newer();
    }
}

/// Once its segment is dropped, an event that no state keeps and a payment that is a tombstone are said in
/// version 1 again; what the tombstone was asked for is still not what the old program can say.
fn what_is_new_and_forgotten_is_no_hindrance(other: &str) {
    let log = Programs::new(other);
    log.new_one("urgent", 1, "begun");
    log.new_one("end", 1, "ended");
    log.new_one("forget", 0, "forgotten");
    log.new_one("event", 0, "remarked");
    log.only_newer();
    // Whole segments are dropped: not before there is a later one.
    log.new_one("drop", 0, "seq ");
    log.only_newer();
    (10..20).for_each(|number| log.new_one("pay", number, "ended"));
    log.new_one("drop", 0, "seq ");
    log.agree();
    log.old("repeat", 1, "is known with different unknown field");
    log.old("pay", 2, "ended");
    log.new_one("repeat-urgent", 1, "duplicate");
    log.new_one("repeat", 1, "is known with different urgency");
}
