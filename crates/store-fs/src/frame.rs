//! A frame: one entry in a segment file (docs/FORMAT.md, "Frames").
//!
//! A frame starts and ends on a multiple of 8 bytes, and its header lies within one sector. So a
//! write that a crash tore leaves, of each frame, the header whole or not at all, and at least one
//! sector's share of the body all zero: the space was zero before, and a written share never is. A
//! write that came back short leaves the last 8 bytes of a frame zero, and all that follows.

use crate::error::Damage;

/// The size of a sector, in bytes: what the medium writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;
/// The size of a frame's header, in bytes.
pub(crate) const HEADER_BYTES: usize = 20;
/// Frames start and end at multiples of this, in bytes.
const ALIGN_BYTES: usize = 8;

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The length of the entry in bytes.
    pub(crate) len: usize,
    /// The entry's first seq, counted from the segment's first seq, which is 1.
    pub(crate) seq: u32,
    /// The seq up to which the writer knew the log durable, counted the same way; below `seq`.
    pub(crate) vouched: u32,
    /// The number of the mask on the body; never 0.
    mask: u8,
    body_crc: u32,
}

impl Header {
    /// The length of the whole frame.
    pub(crate) const fn frame_bytes(&self) -> usize {
        frame_bytes(self.len)
    }

    fn write(&self, into: &mut [u8], salt: u64, offset: u64) {
        let len = u32::try_from(self.len).expect("an entry has at most a mebibyte");
        into[0..4].copy_from_slice(&(len | u32::from(self.mask) << 24).to_le_bytes());
        into[4..8].copy_from_slice(&self.seq.to_le_bytes());
        into[8..12].copy_from_slice(&self.vouched.to_le_bytes());
        into[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = header_crc(&into[..16], salt, offset);
        into[16..20].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header at `offset` of its file; `None` if its checksum or what it says is wrong.
    fn read(bytes: &[u8], salt: u64, offset: u64) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let header = Self {
            len: (word(0) & 0x00ff_ffff) as usize,
            seq: word(4),
            vouched: word(8),
            mask: bytes[3],
            body_crc: word(12),
        };
        let sound = word(16) == header_crc(&bytes[..16], salt, offset)
            && header.mask != 0
            && header.len <= payonce_core::limits::ENTRY_BYTES
            && header.vouched < header.seq;
        sound.then_some(header)
    }
}

/// What is at a place where a frame could start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A frame whose header and body pass their checksums.
    Frame(Header),
    /// Nothing was written: a blank header, or the end of the file.
    Blank,
    /// A frame of which only some sectors were written, or only the beginning, or that the end of the
    /// file cuts.
    Torn,
    /// Bytes that no torn write leaves.
    Damaged(Damage),
}

/// Where the next frame starts when the last one ended at `end`: there, or at the next sector if a
/// header would cross into it.
pub(crate) const fn place(end: usize) -> usize {
    let left = SECTOR_BYTES - end % SECTOR_BYTES;
    if left < HEADER_BYTES { end + left } else { end }
}

const fn frame_bytes(len: usize) -> usize {
    (HEADER_BYTES + len).next_multiple_of(ALIGN_BYTES)
}

/// The most bytes that a frame of an entry of `len` bytes takes, the gap before it included.
pub(crate) const fn most_bytes(len: usize) -> usize {
    frame_bytes(len) + HEADER_BYTES
}

/// Appends the frame of `entry` to `buffer`, which will stand at `start` of the file and so far
/// ends where the frame before ends.
pub(crate) fn write(
    buffer: &mut Vec<u8>,
    start: usize,
    entry: &[u8],
    salt: u64,
    seq: u32,
    vouched: u32,
) {
    let offset = place(start + buffer.len());
    let begin = offset - start;
    buffer.resize(begin + HEADER_BYTES, 0);
    buffer.extend_from_slice(entry);
    buffer.resize(begin + frame_bytes(entry.len()), 0);
    let frame = &mut buffer[begin..];
    for mask in 1..=u8::MAX {
        apply_mask(&mut frame[HEADER_BYTES..], salt, offset as u64, mask);
        let body_crc = crc32c::crc32c(&frame[HEADER_BYTES..]);
        let header = Header { len: entry.len(), seq, vouched, mask, body_crc };
        header.write(frame, salt, offset as u64);
        if shares(frame, offset).chain([&frame[frame.len() - ALIGN_BYTES..]]).all(is_marked) {
            return;
        }
        apply_mask(&mut frame[HEADER_BYTES..], salt, offset as u64, mask);
    }
    unreachable!("255 unrelated masks cannot all hide one sector of the same entry");
}

