//! The numbers that are part of the design. They apply to what a caller asks for; a fact about money is
//! never refused because of a limit.

/// The largest entry, in bytes.
pub const ENTRY_BYTES: usize = 1 << 20;
/// The largest metadata of a request, in bytes.
pub const METADATA_BYTES: usize = 1 << 10;
/// The largest payment instructions of a request (the invoice or the offer itself), in bytes.
pub const INSTRUCTIONS_BYTES: usize = 16 << 10;
/// The most parts in one batch.
pub const BATCH_PARTS: usize = 256;
/// The most parts that a payment may have dispatched, withdrawn ones not counted.
pub const PAYMENT_PARTS: usize = 1_024;
/// The most observations kept on one payment.
pub const PAYMENT_OBSERVATIONS: usize = 256;
/// The largest observation, in bytes.
pub const OBSERVATION_BYTES: usize = 512;
/// The most notifications acknowledged in one command.
pub const ACKNOWLEDGE_IDS: usize = 4_096;
/// The most unacknowledged anomalies without a payment that are notified one by one; further ones
/// are recorded and only counted.
pub const ANOMALIES_UNREAD: usize = 1_024;
/// The longest name of a program in an Opened event, in bytes of UTF-8.
pub const PROGRAM_BYTES: usize = 64;
/// The longest name of the person who asserts something, in bytes of UTF-8.
pub const ASSERTED_BY_BYTES: usize = 64;
/// The longest reason for an assertion, in bytes of UTF-8.
pub const ASSERTED_WHY_BYTES: usize = 512;
/// How many payments one entry of a tick, or of the conclusions after recovery, may change.
pub const WORK_PAYMENTS: usize = 1_024;
/// The most live payments that may have one payment hash ([`SameHash::Allow`](crate::SameHash)): one
/// entry ends them all when it is paid.
pub const HASH_PAYMENTS: usize = 256;
/// The longest label of a hand-over, in bytes.
pub const LABEL_BYTES: usize = 64;
/// The most parts in one listing.
pub const LISTED_PARTS: usize = 4_096;
/// The most fields in the tail of a record.
pub const TAIL_FIELDS: usize = 64;
/// The longest field in a tail that is kept although this program does not know it, in bytes.
pub const UNKNOWN_FIELD_BYTES: usize = 4 << 10;
/// The longest name that was paid (BIP 353), in bytes of UTF-8.
pub const PAYEE_NAME_BYTES: usize = 512;
/// The longest note to the payee, in bytes of UTF-8.
pub const PAYER_NOTE_BYTES: usize = 512;
/// The most custom records that a request hands to the payee.
pub const CUSTOM_RECORDS: usize = 64;
/// The longest custom record, in bytes.
pub const CUSTOM_RECORD_BYTES: usize = 1 << 10;
/// The longest name of a tenant, in bytes.
pub const TENANT_BYTES: usize = 64;
/// The longest description of who opens a ledger, in bytes of UTF-8.
pub const HOLDER_BYTES: usize = 128;
/// The longest invoice that is kept as part of a proof of payment, in bytes.
pub const PAID_INVOICE_BYTES: usize = 16 << 10;
/// The longest invoice request that is kept with a part, in bytes: as long as an invoice, which repeats
/// every field of the request that it answers (BOLT 12). LDK's, with three blinded paths of four hops and a
/// long note, take 2.6 KB.
pub const INVOICE_REQUEST_BYTES: usize = PAID_INVOICE_BYTES;
