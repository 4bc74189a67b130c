//! The figures: as JSON, as a table, as Markdown.

use std::{collections::BTreeMap, path::Path};

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::Result;

/// One figure. The JSON file is an array of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was done.
    pub(crate) workload: String,
    /// Who did it; ours is `payonce`.
    pub(crate) subject: String,
    /// The median over the repeats.
    pub(crate) value: f64,
    /// Of what.
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

    /// Compared with `baseline`.
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
        println!("{}\n", table(&figures));
        self.figures.extend(figures);
    }

    /// The figures.
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
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(())
    }

    /// The figure of a subject.
    pub(crate) fn find(&self, workload: &str, subject: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.workload == workload && figure.subject == subject)
    }
}

/// A table of figures, one line for each subject of a workload; what was counted besides
/// (`append-1-p99`, say) stands in columns of the same line.
fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["workload", "subject", "value", "unit", "ratio", "to"]);
    for column in [2, 4] {
        table.column_mut(column).expect("six columns").set_cell_alignment(CellAlignment::Right);
    }
    for figure in figures {
        table.add_row([
            figure.workload.clone(),
            figure.subject.clone(),
            number(figure.value),
            figure.unit.clone(),
            figure.ratio.map(number).unwrap_or_default(),
            figure.baseline.clone().unwrap_or_default(),
        ]);
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

/// The figures by workload, in the order in which the workloads first occur.
pub(crate) fn by_workload(figures: &[Figure]) -> Vec<(&str, Vec<&Figure>)> {
    let mut order = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&Figure>> = BTreeMap::new();
    for figure in figures {
        let group = groups.entry(&figure.workload).or_default();
        if group.is_empty() {
            order.push(&*figure.workload);
        }
        group.push(figure);
    }
    order.into_iter().map(|workload| (workload, groups.remove(workload).unwrap_or_default())).collect()
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
    fn groups_keep_the_order_of_measuring() {
        let figure = |workload| Figure::new(workload, "payonce", 1.0, "");
        let figures = [figure("replay"), figure("append-1"), figure("replay")];
        let groups: Vec<_> = by_workload(&figures)
            .into_iter()
            .map(|(workload, figures)| (workload, figures.len()))
            .collect();
        assert_eq!(groups, [("replay", 2), ("append-1", 1)]);
    }
}