/// Reads what is at `at`, a place given by [`place`].
pub(crate) fn read(file: &[u8], at: usize, salt: u64) -> Found {
    let rest = file.get(at..).unwrap_or_default();
    let Some(bytes) = rest.get(..HEADER_BYTES) else {
        return if is_blank(rest) { Found::Blank } else { Found::Torn };
    };
    if is_blank(bytes) {
        return Found::Blank;
    }
    let Some(header) = Header::read(bytes, salt, at as u64) else {
        // A write that came back short may have ended inside; then nothing follows, not even the
        // header's checksum.
        let is_cut = is_blank(&rest[HEADER_BYTES - 4..]);
        return if is_cut { Found::Torn } else { Found::Damaged(Damage::FrameHeader) };
    };
    let Some(frame) = rest.get(..header.frame_bytes()) else {
        return Found::Torn;
    };
    if crc32c::crc32c(&frame[HEADER_BYTES..]) == header.body_crc {
        Found::Frame(header)
    } else if shares(frame, at).any(is_blank) || is_blank(&rest[frame.len() - ALIGN_BYTES..]) {
        Found::Torn
    } else {
        Found::Damaged(Damage::Body)
    }
}

/// Takes the mask off the body of the sound frame at `at` and returns the entry.
pub(crate) fn unmask<'a>(file: &'a mut [u8], at: usize, header: &Header, salt: u64) -> &'a [u8] {
    let body = &mut file[at + HEADER_BYTES..][..header.len];
    apply_mask(body, salt, at as u64, header.mask);
    body
}

/// Whether some header after `at` shows that its writer knew the log durable up to `seq` or beyond.
/// A header alone is enough: it lies in one sector, so it is as it was written.
pub(crate) fn vouched_after(file: &[u8], at: usize, salt: u64, seq: u32) -> bool {
    let last = file.len().saturating_sub(HEADER_BYTES);
    (at + ALIGN_BYTES..=last).step_by(ALIGN_BYTES).any(|at| {
        let bytes = &file[at..at + HEADER_BYTES];
        place(at) == at
            && !is_blank(bytes)
            && Header::read(bytes, salt, at as u64).is_some_and(|header| header.vouched >= seq)
    })
}

/// The next place after `at` where a frame with a sound header starts: for reading on after a damage. A
/// header is bound to its file and its place, so only what was written as a header passes.
pub(crate) fn next_header(file: &[u8], at: usize, salt: u64) -> Option<usize> {
    let last = file.len().checked_sub(HEADER_BYTES)?;
    (at + ALIGN_BYTES..=last).step_by(ALIGN_BYTES).find(|at| {
        let bytes = &file[*at..*at + HEADER_BYTES];
        place(*at) == *at && !is_blank(bytes) && Header::read(bytes, salt, *at as u64).is_some()
    })
}

/// Whether all bytes are zero.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether no change of a single byte could make it blank.
fn is_marked(bytes: &[u8]) -> bool {
    bytes.iter().filter(|byte| **byte != 0).nth(1).is_some()
}

/// The parts of a frame at `offset` that lie in one sector each.
fn shares(frame: &[u8], offset: usize) -> impl Iterator<Item = &[u8]> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(frame.len());
    let (head, rest) = frame.split_at(first);
    std::iter::once(head).chain(rest.chunks(SECTOR_BYTES))
}

/// A header is bound to its file by the salt and to its place by the offset.
fn header_crc(fields: &[u8], salt: u64, offset: u64) -> u32 {
    let mut covered = [0; 32];
    covered[..8].copy_from_slice(&salt.to_le_bytes());
    covered[8..16].copy_from_slice(&offset.to_le_bytes());
    covered[16..].copy_from_slice(fields);
    crc32c::crc32c(&covered)
}

