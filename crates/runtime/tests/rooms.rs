//! The crate's rooms stand on floors, and nothing leads up or in a circle.

#[path = "../../core/tests/common/house.rs"]
mod house;

/// From the ground up.
const FLOORS: [&str; 5] = ["base", "open", "commit", "handle", "watch"];

#[test]
fn nothing_leads_up() {
    house::nothing_leads_up(&FLOORS, 28, 60);
}

#[test]
fn nothing_leads_back() {
    house::nothing_leads_back();
}
