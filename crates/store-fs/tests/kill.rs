//! A child process appends and is killed, a hundred times: whatever it had acknowledged to its
//! parent is there, and what is more is one batch at most. While it lives it keeps others out.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use payonce_core::{Entry, EventSource, EventStore, Head};
use payonce_store_fs::{FsError, FsReader, FsStore, Options};

#[path = "it/support.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod support;

const KILLS: u32 = 100;
/// The most entries of one append.
const BATCH: usize = 7;
const OPTIONS: Options = {
    let mut options = Options::DEFAULT;
    options.segment_bytes = 16 << 10;
    options.preallocate_bytes = 4 << 10;
    options
};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, directory] if role == "child" => append_for_ever(Path::new(directory)),
        // The arguments of `cargo test`: a filter is for tests by name, and this is one test.
        [filter, ..] if !filter.starts_with('-') && !"kill".contains(filter.as_str()) => {}
        _ => kill_again_and_again(),
    }
}

/// An entry that depends on nothing but where it stands.
fn entry_at(before: Head) -> Entry {
    support::entry(before, 1 + (before.seq % 11) as u8)
}

/// The child: appends, tells each head that was acknowledged, and now and then keeps house.
fn append_for_ever(directory: &Path) {
    let (mut store, _) = FsStore::open(directory, OPTIONS).expect("nobody else has it");
    let mut head = store.fence().expect("sound").head;
    let mut told = std::io::stdout();
    for nth in 0_u32.. {
        let mut batch = Vec::new();
        for _ in 0..=nth as usize % BATCH {
            batch.push(entry_at(head));
            head = batch[batch.len() - 1].after();
        }
        store.append(&batch).expect("appended");
        writeln!(told, "{}", head.seq).and_then(|()| told.flush()).expect("the parent listens");
        if nth % 5 == 4 {
            store.save_snapshot(head, &[0x77; 3_000]).expect("saved");
        }
        if nth % 20 == 19 {
            store.drop_history(head).expect("dropped");
        }
    }
}

fn spawn(directory: &Path) -> Child {
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg("child").arg(directory).stdout(Stdio::piped());
    command.spawn().expect("started")
}

fn kill_again_and_again() {
    let parent = support::directory();
    let directory = parent.path().join("log");
    drop(FsStore::create(&directory, support::ledger(), OPTIONS).expect("an empty directory"));
    // The heads at every entry's end so far, so that what is found can be judged.
    let mut heads = vec![Head::genesis(support::ledger())];
    let (mut random, mut torn) = (0x9e37_79b9_u32, 0);
    for _ in 0..KILLS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let acknowledged = killed_after(&directory, (random >> 8 & 31) as usize);
        let (store, report) = FsStore::open(&directory, OPTIONS).expect("a kill is no damage");
        torn += u32::from(report.cut.is_some());
        assert!(!report.was_closed, "its writer was killed");
        check(&store, acknowledged, &mut heads);
    }
    let entries = heads.len() - 1;
    assert!(entries > 1_000, "{entries} entries, {torn} torn");
}

/// Starts a child, kills it once it has told so many heads, and returns the last head that it told.
fn killed_after(directory: &Path, heads: usize) -> u64 {
    let mut child = spawn(directory);
    let told = child.stdout.take().expect("a pipe");
    let mut told = BufReader::new(told).lines().map(|line| line.expect("a line"));
    let mut last = told.next().expect("the first head");
    let second = FsStore::open(directory, OPTIONS);
    let Err(FsError::Locked { holder, .. }) = &second else { panic!("{second:?}") };
    assert_eq!(*holder, Some(child.id()));
    assert!(FsReader::open(directory).is_ok(), "reading takes no lock");
    for head in told.by_ref().take(heads) {
        last = head;
    }
    child.kill().expect("killed");
    // What it had told before it died is in the pipe; a line may be cut.
    for head in told {
        if head.parse::<u64>().is_ok_and(|head| head > last.parse().expect("a seq")) {
            last = head;
        }
    }
    child.wait().expect("dead");
    last.parse().expect("a seq")
}

fn check(store: &FsStore, acknowledged: u64, heads: &mut Vec<Head>) {
    let head = store.head().expect("sound");
    while heads[heads.len() - 1].seq < head.seq {
        heads.push(entry_at(heads[heads.len() - 1]).after());
    }
    assert_eq!(heads[heads.len() - 1], head, "not what was appended");
    let extra = heads.iter().filter(|head| head.seq > acknowledged).count();
    assert!(head.seq >= acknowledged && extra <= BATCH, "{head}, {acknowledged} acknowledged");
    let base = store.base().expect("sound").map_or(0, |base| base.at.seq);
    let held = support::held(store, base + 1).expect("sound");
    let expected = heads.windows(2).filter(|pair| pair[0].seq >= base);
    let expected = expected.map(|pair| (pair[0].seq + 1, entry_at(pair[0]).bytes().to_vec()));
    assert!(held.into_iter().eq(expected), "not what was appended");
}