/// Puts a mask on, or takes it off: exclusive or with a sequence of 64-bit words that the salt, the
/// frame's offset and the mask's number choose.
fn apply_mask(body: &mut [u8], salt: u64, offset: u64, mask: u8) {
    let mut state = mix(salt ^ (offset << 8 | u64::from(mask)));
    let mut next = || {
        state = state.wrapping_add(STEP);
        mix(state)
    };
    let mut words = body.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64::from_le_bytes((&*word).try_into().expect("8 bytes")) ^ next();
        word.copy_from_slice(&masked.to_le_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(next().to_le_bytes()) {
        *byte ^= key;
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: a bijection that spreads every bit.
const fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x0123_4567_89ab_cdef;

    fn framed(start: usize, entry: &[u8]) -> (Vec<u8>, usize) {
        let mut file = vec![0; start];
        let mut buffer = Vec::new();
        write(&mut buffer, start, entry, SALT, 3, 2);
        file.extend(buffer);
        (file, place(start))
    }

    #[test]
    fn frames_read_back_at_every_place_and_length() {
        for start in (512..1024).step_by(8) {
            for len in [0, 1, 3, 4, 60, 500, 1024] {
                let entry: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let (mut file, at) = framed(start, &entry);
                assert_eq!(file.len() % ALIGN_BYTES, 0);
                assert!(at % SECTOR_BYTES + HEADER_BYTES <= SECTOR_BYTES, "within one sector");
                let Found::Frame(header) = read(&file, at, SALT) else { panic!("sound") };
                assert_eq!((header.seq, header.vouched), (3, 2));
                assert_eq!(unmask(&mut file, at, &header, SALT), entry);
            }
        }
    }

    #[test]
    fn a_kilobyte_of_zeros_leaves_no_sector_blank() {
        for start in (512..1024).step_by(8) {
            let (file, at) = framed(start, &[0; 1024]);
            assert!(shares(&file[at..], at).all(is_marked));
            assert!(is_marked(&file[file.len() - 8..]));
        }
    }

    #[test]
    fn an_entry_equal_to_its_mask_gets_another() {
        let mut entry = vec![0; 1024];
        apply_mask(&mut entry, SALT, 512, 1);
        let (file, at) = framed(512, &entry);
        assert_eq!(file[at + 3], 2, "the second mask");
        assert!(shares(&file[at..], at).all(is_marked));
    }

    #[test]
    fn any_one_byte_changed_is_damage_and_never_torn() {
        let (file, at) = framed(960, &[0; 100]);
        for byte in at..file.len() {
            for change in [0x01, 0x80, file[byte]] {
                let mut changed = file.clone();
                changed[byte] ^= change;
                let found = read(&changed, at, SALT);
                assert!(matches!(found, Found::Damaged(_)) || change == 0, "{byte}: {found:?}");
            }
        }
    }

    #[test]
    fn any_sectors_missing_are_torn_or_blank() {
        let (file, at) = framed(968, &[7; 1200]);
        for missing in 1_u32..8 {
            let mut image = file.clone();
            for sector in (0..4).filter(|sector| missing >> sector & 1 == 1) {
                let begin = (512 + sector * 512).max(at);
                let end = (1024 + sector * 512).min(image.len());
                image[begin..end].fill(0);
            }
            let found = read(&image, at, SALT);
            assert!(matches!(found, Found::Torn | Found::Blank), "{missing:b}: {found:?}");
        }
    }

    #[test]
    fn cut_by_a_short_write_it_is_torn() {
        let (file, at) = framed(968, &[7; 1200]);
        for end in (at + 8..file.len()).step_by(8) {
            let mut image = file.clone();
            image[end..].fill(0);
            image.extend([0; 512]);
            assert_eq!(read(&image, at, SALT), Found::Torn, "up to {end}");
        }
    }

    #[test]
    fn a_frame_elsewhere_or_of_another_file_is_damage() {
        let (file, at) = framed(512, b"entry");
        assert_eq!(read(&file, at, SALT + 1), Found::Damaged(Damage::FrameHeader));
        let mut moved = vec![0; 8];
        moved.extend(&file);
        assert_eq!(read(&moved, at + 8, SALT), Found::Damaged(Damage::FrameHeader));
    }
}
