//! What a command reads and writes besides the log: a stand-in for it makes the tests.

use std::io::{self, BufRead, IsTerminal, Write};

use payonce::UnixMillis;

/// The terminal, or what stands for it.
pub struct Io<'a> {
    /// Standard output: what was asked for, and nothing else.
    pub out: &'a mut dyn Write,
    /// Standard error: progress, warnings, why it failed.
    pub err: &'a mut dyn Write,
    /// Standard input: answers to a question, and what is imported.
    pub input: &'a mut dyn BufRead,
    /// How many columns the terminal has; `None` if standard output is none.
    pub columns: Option<u16>,
    /// Whether standard error is a terminal: progress is shown there alone.
    pub shows_progress: bool,
    /// Whether colours are welcome.
    pub colour: bool,
    /// What time it is.
    pub now: UnixMillis,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Whoever read the output has enough of it: no error.
    #[error("the output was closed")]
    Closed,
    /// It was read, and something was found that a person must see. It is said already.
    #[error("findings")]
    Findings,
    /// It cannot be read, or not be done.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// What is said on standard error.
    pub fn refused(text: impl ToString) -> Self {
        Self::Refused(text.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::refused(format!("cannot write the output: {error}")),
        }
    }
}

/// What a command ends with.
pub type Outcome = Result<(), Failure>;

/// Runs the program on the process's own streams.
#[must_use]
pub fn on_terminal(run: impl FnOnce(&mut Io<'_>) -> u8) -> u8 {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = || terminal_size::terminal_size().map(|(width, _)| width.0);
    let mut io = Io {
        out: &mut io::BufWriter::new(stdout),
        err: &mut io::stderr(),
        input: &mut io::stdin().lock(),
        columns: if is_terminal { columns.or_else(width) } else { columns },
        shows_progress: io::stderr().is_terminal(),
        colour: is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        now: payonce::runtime::now(),
    };
    run(&mut io)
}
