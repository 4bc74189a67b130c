//! The points at which the story can be cut off.

use std::thread;

use clap::ValueEnum;

/// A moment in the life of a payment. The words are those of `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Point {
    /// the invoice is read, nothing is recorded
    BeforeSend,
    /// the payment is recorded, no part is
    AfterSend,
    /// a part is made up, its dispatch is not appended
    BeforeAppend,
    /// the dispatch is recorded, nothing is offered
    AfterDispatch,
    /// the HTLC is offered to the peer
    AfterOffer,
    /// the HTLC is in both sides' commitments
    AfterCommit,
    /// the channel has the preimage, the log has not
    BeforeClaim,
    /// the log has the preimage, nobody was told
    AfterClaim,
    /// the peer failed the HTLC, which may still come back
    BeforeFail,
    /// the HTLC is off the channel, the log does not know
    AfterRemoval,
    /// the log knows that the HTLC was fulfilled and is off the channel
    AfterFinalize,
    /// the log knows that the HTLC failed
    AfterFail,
    /// the channel's answers are recorded, recovery is not finished
    AfterAnswers,
    /// the user has read the outcome
    AfterAcknowledge,
    /// not at all
    Never,
}

impl Point {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value().expect("no point is hidden");
        value.get_name().to_owned()
    }

    /// What is true at this moment.
    pub(crate) fn meaning(self) -> String {
        let value = self.to_possible_value().expect("no point is hidden");
        value.get_help().map_or_else(String::new, ToString::to_string)
    }
}

/// Says that its process is to be killed at one point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doom(pub(crate) Point);

impl Doom {
    /// What a doomed process prints when it is time. Its parent waits for this line.
    pub(crate) const LAST_WORD: &str = "kill me now";

    /// Goes on, or waits to be killed: nothing after this point happens, no destructor runs.
    pub(crate) fn at(self, point: Point) {
        if point == self.0 {
            println!("{}", Self::LAST_WORD);
            loop {
                thread::park();
            }
        }
    }
}
