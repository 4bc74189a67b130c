//! A ledger on PostgreSQL, beside `pgbench`'s single-row inserts on the same server and cqrs-es on it;
//! how fast it is replayed, and how fast it is taken over. Nothing, said aloud, without a server.

use std::{
    ops::ControlFlow,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use payonce_core::{Command, EventSource, Ledger};
use payonce_runtime::{Options, SharedLedger, SharedRecovery};
use payonce_store_postgres::{
    Follower, PostgresStore,
    cluster::{Cluster, is_available},
};

use super::{Bench, FLOOR, OURS, append::slice};
use crate::{
    Result, heap,
    life::{BEGIN, LEDGER, Payer, Planned},
    report::Figure,
    server::{connections, processor_seconds},
    stats::{Sample, median},
    subjects::{CqrsPostgres, Log, Writer, opening},
};

const ONE_CLIENT: &str = "floor, one client";
const CQRS: &str = "cqrs-es";
const NAME: &str = "bench";

/// A row of as many bytes as an entry of ours has on average, with a commit of its own.
const INSERT: &str = "insert into public.floor (bytes) values (decode(repeat('ab', 121), 'hex'))";

/// Where the server's log ends, and what the entries take with their index, in bytes.
const WAL: &str = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')";
const TABLE: &str = "select pg_total_relation_size('payonce.entries')";

/// How many events are replayed.
const REPLAYED: u64 = 400_000;
/// How many of them cqrs-es replays.
const REPLAYED_BY_CQRS: u64 = 20_000;
/// How many payments are pending when a ledger is taken over.
const PENDING: u64 = 100_000;

pub(crate) fn one(bench: &Bench) -> Result<Vec<Figure>> {
    append(bench, "postgres-1", 1)
}

pub(crate) fn sixteen(bench: &Bench) -> Result<Vec<Figure>> {
    append(bench, "postgres-16", 16)
}

pub(crate) fn sixty_four(bench: &Bench) -> Result<Vec<Figure>> {
    append(bench, "postgres-64", 64)
}

/// A server below the benchmark's directory: on a disk, since in memory a sync costs nothing.
fn cluster(bench: &Bench) -> Result<Option<Cluster>> {
    if !is_available("a ledger on PostgreSQL") {
        return Ok(None);
    }
    let directory = bench.place.fresh("postgres")?;
    // The server is another user's, where this one is root: let it pass.
    for part in directory.ancestors().take(2) {
        std::fs::set_permissions(part, std::fs::Permissions::from_mode(0o711))?;
    }
    // As many connections as pgbench and the pool of cqrs-es have together.
    let settings = "max_connections = 300\nshared_buffers = 256MB";
    let cluster = Cluster::start_with(&directory, settings);
    cluster.sql("create table public.floor (id bigserial primary key, bytes bytea not null)");
    Ok(Some(cluster))
}

struct Shared(SharedLedger<PostgresStore>);

impl Log for Shared {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self.0.clone()))
    }
}

fn shared(cluster: &Cluster) -> Result<Shared> {
    let store = PostgresStore::create(cluster.config(), NAME, LEDGER)?;
    let recovery = SharedLedger::open(store, &opening(), Options::default(), BEGIN)?;
    Ok(Shared(recovery.finish(BEGIN)?))
}

fn number(cluster: &Cluster, question: &str) -> Result<f64> {
    Ok(cluster.sql(question).parse()?)
}

/// Steps of payments for a while, from so many threads.
fn steps(log: &dyn Log, payers: &mut [Payer], time: Duration) -> Result<Sample> {
    let mut writers: Vec<Box<dyn Writer + Send + '_>> = Vec::new();
    for lane in 0..payers.len() {
        writers.push(log.writer(lane)?);
    }
    slice(&mut writers, payers, 1, time)
}

/// What was measured of one subject, repeat by repeat.
#[derive(Default)]
struct Rates {
    /// Durable records a second, a figure a repeat.
    a_second: Vec<f64>,
    /// By the rate of one client of the floor in the same repeat.
    to_one: Vec<f64>,
    samples: Sample,
}

impl Rates {
    fn add(&mut self, rate: f64, one_client: f64) {
        self.a_second.push(rate);
        self.to_one.push(rate / one_client);
    }

    fn add_sample(&mut self, sample: Sample, one_client: f64) {
        self.add(sample.rate(), one_client);
        self.samples.add(sample);
    }

