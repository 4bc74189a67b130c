//! The suite that every store must pass, on a real server.

use std::time::Duration;

use payonce_core::{LedgerId, StoreError};
use payonce_store_postgres::{Config, PostgresStore};
use payonce_store_testkit::{Harness, Shown, all, cases, run};

use crate::support::{fresh_name, shared};

/// A ledger of its own in the shared server's database.
struct Real {
    config: Config,
    name: String,
}

/// Runs statements there.
fn sql(text: &str) -> String {
    shared("a statement").expect("it runs").sql(text)
}

impl Real {
    fn new() -> Self {
        let config = shared("the suite").expect("it was asked for before").config();
        // A writer that was taken over learns it at its next question.
        let config = config.confirm_within(Duration::ZERO);
        Self { config, name: fresh_name() }
    }

    fn number(&self) -> String {
        format!("(select number from payonce.ledgers where name = '{}')", self.name)
    }

    /// Makes the next statement fail that a trigger sees, once.
    fn fail_once(&self, what: &str, table: &str, event: &str) {
        let sequence = format!("\"{what}-{}\"", self.name);
        sql(&format!(
            "create sequence public.{sequence};
             create function public.{sequence}() returns trigger language plpgsql as $$ begin \
               if NEW.{} = {} and nextval('public.{sequence}') = 1 then \
                 raise exception 'the disk is full'; end if; return NEW; end $$;
             create trigger {sequence} before {event} on payonce.{table} \
               for each row execute function public.{sequence}()",
            if table == "ledgers" { "number" } else { "ledger" },
            sql(&format!("select {}", self.number())),
        ));
    }
}

impl Harness for Real {
    type Store = PostgresStore;

    fn create(&mut self, ledger: LedgerId) -> Result<PostgresStore, StoreError> {
        Ok(PostgresStore::create(self.config.clone(), &self.name, ledger)?)
    }

    fn reopen(&mut self) -> Result<PostgresStore, StoreError> {
        Ok(PostgresStore::open(self.config.clone(), &self.name)?)
    }

    fn fail_next_append(&mut self, _store: &mut PostgresStore) -> bool {
        self.fail_once("append", "entries", "insert");
        true
    }

    fn fail_next_maintenance(&mut self, _store: &mut PostgresStore) -> bool {
        self.fail_once("snapshot", "snapshots", "insert");
        self.fail_once("base", "ledgers", "update of base_seq");
        true
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        let changed = sql(&format!(
            "with changed as (update payonce.entries set bytes = set_byte(bytes, 20, \
             get_byte(bytes, 20) # 16) where ledger = {number} and seq = (select min(seq) from \
             payonce.entries where ledger = {number} and seq >= {first_seq}) returning 1) \
             select count(*) from changed",
            number = self.number()
        ));
        changed == "1"
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        let changed = sql(&format!(
            "with changed as (update payonce.snapshot_chunks set bytes = set_byte(bytes, 200, \
             get_byte(bytes, 200) # 16) where ledger = {} and seq = {at} returning 1) \
             select count(*) from changed",
            self.number()
        ));
        changed == "1"
    }
}

/// One test for all cases: each has a ledger of its own on one server.
#[test]
fn the_suite_holds() {
    if shared("the conformance suite").is_none() {
        return;
    }
    let mut not_shown = Vec::new();
    for case in all::<Real>() {
        match run(Real::new, case, Duration::from_secs(60)) {
            Ok(Shown::Held) => {}
            Ok(shown) => not_shown.push((case.name, shown)),
            Err(breach) => panic!("{breach}"),
        }
    }
    assert_eq!(not_shown, [], "every case has its occasion on a database");
    // What expands to one test a case elsewhere finds the same.
    let first = all::<Real>()[0].name;
    cases::demand(Real::new, first);
}
