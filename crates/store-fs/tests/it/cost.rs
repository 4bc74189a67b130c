//! What an append costs: operations and bytes.

use payonce_core::{EventSource, EventStore};
use payonce_store_fs::{FsStore, Options, model::ModelDisk};

use crate::support;

/// And two looks, which ask no disk: whether the segment is still whole, and still ours.
#[test]
fn an_append_is_one_write_and_one_sync_however_many_entries() {
    let disk = ModelDisk::default();
    let options =
        Options { segment_bytes: 1 << 20, preallocate_bytes: 1 << 20, ..Options::DEFAULT };
    let created = FsStore::create_on(disk.clone(), support::ledger(), options);
    let mut store = created.expect("empty").0;
    let mut head = store.head().expect("sound");
    for sizes in [&[1_u8; 1][..], &[1; 2], &[3; 100], &[1; 1]] {
        let batch = support::batch(head, sizes);
        let (operations, changes) = (disk.operations(), disk.changes());
        store.append(&batch).expect("sound");
        assert_eq!((disk.operations() - operations, disk.changes() - changes), (4, 2));
        head = batch[batch.len() - 1].after();
    }
}

#[test]
fn eight_entries_of_ninety_bytes_take_less_than_a_thousand() {
    let disk = ModelDisk::default();
    let options =
        Options { segment_bytes: 1 << 20, preallocate_bytes: 1 << 20, ..Options::DEFAULT };
    let created = FsStore::create_on(disk.clone(), support::ledger(), options);
    let mut store = created.expect("empty").0;
    let mut head = store.head().expect("sound");
    let payments = 100;
    let mut entry_bytes = 0;
    for nth in 0..payments * 8 {
        // 48 or 122 bytes, and the odd one between.
        let batch = support::batch(head, &[[1, 3, 2, 2, 3, 2, 1, 3][nth % 8]]);
        entry_bytes += batch[0].bytes().len();
        store.append(&batch).expect("sound");
        head = batch[0].after();
    }
    let segment = &disk.image()[&support::segments(&disk.image())[0]];
    let used = segment.iter().rposition(|byte| *byte != 0).expect("written") + 1 - 512;
    let overhead = (used - entry_bytes) / (payments * 8);
    assert!(used / payments < 1_000, "{} bytes a payment", used / payments);
    assert!(overhead <= 25, "{overhead} bytes an entry");
}
