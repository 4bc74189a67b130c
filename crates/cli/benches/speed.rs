//! How long the program takes on a long log, beside the runtime's own replay of it, and how much memory:
//! docs/BENCHMARKS.md, "The program `payonce`".
//!
//! Each figure is of a process of its own, this one started anew, so that memory is that of one command.

#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::{Cursor, sink},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use payonce::{audit::EventSource, store_fs::FsReader};
use payonce_cli::{io::Io, run};

/// What one command took.
#[derive(Debug, Clone, Copy)]
struct Took {
    seconds: f64,
    /// Of processors, in seconds: what it costs also where others keep them busy.
    work: f64,
    /// The most memory that it held, in MiB.
    peak: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", what, ref line @ ..] => {
            child(what, line);
            ExitCode::SUCCESS
        }
        ref options => measure(options),
    }
}

/// Does one thing, and prints how long it took and the most memory it held.
fn child(what: &str, line: &[&str]) {
    let begun = Instant::now();
    match what {
        "payonce" => {
            let mut err = Vec::new();
            let mut io = Io {
                out: &mut sink(),
                err: &mut err,
                input: &mut Cursor::new(Vec::new()),
                columns: None,
                shows_progress: false,
                colour: false,
                now: payonce::runtime::now(),
            };
            let code = run(["payonce"].iter().chain(line).map(Into::into), &mut io);
            assert!(code < 2, "{line:?}: {}", String::from_utf8_lossy(&err));
        }
        "read" => read(line[0]),
        _ => replay(line[0]),
    }
    let seconds = begun.elapsed().as_secs_f64();
    let work = processor_seconds();
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    let kibibytes = peak.trim().trim_end_matches(" kB");
    #[expect(clippy::print_stdout, reason = "read by the process that started it")]
    {
        println!("{seconds} {work} {kibibytes}");
    }
}

/// What this process and its threads took of processors.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // Behind the name of the program, which may hold anything: utime and stime, in hundredths.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// One sequential read: every entry, its checksum, and the chain over it.
fn read(directory: &str) {
    let reader = FsReader::open(directory).expect("sound");
    let mut chain = payonce::Head::genesis(reader.ledger_id()).chain;
    let mut visit = |entry: payonce::audit::StoredEntry<'_>| {
        chain = chain.extend(entry.bytes);
        ControlFlow::Continue(())
    };
    reader.replay(1, &mut visit).expect("sound");
    assert_eq!(chain, reader.head().expect("sound").chain);
}

/// The runtime's own, on two threads, without a snapshot.
fn replay(directory: &str) {
    let reader = FsReader::open(directory).expect("sound");
    let state = payonce::audit::verify(&reader, 7).expect("sound");
    assert_eq!(state.head(), reader.head().expect("sound"));
}

fn spawn(what: &str, line: &[&str]) -> Took {
    let own = env::current_exe().expect("this program");
    let ran = Command::new(own).args(["child", what]).args(line).output().expect("it runs");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{what} {line:?}: {err}");
    let said = String::from_utf8(ran.stdout).expect("UTF-8");
    let mut numbers =
        said.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
    let mut next = || numbers.next().expect("three numbers");
    Took { seconds: next(), work: next(), peak: next() / 1024.0 }
}

/// The median of interleaved repeats, and the highest memory.
fn median(repeats: usize, lines: &[(&str, &str, &[&str])]) -> Vec<Took> {
    let mut took = vec![Vec::new(); lines.len()];
    for _ in 0..repeats {
        for ((_, what, line), took) in lines.iter().zip(&mut took) {
            took.push(spawn(what, line));
        }
    }
    let of = |mut took: Vec<Took>| {
        took.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let peak = took.iter().map(|took| took.peak).fold(0.0, f64::max);
        Took { peak, ..took[took.len() / 2] }
    };
    took.into_iter().map(of).collect()
}

struct Log {
    path: PathBuf,
    events: u64,
    bytes: u64,
}

impl Log {
    /// The demo of about so many events, of a ledger that forgets or remembers what is over.
    fn write(directory: &Path, name: &str, events: u64, forget: bool) -> Self {
        let path = directory.join(name);
        let text = path.to_str().expect("plain");
        // A payment of the demo has between nine and a half and ten events.
        let payments = (events * 2 / 19).to_string();
        let begun = Instant::now();
        if !path.exists() {
            let line = ["demo", text, "--payments", &payments, "--seed", "7", "--forget"];
            spawn("payonce", &line[..if forget { 7 } else { 6 }]);
        }
        let reader = FsReader::open(&path).expect("sound");
        let events = reader.head().expect("sound").seq;
        let files = fs::read_dir(&path).expect("there").flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|name| name == "log"));
        let bytes = logs.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
        say(&format!("{name}: {events} events, written in {:.1} s", begun.elapsed().as_secs_f64()));
        Self { path, events, bytes }
    }

    fn dir(&self) -> &str {
        self.path.to_str().expect("plain")
    }

    /// A payment in the middle of the log, by its whole id.
    fn payment(&self) -> String {
        let reader = FsReader::open(&self.path).expect("sound");
        let mut id = None;
        let visit = &mut |entry: payonce::audit::StoredEntry<'_>| {
            let events = &mut |_, event: payonce::Event| {
                if let payonce::Event::PaymentAccepted { .. } = event {
                    id = event.payment().map(ToString::to_string);
                }
            };
            payonce::audit::decode_events(entry.bytes, events).expect("sound");
            if id.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        reader.replay(self.events / 2, visit).expect("sound");
        id.expect("payments are accepted all the time")
    }
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn say(line: &str) {
    println!("{line}");
}

