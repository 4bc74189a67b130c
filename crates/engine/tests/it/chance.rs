//! Random lives of one payment under engines and a wire of their own making, in quick motion: requests that
//! come late, twice, or never, answers that are lost, processes that die, entries that somebody deletes, starts to
//! which one of two engines is not given, and what others have out under the hash. The judge is the world's own account of the money that left, and shares no code with what it judges.

use std::{
    collections::HashMap,
    env,
    error::Error,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use payonce_core::{
    Backoff, LedgerId, MaxFee, Msat, Notification, NotificationId, NotificationKind, Opening,
    PartId, PaymentId, Preimage, Remember, Request, RetryPolicy, State, UnixMillis,
};
use payonce_engine::{
    Clock, Engine, EngineError, HandOver, Key, Lookup, Memory, Options, PayAnswer, PayError, Payer,
    Payout, Promises, Refusal, Shown, Sink, Starting, Wire, Witnessed, async_trait,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};
use proptest::{
    collection::vec, option, prelude::*, strategy::ValueTree as _, test_runner::TestRunner,
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep},
};

/// When a life begins, and when all that can happen has happened.
const BEGINNING: u64 = 1_790_000_000_000;
const HORIZON: Duration = Duration::from_millis(1_200);
/// A hundred times what it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many lives are lived at the same time.
const AT_ONCE: usize = 72;
/// From when on the engine refuses what comes late, where it does.
const EXPIRY: u64 = 300;
const MARGIN: Duration = Duration::from_millis(150);
const PREIMAGE: Preimage = Preimage::from_bytes([1; 32]);

/// What becomes of one request that is said.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// After how many milliseconds it arrives; `None` if it is lost.
    arrives: Option<u64>,
    /// When a copy of it arrives, on a wire that makes some, and whether that one pays.
    copy: Option<(u64, bool)>,
    /// The engine says that it does not read it (and a copy of it may still come).
    not_now: bool,
    answer_lost: bool,
    /// How long its try is out, and whether it is paid then.
    out_for: u64,
    pays: bool,
}

#[derive(Debug, Clone)]
struct Life {
    key: Key,
    memory: Memory,
    wire: Wire,
    marked: bool,
    expires: bool,
    retries: u32,
    fates: Vec<Fate>,
    /// When the process is killed and started anew.
    kills: Vec<u64>,
    abandoned: Option<u64>,
    /// When somebody deletes what has ended, if that is done there.
    deleted: Vec<u64>,
    /// What each start is given; the last is given all.
    given: Vec<Given>,
    /// For how long somebody else has the hash out at the first engine, and whether that is paid.
    foreign: Option<(u64, bool)>,
    /// Whether a try of somebody else has ended with the second engine long ago.
    old: bool,
}

/// Which engines a start is given, the first of which gets what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    One,
    Other,
    Both,
    Reversed,
}

impl Given {
    const ALL: [Self; 4] = [Self::One, Self::Other, Self::Both, Self::Reversed];

    /// Their places among the worlds.
    const fn places(self) -> &'static [usize] {
        match self {
            Self::One => &[0],
            Self::Other => &[1],
            Self::Both => &[0, 1],
            Self::Reversed => &[1, 0],
        }
    }
}

/// The names of the engines, by their places.
const NAMES: [&str; 2] = ["one", "other"];

fn fate() -> impl Strategy<Value = Fate> {
    let arrives = prop_oneof![
        3 => Just(Some(0)),
        4 => (40..280u64).prop_map(Some),
        1 => (0..600u64).prop_map(Some),
        1 => Just(None),
    ];
    let copy = option::of((0..280u64, any::<bool>()));
    let out_for = prop_oneof![3 => Just(0), 1 => 0..200u64];
    (arrives, copy, prop::bool::weighted(0.1), prop::bool::weighted(0.3), out_for, any::<bool>())
        .prop_map(|(arrives, copy, not_now, answer_lost, out_for, pays)| Fate {
            arrives,
            copy,
            not_now,
            answer_lost,
            out_for,
            pays,
        })
}

