//! The figures: as JSON, as a table, as Markdown.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::Result;

/// One figure. The JSON file is an array of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was done, by the name under which it is chosen.
    pub(crate) workload: String,
    /// Who did it; ours is `payonce`.
    pub(crate) subject: String,
    /// The median over the repeats.
    pub(crate) value: f64,
    /// What `value` counts: `records/s`, `us`.
    pub(crate) unit: String,
    /// The subject that `ratio` compares with.
    pub(crate) baseline: Option<String>,
    /// The subject in terms of the baseline, measured next to it; the median over the repeats. Above
    /// 1 is better than the baseline, except where the unit says otherwise (docs/BENCHMARKS.md).
    pub(crate) ratio: Option<f64>,
}

impl Figure {
    /// A figure that is compared with nothing.
    pub(crate) fn new(workload: &str, subject: &str, value: f64, unit: &str) -> Self {
        Self {
            workload: workload.into(),
            subject: subject.into(),
            value,
            unit: unit.into(),
            baseline: None,
            ratio: None,
        }
    }

    pub(crate) fn against(mut self, baseline: &str, ratio: f64) -> Self {
        self.baseline = Some(baseline.into());
        self.ratio = Some(ratio);
        self
    }
}

/// Everything that was measured, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds figures, and prints them as a table of their own.
    pub(crate) fn add(&mut self, figures: Vec<Figure>) {
        if !figures.is_empty() {
            println!("{}\n", table(&figures));
        }
        self.figures.extend(figures);
    }

    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// Reads what an earlier run wrote.
    ///
    /// # Errors
    /// If the file cannot be read or is no array of figures.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let figures = serde_json::from_str(&text)
            .map_err(|error| format!("{} holds no figures: {error}", path.display()))?;
        Ok(Self { figures })
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// If the file cannot be written, or a figure is no number.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(wrong) = self.figures.iter().find(|figure| !figure.value.is_finite()) {
            return Err(format!("{} of {} is no number", wrong.workload, wrong.subject).into());
        }
        let text = serde_json::to_string_pretty(&self.figures)?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(())
    }

    /// The figure of a subject.
    pub(crate) fn find(&self, workload: &str, subject: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.workload == workload && figure.subject == subject)
    }
}

/// What is counted besides a workload's value: the end of the figure's workload, and a heading.
const BESIDES: [(&str, &str); 11] = [
    ("-p50", "p50 us"),
    ("-p99", "p99 us"),
    ("-longest", "longest us"),
    ("-memory", "memory MB"),
    ("-flushes", "flushes/record"),
    ("-device-bytes", "device bytes/record"),
    ("-wal", "WAL bytes/record"),
    ("-table", "table bytes/record"),
    ("-server", "server us/record"),
    ("-connections", "connections"),
    ("-connection-bytes", "bytes/connection"),
];

/// A table of one workload's figures, one line for each subject.
fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let Some(workload) = figures.first().map(|figure| &*figure.workload) else { return table };
    let beside = |subject: &str, end: &str| {
        let is_it = |figure: &&Figure| {
            figure.subject == subject && figure.workload.strip_prefix(workload) == Some(end)
        };
        figures.iter().find(is_it)
    };
    let counted = |end: &str| figures.iter().any(|one| one.workload.ends_with(end));
    let besides: Vec<_> = BESIDES.into_iter().filter(|(end, _)| counted(end)).collect();
    let headings = [workload, "value", "unit", "ratio", "to"].into_iter();
    table.set_header(headings.chain(besides.iter().map(|(_, heading)| *heading)));
    for figure in figures.iter().filter(|figure| figure.workload == workload) {
        let mut row = vec![
            figure.subject.clone(),
            number(figure.value),
            figure.unit.clone(),
            figure.ratio.map(number).unwrap_or_default(),
            figure.baseline.clone().unwrap_or_default(),
        ];
        let values = besides.iter().map(|(end, _)| beside(&figure.subject, end));
        row.extend(
            values.map(|beside| beside.map_or_else(|| "-".into(), |figure| number(figure.value))),
        );
        table.add_row(row);
    }
    for (nth, column) in table.column_iter_mut().enumerate() {
        if ![0, 2, 4].contains(&nth) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Three significant digits, or whole numbers.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => thousands(value.round()),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size > 0.0 => format!("{value:.4}"),
        _ => "0".into(),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_an_array_of_six_fields_and_reads_back() {
        let mut report = Report::default();
        report.add(vec![
            Figure::new("append-16", "payonce", 12_345.0, "records/s").against("floor", 0.64),
            Figure::new("memory", "payonce", 360.0, "bytes"),
        ]);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("figures.json");
        report.write(&path).expect("written");

        let text = std::fs::read_to_string(&path).expect("read");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let wanted = serde_json::json!([
            {"workload": "append-16", "subject": "payonce", "value": 12345.0, "unit": "records/s",
             "baseline": "floor", "ratio": 0.64},
            {"workload": "memory", "subject": "payonce", "value": 360.0, "unit": "bytes",
             "baseline": null, "ratio": null},
        ]);
        assert_eq!(json, wanted);
        assert_eq!(Report::read(&path).expect("read back").figures, report.figures);
    }

    #[test]
    fn what_is_no_number_is_not_written() {
        let report = Report { figures: vec![Figure::new("bytes", "payonce", f64::NAN, "bytes")] };
        let directory = tempfile::tempdir().expect("a directory");
        let refused = report.write(&directory.path().join("figures.json")).expect_err("NaN");
        assert_eq!(refused.to_string(), "bytes of payonce is no number");
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<_> =
            [0.012_345, 0.5, 12.34, 123.4, 1_234_567.8].into_iter().map(number).collect();
        assert_eq!(shown, ["0.0123", "0.50", "12.3", "123", "1,234,568"]);
    }

    #[test]
    fn the_table_has_a_line_for_each_subject() {
        let figures = [
            Figure::new("append-1", "floor", 200.0, "us, p50").against("floor", 1.0),
            Figure::new("append-1-p99", "floor", 300.0, "us"),
            Figure::new("append-1", "payonce", 210.0, "us, p50").against("floor", 0.952),
        ];
        let wanted = "\
| append-1 | value | unit    | ratio | to    | p99 us |
|----------|-------|---------|-------|-------|--------|
| floor    |   200 | us, p50 |  1.00 | floor |    300 |
| payonce  |   210 | us, p50 |  0.95 | floor |      - |";
        assert_eq!(table(&figures).to_string(), wanted);
    }
}
