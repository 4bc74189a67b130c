//! The README's table: ours and everybody else's, by workload.

use std::fmt::Write as _;

use crate::{
    report::{Figure, Report, number},
    workloads::{FLOOR, OURS, replay::DECODE},
};

/// The workloads that rivals share with us, each a column, and its heading.
const COLUMNS: [(&str, &str); 5] = [
    ("append-1", "1 thread"),
    ("append-16", "16 threads"),
    ("append-64", "64 threads"),
    ("append-async-64", "64 tasks"),
    ("append-batch-512", "512 a call"),
];

/// Both tables, as Markdown.
pub(crate) fn table(report: &Report) -> String {
    let mut text = appends(report);
    text.push('\n');
    text.push_str(&others(report));
    text
}

/// Durable records a second, and in brackets the share of what the floor does.
fn appends(report: &Report) -> String {
    let mut text = String::from("| durable records a second |");
    for (_, heading) in COLUMNS {
        _ = write!(text, " {heading} |");
    }
    text.push_str(" flushes a record, 1 thread |\n|---|");
    text.push_str(&"---:|".repeat(COLUMNS.len() + 1));
    text.push('\n');
    let mut subjects: Vec<&str> = Vec::new();
    for (workload, _) in COLUMNS {
        for figure in report.figures().iter().filter(|figure| figure.workload == workload) {
            if !subjects.contains(&&*figure.subject) {
                subjects.push(&figure.subject);
            }
        }
    }
    for subject in subjects {
        let bold = if subject == OURS { "**" } else { "" };
        _ = write!(text, "| {bold}{}{bold} |", name_of(subject));
        for (workload, _) in COLUMNS {
            match report.find(workload, subject) {
                Some(figure) => _ = write!(text, " {bold}{}{bold} |", append(figure)),
                None => text.push_str(" - |"),
            }
        }
        let flushes = report.find("append-1-flushes", subject);
        let flushes = flushes.map_or_else(|| "not reported".into(), |figure| number(figure.value));
        _ = writeln!(text, " {flushes} |");
    }
    text
}

fn append(figure: &Figure) -> String {
    // One thread's latency is its rate.
    let rate = if figure.unit.starts_with("us") { 1e6 / figure.value } else { figure.value };
    let share = figure.ratio.unwrap_or(f64::NAN);
    if figure.subject == FLOOR { number(rate) } else { format!("{} ({share:.2})", number(rate)) }
}

/// What stands in tables for a subject: the library and how it is used.
fn name_of(subject: &str) -> &str {
    match subject {
        FLOOR => "the disk: `pwrite` + `fdatasync`",
        "payonce-ledger" => "payonce, `Ledger`",
        "sqlite" => "SQLite (rusqlite, WAL, FULL)",
        "lmdb" => "LMDB (heed)",
        "okaywal" => "OkayWAL",
        "cqrs-es" => "cqrs-es on SQLite (FULL)",
        "filesystem-store" => "LDK's FilesystemStore",
        other => other,
    }
}

/// The rest: one line for each workload.
fn others(report: &Report) -> String {
    let mut text = String::from("| | payonce | compared with |\n|---|---:|---|\n");
    let mut line = |what: &str, workload: &str, rest: String| {
        if let Some(figure) = report.find(workload, OURS) {
            let value = format!("{} {}", number(figure.value), figure.unit);
            _ = writeln!(text, "| {what} | {value} | {rest} |");
        }
    };
    for (what, workload) in [
        ("replay a log of finished payments", "replay"),
        ("the same for an audit: whole chain verified", "replay-chain"),
        ("replay a log whose payments all stay pending", "replay-pending"),
    ] {
        line(what, workload, replayed(report, workload));
    }
    line("open from a snapshot, 100,000 pending", "open-snapshot", {
        let ratio = report.find("open-snapshot", OURS).and_then(|figure| figure.ratio);
        format!("{:.2} of the speed with a tenth of the history", ratio.unwrap_or(f64::NAN))
    });
    line("a durable step, 100,000 pending", "step-pending", steps(report));
    line("p99 of a durable step while snapshots are kept", "append-beside-snapshot-p99", {
        let alone = report.find("append-beside-snapshot-p99", "payonce, no snapshot");
        alone.map_or_else(String::new, |alone| format!("without: {} us", number(alone.value)))
    });
    for (what, workload) in [
        (
            "longest wait of a durable step while the log is verified",
            "append-beside-verify-longest",
        ),
        ("the same while history is dropped", "append-beside-drop-longest"),
    ] {
        line(what, workload, {
            let alone = report.find(workload, "payonce, nothing beside");
            alone.map_or_else(String::new, |alone| format!("without: {} us", number(alone.value)))
        });
    }
    line("log of one payment, Pay to forgotten", "bytes", "LND: about 2,200 bytes".into());
    line("memory of a pending payment", "memory", String::new());
    text
}

fn replayed(report: &Report, workload: &str) -> String {
    let ours = report.find(workload, OURS);
    let share = ours.and_then(|figure| figure.ratio).unwrap_or(f64::NAN);
    let mut text = format!("{share:.2} of reading and decoding alone");
    if let (Some(ours), Some(theirs)) = (ours, report.find(workload, "cqrs-es")) {
        _ = write!(text, "; cqrs-es on SQLite: {} events/s", number(theirs.value));
        _ = write!(text, " ({:.0} x)", ours.value / theirs.value);
    }
    debug_assert!(report.find(workload, DECODE).is_some() || ours.is_none());
    text
}

fn steps(report: &Report) -> String {
    let others = report.figures().iter().filter(|figure| {
        figure.workload == "step-pending" && figure.subject.starts_with("filesystem-store")
    });
    let texts: Vec<_> = others
        .map(|figure| {
            let blob = figure.subject.rsplit(", ").next().unwrap_or_default();
            let times = figure.ratio.map_or(f64::NAN, |ratio| 1.0 / ratio);
            format!("FilesystemStore, {blob}: {} us ({times:.1} x)", number(figure.value))
        })
        .collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_a_line_and_what_was_not_measured_a_dash() {
        let mut report = Report::default();
        report.add(vec![
            Figure::new("append-1", FLOOR, 200.0, "us, p50").against(FLOOR, 1.0),
            Figure::new("append-1-flushes", FLOOR, 1.0, "flushes/record"),
            Figure::new("append-1", OURS, 210.0, "us, p50").against(FLOOR, 0.952),
            Figure::new("append-64", OURS, 120_000.0, "records/s").against(FLOOR, 0.4),
            Figure::new("replay", DECODE, 4e6, "events/s").against(DECODE, 1.0),
            Figure::new("replay", OURS, 2e6, "events/s").against(DECODE, 0.5),
            Figure::new("replay", "cqrs-es", 5e4, "events/s").against(DECODE, 0.0125),
        ]);
        let wanted = "\
| durable records a second | 1 thread | 16 threads | 64 threads | 64 tasks | 512 a call | flushes a record, 1 thread |
|---|---:|---:|---:|---:|---:|---:|
| the disk: `pwrite` + `fdatasync` | 5000 | - | - | - | - | 1.00 |
| **payonce** | **4762 (0.95)** | - | **120,000 (0.40)** | - | - | not reported |

| | payonce | compared with |
|---|---:|---|
| replay a log of finished payments | 2,000,000 events/s | 0.50 of reading and decoding alone; cqrs-es on SQLite: 50,000 events/s (40 x) |
";
        assert_eq!(table(&report), wanted);
    }
}
