//! What stands in the README and in the manual pages, as somebody follows it.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use clap::CommandFactory;
use payonce_cli::cli::Cli;

use crate::support::{Demo, Program, payonce};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).expect("readable")
}

/// The four commands on its second screen, in order, and what stands below them.
#[test]
fn the_second_screen_of_the_readme_is_what_the_program_says() {
    let readme = readme();
    let (_, rest) = readme.split_once("```console\n").expect("the commands");
    let (commands, rest) = rest.split_once("```\n").expect("their end");
    let commands: Vec<_> =
        commands.lines().map(|line| line.strip_prefix("$ payonce ").expect("a command")).collect();
    let names: Vec<_> = commands.iter().map(|line| line.split(' ').next()).collect();
    assert_eq!(names, [Some("demo"), Some("status"), Some("show"), Some("report")]);
    let own = tempfile::tempdir().expect("a directory");
    let path = |name: &str| own.path().join(name).to_str().expect("plain").to_owned();
    let program = Program { columns: Some(100), colour: false, input: "" };
    let mut said = BTreeMap::new();
    for line in &commands {
        let words = line.split(' ').map(|word| match word {
            "ledger" | "report.html" => path(word),
            word => word.to_owned(),
        });
        let words: Vec<_> = words.collect();
        let ran = program.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        // Anomalies are unread in the demo, which `status` tells.
        let found = u8::from(words[0] == "status");
        assert_eq!(ran.code, found, "{line}: {}", ran.err);
        said.insert(words[0].clone(), ran.out);
    }
    let (_, shown) = rest.split_once("```text\n").expect("a story");
    let (shown, _) = shown.split_once("```\n").expect("its end");
    let told: Vec<_> = said["show"].lines().map(str::trim_end).collect();
    for line in shown.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        assert!(told.contains(&line), "{line:?} is not in\n{}", said["show"]);
    }
    for picture in readme.split("](").filter_map(|text| text.split(')').next()) {
        if picture.starts_with("docs/report/") {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(picture);
            assert!(file.is_file(), "{picture}");
        }
    }
}

/// Every command and every option has its place in the manual pages.
#[test]
fn the_manual_pages_tell_every_option() {
    let own = tempfile::tempdir().expect("a directory");
    let ran = payonce(&["man", own.path().to_str().expect("plain")]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = 0;
    for of in command.get_subcommands() {
        let page = own.path().join(format!("payonce-{}.1", of.get_name()));
        let text = fs::read_to_string(&page).expect("a page a command").replace('\\', "");
        assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{text}");
        for argument in of.get_arguments() {
            let name = argument.get_long().map_or_else(
                || argument.get_id().as_str().to_uppercase(),
                |long| format!("--{long}"),
            );
            assert!(text.contains(&name), "{name} in {}", page.display());
        }
        pages += 1;
    }
    assert_eq!(fs::read_dir(own.path()).expect("there").count(), pages + 1, "and one of the whole");
    assert_eq!(ran.out.lines().count(), pages + 1);
    let whole = fs::read_to_string(own.path().join("payonce.1")).expect("written");
    assert!(whole.contains("payonce"));
    let missing = own.path().join("missing");
    let ran = payonce(&["man", missing.to_str().expect("plain")]);
    assert!(ran.code == 2 && ran.err.contains("cannot write") && !missing.exists(), "{}", ran.err);
}

#[test]
fn completions_name_every_command_in_every_shell() {
    let command = Cli::command();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = payonce(&["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}: {}", ran.err);
        for of in command.get_subcommands() {
            assert!(ran.out.contains(of.get_name()), "{} in {shell}", of.get_name());
        }
    }
    assert_eq!(payonce(&["completions", "dos"]).code, 2);
}

/// As a person at a shell that has loaded them: `payonce st` and the key for completion.
#[test]
fn bash_completes_a_command_and_an_option() {
    let own = tempfile::tempdir().expect("a directory");
    let file = own.path().join("payonce.bash");
    fs::write(&file, payonce(&["completions", "bash"]).out).expect("writable");
    let complete = |words: &str, last: usize, begun: &str, before: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={last}; _payonce payonce '{begun}' {before}; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let ran = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8")
    };
    assert_eq!(complete("payonce st", 1, "st", "payonce"), "status\n");
    let options = complete("payonce list --st", 2, "--st", "list");
    assert_eq!(options.lines().collect::<Vec<_>>(), ["--status", "--stuck"]);
}

#[test]
fn help_of_every_command_fits_a_terminal() {
    for of in Cli::command().get_subcommands() {
        let ran = payonce(&[of.get_name(), "--help"]);
        assert!(ran.code == 0 && ran.out.contains("Usage: payonce"), "{}", of.get_name());
    }
    let demo = Demo::of(40);
    let narrow = Program { columns: Some(40), colour: false, input: "" };
    assert_eq!(narrow.run(&["show", demo.dir(), "8674cf8f"]).code, 0);
}