fn option<T: std::str::FromStr>(options: &[&str], name: &str, default: T) -> T {
    let at = options.iter().position(|option| *option == name);
    at.and_then(|at| options.get(at + 1)).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn measure(options: &[&str]) -> ExitCode {
    let events = option(options, "--events", 5_000_000);
    let repeats = option(options, "--repeats", 3);
    let directory: PathBuf = option(options, "--dir", env::temp_dir().join("payonce-cli-speed"));
    fs::create_dir_all(&directory).expect("a directory for the logs");
    let mut missed = 0;
    for forget in [true, false] {
        let kind = if forget { "forgets" } else { "remembers" };
        say(&format!("\n## A ledger that {kind} what is over\n"));
        let write = |count: u64| Log::write(&directory, &format!("{kind}-{count}"), count, forget);
        let (long, short) = (write(events), write(events / 4));
        // What is remembered is held: 250 bytes a payment, which no limit below allows for.
        let counts = u32::from(forget);
        missed += counts * (speed(&long, repeats) + memory(&long, &short));
    }
    if !options.contains(&"--keep") {
        fs::remove_dir_all(&directory).expect("our own");
    }
    if missed > 0 && options.contains(&"--check") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints a line of the table; tells whether its limit was missed.
fn line(name: &str, took: Took, beside: &str, ratio: f64, kept: bool) -> u32 {
    let missed = if kept { "" } else { " MISSED" };
    let Took { seconds, work, .. } = took;
    say(&format!("| {name} | {seconds:.3} s | {work:.2} s | {beside}: {ratio:.2}{missed} |"));
    u32::from(!kept)
}

fn speed(long: &Log, repeats: usize) -> u32 {
    let (dir, id) = (long.dir(), long.payment());
    let took = median(
        repeats,
        &[
            ("read", "read", &[dir]),
            ("replay", "replay", &[dir]),
            ("verify", "payonce", &["verify", dir]),
            ("status", "payonce", &["status", dir]),
            ("stuck", "payonce", &["list", dir, "--stuck", "10m", "--limit", "50"]),
            ("show", "payonce", &["show", dir, &id]),
            ("beginning", "payonce", &["show", dir, &id[..12]]),
        ],
    );
    let [read, replay, verify, status, stuck, show, beginning] = took[..] else {
        unreachable!("seven")
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (count, size) = (long.events as f64, long.bytes as f64 / 1e6);
    say(&format!(
        "\n{count} events, {size:.0} MB\n\n| command | took | of processors | |\n|---|---:|---:|---|"
    ));
    let rate = |took: Took| count / took.seconds;
    for (name, took) in
        [("one sequential read, checked and chained", read), ("the runtime's replay", replay)]
    {
        let (Took { seconds, work, .. }, rate) = (took, rate(took));
        say(&format!("| {name} | {seconds:.3} s | {work:.2} s | {rate:.0} events/s |"));
    }
    let ratio = replay.seconds / verify.seconds;
    let mut missed = line("verify", verify, "of the replay's speed", ratio, ratio >= 0.8);
    for (name, took) in [("status", status), ("list --stuck", stuck)] {
        missed += line(name, took, "of the limit of 0.3 s", took.seconds / 0.3, took.seconds < 0.3);
    }
    for (name, took) in [("show, by its id", show), ("show, by its first 12 digits", beginning)] {
        let ratio = took.seconds / read.seconds;
        missed += line(name, took, "of one sequential read", ratio, ratio <= 1.0);
    }
    missed
}

fn memory(long: &Log, short: &Log) -> u32 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let length = long.events as f64 / short.events as f64;
    say(&format!("\n| peak memory | {} events | {length:.1} times as many | |", short.events));
    say("|---|---:|---:|---|");
    let mut missed = 0;
    for command in [&["log"][..], &["export"], &["verify"]] {
        let of = |log: &Log| {
            let line = [&command[..1], &[log.dir()], &command[1..]].concat();
            spawn("payonce", &line).peak
        };
        let (few, many) = (of(short), of(long));
        // It holds the state, which grows with what is unfinished: one payment of forty in this log.
        let kept = many < few * if command[0] == "verify" { 2.5 } else { 1.2 };
        let said = if kept { "" } else { "MISSED" };
        let name = command.join(" ");
        say(&format!("| `{name}` | {few:.0} MiB | {many:.0} MiB ({:.2}) | {said} |", many / few));
        missed += u32::from(!kept);
    }
    missed
}