fn life() -> impl Strategy<Value = Life> {
    let key =
        prop_oneof![4 => Just(Key::PaymentHash), 1 => Just(Key::Part), 1 => Just(Key::Nothing)];
    let memory = prop_oneof![
        3 => Just(Memory::Kept),
        1 => Just(Memory::Unsure),
        1 => (2..800u64).prop_map(Memory::For),
    ];
    let wire = prop_oneof![2 => Just(Wire::Direct), 1 => Just(Wire::MayRepeat)];
    let engine = (key, memory, wire, prop::bool::weighted(0.85), prop::bool::weighted(0.8));
    let times = || vec(0..500u64, 0..3);
    let retries = prop_oneof![3 => Just(0), 1 => 1..3u32];
    let given = || vec(prop::sample::select(&Given::ALL[..]), 4);
    let others = (given(), option::weighted(0.3, (0..400u64, any::<bool>())), any::<bool>());
    let happens = (times(), option::weighted(0.3, 0..400u64), times());
    (engine, retries, vec(fate(), 1..6), happens, others).prop_map(
        |(engine, retries, fates, (kills, abandoned, deleted), others)| {
            let (key, memory, wire, marked, expires) = engine;
            let (mut given, foreign, old) = others;
            // An engine that knows our ids alone shows nobody else's try.
            let foreign = foreign.filter(|_| key == Key::PaymentHash);
            // Only who is asked before a hand-over can show it out.
            if foreign.is_some() && given[0].places()[0] != 0 {
                given[0] = Given::Both;
            }
            // Copies that come after their entry was forgotten are two payments that nobody can prevent:
            // docs/INTEGRATING-API.md promises nothing there.
            let wire = if memory == Memory::Kept { wire } else { Wire::Direct };
            Life {
                key,
                memory,
                wire,
                marked,
                expires,
                retries,
                fates,
                kills,
                abandoned,
                deleted,
                given,
                foreign,
                old,
            }
        },
    )
}

/// A try, as the engine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Out,
    Paid,
    Failed,
}

#[derive(Debug, Default)]
struct Books {
    /// By part where that is the key, else under one name.
    tries: HashMap<Option<PartId>, (u64, Try)>,
    tried: u64,
    said: usize,
    payouts: u32,
}

/// The engine, and the wire before it. It outlives the processes that call it.
#[derive(Debug)]
struct World {
    life: Life,
    began: Instant,
    books: Mutex<Books>,
    /// How much is still on its way: requests, ends of tries, what is to be forgotten.
    under_way: watch::Sender<usize>,
}

/// The two worlds of a life, each with its engine, which have nothing to do with each other.
fn worlds(life: &Life) -> [Arc<World>; 2] {
    let (began, under_way) = (Instant::now(), || watch::Sender::new(0));
    let new =
        || World { life: life.clone(), began, books: Mutex::default(), under_way: under_way() };
    let worlds = [Arc::new(new()), Arc::new(new())];
    if let Some((out_for, pays)) = life.foreign {
        worlds[0].begun(Try::Out);
        worlds[0].later(out_for, move |world| world.end(None, pays));
    }
    if life.old {
        worlds[1].begun(Try::Failed);
    }
    worlds
}

impl World {
    /// What somebody else did before.
    fn begun(&self, at: Try) {
        let mut books = self.books();
        books.tried += 1;
        let mark = books.tried;
        books.tries.insert(None, (mark, at));
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no panic")
    }

