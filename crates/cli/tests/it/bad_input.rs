//! Bad input: a clear message, the documented exit code, nothing written.

use std::fs;

use crate::support::{Closing, Demo, Program, payonce};

/// Every command that reads DIR, on this one.
fn readers(dir: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["status", dir],
        vec!["list", dir],
        vec!["show", dir, "ab"],
        vec!["log", dir],
        vec!["log", dir, "--raw"],
        vec!["at", dir, "--seq", "3"],
        vec!["diff", dir, "1", "2"],
        vec!["verify", dir],
    ]
}

#[test]
fn what_is_no_ledger_is_told_so() {
    let own = tempfile::tempdir().expect("a directory");
    let empty = own.path().join("empty");
    fs::create_dir(&empty).expect("new");
    let foreign = own.path().join("foreign");
    fs::create_dir(&foreign).expect("new");
    fs::write(foreign.join("wallet.dat"), b"somebody else's").expect("writable");
    let missing = own.path().join("missing");
    for dir in [&empty, &foreign, &missing] {
        for line in readers(dir.to_str().expect("plain")) {
            let ran = payonce(&line);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line:?}: {}", ran.err);
            assert!(ran.err.contains("there is no payonce log in"), "{line:?}: {}", ran.err);
        }
    }
    assert_eq!(fs::read_dir(&empty).expect("still there").count(), 0, "nothing was written");
    let file = own.path().join("a-file");
    fs::write(&file, b"no directory").expect("writable");
    for line in readers(file.to_str().expect("plain")) {
        assert_eq!(payonce(&line).code, 2, "{line:?}");
    }
}

#[test]
fn a_future_version_is_told_so() {
    let demo = Demo::of(10);
    let segment = demo.path.join("00000000000000000001.log");
    let mut bytes = fs::read(&segment).expect("there is one");
    // The header of a version 9, sealed as the format says.
    bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
    bytes[12..16].fill(0);
    let crc = crc32c(&bytes[..512]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, bytes).expect("writable");
    for line in readers(demo.dir()) {
        // What is raw is shown as far as it goes.
        if line.contains(&"--raw") {
            continue;
        }
        let ran = payonce(&line);
        assert_eq!(ran.code, 2, "{line:?}: {}", ran.err);
        assert!(ran.err.contains("format version 9"), "{line:?}: {}", ran.err);
    }
}

/// CRC-32C, bit by bit.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

#[test]
fn points_outside_the_log_and_ambiguous_names_are_refused() {
    let demo = Demo::of(40);
    let dir = demo.dir();
    for (line, code, says) in [
        (vec!["at", dir, "--seq", "99999999"], 2, "beyond the end"),
        (vec!["at", dir, "--time", "1999-01-01"], 2, "before the first entry"),
        (vec!["at", dir], 2, "--seq"),
        (vec!["diff", dir, "5", "99999999"], 2, "beyond the end"),
        (vec!["diff", dir, "9", "5"], 2, "the earlier one first"),
        (vec!["show", dir, "not hex"], 2, "is no id"),
        (vec!["show", dir, &"0".repeat(64)], 1, "no payment, hash or part"),
        (vec!["list", dir, "--stuck", "soon"], 2, "length of time"),
        (vec!["list", dir, "--after", "ffffffffffff"], 2, "is no cursor"),
        (vec!["verify", dir, "--since", "yesterday"], 2, "is no head"),
        (vec!["frobnicate", dir], 2, "unrecognized subcommand"),
        (vec!["demo", dir], 2, "already"),
    ] {
        let ran = payonce(&line);
        assert_eq!(ran.code, code, "{line:?}: {}", ran.err);
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{line:?}: {}{}", ran.err, ran.out);
    }
    // With sixteen first digits for forty payments and more parts, some digit begins several.
    let ambiguous = (0..16).map(|digit| payonce(&["show", dir, &format!("{digit:x}")]));
    let several = ambiguous.filter(|ran| ran.err.contains("fits several payments")).count();
    assert!(several > 0);
}

#[test]
fn an_output_that_is_closed_is_no_error() {
    let demo = Demo::of(40);
    let program = Program { columns: None, colour: false, input: "" };
    for line in readers(demo.dir()) {
        for bytes in [0, 1, 100] {
            let (code, err) = program.run_to(&line, &mut Closing(bytes));
            let quiet = err.is_empty() || line.contains(&"ab");
            assert!(code < 2 && quiet, "{line:?} after {bytes} bytes: {code} {err}");
        }
    }
}

/// The program as a user without rights runs it: root may read everything.
#[cfg(unix)]
#[test]
fn a_directory_without_permission_is_told_so() {
    use std::{
        os::unix::{fs::PermissionsExt, process::CommandExt},
        process::Command,
    };

    let demo = Demo::of(10);
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
    };
    open(demo.path.parent().expect("the test's own"), 0o755);
    // Where everybody may run it.
    let program = demo.beside("payonce");
    fs::copy(env!("CARGO_BIN_EXE_payonce"), &program).expect("room");
    open(program.as_ref(), 0o755);
    open(&demo.path, 0o000);
    let is_root = fs::read_dir(&demo.path).is_ok();
    let out = demo.beside("out");
    let mut lines = readers(demo.dir());
    lines.extend([
        vec!["export", demo.dir(), "-o", &out],
        vec!["backup", demo.dir(), &out],
        vec!["salvage", demo.dir(), &out],
        vec!["report", demo.dir(), "-o", &out],
    ]);
    for line in lines {
        let mut command = Command::new(&program);
        command.args(&line);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let ran = command.output().expect("it runs");
        let err = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{line:?}: {err}");
        assert!(err.contains("run as the user that owns the directory"), "{line:?}: {err}");
        assert!(ran.stdout.is_empty() && !std::path::Path::new(&out).exists(), "{line:?}");
    }
    open(&demo.path, 0o700);
}
