//! A reader of store-fs's segment files that folds nothing and chains nothing: the least that
//! reading a log takes, and the baseline of the replays. Written from docs/FORMAT.md.

use std::{fs::File, io::Read, path::Path};

use payonce_core::decode_events;

use crate::Result;

const SECTOR_BYTES: usize = 512;
const HEADER_BYTES: usize = 20;

/// What a log holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Its events, those of dropped history not counted.
    pub(crate) events: u64,
    /// The frames that hold them.
    pub(crate) entries: u64,
    /// Bytes, file headers, frames and gaps included, reserved space not.
    pub(crate) bytes: u64,
}

/// Reads every segment in this directory, checks each frame's CRC-32C and decodes each entry.
///
/// # Errors
/// If a file cannot be read, or a frame or an entry is damaged.
pub(crate) fn decode_all(directory: &Path) -> Result<Contents> {
    let mut names = Vec::new();
    for item in std::fs::read_dir(directory)? {
        let path = item?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            names.push(path);
        }
    }
    names.sort();
    let mut contents = Contents::default();
    let mut bytes = Vec::new();
    for name in names {
        let mut file = File::open(&name)?;
        let size = usize::try_from(file.metadata()?.len())?;
        // Kept from the last file: only what the file is longer by must be cleared.
        bytes.resize(size, 0);
        file.read_exact(&mut bytes)?;
        decode_segment(&mut bytes, &mut contents)
            .map_err(|error| format!("{}: {error}", name.display()))?;
    }
    Ok(contents)
}

fn decode_segment(bytes: &mut [u8], contents: &mut Contents) -> Result<()> {
    let salt = u64::from_le_bytes(bytes.get(16..24).ok_or("no header")?.try_into()?);
    let mut end = SECTOR_BYTES;
    loop {
        let left = SECTOR_BYTES - end % SECTOR_BYTES;
        let at = if left < HEADER_BYTES { end + left } else { end };
        let Some(header) = bytes.get(at..at + HEADER_BYTES) else { break };
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let len = (word(0) & 0x00ff_ffff) as usize;
        let (mask, body_crc) = (word(0) >> 24, word(12));
        let crc = crc32c::crc32c(&salt.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &(at as u64).to_le_bytes());
        if crc32c::crc32c_append(crc, &header[..16]) != word(16) {
            return Err(format!("the frame header at {at} is damaged").into());
        }
        end = at + (HEADER_BYTES + len).next_multiple_of(8);
        let body = bytes.get_mut(at + HEADER_BYTES..end).ok_or("a frame is cut")?;
        if crc32c::crc32c(body) != body_crc {
            return Err(format!("the frame at {at} is damaged").into());
        }
        unmask(&mut body[..len], mix(salt ^ ((at as u64) << 8 | u64::from(mask))));
        let header = decode_events(&body[..len], |_, event| drop(std::hint::black_box(event)))?;
        contents.events += u64::from(header.events);
        contents.entries += 1;
    }
    contents.bytes += end as u64;
    Ok(())
}

fn unmask(body: &mut [u8], mut state: u64) {
    for word in body.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mask = mix(state).to_le_bytes();
        if let Ok(whole) = <&mut [u8; 8]>::try_from(&mut *word) {
            *whole = (u64::from_le_bytes(*whole) ^ u64::from_le_bytes(mask)).to_le_bytes();
        } else {
            word.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::history::History;

    #[test]
    fn it_reads_what_the_store_wrote() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("log");
        let mut history = History::begin(&directory).expect("created");
        history.live_until(3_000).expect("lived");
        let contents = decode_all(&directory).expect("sound");
        assert_eq!(contents.events, history.ledger.head().seq);
        assert!(contents.entries < contents.events, "some entries hold several events");

        let segment = std::fs::read_dir(&directory)
            .expect("listed")
            .map(|item| item.expect("listed").path())
            .find(|path| path.extension().is_some_and(|extension| extension == "log"))
            .expect("a segment");
        let mut bytes = std::fs::read(&segment).expect("read");
        bytes[600] ^= 1;
        std::fs::write(&segment, bytes).expect("written");
        let damaged = decode_all(&directory).expect_err("one byte changed").to_string();
        assert!(damaged.contains("damaged"), "{damaged}");
    }
}
