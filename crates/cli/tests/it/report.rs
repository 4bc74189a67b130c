//! The report in a real browser. Each number is compared with what `payonce` says elsewhere.

use std::{fs, path::Path, time::Instant};

use serde_json::Value;

use crate::{
    browser::Browser,
    support::{Demo, payonce},
};

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&payonce(arguments).out).expect("JSON")
}

pub(crate) fn report(demo: &Demo) -> String {
    let file = demo.beside("report.html");
    let ran = payonce(&["report", demo.dir(), "-o", &file]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    file
}

/// The counts that the slider moves, those of statuses first.
fn counts() -> Vec<&'static str> {
    let names =
        "awaiting_invoice pending fulfilled abandoned failed remembered unresolved_parts outbox";
    names.split(' ').collect()
}

#[test]
fn the_file_needs_nothing_and_only_its_owner_reads_it() {
    let demo = Demo::of(40);
    let file = report(&demo);
    let page = fs::read_to_string(&file).expect("written");
    for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
        // The name of the SVG namespace is no address that anybody asks.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("unsafe"), "nothing but our own script and style");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = fs::metadata(&file).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = payonce(&["report", demo.dir(), "-o", &file]);
    assert_eq!(again.code, 2, "it is not written over");
    assert_eq!(fs::read_to_string(&file).expect("still there"), page);
}

#[test]
fn a_browser_shows_what_the_program_says() {
    let Some(browser) = Browser::start() else { return };
    let demo = Demo::of(80);
    browser.open(Path::new(&report(&demo)));
    totals(&browser, &demo);
    slider(&browser, &demo);
    hostile(&browser);
    timelines(&browser, &demo);
    keyboard(&browser);
    assert_eq!(browser.console(), Vec::<String>::new(), "the console is empty");
}

/// The numbers on top.
fn totals(browser: &Browser, demo: &Demo) {
    let listed = json(&["list", demo.dir(), "--format", "json"]);
    let listed = listed.as_array().expect("an array");
    let paid: Vec<_> = listed.iter().filter(|row| row["status"] == "fulfilled").collect();
    let failed = listed.iter().filter(|row| row["status"] == "failed").count();
    let sum = |field: &str| {
        let msat: u64 = paid.iter().filter_map(|row| row[field].as_u64()).sum();
        payonce_cli::units::sat_number(payonce::Msat(msat))
    };
    assert_eq!(browser.text("total-payments"), listed.len().to_string());
    assert_eq!(browser.text("total-sent"), sum("amount_msat"));
    assert_eq!(browser.text("total-fees"), sum("fee_msat"));
    let tenths = paid.len() * 1_000 / (paid.len() + failed);
    assert_eq!(browser.text("success"), format!("{}.{} %", tenths / 10, tenths % 10));
    let status = json(&["status", demo.dir(), "--format", "json"]);
    let oldest = status["oldest_unresolved"].as_str().expect("one is stuck");
    assert!(browser.text("oldest").starts_with(&oldest[..8]));
    let verified = json(&["verify", demo.dir(), "--format", "json"]);
    let said = format!("SOUND: {} entries", verified["entries"]);
    assert!(browser.text("verified").starts_with(&said));
    for chart in ["chart-days", "chart-settle", "chart-rate", "chart-attempts"] {
        let script = format!("return document.querySelectorAll('#{chart} svg rect').length");
        assert!(browser.run(&script).as_u64() > Some(0), "{chart}");
    }
}

/// The slider, at the ends, in the middle, and within an entry.
fn slider(browser: &Browser, demo: &Demo) {
    let head = json(&["status", demo.dir(), "--format", "json"])["head_seq"].as_u64().expect("one");
    let within = 6;
    for seq in (0..=head).step_by(97).chain([0, 1, within, within + 1, head]) {
        let at = json(&["at", demo.dir(), "--seq", &seq.to_string(), "--format", "json"]);
        move_to(browser, seq);
        for name in counts() {
            assert_eq!(
                browser.text(&format!("count-{name}")),
                at[name].to_string(),
                "{name} at {seq}"
            );
        }
        // The table tells the same, payment by payment.
        for status in &counts()[..6] {
            let shown = status.replace('_', " ");
            let found = browser.run(&format!(
                "return data.payments.filter((payment) => STATUS[payment.now] === {shown:?} \
                 && payment.now >= 0).length"
            ));
            assert_eq!(found, at[*status], "{status} at {seq}");
        }
    }
    // Each payment by itself, as it was then.
    for seq in [0, 50, head / 3, head / 2, head - 9, head] {
        move_to(browser, seq);
        let seq = seq.to_string();
        let listed = match payonce(&["at", demo.dir(), "--seq", &seq, "--list", "--format", "json"])
        {
            ran if ran.out.trim() == "[]" => Vec::new(),
            ran => serde_json::from_str::<Vec<Value>>(&ran.out).expect("JSON"),
        };
        let mut then: Vec<_> = listed
            .iter()
            .map(|row| {
                let status = row["status"].as_str().expect("a status").replace('_', " ");
                let status = if row["remembered"] == true { "remembered".into() } else { status };
                (row["id"].as_str().expect("an id").to_owned(), status)
            })
            .collect();
        then.sort();
        let shown = browser.run(
            "return data.payments.filter((payment) => payment.now >= 0)\
             .map((payment) => [payment.id, STATUS[payment.now]]).sort()",
        );
        let shown: Vec<(String, String)> = serde_json::from_value(shown).expect("pairs");
        assert_eq!(shown, then, "at {seq}");
    }
    browser.run("document.getElementById('newest').click()");
}

