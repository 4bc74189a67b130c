//! Where notifications go.

use std::error::Error;

use async_trait::async_trait;
use payonce_core::Notification;

/// Takes what the user must see: a queue, a table of the user's, a webhook.
///
/// Each is delivered at least once, with the same [`id`](Notification::id) at every delivery, until it
/// was taken: what is done with it is done once by remembering the id in the same transaction.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Takes a notification. It is acknowledged once this returns `Ok`, and delivered again otherwise: also
    /// if it took longer than [`Options::call_timeout`](crate::Options::call_timeout).
    ///
    /// # Errors
    /// Whatever kept it from being taken.
    async fn deliver(
        &self,
        notification: &Notification,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}
