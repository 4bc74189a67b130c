//! The format by another hand: written from docs/FORMAT-store-kv.md, sharing no code with the store.

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

/// A value: a magic, a ledger id, a head, and what follows the header.
pub(crate) fn value(
    magic: [u8; 8],
    version: u32,
    ledger: &[u8; 32],
    (seq, chain): (u64, &[u8; 32]),
    body: &[u8],
) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(magic);
    header.extend(version.to_le_bytes());
    header.extend([0; 4]);
    header.extend(ledger);
    header.extend(seq.to_le_bytes());
    header.extend(chain);
    header.extend((body.len() as u64).to_le_bytes());
    header.extend(crc32c(body).to_le_bytes());
    assert_eq!(header.len(), 100);
    let sum = crc32c(&header);
    header[12..16].copy_from_slice(&sum.to_le_bytes());
    header.extend(body);
    header
}

pub(crate) fn record(ledger: &[u8; 32], vouched: (u64, &[u8; 32])) -> Vec<u8> {
    value(*b"PayonceK", 1, ledger, vouched, &[])
}

pub(crate) fn chunk(ledger: &[u8; 32], before: (u64, &[u8; 32]), entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        body.extend(u32::try_from(entry.len()).expect("small").to_le_bytes());
        body.extend(*entry);
    }
    value(*b"PayonceE", 1, ledger, before, &body)
}

pub(crate) fn snapshot(ledger: &[u8; 32], at: (u64, &[u8; 32]), state: &[u8]) -> Vec<u8> {
    value(*b"PayonceS", 1, ledger, at, state)
}

pub(crate) fn chunk_name(first: u64, last: u64, before: &[u8; 32], after: &[u8; 32]) -> String {
    format!("log-{first:016x}-{last:016x}-{}-{}", hex(&before[..8]), hex(after))
}

pub(crate) fn snapshot_name(at: (u64, &[u8; 32])) -> String {
    format!("snap-{:016x}-{}", at.0, hex(at.1))
}

pub(crate) fn base_name(at: (u64, &[u8; 32])) -> String {
    format!("base-{:016x}-{}", at.0, hex(at.1))
}