fn move_to(browser: &Browser, seq: u64) {
    browser.run(&format!(
        "const slider = document.getElementById('seq'); slider.value = {seq}; \
         slider.dispatchEvent(new Event('input'))"
    ));
}

/// What users wrote stays text.
fn hostile(browser: &Browser) {
    browser.run("document.getElementById('search').focus()");
    browser.type_keys("<script>");
    let found = browser.text("found");
    assert!(found.starts_with("2 payments"), "two of eighty are hostile: {found}");
    let cell = browser.run("return document.querySelector('#payments td.text').textContent");
    let cell = cell.as_str().expect("a text");
    assert!(cell.starts_with("<script>alert('paid')</script> \"quoted\" "), "{cell}");
    assert!(!cell.contains('\u{202e}'), "a mark of direction is shown by its number");
    let scripts =
        browser.run("return document.querySelectorAll('main script, table script').length");
    assert_eq!(scripts, 0);
    browser.run(
        "const search = document.getElementById('search'); search.value = ''; \
         search.dispatchEvent(new Event('input'))",
    );
}

/// Every payment: search finds it, and its timeline has as many bars as parts, coloured by their ends.
fn timelines(browser: &Browser, demo: &Demo) {
    let listed = json(&["list", demo.dir(), "--format", "json"]);
    for row in listed.as_array().expect("an array") {
        let id = row["id"].as_str().expect("an id");
        browser.run(&format!(
            "const search = document.getElementById('search'); search.value = '{id}'; \
             search.dispatchEvent(new Event('input')); \
             document.querySelector('#payments td button').click()"
        ));
        assert_eq!(browser.text("found"), "1 payments, page 1 of 1");
        let story = json(&["show", demo.dir(), id, "--format", "json"]);
        let bars = browser.run(
            "return [...document.querySelectorAll('#timeline .bar')]\
             .map((bar) => [bar.dataset.part, bar.classList[1]])",
        );
        let parts = story["parts"].as_array().expect("an array").iter();
        let parts: Vec<_> =
            parts.map(|part| serde_json::json!([part["id"], part["status"]])).collect();
        assert_eq!(bars, Value::Array(parts), "{id}");
        let events = browser.run("return document.querySelectorAll('#events li').length");
        assert_eq!(events, story["events"].as_array().expect("an array").len(), "{id}");
        let facts = browser.text("facts");
        let answer = if story["advice"]["retry_allowed"] == true { "YES" } else { "NO" };
        assert!(facts.contains(answer) && facts.contains(id), "{facts}");
    }
}

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const RIGHT: &str = "\u{e014}";
const ESCAPE: &str = "\u{e00c}";

/// Search, open a payment of several parts, walk over its parts and close it, without a mouse.
fn keyboard(browser: &Browser) {
    let id = browser.run("return data.payments.find((payment) => payment.parts.length > 2).id");
    browser
        .run("const search = document.getElementById('search'); search.value = ''; search.focus()");
    browser.type_keys(id.as_str().expect("an id"));
    // Past the status and the order to the payment.
    browser.type_keys(&[TAB, TAB, TAB, ENTER].concat());
    let heading = browser.run("return document.activeElement.id");
    assert_eq!(heading, "detail-heading", "the payment is open, and read out");
    browser.type_keys(TAB);
    let first = browser.run("return document.activeElement.dataset.part");
    browser.type_keys(RIGHT);
    let second = browser.run("return document.activeElement.dataset.part");
    assert!(first.is_string() && second.is_string() && first != second, "{first} {second}");
    assert!(browser.text("about").contains(second.as_str().expect("a part")));
    browser.type_keys(ESCAPE);
    assert_eq!(browser.run("return document.getElementById('detail').hidden"), true);
    assert_eq!(browser.run("return document.activeElement.id"), "search");
}

#[test]
fn ten_thousand_payments_answer_within_a_second() {
    let Some(browser) = Browser::start() else { return };
    let demo = Demo::of(10_000);
    let file = report(&demo);
    let size = fs::metadata(&file).expect("written").len();
    assert!(size < 8 << 20, "a few megabytes: {size}");
    browser.open(Path::new(&file));
    for (what, script) in [
        (
            "search",
            "const search = document.getElementById('search'); search.value = 'coffee'; \
                    search.dispatchEvent(new Event('input'))",
        ),
        (
            "slider",
            "const slider = document.getElementById('seq'); slider.value = 40000; \
                    slider.dispatchEvent(new Event('input'))",
        ),
        (
            "order",
            "const sort = document.getElementById('sort'); sort.value = 'amount'; \
                   sort.dispatchEvent(new Event('change'))",
        ),
        ("payment", "document.querySelector('#payments td button').click()"),
    ] {
        let begun = Instant::now();
        browser.run(&format!("{script}; document.body.offsetHeight"));
        let took = begun.elapsed();
        assert!(took.as_millis() < 1_000, "{what}: {took:?}");
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}