    /// What happens by itself after a time: the one place where the world lets time pass.
    fn later(self: &Arc<Self>, ms: u64, act: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let world = Arc::clone(self);
        self.under_way.send_modify(|count| *count += 1);
        tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            act(&world);
            world.under_way.send_modify(|count| *count -= 1);
        });
    }

    /// Waits until nothing is on its way any more.
    async fn settled(&self) {
        let mut under_way = self.under_way.subscribe();
        under_way.wait_for(|count| *count == 0).await.expect("the world outlives it");
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short life")
    }

    fn name(&self, part: PartId) -> Option<PartId> {
        (self.life.key == Key::Part).then_some(part)
    }

    fn payout() -> Payout {
        Payout { preimage: PREIMAGE, amount: Some(Msat(1_000)), fee: Some(Msat(1)) }
    }

    fn show(&self, name: Option<PartId>) -> Shown {
        let Some((mark, at)) = self.books().tries.get(&name).copied() else {
            return Shown::NotKnown;
        };
        let mark = self.life.marked.then_some(mark);
        match at {
            Try::Out => Shown::Out { mark },
            Try::Paid => Shown::Paid(Self::payout()),
            Try::Failed => Shown::Failed { mark, permanent: false, reason: "no route".into() },
        }
    }

    /// A request arrives, and is read.
    fn read(self: &Arc<Self>, part: PartId, fate: Fate) -> PayAnswer {
        let name = self.name(part);
        {
            let mut books = self.books();
            let late = self.life.expires && self.now() >= EXPIRY;
            let there = matches!(
                (self.life.key, books.tries.get(&name)),
                (Key::Part, Some(_)) | (Key::PaymentHash, Some((_, Try::Out | Try::Paid)))
            );
            if there {
                return PayAnswer::AlreadyThere;
            }
            if late {
                return PayAnswer::Refused(Refusal { why: "expired".into(), permanent: false });
            }
            books.tried += 1;
            let mark = books.tried;
            books.tries.insert(name, (mark, Try::Out));
        }
        if fate.out_for == 0 {
            self.end(name, fate.pays);
        } else {
            self.later(fate.out_for, move |world| world.end(name, fate.pays));
        }
        if let Memory::For(ms) = self.life.memory {
            let own = self.books().tried;
            self.later(ms.max(fate.out_for) + 1, move |world| {
                world.books().tries.retain(|_, (mark, _)| *mark != own);
            });
        }
        PayAnswer::Taken(self.show(name))
    }

    fn end(&self, name: Option<PartId>, pays: bool) {
        let mut books = self.books();
        books.payouts += u32::from(pays);
        if let Some((_, at)) = books.tries.get_mut(&name) {
            *at = if pays { Try::Paid } else { Try::Failed };
        }
    }

    /// What has ended is deleted.
    fn forget(&self) {
        self.books().tries.retain(|_, (_, at)| *at == Try::Out);
    }
}

#[derive(Debug)]
struct Node(Arc<World>);

#[async_trait]
impl Engine for Node {
    fn promises(&self) -> Promises {
        let Life { key, memory, wire, .. } = self.0.life;
        Promises { key, memory, wire }
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }

    fn refuses_late_from(&self, _: &Request) -> Option<UnixMillis> {
        self.0.life.expires.then_some(UnixMillis(BEGINNING + EXPIRY))
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let (world, part) = (&self.0, hand_over.part);
        let fate = {
            let mut books = world.books();
            books.said += 1;
            world.life.fates.get(books.said - 1).copied()
        };
        // Beyond what was thought out every request arrives, and is paid.
        let fate = fate.unwrap_or(Fate {
            arrives: Some(0),
            copy: None,
            not_now: false,
            answer_lost: false,
            out_for: 0,
            pays: true,
        });
        let after = |ms: u64, fate: Fate, tell: Option<oneshot::Sender<PayAnswer>>| {
            world.later(ms, move |world| {
                let answer = world.read(part, fate);
                drop(tell.map(|tell| tell.send(answer)));
            });
        };
        if let Some((ms, pays)) = fate.copy.filter(|_| world.life.wire == Wire::MayRepeat) {
            after(ms, Fate { pays, ..fate }, None);
        }
        let unreachable = || EngineError::Unreachable { why: "made up".into() };
        if fate.not_now {
            return PayAnswer::NotNow(unreachable());
        }
        let (tell, told) = oneshot::channel();
        match fate.arrives {
            Some(ms) => after(ms, fate, Some(tell)),
            None => std::mem::forget(tell),
        }
        match told.await {
            Ok(answer) if !fate.answer_lost => answer,
            _ => PayAnswer::Unknown(unreachable()),
        }
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        Ok(match (self.0.life.key, what.part) {
            (Key::Part, None) => Shown::NotKnown,
            (Key::Part, part) => self.0.show(part),
            _ => self.0.show(None),
        })
    }
}

/// The world's time.
struct Time(Instant);

