//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use payonce::{UnixMillis, machine::ListingCursor};

use crate::{
    address::{Address, directory},
    rows::Format,
    units::{parse_moment, parse_span},
};

/// Reads, checks and explains a log of payonce. Nothing but `resolve` writes to one; it may be that of
/// a running node or a copy.
#[derive(Debug, Parser)]
#[command(
    name = "payonce",
    version,
    about = "Reads, checks and explains a log of payonce",
    after_help = "Exit codes: 0 fine; 1 something was found that a person must see (damage, an unknown \
                  payment, a health that is not fine); 2 it cannot be read or done.\nNothing but \
                  `resolve` writes to a log: DIR may be that of a running node or a copy."
)]
pub struct Cli {
    /// What is done with which log.
    #[command(subcommand)]
    pub command: Command,
    /// How its output is written.
    #[command(flatten)]
    pub shown: Shown,
}

/// How output is written.
#[derive(Debug, Clone, Args)]
pub struct Shown {
    /// How listings are written.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub format: Format,
    /// Show preimages, the proofs of payment.
    #[arg(long, global = true)]
    pub reveal: bool,
    /// Show times in this machine's zone instead of UTC.
    #[arg(long, global = true)]
    pub local: bool,
    /// When to use colours.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub color: When,
}

/// When something is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Only if standard output is a terminal.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not even on a terminal.
    Never,
}

/// The subcommands of `payonce`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is all well? Counts, the oldest unresolved payment, the outbox, the head.
    Status(Dir),
    /// Which payments are there?
    List {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// Which, and in what order.
        #[command(flatten)]
        list: ListArgs,
    },
    /// What happened to a payment, and may it be sent again?
    Show {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// Its id, its payment hash, the id of a part, a unique beginning of one of these, or the invoice.
        id: String,
    },
    /// The events, one a line.
    Log(LogArgs),
    /// The state as it was.
    At {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// The moment of which the state is shown.
        #[command(flatten)]
        when: Moment,
        /// List the payments as they were then.
        #[arg(long, conflicts_with = "show")]
        list: bool,
        /// Show this payment as it was then.
        #[arg(long, value_name = "ID")]
        show: Option<String>,
    },
    /// What changed between two seqs.
    Diff {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// The seq from whose state on changes are shown.
        from: u64,
        /// The seq up to whose state they are shown.
        to: u64,
    },
    /// Check every byte, every hash, every event, every snapshot.
    Verify {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// A head kept elsewhere, as `status` writes it (`seq N chain HASH`): the log must contain it,
        /// which proves that it only grew since.
        #[arg(long, value_name = "HEAD")]
        since: Option<String>,
    },
    /// Keep what is readable of a damaged log: the intact beginning as a log that opens as restored, the
    /// rest as JSON lines beside it.
    Salvage(FromTo),
    /// Write payments and events for other programs.
    Export {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// What to write: `log` alone can be imported, as JSON lines with --reveal.
        #[arg(long, value_enum, default_value_t)]
        what: What,
        /// The file to write, readable by its owner only; it must not exist. Standard output without.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Turn an export of the log, made with --reveal, back into the same log.
    Import {
        /// The export; `-` is standard input.
        file: PathBuf,
        /// The directory to create, or postgres://USER@HOST/DATABASE#LEDGER.
        dst: Address,
    },
    /// Copy a log, also a live one; into an older copy of it, only what is new.
    Backup(FromTo),
    /// Copy a ledger to where it is to live from now on: a directory or a database. The same head on both
    /// sides; of the two one is the ledger then, and the other must not be written to any more.
    Copy(Copied),
    /// One HTML file with everything, for a browser.
    Report {
        /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// The file to write; it must not exist.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Record an operator's word. The only command that writes to a log.
    Resolve(ResolveArgs),
    /// Write a realistic ledger to look at.
    Demo {
        /// The directory to create, or postgres://USER@HOST/DATABASE#LEDGER.
        dir: Address,
        /// How many payments it tells of.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
        payments: u32,
        /// What the story is made of: the same seed tells the same.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Of a ledger that forgets what is over, instead of remembering how it ended.
        #[arg(long)]
        forget: bool,
    },
    /// Write completions for a shell.
    Completions {
        /// The shell that is to complete commands.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages.
    Man {
        /// The directory to write them to, which must exist.
        dir: PathBuf,
    },
}

/// Where a log is.
#[derive(Debug, Clone, Args)]
pub struct Dir {
    /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
    pub dir: Address,
}

/// A log and where to put something.
#[derive(Debug, Clone, Args)]
pub struct FromTo {
    /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
    pub src: Address,
    /// The directory to write to.
    #[arg(value_parser = directory)]
    pub dst: PathBuf,
}

/// A ledger and where it is to live.
#[derive(Debug, Clone, Args)]
pub struct Copied {
    /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
    pub src: Address,
    /// Where to: a new directory, a new ledger of a database, or an earlier copy.
    pub dst: Address,
}

/// Which view of the log is exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Every entry of the log with its events.
    #[default]
    Log,
    /// A row a payment.
    Payments,
    /// The bookkeeping: postings that sum to zero.
    Postings,
}

/// Which payments are listed.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Only those with one of these statuses.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub status: Vec<StatusArg>,
    /// Only those whose id or payment hash begins like this.
    #[arg(long, value_name = "HEX")]
    pub prefix: Option<String>,
    /// Only those whose metadata begins like this.
    #[arg(long, value_name = "TEXT")]
    pub metadata: Option<String>,
    /// Only those that pay such a thing.
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    /// Only unfinished ones whose last change is at least so long ago.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub stuck: Option<u64>,
    /// Only those with a part out whose CLTV expiry is at or below this block height.
    #[arg(long, value_name = "HEIGHT")]
    pub overdue: Option<u32>,
    /// Only those accepted at or after this moment.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<UnixMillis>,
    /// Only those accepted before this moment.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<UnixMillis>,
    /// In which order they are listed.
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Go on behind this cursor, that of the last payment of the page before.
    #[arg(long, value_name = "CURSOR", value_parser = parse_cursor)]
    pub after: Option<ListingCursor>,
    /// Only what the ledger holds in full: not those of which only the outcome, or the log, is left.
    #[arg(long)]
    pub live: bool,
}

