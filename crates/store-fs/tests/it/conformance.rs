//! The suite that every store must pass, on the real disk and on the model disk.

use payonce_core::{LedgerId, StoreError};
use payonce_store_fs::{
    FsError, FsStore, RecoveryReport,
    model::{Fault, ModelDisk},
};
use payonce_store_testkit::{Harness, Hook};

use crate::support::{self, SMALL};

fn store<D: payonce_store_fs::Disk>(
    outcome: Result<(FsStore<D>, RecoveryReport), FsError>,
) -> Result<FsStore<D>, StoreError> {
    Ok(outcome?.0)
}

/// A directory of the file system; a process dies by being forgotten about.
struct Real(tempfile::TempDir);

impl Real {
    fn new() -> Self {
        Self(support::directory())
    }
}

impl Harness for Real {
    type Store = FsStore;
    const LEFT_OUT: &'static [Hook] =
        &[Hook::FailNextAppend, Hook::FailNextMaintenance, Hook::DamageEntry, Hook::DamageSnapshot];

    fn create(&mut self, ledger: LedgerId) -> Result<FsStore, StoreError> {
        store(FsStore::create(self.0.path().join("log"), ledger, SMALL))
    }

    fn reopen(&mut self) -> Result<FsStore, StoreError> {
        store(FsStore::open(self.0.path().join("log"), SMALL))
    }
}

/// A model disk; a process dies together with the machine, and nothing that was not synced is left.
struct Model(ModelDisk);

impl Model {
    /// Changes one byte of a file while no handle is open.
    fn damage(&mut self, name: &str, offset: usize) {
        let mut image = self.0.image();
        image.get_mut(name).expect("it is there")[offset] ^= 0x10;
        self.0 = ModelDisk::from_image(&image);
    }
}

impl Harness for Model {
    type Store = FsStore<ModelDisk>;

    fn create(&mut self, ledger: LedgerId) -> Result<Self::Store, StoreError> {
        store(FsStore::create_on(self.0.clone(), ledger, SMALL))
    }

    fn reopen(&mut self) -> Result<Self::Store, StoreError> {
        store(FsStore::open_on(self.0.clone(), SMALL))
    }

    fn kill(&mut self, store: Self::Store) {
        drop(store);
        let left = self.0.crash_images(self.0.changes(), 1);
        self.0 = ModelDisk::from_image(&left[0]);
    }

    fn fail_next_append(&mut self, _store: &mut Self::Store) -> bool {
        self.0.fail_nth(1, Fault::ShortThenFull);
        true
    }

    fn fail_next_maintenance(&mut self, _store: &mut Self::Store) -> bool {
        // The listing comes first, then the file that is written or checked.
        self.0.fail_nth(3, Fault::Error(std::io::ErrorKind::StorageFull));
        true
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        let (name, at) = support::find_frame(&self.0.image(), first_seq);
        self.damage(&name, at + 24);
        true
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        let image = self.0.image();
        let names = [".snap", ".base"].map(|ending| format!("{at:020}{ending}"));
        let name = names.iter().find(|name| image.contains_key(*name)).expect("it is there");
        self.damage(name, 600);
        true
    }
}

mod real {
    payonce_store_testkit::conformance!(super::Real::new());
}

mod model {
    use payonce_store_fs::model::ModelDisk;

    payonce_store_testkit::conformance!(super::Model(ModelDisk::default()));
}

#[test]
fn the_model_shows_every_case_but_those_of_stores_that_can_be_taken_over() {
    use payonce_store_testkit::{Shown, all, run};

    let limit = std::time::Duration::from_secs(60);
    let not_shown: Vec<_> = all::<Model>()
        .into_iter()
        .filter(|case| run(|| Model(ModelDisk::default()), *case, limit) != Ok(Shown::Held))
        .map(|case| case.name)
        .collect();
    assert_eq!(
        not_shown,
        [
            "a_fenced_off_writer_is_refused_everything",
            "what_a_fenced_off_writer_tries_leaves_no_trace"
        ]
    );
}