impl Clock for Time {
    fn now(&self) -> UnixMillis {
        let elapsed = u64::try_from(self.0.elapsed().as_millis()).expect("a short life");
        UnixMillis(BEGINNING + elapsed)
    }
}

/// What the user was told.
#[derive(Debug, Default)]
struct Told(Mutex<HashMap<NotificationId, NotificationKind>>);

#[async_trait]
impl Sink for Told {
    async fn deliver(&self, told: &Notification) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Delivered again after a kill it is the same one.
        self.0.lock().expect("no panic").insert(told.id, told.kind.clone());
        Ok(())
    }
}

async fn start(
    disk: &MemoryDisk,
    worlds: &[Arc<World>; 2],
    given: Given,
    told: &Arc<Told>,
) -> Payer<MemoryStore> {
    let opening = Opening::new(Remember::Forever, 42);
    let clock = Arc::new(Time(worlds[0].began));
    let log = payonce_runtime::Options::DEFAULT;
    let nobody = Witnessed::ByNobody;
    let starting = Starting::open_by(disk.open(), opening, nobody, log, clock).await;
    let options = Options::default()
        .call_timeout(Duration::from_millis(30))
        .poll((Duration::from_millis(3), Duration::from_millis(20)))
        .say_again((Duration::from_millis(5), Duration::from_millis(40)))
        .lateness_margin(MARGIN)
        .tick_every(Duration::from_millis(20))
        .patience(Duration::ZERO);
    let sink: Arc<dyn Sink> = Arc::clone(told) as _;
    let mut starting = starting.expect("opens").options(options).sink(sink);
    for place in given.places() {
        let node = Arc::new(Node(Arc::clone(&worlds[*place])));
        starting = starting.engine(NAMES[*place], node);
    }
    starting.finish().await.expect("starts").0
}

/// Its calls are cut off where they are, as by a kill.
async fn killed(payer: Payer<MemoryStore>) {
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some(), "closed here");
}

/// Whether the engine can tell in the end what became of everything.
fn can_tell(life: &Life) -> bool {
    life.memory == Memory::Kept && life.expires
}

async fn told_all(payer: &Payer<MemoryStore>, id: PaymentId) {
    payer.outcome(id).await.expect("an end");
    let mut news = payer.ledger().subscribe(1);
    while payer.ledger().query_async(|state| state.counts().unread).await.expect("open") > 0 {
        news.read_async().await.expect("the outbox empties");
    }
}

/// Waits until the engine was asked before the first hand-over, and what it showed is recorded.
async fn first_look(payer: &Payer<MemoryStore>, id: PaymentId) {
    let mut news = payer.ledger().subscribe(1);
    let looked = move |state: &State| {
        let payment = state.payment(&id);
        let handed = payment.is_none_or(|at| !at.parts().is_empty() || !at.status().is_open());
        handed || state.blocked_hashes().next().is_some()
    };
    while !payer.ledger().query_async(looked).await.expect("open") {
        news.read_async().await.expect("open");
    }
}

/// What happens from outside, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Killed,
    Abandoned,
    Deleted,
    Over,
}