fn parse_cursor(text: &str) -> Result<ListingCursor, String> {
    text.parse().map_err(|_| {
        format!(
            "{text:?} is no cursor: take `cursor` of the last payment, or what a table ends with"
        )
    })
}

/// A status to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// The offer is accepted, its hash unknown.
    AwaitingInvoice,
    /// Parts may be dispatched.
    Pending,
    /// Paid, with proof or on somebody's word.
    Fulfilled,
    /// Given up, not over yet.
    Abandoned,
    /// Over, unpaid, and nothing of it is out.
    Failed,
    /// Over, and not remembered.
    Forgotten,
}

/// What a payment pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// A BOLT 11 invoice, or the bare hash of one.
    Invoice,
    /// Nothing that was asked for: a spontaneous payment.
    Spontaneous,
    /// An offer or a refund.
    Offer,
}

/// The order of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// The one accepted last comes first.
    #[default]
    Newest,
    /// The one accepted first comes first.
    Oldest,
    /// The one that changed longest ago comes first.
    Age,
    /// The largest amount comes first.
    Amount,
    /// The highest fee comes first.
    Fee,
}

/// A point of the log.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct Moment {
    /// After the entry that holds this seq.
    #[arg(long)]
    pub seq: Option<u64>,
    /// After the last entry that was written at this moment or before.
    #[arg(long, value_parser = parse_moment)]
    pub time: Option<UnixMillis>,
}

/// Which events are shown.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
    pub dir: Address,
    /// From this seq on.
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Up to this seq.
    #[arg(long, value_name = "SEQ")]
    pub to: Option<u64>,
    /// From this moment on.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<UnixMillis>,
    /// Only what was written before this moment.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<UnixMillis>,
    /// Wait for more, until interrupted.
    #[arg(long)]
    pub follow: bool,
    /// Entries as they lie on the disk: file, offset, bytes; of a damaged log what can be read.
    #[arg(long, conflicts_with = "follow")]
    pub raw: bool,
}

/// What an operator says became of a payment, and where it is recorded.
#[derive(Debug, Clone, Args)]
pub struct ResolveArgs {
    /// The log: its directory, or postgres://USER@HOST/DATABASE#LEDGER.
    pub dir: Address,
    /// The payment: its id in full. For `unblock` the payment hash.
    pub id: String,
    /// What is known to have become of it.
    #[arg(value_enum)]
    pub word: WordArg,
    /// The part that failed: its id in full. Needed for `failed`.
    #[arg(long)]
    pub part: Option<String>,
    /// The engine whose block of the hash ends, by its name. For `unblock`; without it the block of none.
    #[arg(long)]
    pub engine: Option<String>,
    /// Who says so: a name, recorded with the word.
    #[arg(long)]
    pub by: String,
    /// Why it is known: recorded with the word.
    #[arg(long)]
    pub why: String,
    /// Of a part that the node has listed as out since it was opened: it failed all the same.
    #[arg(long)]
    pub although_listed: bool,
    /// Do not ask before it is recorded.
    #[arg(long)]
    pub yes: bool,
}

/// What an operator can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WordArg {
    /// A part is dead, and its channel can no longer tell.
    Failed,
    /// The payment is paid.
    Paid,
    /// Nothing more is to be tried.
    Abandon,
    /// Nothing is out any more under a blocked hash, and its engine can no longer tell.
    Unblock,
}
