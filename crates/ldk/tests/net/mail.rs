//! Messages between nodes, one at a time.

use lightning::ln::msgs::{
    BaseMessageHandler as _, ChannelMessageHandler as _, ErrorAction, MessageSendEvent,
    OnionMessageHandler as _,
};

use super::node::{Net, Node};

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: MessageSendEvent,
}

impl Net {
    /// Takes what the nodes want to send into the mail, in order for each pair.
    pub(crate) fn collect_mail(&mut self) {
        for from in 0..self.nodes.len() {
            for message in self.nodes[from].node.get_and_clear_pending_msg_events() {
                let Some(to) = addressee(&message).and_then(|id| self.index_of(id)) else {
                    continue;
                };
                if self.is_connected(from, to) {
                    self.mail.push_back(Letter { from, to, message });
                }
            }
        }
    }

    /// Delivers the oldest message; whether there was one.
    pub(crate) fn deliver(&mut self) -> Option<Letter> {
        self.collect_mail();
        let letter = self.mail.pop_front()?;
        self.hand_over(&letter);
        Some(letter)
    }

    /// Delivers one onion message; to whom.
    pub(crate) fn deliver_onion_message(&mut self) -> Option<usize> {
        self.deliver_onion_message_times(1)
    }

    /// Takes one onion message and delivers it so often: lost on its way, or doubled.
    pub(crate) fn deliver_onion_message_times(&mut self, times: usize) -> Option<usize> {
        let count = self.nodes.len();
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            if !self.is_connected(from, to) {
                continue;
            }
            let (from_id, to_id) = (self.id(from), self.id(to));
            if let Some(message) =
                self.nodes[from].onion_messenger.next_onion_message_for_peer(to_id)
            {
                for _ in 0..times {
                    self.nodes[to].onion_messenger.handle_onion_message(from_id, &message);
                }
                self.settle(to);
                return Some(to);
            }
        }
        None
    }

    fn hand_over(&mut self, letter: &Letter) {
        let from = self.id(letter.from);
        let node = &self.nodes[letter.to];
        let handler = node.node;
        match &letter.message {
            MessageSendEvent::UpdateHTLCs { updates, .. } => {
                for add in &updates.update_add_htlcs {
                    handler.handle_update_add_htlc(from, add);
                }
                for fulfill in &updates.update_fulfill_htlcs {
                    handler.handle_update_fulfill_htlc(from, fulfill.clone());
                }
                for fail in &updates.update_fail_htlcs {
                    handler.handle_update_fail_htlc(from, fail);
                }
                for fail in &updates.update_fail_malformed_htlcs {
                    handler.handle_update_fail_malformed_htlc(from, fail);
                }
                if let Some(fee) = &updates.update_fee {
                    handler.handle_update_fee(from, fee);
                }
                handler.handle_commitment_signed_batch_test(from, &updates.commitment_signed);
            }
            MessageSendEvent::SendRevokeAndACK { msg, .. } => {
                handler.handle_revoke_and_ack(from, msg);
            }
            MessageSendEvent::SendChannelReestablish { msg, .. } => {
                handler.handle_channel_reestablish(from, msg);
            }
            MessageSendEvent::SendChannelReady { msg, .. } => {
                handler.handle_channel_ready(from, msg);
            }
            MessageSendEvent::SendAnnouncementSignatures { msg, .. } => {
                handler.handle_announcement_signatures(from, msg);
            }
            MessageSendEvent::SendChannelUpdate { msg, .. } => {
                handler.handle_channel_update(from, msg);
            }
            MessageSendEvent::SendShutdown { msg, .. } => handler.handle_shutdown(from, msg),
            MessageSendEvent::SendClosingSigned { msg, .. } => {
                handler.handle_closing_signed(from, msg);
            }
            MessageSendEvent::HandleError { action, .. } => self.hand_over_error(letter, action),
            // Peer storage is a backup that no test reads.
            MessageSendEvent::SendPeerStorage { .. }
            | MessageSendEvent::SendPeerStorageRetrieval { .. } => {}
            other => panic!("no test sends this: {other:?}"),
        }
        self.settle(letter.to);
    }

    fn hand_over_error(&self, letter: &Letter, action: &ErrorAction) {
        let handler = self.nodes[letter.to].node;
        match action {
            ErrorAction::SendErrorMessage { msg }
            | ErrorAction::DisconnectPeer { msg: Some(msg) } => {
                handler.handle_error(self.id(letter.from), msg);
            }
            _ => {}
        }
    }

    /// Forgets what is on its way from or to a node.
    pub(crate) fn drop_mail_of(&mut self, node: usize) {
        self.mail.retain(|letter| letter.from != node && letter.to != node);
    }
}

fn addressee(message: &MessageSendEvent) -> Option<lightning::bitcoin::secp256k1::PublicKey> {
    use MessageSendEvent as M;
    match message {
        M::UpdateHTLCs { node_id, .. }
        | M::SendRevokeAndACK { node_id, .. }
        | M::SendChannelReestablish { node_id, .. }
        | M::SendChannelReady { node_id, .. }
        | M::SendAnnouncementSignatures { node_id, .. }
        | M::SendChannelUpdate { node_id, .. }
        | M::SendShutdown { node_id, .. }
        | M::SendClosingSigned { node_id, .. }
        | M::SendPeerStorage { node_id, .. }
        | M::SendPeerStorageRetrieval { node_id, .. }
        | M::HandleError { node_id, .. } => Some(*node_id),
        M::BroadcastChannelAnnouncement { .. }
        | M::BroadcastChannelUpdate { .. }
        | M::BroadcastNodeAnnouncement { .. } => None,
        other => panic!("no test sends this: {other:?}"),
    }
}

/// What a node's own bookkeeping of writes costs is dropped: the tests have the archive.
pub(super) fn forget_added_monitors(node: &Node) {
    node.chain_monitor.added_monitors.lock().expect("no test panics with it").clear();
    node.chain_monitor.monitor_updates.lock().expect("no test panics with it").clear();
}
