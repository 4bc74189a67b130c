//! The crate's rooms stand on floors, and nothing leads up or in a circle.

#[path = "common/house.rs"]
mod house;

/// From the ground up.
const FLOORS: [&str; 7] = ["base", "event", "log", "payment", "state", "decide", "ledger"];

#[test]
fn nothing_leads_up() {
    house::nothing_leads_up(&FLOORS, 50, 200);
}

#[test]
fn nothing_leads_back() {
    house::nothing_leads_back();
}
