//! A global allocator that counts what is live while it is asked to.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

/// The system's allocator, counting.
#[derive(Debug)]
pub(crate) struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK_BYTES: AtomicI64 = AtomicI64::new(0);

fn note(grown: usize, shrunk: usize) {
    // The other workloads pay for one load of a flag that never changes meanwhile.
    if IS_COUNTING.load(Ordering::Relaxed) {
        let change = grown.cast_signed() - shrunk.cast_signed();
        let before = LIVE_BYTES.fetch_add(change as i64, Ordering::Relaxed);
        PEAK_BYTES.fetch_max(before + change as i64, Ordering::Relaxed);
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator's interface is unsafe; every call is passed on as it is"
)]
// SAFETY: every method passes its arguments on to the system's allocator and returns what it says.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Counts from now on; what lives is counted from zero. One at a time.
#[derive(Debug)]
pub(crate) struct Count(());

impl Count {
    pub(crate) fn begin() -> Self {
        LIVE_BYTES.store(0, Ordering::Relaxed);
        PEAK_BYTES.store(0, Ordering::Relaxed);
        let was_counting = IS_COUNTING.swap(true, Ordering::Relaxed);
        assert!(!was_counting, "one count at a time");
        Self(())
    }

    /// How many more bytes are live than when the present count began.
    pub(crate) fn live_bytes() -> i64 {
        LIVE_BYTES.load(Ordering::Relaxed)
    }

    /// The most bytes that were live at once since the peak was forgotten.
    pub(crate) fn peak_bytes() -> i64 {
        PEAK_BYTES.load(Ordering::Relaxed)
    }

    /// Begins a new peak at what is live now.
    pub(crate) fn forget_peak() {
        PEAK_BYTES.store(Self::live_bytes(), Ordering::Relaxed);
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        IS_COUNTING.store(false, Ordering::Relaxed);
    }
}
