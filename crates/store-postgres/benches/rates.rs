//! How fast a ledger on PostgreSQL is, beside its floor on the same server: single-row inserts, each
//! with a commit of its own, by `pgbench`. Nothing without PostgreSQL.
//!
//! ```sh
//! cargo bench -p payonce-store-postgres
//! ```

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::{
    error::Error,
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use payonce_core::{
    EventSource, LedgerId, MaxFee, Msat, Opening, Pay, PaymentHash, PaymentId, Remember, Request,
    RetryPolicy, UnixMillis,
};
use payonce_runtime::{Options, SharedLedger};
use payonce_store_postgres::{
    PostgresStore,
    cluster::{Cluster, is_available},
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const LANES: [u64; 3] = [1, 16, 64];
const REPEATS: u64 = 3;

/// How long each slice takes.
const SLICE: Duration = Duration::from_secs(4);

fn command(lane: u64, nth: u64) -> Pay {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&lane.to_le_bytes());
    bytes[8..16].copy_from_slice(&nth.to_le_bytes());
    let (hash, fee) = (PaymentHash::from_bytes(bytes), MaxFee::AtMost(Msat(500)));
    let request = Request::invoice(hash, Msat(50_000), fee, RetryPolicy::Attempts(3));
    Pay::new(PaymentId::from_bytes(bytes), request)
}

/// Durable commands a second by so many threads.
fn commands(ledger: &SharedLedger<PostgresStore>, lanes: u64, first: u64) -> f64 {
    let begun = Instant::now();
    let threads: Vec<_> = (0..lanes)
        .map(|lane| {
            let ledger = ledger.clone();
            thread::spawn(move || {
                let mut done = 0;
                while begun.elapsed() < SLICE {
                    ledger.execute(command(first + lane, done), NOW).expect("accepted");
                    done += 1;
                }
                done
            })
        })
        .collect();
    let done: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    rate(done, begun.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() -> Result<()> {
    if !is_available("the benchmark") {
        return Ok(());
    }
    // On a disk: in memory a sync costs nothing.
    let cluster = Cluster::start_in(&std::env::temp_dir());
    cluster.sql("create table public.floor (id bigserial primary key, bytes bytea not null)");
    let store = PostgresStore::create(cluster.config(), "rates", LedgerId::from_bytes([7; 32]))?;
    let recovery =
        SharedLedger::open(store, &Opening::new(Remember::Forever, 42), Options::default(), NOW)?;
    let ledger = recovery.finish(NOW)?;
    let (mut floors, mut ours) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
    for repeat in 0..REPEATS {
        // Interleaved: the machine is as busy for one as for the other.
        for (nth, lanes) in LANES.into_iter().enumerate() {
            let insert =
                "insert into public.floor (bytes) values (decode(repeat('ab', 150), 'hex'))";
            floors[nth].push(cluster.inserts_a_second(insert, lanes, SLICE.as_secs()));
            ours[nth].push(commands(&ledger, lanes, (repeat * 1_000 + lanes) * 1_000));
        }
    }
    let floors: Vec<_> = floors.into_iter().map(median).collect();
    for ((lanes, floor), ours) in LANES.into_iter().zip(&floors).zip(ours.into_iter().map(median)) {
        println!(
            "{lanes:>2} threads: {ours:>8.0} commands/s; {floor:>8.0} inserts/s by as many clients \
             (x {:.2}); x {:.2} of one client's",
            ours / floor,
            ours / floors[0]
        );
    }
    let head = ledger.head();
    let store = ledger.close().ok_or("the only handle")?;
    let (begun, mut entries) = (Instant::now(), 0);
    store.replay(1, &mut |_| {
        entries += 1;
        ControlFlow::Continue(())
    })?;
    let replayed = rate(entries, begun.elapsed());
    println!("replay: {replayed:.0} entries/s of {entries}, to {}", head.seq);
    Ok(())
}
