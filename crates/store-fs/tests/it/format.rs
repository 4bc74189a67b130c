//! The format by another hand: written from docs/FORMAT.md, sharing no code with the store.

/// CRC-32C, bit by bit.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// What a segment's file header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u64,
    pub(crate) last_seq_before: u64,
    pub(crate) chain_before: [u8; 32],
    pub(crate) ledger: [u8; 32],
    pub(crate) previous: u64,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) seq: u32,
    pub(crate) vouched: u32,
    pub(crate) entry: Vec<u8>,
}

/// A file header with its checksum.
pub(crate) fn sealed(magic: [u8; 8], fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..8].copy_from_slice(&magic);
    header[8] = 1;
    for (at, field) in fields {
        header[*at..at + field.len()].copy_from_slice(field);
    }
    let crc = crc32c(&header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(crate) fn segment_header(header: &SegmentHeader) -> Vec<u8> {
    sealed(
        *b"PayonceL",
        &[
            (16, &header.salt.to_le_bytes()),
            (24, &header.last_seq_before.to_le_bytes()),
            (32, &header.chain_before),
            (64, &header.ledger),
            (96, &header.previous.to_le_bytes()),
        ],
    )
}

/// The record of the newest segment: its first seq, and how it was closed, if it was: last seq, chain
/// hash, end of the entries, inode, time of the last change.
pub(crate) fn newest(
    first_seq: u64,
    ledger: &[u8; 32],
    closed: Option<(u64, [u8; 32], [u64; 3])>,
) -> Vec<u8> {
    let (last_seq, chain, [end, inode, changed]) = closed.unwrap_or_default();
    sealed(
        *b"PayonceN",
        &[
            (16, &first_seq.to_le_bytes()),
            (24, &last_seq.to_le_bytes()),
            (32, &chain),
            (64, ledger),
            (96, &end.to_le_bytes()),
            (104, &inode.to_le_bytes()),
            (112, &changed.to_le_bytes()),
        ],
    )
}

pub(crate) fn snapshot(seq: u64, chain: &[u8; 32], ledger: &[u8; 32], state: &[u8]) -> Vec<u8> {
    let mut file = sealed(
        *b"PayonceS",
        &[
            (16, &(state.len() as u64).to_le_bytes()),
            (24, &seq.to_le_bytes()),
            (32, chain),
            (64, ledger),
            (96, &crc32c(state).to_le_bytes()),
        ],
    );
    file.extend(state);
    file
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn masked(body: &[u8], salt: u64, offset: usize, mask: u8) -> Vec<u8> {
    let start = mix(salt ^ ((offset as u64) << 8 | u64::from(mask)));
    let byte = |(at, byte): (usize, &u8)| {
        let step = (at as u64 / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        byte ^ mix(start.wrapping_add(step)).to_le_bytes()[at % 8]
    };
    body.iter().enumerate().map(byte).collect()
}

fn header_crc(salt: u64, offset: usize, fields: &[u8]) -> u32 {
    crc32c(&[&salt.to_le_bytes(), &(offset as u64).to_le_bytes(), fields].concat())
}

/// Where a frame may start at or after `at`.
pub(crate) fn place(at: usize) -> usize {
    if 512 - at % 512 < 20 { at.next_multiple_of(512) } else { at }
}

/// Appends a frame to a segment that ends where its last frame does.
pub(crate) fn push(segment: &mut Vec<u8>, salt: u64, mask: u8, frame: &Frame) {
    segment.resize(place(segment.len()), 0);
    let offset = segment.len();
    let mut body = frame.entry.clone();
    body.resize((20 + body.len()).next_multiple_of(8) - 20, 0);
    let body = masked(&body, salt, offset, mask);
    let len = frame.entry.len() as u32 | u32::from(mask) << 24;
    let mut header = Vec::new();
    for word in [len, frame.seq, frame.vouched, crc32c(&body)] {
        header.extend(word.to_le_bytes());
    }
    let crc = header_crc(salt, offset, &header);
    segment.extend(header);
    segment.extend(crc.to_le_bytes());
    segment.extend(body);
}

/// Reads a segment that is sound: its header, its frames, and the reserved space is zero.
pub(crate) fn read(segment: &[u8]) -> Option<(SegmentHeader, Vec<Frame>)> {
    let word = |at: usize| Some(u32::from_le_bytes(segment.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(segment.get(at..at + 8)?.try_into().ok()?));
    let bytes = |at: usize| segment.get(at..at + 32)?.try_into().ok();
    let header = SegmentHeader {
        salt: long(16)?,
        last_seq_before: long(24)?,
        chain_before: bytes(32)?,
        ledger: bytes(64)?,
        previous: long(96)?,
    };
    if segment_header(&header) != segment[..512] {
        return None;
    }
    let mut frames = Vec::new();
    let mut end = 512;
    loop {
        let at = place(end);
        if segment.get(end..)?.iter().all(|byte| *byte == 0) {
            return Some((header, frames));
        }
        let (len, mask) = ((word(at)? & 0xff_ffff) as usize, word(at)? >> 24);
        let stop = at + (20 + len).next_multiple_of(8);
        let body = masked(segment.get(at + 20..stop)?, header.salt, at, mask as u8);
        let frame =
            Frame { seq: word(at + 4)?, vouched: word(at + 8)?, entry: body[..len].to_vec() };
        // Writing it again gives the same bytes: no field of it is left to chance.
        let mut again = segment[..end].to_vec();
        push(&mut again, header.salt, mask as u8, &frame);
        if again[..] != segment[..stop] {
            return None;
        }
        frames.push(frame);
        end = stop;
    }
}
