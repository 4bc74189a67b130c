//! The pictures of the README, made anew by `.ci/pictures`: the report in the browser, and terminals as SVG,
//! which stay small and sharp.

use std::{fmt::Write, fs, path::Path};

use crate::{
    browser::Browser,
    report::report,
    support::{Demo, Program},
};

const COLUMNS: u16 = 112;
const LINE: usize = 18;
/// The width of a character at 13 pixels.
const CHARACTER: f64 = 7.8;

/// The colour of a code that the program writes.
fn colour(code: &str) -> &'static str {
    match code {
        "31;1" => "#ff7b72",
        "32" | "32;1" => "#56d364",
        "33;1" => "#e3b341",
        _ => "#d7dde4",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line as runs of one colour each.
fn runs(line: &str) -> String {
    let mut text = String::new();
    for (nth, run) in line.split('\u{1b}').enumerate() {
        let (code, run) = match run.strip_prefix('[').filter(|_| nth > 0) {
            Some(run) => run.split_once('m').expect("a whole code"),
            None => ("0", run),
        };
        if !run.is_empty() {
            let (fill, run) = (colour(code), escaped(run));
            write!(text, "<tspan fill=\"{fill}\">{run}</tspan>").expect("memory");
        }
    }
    text
}

/// A line as a terminal breaks it; one with colours is short.
fn broken(line: &str) -> Vec<String> {
    let characters: Vec<_> = line.chars().collect();
    if line.contains('\u{1b}') || characters.is_empty() {
        return vec![line.to_owned()];
    }
    characters.chunks(usize::from(COLUMNS)).map(|some| some.iter().collect()).collect()
}

/// What a terminal shows: the command, and what the program wrote.
fn terminal(command: &str, said: &str) -> String {
    let prompt = format!("\u{1b}[32;1m$\u{1b}[0m {command}");
    let lines: Vec<_> =
        std::iter::once(prompt.as_str()).chain(said.lines()).flat_map(broken).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let width = (f64::from(COLUMNS) * CHARACTER) as usize + 32;
    let height = lines.len() * LINE + 32;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#10151b\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\" \
         xml:space=\"preserve\">\n",
        escaped(command)
    );
    for (nth, line) in lines.iter().enumerate() {
        let y = (nth + 1) * LINE + 12;
        let text = runs(line);
        writeln!(svg, "<text x=\"16\" y=\"{y}\" style=\"white-space:pre\">{text}</text>")
            .expect("memory");
    }
    svg + "</g></svg>\n"
}

#[test]
fn a_terminal_is_drawn_as_it_is_read() {
    let svg = terminal("payonce status", "a \u{1b}[31;1mred & <bold>\u{1b}[0m end");
    assert!(svg.contains("<tspan fill=\"#ff7b72\">red &amp; &lt;bold&gt;</tspan>"), "{svg}");
    assert!(svg.contains("> end</tspan>") && !svg.contains('\u{1b}'), "{svg}");
    let long = terminal("payonce show", &"x".repeat(250));
    assert_eq!(long.matches("<text ").count(), 4, "the command and three lines: {long}");
}

/// Made anew where `PAYONCE_PICTURES` names a directory for them.
#[test]
fn pictures_of_the_readme() {
    let Some(directory) = std::env::var_os("PAYONCE_PICTURES") else { return };
    let file = |name: &str| Path::new(&directory).join(name);
    let demo = Demo::of(500);
    let program = Program { columns: Some(COLUMNS), colour: true, input: "" };
    for (name, shown, line) in [
        ("status.svg", "payonce status ledger", vec!["status", demo.dir()]),
        ("show.svg", "payonce show ledger 9338c5c5", vec!["show", demo.dir(), "9338c5c5"]),
        (
            "list.svg",
            "payonce list ledger --stuck 10m --sort age --limit 6",
            vec!["list", demo.dir(), "--stuck", "10m", "--sort", "age", "--limit", "6"],
        ),
    ] {
        let ran = program.run(&line);
        assert!(ran.code < 2, "{}", ran.err);
        fs::write(file(name), terminal(shown, &ran.out)).expect("writable");
    }
    let Some(browser) = Browser::start() else { return };
    browser.open(Path::new(&report(&demo)));
    browser.picture(&file("report.png"));
    browser.run(
        "detail(data.payments.find((payment) => payment.parts.length > 3 && payment.attempts > 1)); \
         document.querySelector('#timeline .bar').focus()",
    );
    browser.picture(&file("report-payment.png"));
}
