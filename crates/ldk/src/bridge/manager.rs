//! The manager, read so that its failures can be believed.

use lightning::util::ser::Writeable;

use crate::bridge::line::ReadAt;

/// Reads a `ChannelManager` twice, the second time from what the first reading made of it, and gives
/// the second, with where on the chain it is. Use it in place of a single reading, before blocks are
/// connected and before the monitors are handed to the chain monitor; `read` calls LDK's own,
/// `<(BlockHash, ChannelManager<..>)>::read`, with all monitors; `bytes` is what LDK wrote.
///
/// A manager that is older than a channel's monitor is no rare thing: LDK writes it last. On reading
/// it LDK closes the channel, and fails what the *old* manager still held in the channel's holding
/// cell, without asking the monitor, which may have that very HTLC committed (lightning 0.2.7): its
/// PaymentFailed is false, and the payment forgotten. Read again, the channel is closed, and LDK
/// rebuilds its payments from the monitors. Then a payment of which an HTLC is out is tracked, whatever
/// its PaymentFailed says, and what is not tracked is not out.
///
/// # Errors
/// That of `read`, of whichever reading.
pub fn read_manager<M: Writeable, E>(
    bytes: &[u8],
    mut read: impl FnMut(&mut &[u8]) -> Result<(ReadAt, M), E>,
) -> Result<(ReadAt, M), E> {
    // LDK writes a manager without the hash that it reads in front of it, since it holds it.
    let (_, closed) = read(&mut &bytes[..])?;
    read(&mut &closed.encode()[..])
}
