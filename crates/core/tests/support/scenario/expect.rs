//! What a script expects of the log.

use payonce_core::{NotificationId, PartStatus, Remaining, State};

use super::Scenario;
use crate::support::{id, part, text};

/// Expectations.
impl Scenario {
    /// The state as replayed from the disk.
    pub(crate) const fn state(&self) -> &State {
        self.replay.state()
    }

    /// The whole outbox, in order.
    #[track_caller]
    pub(crate) fn unread(&self, expected: &[&str]) {
        let texts: Vec<_> =
            self.state().outbox().map(|unread| text::notice(&unread.kind)).collect();
        assert_eq!(texts, expected);
    }

    /// The id of the notification with this text.
    #[track_caller]
    pub(crate) fn notification(&self, wanted: &str) -> NotificationId {
        let mut outbox = self.state().outbox();
        let found = outbox.find(|unread| text::notice(&unread.kind) == wanted);
        found.unwrap_or_else(|| panic!("{wanted:?} is not in the outbox")).id
    }

    /// How a payment stands: its status, `unknown`, or `remembered` and its outcome.
    #[track_caller]
    pub(crate) fn is(&self, payment: &str, expected: &str) {
        let stands = match self.state().payment_view(&id(payment)) {
            Some(view) if view.remembered => {
                format!("remembered {}", text::status(view.status))
            }
            Some(view) => text::status(view.status),
            None => "unknown".into(),
        };
        assert_eq!(stands, expected, "{payment}");
    }

    /// The payments that are due, in order.
    #[track_caller]
    pub(crate) fn due(&self, expected: &[&str]) {
        let due: Vec<_> =
            self.state().due(self.now).iter().map(|due| text::payment(&due.id)).collect();
        assert_eq!(due, expected);
    }

    /// The parts that are out, in order.
    #[track_caller]
    pub(crate) fn out(&self, expected: &[&str]) {
        let out: Vec<_> =
            self.state().unresolved().iter().map(|out| text::part(&out.part.id)).collect();
        assert_eq!(out, expected);
    }

    #[track_caller]
    pub(crate) fn status(&self, name: &str, expected: PartStatus) {
        let fate = self.state().part(&part(name)).map(|(_, fate)| fate);
        assert_eq!(fate, Some(expected), "{name}");
    }

    /// What a payment lacks, which must be in the ledger.
    #[track_caller]
    pub(crate) fn remaining(&self, payment: &str) -> Remaining {
        self.state().remaining(&id(payment)).expect("the ledger holds it")
    }

    /// The bytes of the log.
    pub(crate) fn log(&self) -> Vec<Vec<u8>> {
        self.disk.image().entries().map(|entry| entry.bytes.to_vec()).collect()
    }
}