    fn figures(self, workload: &str, subject: &str) -> Vec<Figure> {
        let row =
            |end: &str, value, unit| Figure::new(&format!("{workload}{end}"), subject, value, unit);
        let rate = row("", median(self.a_second), "records/s");
        let mut figures = vec![rate.against(ONE_CLIENT, median(self.to_one))];
        if !self.samples.latencies_ns.is_empty() {
            figures.push(row("-p50", self.samples.percentile_us(0.5), "us"));
            figures.push(row("-p99", self.samples.percentile_us(0.99), "us"));
        }
        figures
    }
}

/// Durable records a second: the slices of a repeat follow each other, so that the machine is as busy
/// for one as for the other.
fn append(bench: &Bench, workload: &str, lanes: u32) -> Result<Vec<Figure>> {
    let Some(cluster) = cluster(bench)? else { return Ok(Vec::new()) };
    let seconds = bench.scale.count(4);
    let time = Duration::from_secs(seconds);
    let floor = |clients: u32| cluster.inserts_a_second(INSERT, u64::from(clients), seconds);
    let ledger = shared(&cluster)?;
    let cqrs = CqrsPostgres::open(cluster.port(), lanes)?;
    let payers = |first: u64| -> Vec<Payer> {
        (0..u64::from(lanes)).map(|lane| Payer::new(&bench.entries, first + lane)).collect()
    };
    let (mut ours, mut others) = (payers(0), payers(1_000));
    steps(&ledger, &mut ours, time / 4)?;
    steps(&cqrs, &mut others, time / 4)?;
    let (mut wal, mut processor) = (0.0, 0.0);
    let [mut alone, mut clients, mut payonce, mut rival] = <[Rates; 4]>::default();
    for _ in 0..bench.scale.repeats {
        let one = floor(1);
        alone.add(one, one);
        if lanes > 1 {
            clients.add(floor(lanes), one);
        }
        let before = (number(&cluster, WAL)?, processor_seconds(&cluster)?);
        payonce.add_sample(steps(&ledger, &mut ours, time)?, one);
        wal += number(&cluster, WAL)? - before.0;
        processor += processor_seconds(&cluster)? - before.1;
        rival.add_sample(steps(&cqrs, &mut others, time)?, one);
    }
    let mut figures = alone.figures(workload, ONE_CLIENT);
    if lanes > 1 {
        figures.extend(clients.figures(workload, FLOOR));
    }
    let written = payonce.samples.records as f64;
    figures.extend(payonce.figures(workload, OURS));
    let table =
        number(&cluster, TABLE)? / number(&cluster, "select count(*) from payonce.entries")?;
    let (connections, bytes) = connections(&cluster)?;
    for (end, value, unit) in [
        ("-wal", wal / written, "bytes/record"),
        ("-table", table, "bytes/record"),
        ("-server", processor / written * 1e6, "us/record"),
        ("-connections", connections, "connections"),
        ("-connection-bytes", bytes, "bytes/connection"),
    ] {
        figures.push(Figure::new(&format!("{workload}{end}"), OURS, value, unit));
    }
    figures.extend(rival.figures(workload, CQRS));
    Ok(figures)
}

