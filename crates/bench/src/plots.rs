//! The plots of docs/bench, drawn from the figures alone.

use std::path::Path;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    Result,
    report::{Report, number},
    workloads::{FLOOR, OURS},
};

const GROUND: RGBColor = RGBColor(0x75, 0x75, 0x75);
const OUR_COLOUR: RGBColor = RGBColor(0xd9, 0x5f, 0x02);
const RIVAL_COLOUR: RGBColor = RGBColor(0x4a, 0x7f, 0xb0);
const FONT: &str = "sans-serif";

/// What one chart shows, a bar a subject.
struct Bars<'a> {
    file: &'a str,
    title: &'a str,
    unit: &'a str,
    /// Name and value, from the top.
    rows: Vec<(String, f64)>,
}

/// Draws every plot whose figures are there; returns the files' names.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn draw(report: &Report, directory: &Path) -> Result<Vec<String>> {
    std::fs::create_dir_all(directory)?;
    let mut drawn = Vec::new();
    for bars in all(report) {
        if !bars.rows.is_empty() {
            draw_bars(&bars, &directory.join(bars.file))
                .map_err(|error| format!("{}: {error}", bars.file))?;
            drawn.push(bars.file.into());
        }
    }
    Ok(drawn)
}

fn all(report: &Report) -> Vec<Bars<'_>> {
    vec![
        Bars {
            file: "append-1.svg",
            title: "One durable record at a time: median latency",
            unit: "microseconds, less is better",
            rows: of(report, &["append-1"]),
        },
        Bars {
            file: "append-16.svg",
            title: "Durable records from 16 threads",
            unit: "records a second, more is better",
            rows: of(report, &["append-16"]),
        },
        Bars {
            file: "append-64.svg",
            title: "Durable records from 64 threads",
            unit: "records a second, more is better",
            rows: of(report, &["append-64"]),
        },
        Bars {
            file: "append-batch-512.svg",
            title: "512 records a call, one durable commit each call",
            unit: "records a second, more is better",
            rows: of(report, &["append-batch-512"]),
        },
        Bars {
            file: "replay.svg",
            title: "Replay of a whole log",
            unit: "events a second, more is better",
            rows: of(report, &["replay", "replay-chain", "replay-pending"]),
        },
        Bars {
            file: "step-pending.svg",
            title: "One durable step while many payments are pending: median latency",
            unit: "microseconds, less is better",
            rows: of(report, &["step-pending"]),
        },
    ]
}

/// The values of these workloads; with several, each bar is named after its workload too.
fn of(report: &Report, workloads: &[&str]) -> Vec<(String, f64)> {
    let chosen = workloads.iter().flat_map(|workload| {
        report.figures().iter().filter(move |figure| figure.workload == *workload)
    });
    chosen
        .map(|figure| match workloads.len() {
            1 => (figure.subject.clone(), figure.value),
            _ => (format!("{}: {}", figure.workload, figure.subject), figure.value),
        })
        .collect()
}

fn draw_bars(chart: &Bars<'_>, file: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (left, row, width) = (230, 30, 860);
    let count = i32::try_from(chart.rows.len())?;
    let size = (u32::try_from(width)?, u32::try_from(80 + count * row)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| (FONT, size).into_font().color(&BLACK);
    area.draw(&Text::new(chart.title, (16, 12), text(18)))?;
    area.draw(&Text::new(chart.unit, (16, 36), (FONT, 13).into_font().color(&GROUND)))?;
    let most = chart.rows.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let longest = f64::from(width - left - 110);
    for (nth, (name, value)) in (0..).zip(&chart.rows) {
        let top = 62 + nth * row;
        #[expect(clippy::cast_possible_truncation, reason = "at most the width of the picture")]
        let right = left + (value / most * longest).round().max(1.0) as i32;
        let colour = match name.rsplit(": ").next() {
            Some(subject) if subject.starts_with(OURS) => OUR_COLOUR,
            Some(FLOOR | crate::workloads::replay::DECODE) => GROUND,
            _ => RIVAL_COLOUR,
        };
        area.draw(&Rectangle::new([(left, top), (right, top + row - 9)], colour.filled()))?;
        let middle = top + (row - 9) / 2;
        let name_style = text(14).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(&**name, (left - 8, middle), name_style))?;
        let value_style = text(14).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(number(*value), (right + 6, middle), value_style))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Figure;

    #[test]
    fn what_was_measured_is_drawn_and_nothing_else() {
        let mut report = Report::default();
        report.add(vec![
            Figure::new("append-64", FLOOR, 400_000.0, "records/s"),
            Figure::new("append-64", OURS, 150_000.0, "records/s"),
            Figure::new("append-64", "sqlite", 3_100.0, "records/s"),
        ]);
        let directory = tempfile::tempdir().expect("a directory");
        let drawn = draw(&report, &directory.path().join("bench")).expect("drawn");
        assert_eq!(drawn, ["append-64.svg"]);
        let svg = std::fs::read_to_string(directory.path().join("bench/append-64.svg"));
        let svg = svg.expect("written");
        for text in ["floor", "payonce", "sqlite", "400,000", "150,000", "3100"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
