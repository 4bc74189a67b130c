//! The program on a terminal of its own, which `script` gives it.

use std::process::{Command, Stdio};

use crate::support::{Demo, skipped};

/// What a terminal got of `payonce ARGUMENTS`, standard error with `errors`; `None` if there is no `script`.
fn on_terminal(arguments: &str, errors: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_payonce");
    let line = format!("stty rows 24 cols 80; '{program}' {arguments} {errors}");
    let ran =
        Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
    let Ok(ran) = ran else {
        let required = std::env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "script (Debian's bsdutils) gives the program a terminal");
        skipped("what is shown on a terminal needs `script`");
        return None;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    Some(String::from_utf8(ran.stdout).expect("UTF-8"))
}

/// A log of some length: how far it was read is drawn, in front of the result, and taken away again.
#[test]
fn progress_is_drawn_on_a_terminal_alone() {
    let demo = Demo::of(3_000);
    let verify = format!("verify '{}'", demo.dir());
    let Some(drawn) = on_terminal(&verify, "") else { return };
    let (progress, result) = drawn.split_once("SOUND").expect("a sound log");
    assert!(progress.contains("% ") && progress.contains(" events, "), "{progress:?}");
    assert!(
        progress.ends_with("\u{1b}[2K") || progress.ends_with('\r'),
        "taken away: {progress:?}"
    );
    assert!(!result.contains(" events, "), "{result:?}");
    let apart = on_terminal(&verify, "2>/dev/null").expect("there is a terminal");
    assert!(apart.starts_with("SOUND"), "standard output has the result alone: {apart:?}");
}
