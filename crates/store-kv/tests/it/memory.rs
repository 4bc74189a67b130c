//! A key-value store in memory that fails as told, and says what a crash at any point leaves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use lightning::{
    io::{Error, ErrorKind},
    util::persist::KVStoreSync,
};

/// What is in the namespace of the log: keys and values.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing of it took effect.
    Before,
    /// It took effect.
    After,
    /// Who reads sees what was written until there is a crash, which unmakes it. A removal stays.
    NotDurable,
    /// It takes effect when [`MemoryKv::land`] says so, against what the store must promise.
    Late,
}

pub(crate) struct MemoryKv {
    namespace: (&'static str, &'static str),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is read.
    visible: Image,
    /// What a crash leaves after each change.
    durable: Vec<Image>,
    operations: usize,
    plan: Option<(usize, Fault)>,
    late: Option<(String, Option<Vec<u8>>)>,
}

impl MemoryKv {
    /// With these keys in the default namespace.
    pub(crate) fn new(image: &Image) -> Arc<Self> {
        let state =
            State { visible: image.clone(), durable: vec![image.clone()], ..State::default() };
        Arc::new(Self { namespace: ("payonce", ""), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics under the lock")
    }

    /// What a crash now leaves.
    pub(crate) fn image(&self) -> Image {
        self.state().durable.last().expect("the first is given").clone()
    }

    /// What a crash leaves that comes after the first, the second, … change.
    pub(crate) fn crash_images(&self) -> Vec<Image> {
        self.state().durable.clone()
    }

    /// How many changes there were.
    pub(crate) fn changes(&self) -> usize {
        self.state().durable.len() - 1
    }

    /// How many calls there were.
    pub(crate) fn operations(&self) -> usize {
        self.state().operations
    }

    /// Tells the `nth` call from now to fail; 1 is the next.
    pub(crate) fn fail_nth(&self, nth: usize, fault: Fault) {
        let mut state = self.state();
        state.plan = Some((state.operations + nth, fault));
    }

    /// Lets the late write take effect.
    pub(crate) fn land(&self) {
        let mut state = self.state();
        let (key, value) = state.late.take().expect("one is late");
        state.change(&key, value.as_deref(), true);
    }

    fn enter(&self, primary: &str, secondary: &str) -> (MutexGuard<'_, State>, Option<Fault>) {
        assert_eq!((primary, secondary), self.namespace, "its own namespace alone");
        let mut state = self.state();
        state.operations += 1;
        let planned = state.plan.filter(|(nth, _)| *nth == state.operations);
        (state, planned.map(|(_, fault)| fault))
    }

    fn change(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let (mut state, fault) = self.enter(primary, secondary);
        match fault {
            None | Some(Fault::After) => state.change(key, value.as_deref(), true),
            Some(Fault::NotDurable) => state.change(key, value.as_deref(), value.is_none()),
            Some(Fault::Before) => {}
            Some(Fault::Late) => state.late = Some((key.into(), value)),
        }
        answer(fault)
    }
}

impl State {
    fn change(&mut self, key: &str, value: Option<&[u8]>, is_durable: bool) {
        let set = |image: &mut Image| match value {
            Some(value) => image.insert(key.into(), value.into()),
            None => image.remove(key),
        };
        set(&mut self.visible);
        let mut durable = self.durable.last().expect("the first is given").clone();
        if is_durable {
            set(&mut durable);
        }
        self.durable.push(durable);
    }
}

fn answer(fault: Option<Fault>) -> Result<(), Error> {
    fault.map_or(Ok(()), |_| Err(ErrorKind::Other.into()))
}

impl KVStoreSync for MemoryKv {
    fn read(&self, primary: &str, secondary: &str, key: &str) -> Result<Vec<u8>, Error> {
        let (state, fault) = self.enter(primary, secondary);
        answer(fault)?;
        state.visible.get(key).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        self.change(primary, secondary, key, Some(value))
    }

    fn remove(&self, primary: &str, secondary: &str, key: &str, lazy: bool) -> Result<(), Error> {
        assert!(!lazy, "a lazy removal of {key} may come back");
        self.change(primary, secondary, key, None)
    }

    /// In another order each time.
    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, Error> {
        let (state, fault) = self.enter(primary, secondary);
        answer(fault)?;
        let mut names: Vec<_> = state.visible.keys().rev().cloned().collect();
        let count = names.len().max(1);
        names.rotate_left(state.operations * 7 % count);
        Ok(names)
    }
}