async fn live(life: Life) -> Result<(), TestCaseError> {
    let worlds = worlds(&life);
    let mut given = life.given.iter().copied();
    let mut next = || given.next().expect("as many as starts");
    let (disk, told) = (MemoryDisk::new(LedgerId::from_bytes([7; 32])), Arc::default());
    let mut payer = start(&disk, &worlds, next(), &told).await;
    let hash = PREIMAGE.payment_hash();
    let (fee, retry) = (MaxFee::AtMost(Msat(100)), RetryPolicy::Attempts(life.retries));
    let request = Request::invoice(hash, Msat(1_000), fee, retry).backoff(Backoff::NONE);
    let id = PaymentId::from_payment_hash(hash);
    match payer.pay(id, request).await {
        Ok(_) => {}
        Err(PayError::Engine(_)) => {
            prop_assert_eq!((life.key, life.wire), (Key::Nothing, Wire::MayRepeat));
            return Ok(());
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    }
    if life.foreign.is_some() {
        // Before that it is nobody's business here, and who gives up is told so.
        let seen = tokio::time::timeout(PATIENCE, first_look(&payer, id)).await;
        prop_assert!(seen.is_ok(), "never asked");
    }
    let mut happens: Vec<_> = life.kills.iter().map(|at| (*at, Happening::Killed)).collect();
    happens.extend(life.abandoned.map(|at| (at, Happening::Abandoned)));
    if life.memory == Memory::Unsure {
        happens.extend(life.deleted.iter().map(|at| (*at, Happening::Deleted)));
    }
    happens.push((u64::try_from(HORIZON.as_millis()).expect("short"), Happening::Over));
    happens.sort_unstable();
    for (at, what) in happens {
        tokio::time::sleep_until(worlds[0].began + Duration::from_millis(at)).await;
        match what {
            Happening::Killed => {
                killed(payer).await;
                payer = start(&disk, &worlds, next(), &told).await;
            }
            Happening::Abandoned => drop(payer.abandon(id).await.expect("known")),
            Happening::Deleted => worlds.iter().for_each(|world| world.forget()),
            // Whoever was left out is back.
            Happening::Over => {
                killed(payer).await;
                payer = start(&disk, &worlds, Given::Both, &told).await;
            }
        }
    }
    if can_tell(&life) {
        let told = tokio::time::timeout(PATIENCE, told_all(&payer, id)).await;
        prop_assert!(
            told.is_ok(),
            "never told: {:?}",
            worlds.map(|world| format!("{:?}", world.books()))
        );
    }
    // What is still on its way arrives, and whoever starts then asks what became of it.
    for world in &worlds {
        world.settled().await;
    }
    killed(payer).await;
    let payer = start(&disk, &worlds, Given::Both, &told).await;
    let attention = payer.attention();
    killed(payer).await;
    let told: Vec<_> = told.0.lock().expect("no panic").values().cloned().collect();
    judge(&worlds, &told, !attention.is_empty())
}

/// Paid at most once, told the truth and nothing but it, and told at all where the engine can tell.
fn judge(
    worlds: &[Arc<World>; 2],
    told: &[NotificationKind],
    attention: bool,
) -> Result<(), TestCaseError> {
    let life = &worlds[0].life;
    let payouts: u32 = worlds.iter().map(|world| world.books().payouts).sum();
    let is_sent = |kind: &&NotificationKind| matches!(kind, NotificationKind::PaymentSent { .. });
    let is_failed =
        |kind: &&NotificationKind| matches!(kind, NotificationKind::PaymentFailed { .. });
    let (sent, failed) =
        (told.iter().filter(is_sent).count(), told.iter().filter(is_failed).count());
    prop_assert!(payouts <= 1, "paid {} times", payouts);
    prop_assert!(failed == 0 || payouts == 0, "refunded, and paid: {:?}", told);
    prop_assert!(sent == 0 || payouts == 1, "told as paid, and not paid: {:?}", told);
    prop_assert!(sent + failed <= 1, "told twice: {:?}", told);
    prop_assert!(!can_tell(life) || (sent + failed == 1 && !attention), "never told: {:?}", told);
    Ok(())
}

fn number(name: &str, or: u32) -> u32 {
    env::var(name).map_or(or, |text| text.parse().expect("a number"))
}

/// A life, and how it was judged.
type Lived = (Life, Result<(), TestCaseError>);

/// `PAYONCE_LIVES` says how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_lives_are_paid_once_and_told_right() {
    let (mut runner, lives) = (TestRunner::default(), life());
    let mut running: JoinSet<Lived> = JoinSet::new();
    for _ in 0..number("PAYONCE_LIVES", 288) {
        if running.len() == AT_ONCE {
            ended_well(running.join_next().await);
        }
        let life = lives.new_tree(&mut runner).expect("a life").current();
        running.spawn(async move { (life.clone(), live(life).await) });
    }
    while let Some(ended) = running.join_next().await {
        ended_well(Some(ended));
    }
}

fn ended_well(ended: Option<Result<Lived, JoinError>>) {
    let (life, judged) = ended.expect("a life").expect("it does not panic");
    assert!(judged.is_ok(), "{judged:?}: {life:#?}");
}