/// Entries a second, read and checked against the chain; the same folded; the memory that reading takes;
/// and cqrs-es.
pub(crate) fn replay(bench: &Bench) -> Result<Vec<Figure>> {
    let Some(cluster) = cluster(bench)? else { return Ok(Vec::new()) };
    let (ours, theirs) = (bench.scale.count(REPLAYED), bench.scale.count(REPLAYED_BY_CQRS));
    let ledger = shared(&cluster)?;
    let mut payer = Payer::new(&bench.entries, 0);
    while ledger.0.head().seq < ours {
        ledger.0.clone().commit_all(payer.next_batch(512))?;
    }
    drop(ledger);
    cluster.sql("alter role postgres set synchronous_commit = off");
    let cqrs = CqrsPostgres::open(cluster.port(), 16)?;
    let mut payers: Vec<_> = (0..16).map(|lane| Payer::new(&bench.entries, 1 + lane)).collect();
    let mut filled = 0;
    while filled < theirs {
        filled += steps(&cqrs, &mut payers, Duration::from_millis(500))?.records;
    }
    cluster.sql("alter role postgres reset synchronous_commit");
    let [mut read, mut folded, mut rival, mut peak] = <[Vec<f64>; 4]>::default();
    for _ in 0..bench.scale.repeats {
        let store = PostgresStore::open(cluster.config(), NAME)?;
        let rate = rate_of(|| count(&store))?;
        read.push(rate);
        peak.push(peak_of(&store)?);
        folded.push(rate_of(|| Ok(payonce_runtime::verify(&store, 42)?.head().seq))? / rate);
        rival.push(rate_of(|| cqrs.replay())? / rate);
    }
    let rate = median(read);
    let row = |end: &str, subject: &str, value, unit| {
        Figure::new(&format!("postgres-replay{end}"), subject, value, unit)
    };
    let against = |subject: &str, ratio: f64| {
        row("", subject, rate * ratio, "events/s").against("payonce, read alone", ratio)
    };
    Ok(vec![
        against("payonce, read alone", 1.0),
        against(OURS, median(folded)),
        against(CQRS, median(rival)),
        row("-memory", "payonce, read alone", median(peak) / 1e6, "MB"),
    ])
}

fn rate_of(read: impl FnOnce() -> Result<u64>) -> Result<f64> {
    let begun = Instant::now();
    let events = read()?;
    Ok(events as f64 / begun.elapsed().as_secs_f64())
}

/// Reads every entry, as a replay hands it over; gives how many events they hold.
fn count(store: &PostgresStore) -> Result<u64> {
    let mut bytes = 0;
    store.replay(1, &mut |entry| {
        bytes += entry.bytes.len();
        ControlFlow::Continue(())
    })?;
    assert!(bytes > 0, "there are entries");
    Ok(store.head()?.seq)
}

/// The most bytes that live at once while every entry is read.
fn peak_of(store: &PostgresStore) -> Result<f64> {
    let _count = heap::Count::begin();
    count(store)?;
    Ok(heap::Count::peak_bytes() as f64)
}

/// From the decision to take over to the first new payment that is durable there: with a state that was
/// kept warm, and by opening.
pub(crate) fn take_over(bench: &Bench) -> Result<Vec<Figure>> {
    let Some(cluster) = cluster(bench)? else { return Ok(Vec::new()) };
    let pending = bench.scale.count(PENDING);
    let mut active = shared(&cluster)?.0;
    let mut number = 0;
    while number < pending {
        let batch = (number..pending.min(number + 256)).map(Planned::new);
        let both = |planned: Planned| [planned.send(BEGIN).into(), planned.dispatch().into()];
        let commands: Vec<Command> = batch.flat_map(both).collect();
        number += commands.len() as u64 / 2;
        for answer in active.execute_all(commands, BEGIN)? {
            answer?;
        }
    }
    let [mut warm, mut cold] = <[Vec<f64>; 2]>::default();
    for _ in 0..bench.scale.repeats {
        for is_warm in [true, false] {
            let follower = is_warm
                .then(|| Follower::open(cluster.config(), NAME, opening().seed))
                .transpose()?;
            // What it has not read yet when the active machine is lost.
            number += 1;
            active.execute(Planned::new(number).send(BEGIN), BEGIN)?;
            let begun = Instant::now();
            let recovery = match follower {
                Some(follower) => follower.take_over(&opening(), BEGIN)?,
                None => {
                    Ledger::open(PostgresStore::open(cluster.config(), NAME)?, &opening(), BEGIN)?
                }
            };
            let next = SharedRecovery::from_recovery(recovery, Options::default()).finish(BEGIN)?;
            number += 1;
            next.execute(Planned::new(number).send(BEGIN), BEGIN)?;
            let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            if is_warm {
                warm.push(milliseconds);
            } else {
                cold.push(milliseconds);
            }
            assert!(
                active.execute(Planned::new(number + 1).send(BEGIN), BEGIN).is_err(),
                "it is fenced"
            );
            active = next;
        }
    }
    let ratio = median(cold.iter().zip(&warm).map(|(cold, warm)| cold / warm));
    let row = |subject: &str, value| Figure::new("postgres-takeover", subject, value, "ms");
    let opened = "payonce, opened anew";
    Ok(vec![
        row(OURS, median(warm)).against(opened, ratio),
        row(opened, median(cold)).against(opened, 1.0),
    ])
}
