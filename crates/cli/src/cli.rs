//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use payonce::UnixMillis;

use crate::{
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
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How it is written.
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
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is all well? Counts, the oldest unresolved payment, the outbox, the head.
    Status(Dir),
    /// Which payments are there?
    List {
        /// The log's directory.
        dir: PathBuf,
        /// Which, and in what order.
        #[command(flatten)]
        list: ListArgs,
    },
    /// What happened to a payment, and may it be sent again?
    Show {
        /// The log's directory.
        dir: PathBuf,
        /// Its id, its payment hash, or the id of a part; a unique beginning is enough.
        id: String,
    },
    /// The events, one a line.
    Log(LogArgs),
    /// The state as it was.
    At {
        /// The log's directory.
        dir: PathBuf,
        /// When.
        #[command(flatten)]
        when: Moment,
        /// List the payments.
        #[arg(long, conflicts_with = "show")]
        list: bool,
        /// Show this payment.
        #[arg(long, value_name = "ID")]
        show: Option<String>,
    },
    /// What changed between two seqs.
    Diff {
        /// The log's directory.
        dir: PathBuf,
        /// The earlier seq.
        from: u64,
        /// The later seq.
        to: u64,
    },
    /// Check every byte, every hash, every event, every snapshot.
    Verify {
        /// The log's directory.
        dir: PathBuf,
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
        /// The log's directory.
        dir: PathBuf,
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
        /// The directory to create.
        dst: PathBuf,
    },
    /// Copy a log, also a live one; into an older copy of it, only what is new.
    Backup(FromTo),
    /// One HTML file with everything, for a browser.
    Report {
        /// The log's directory.
        dir: PathBuf,
        /// The file to write; it must not exist.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Record an operator's word. The only command that writes to a log.
    Resolve(ResolveArgs),
    /// Write a realistic ledger to look at.
    Demo {
        /// The directory to create.
        dir: PathBuf,
        /// How many payments.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
        payments: u32,
        /// What the story is made of: the same seed tells the same.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// Write completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages.
    Man {
        /// The directory to write them to, which must exist.
        dir: PathBuf,
    },
}

/// A log.
#[derive(Debug, Clone, Args)]
pub struct Dir {
    /// The log's directory.
    pub dir: PathBuf,
}

/// A log and where to put something.
#[derive(Debug, Clone, Args)]
pub struct FromTo {
    /// The log's directory.
    pub src: PathBuf,
    /// The directory to write to.
    pub dst: PathBuf,
}

/// What to export.
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
    /// In which order.
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Go on after this id, the last one of the page before.
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
    /// Only what the ledger holds in full: not those of which only the outcome, or the log, is left.
    #[arg(long)]
    pub live: bool,
}

/// A status to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// The offer is accepted, its hash unknown.
    AwaitingInvoice,
    /// Parts may be dispatched.
    Pending,
    /// Paid.
    Fulfilled,
    /// Given up, not over yet.
    Abandoned,
    /// Over, unpaid.
    Failed,
    /// Over, and not remembered.
    Forgotten,
}

/// What a payment pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// An invoice.
    Invoice,
    /// Nothing that was asked for: a spontaneous payment.
    Spontaneous,
    /// An offer or a refund.
    Offer,
}

/// The order of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Accepted last first.
    #[default]
    Newest,
    /// Accepted first first.
    Oldest,
    /// Changed longest ago first.
    Age,
    /// The largest first.
    Amount,
    /// The most expensive first.
    Fee,
}

/// A point of the log.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct Moment {
    /// After the entry that holds this seq.
    #[arg(long)]
    pub seq: Option<u64>,
    /// At this moment.
    #[arg(long, value_parser = parse_moment)]
    pub time: Option<UnixMillis>,
}

/// Which events are shown.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// The log's directory.
    pub dir: PathBuf,
    /// From this seq on.
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Up to this seq.
    #[arg(long, value_name = "SEQ")]
    pub to: Option<u64>,
    /// From this moment on.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<UnixMillis>,
    /// Before this moment.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<UnixMillis>,
    /// Wait for more.
    #[arg(long)]
    pub follow: bool,
    /// Entries as they lie on the disk: file, offset, bytes; of a damaged log what can be read.
    #[arg(long, conflicts_with = "follow")]
    pub raw: bool,
}

/// An operator's word.
#[derive(Debug, Clone, Args)]
pub struct ResolveArgs {
    /// The log's directory.
    pub dir: PathBuf,
    /// The payment: its id in full.
    pub id: String,
    /// What is known.
    #[arg(value_enum)]
    pub word: WordArg,
    /// The part that failed: its id in full. Needed for `failed`.
    #[arg(long)]
    pub part: Option<String>,
    /// Who says so.
    #[arg(long)]
    pub by: String,
    /// Why.
    #[arg(long)]
    pub why: String,
    /// Of a part that the node has listed as out since it was opened: it failed all the same.
    #[arg(long)]
    pub although_listed: bool,
    /// Do not ask.
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
}
