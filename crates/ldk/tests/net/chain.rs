//! A chain that mines what the nodes broadcast, in the order in which they did.

use std::collections::{HashMap, HashSet};

use lightning::bitcoin::{Block, OutPoint, Transaction, Txid};
use lightning::ln::functional_test_utils::create_dummy_block;

/// The blocks after the nodes' common start, and the transactions that wait.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    blocks: Vec<(Block, u32)>,
    waiting: Vec<Transaction>,
    spent: HashSet<OutPoint>,
    mined: HashMap<Txid, Transaction>,
}

impl Chain {
    /// A chain that goes on after these blocks.
    pub(crate) fn after(blocks: &[(Block, u32)]) -> Self {
        let mut chain = Self { blocks: blocks.to_vec(), ..Self::default() };
        for tx in blocks.iter().flat_map(|(block, _)| &block.txdata) {
            chain.note(tx);
        }
        chain
    }

    pub(crate) fn height(&self) -> u32 {
        self.blocks.last().expect("there is a start").1
    }

    pub(crate) fn blocks(&self) -> &[(Block, u32)] {
        &self.blocks
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn broadcast(&mut self, txs: Vec<Transaction>) {
        self.waiting.extend(txs);
    }

    /// Every transaction that was mined on this chain.
    pub(crate) fn mined(&self) -> impl Iterator<Item = &Transaction> {
        self.mined.values()
    }

    /// The next block: what waits and is valid now; a conflict of what is mined is dropped.
    pub(crate) fn mine(&mut self) -> (Block, u32) {
        let height = self.height() + 1;
        let mut txs = Vec::new();
        for tx in std::mem::take(&mut self.waiting) {
            let id = tx.compute_txid();
            if self.mined.contains_key(&id)
                || tx.input.iter().any(|i| self.spent.contains(&i.previous_output))
            {
                continue;
            }
            if is_final(&tx, height) && self.sequences_allow(&tx, height) {
                self.note(&tx);
                txs.push(tx);
            } else {
                self.waiting.push(tx);
            }
        }
        let previous = self.blocks.last().expect("there is a start").0.block_hash();
        let block = create_dummy_block(previous, height, txs);
        self.blocks.push((block.clone(), height));
        (block, height)
    }

    /// Relative timelocks: an input's parent is buried as deep as its sequence asks.
    fn sequences_allow(&self, tx: &Transaction, height: u32) -> bool {
        tx.version.0 < 2
            || tx.input.iter().all(|input| match input.sequence.to_relative_lock_time() {
                Some(lightning::bitcoin::relative::LockTime::Blocks(blocks)) => {
                    let parent = self.height_of(&input.previous_output.txid);
                    parent.is_none_or(|parent| height >= parent + u32::from(blocks.value()))
                }
                _ => true,
            })
    }

    fn height_of(&self, id: &Txid) -> Option<u32> {
        let holds = |block: &Block| block.txdata.iter().any(|tx| tx.compute_txid() == *id);
        self.blocks.iter().rev().find(|(block, _)| holds(block)).map(|(_, height)| *height)
    }

    fn note(&mut self, tx: &Transaction) {
        self.spent.extend(tx.input.iter().map(|input| input.previous_output));
        self.mined.insert(tx.compute_txid(), tx.clone());
    }
}

fn is_final(tx: &Transaction, height: u32) -> bool {
    let locked = tx.is_lock_time_enabled() && tx.lock_time.is_block_height();
    !locked || tx.lock_time.to_consensus_u32() < height
}
