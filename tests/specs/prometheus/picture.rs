//! A picture of the dashboard, drawn from its own queries over the time of a scenario. Nothing of Grafana takes part.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::server::Prometheus;

/// A column and a row of the grid, in pixels.
const COLUMN: f64 = 50.0;
const ROW: f64 = 26.0;
/// The room around a panel, and within it for the title, the numbers at the left, and a line of the legend.
const GAP: f64 = 6.0;
const TITLE: f64 = 24.0;
const NUMBERS: f64 = 58.0;
const LEGEND: f64 = 14.0;
/// A line is not drawn across more than this, in seconds.
const MAX_STEP: f64 = 1.0;
/// The most entries of a legend.
const SHOWN: usize = 4;

const COLOURS: [&str; 8] =
    ["#3b7dd8", "#e07b00", "#2e9d50", "#c0392b", "#8e5bc0", "#12908e", "#b8860b", "#d6478b"];

/// A line: what the legend calls it, and its points as seconds and values.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn peak(&self) -> f64 {
        self.points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Draws every panel, from `start` to `end` in seconds since 1970.
pub(super) async fn draw(
    dashboard: &Value,
    prometheus: &Prometheus,
    (start, end): (f64, f64),
) -> Result<String> {
    let panels = at(dashboard, "/panels").as_array().context("no panels")?;
    let bottom = panels.iter().map(|panel| place(panel).1 + place(panel).3).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN, bottom + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f5\"/>\n"
    );
    for panel in panels {
        let title = at(panel, "/title").as_str().unwrap_or_default();
        let (x, y, w, h) = place(panel);
        if at(panel, "/type") == "row" {
            text(&mut svg, (x + GAP, y + ROW * 0.7), "font-weight=\"bold\" fill=\"#333\"", title)?;
            continue;
        }
        let mut lines = Vec::new();
        for target in at(panel, "/targets").as_array().into_iter().flatten() {
            lines.extend(asked(prometheus, target, (start, end)).await?);
        }
        // Of many, the legend names those that come highest.
        lines.sort_by(|one, other| other.peak().total_cmp(&one.peak()));
        ensure!(lines.iter().any(|line| !line.points.is_empty()), "{title}: nothing to draw");
        writeln!(
            svg,
            "<rect x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"3\" fill=\"#fff\" stroke=\"#d8d9da\"/>",
            x + GAP / 2.0,
            y + GAP / 2.0,
            w - GAP,
            h - GAP
        )?;
        text(
            &mut svg,
            (x + 2.0 * GAP, y + GAP + 12.0),
            "font-weight=\"bold\" fill=\"#444\"",
            title,
        )?;
        let defaults = at(panel, "/fieldConfig/defaults");
        if at(panel, "/type") == "stat" {
            stat(&mut svg, defaults, &lines, (x, y, w, h))?;
        } else {
            series(&mut svg, defaults, &lines, ((x, y, w, h), (start, end)))?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// What is there in a document; null if nothing is.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// Left, top, width and height.
fn place(panel: &Value) -> (f64, f64, f64, f64) {
    let cells = |key| at(panel, key).as_f64().unwrap_or_default();
    let (x, y) = (cells("/gridPos/x"), cells("/gridPos/y"));
    let (w, h) = (cells("/gridPos/w"), cells("/gridPos/h"));
    (x * COLUMN, y * ROW, w * COLUMN, h * ROW)
}

/// The query of a panel, for all daemons.
pub(super) fn expression(target: &Value) -> Result<String> {
    let expression = at(target, "/expr").as_str().context("no expression")?;
    Ok(expression.replace("$instance", ".*").replace("$__rate_interval", "10s"))
}

async fn asked(
    prometheus: &Prometheus,
    target: &Value,
    time: (f64, f64),
) -> Result<impl Iterator<Item = Line>> {
    let found = prometheus.over(&expression(target)?, time).await?;
    let legend = at(target, "/legendFormat").as_str().unwrap_or_default().to_owned();
    Ok(found.into_iter().map(move |series| {
        let mut name = legend.clone();
        for (label, value) in at(&series, "/metric").as_object().into_iter().flatten() {
            name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
        }
        let points = at(&series, "/values").as_array().into_iter().flatten();
        let points = points.filter_map(|point| {
            let value: f64 = point.get(1)?.as_str()?.parse().ok()?;
            Some((point.get(0)?.as_f64()?, value)).filter(|_| value.is_finite())
        });
        Line { name, points: points.collect() }
    }))
}

/// The last value, on the colour that the dashboard gives it.
fn stat(
    svg: &mut String,
    defaults: &Value,
    lines: &[Line],
    (x, y, w, h): (f64, f64, f64, f64),
) -> Result<()> {
    let value = lines.first().and_then(|line| line.points.last()).context("no value")?.1;
    let mapped = at(defaults, &format!("/mappings/0/options/{value}"));
    let steps = at(defaults, "/thresholds/steps").as_array();
    let mut reached = steps
        .into_iter()
        .flatten()
        .filter(|step| at(step, "/value").as_f64().is_none_or(|from| value >= from));
    let colour =
        at(mapped, "/color").as_str().or_else(|| at(reached.next_back()?, "/color").as_str());
    let fill = match colour {
        Some("green") => "#2e9d50",
        Some("orange") => "#e07b00",
        Some("red") => "#c0392b",
        Some(_) | None => "#666",
    };
    let unit = at(defaults, "/unit").as_str().unwrap_or_default();
    let shown = at(mapped, "/text").as_str().map_or_else(|| written(value, unit), str::to_owned);
    writeln!(
        svg,
        "<rect x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"3\" fill=\"{fill}\"/>",
        x + 2.0 * GAP,
        y + TITLE + GAP,
        w - 4.0 * GAP,
        h - TITLE - 3.0 * GAP
    )?;
    let style = "text-anchor=\"middle\" font-size=\"26\" fill=\"#fff\"";
    text(svg, (x + w / 2.0, y + TITLE + (h - TITLE) / 2.0 + 8.0), style, &shown)
}

/// Lines over the time, with a legend below.
fn series(
    svg: &mut String,
    defaults: &Value,
    lines: &[Line],
    ((x, y, w, h), (start, end)): ((f64, f64, f64, f64), (f64, f64)),
) -> Result<()> {
    let unit = at(defaults, "/unit").as_str().unwrap_or_default();
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let lowest = values().fold(f64::INFINITY, f64::min).min(0.0);
    let highest = values().fold(lowest, f64::max);
    let highest = if highest > lowest { highest } else { lowest + 1.0 };
    let entries = lines.len().min(SHOWN + 1);
    let legend = LEGEND * f64::from(u32::try_from(entries.div_ceil(2))?) + GAP;
    let (left, top) = (x + NUMBERS, y + TITLE + GAP);
    let (wide, high) = (w - NUMBERS - 2.0 * GAP, h - TITLE - 2.0 * GAP - legend);
    for part in [0.0, 0.5, 1.0] {
        let at = top + high * (1.0 - part);
        writeln!(
            svg,
            "<path d=\"M{left:.0} {at:.1}h{wide:.0}\" stroke=\"#e4e5e6\" fill=\"none\"/>"
        )?;
        let number = written(lowest + (highest - lowest) * part, unit);
        let style = "text-anchor=\"end\" font-size=\"10\" fill=\"#666\"";
        text(svg, (left - 4.0, at + 3.5), style, &number)?;
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        // A daemon that was away leaves a gap.
        let mut last = f64::NEG_INFINITY;
        for (time, value) in &line.points {
            let across = left + wide * (time - start) / (end - start);
            let up = top + high * (1.0 - (value - lowest) / (highest - lowest));
            let step = if time - last > MAX_STEP { "M" } else { "L" };
            write!(path, "{step}{across:.1} {up:.1}")?;
            last = *time;
        }
        writeln!(
            svg,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"1.5\" fill=\"none\"/>"
        )?;
    }
    let named = lines.iter().map(|line| line.name.as_str()).zip(COLOURS.iter().copied().cycle());
    let more = format!("and {} more", lines.len().saturating_sub(SHOWN));
    let rest = (lines.len() > SHOWN).then_some((more.as_str(), "#999"));
    for (entry, (name, colour)) in named.take(SHOWN).chain(rest).enumerate() {
        let (column, row) =
            (f64::from(u32::try_from(entry % 2)?), f64::from(u32::try_from(entry / 2)?));
        let at = (x + 2.0 * GAP + column * (w / 2.0 - GAP), top + high + LEGEND * (row + 1.0));
        text(svg, at, &format!("font-size=\"10\" fill=\"{colour}\""), &format!("— {name}"))?;
    }
    Ok(())
}

fn text(svg: &mut String, (x, y): (f64, f64), style: &str, text: &str) -> Result<()> {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    Ok(writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\" {style}>{text}</text>")?)
}

/// A value in its unit, short.
fn written(value: f64, unit: &str) -> String {
    let short = |value: f64| match value.abs() {
        0.0 => "0".to_owned(),
        tiny if tiny < 0.005 => format!("{value:.0e}"),
        small if small < 1.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{value:.0}"),
    };
    match unit {
        "percentunit" => format!("{} %", short(value * 100.0)),
        "bytes" if value.abs() >= f64::from(1 << 30) => {
            format!("{} GiB", short(value / f64::from(1 << 30)))
        }
        "bytes" if value.abs() >= f64::from(1 << 20) => {
            format!("{} MiB", short(value / f64::from(1 << 20)))
        }
        "bytes" => format!("{} KiB", short(value / 1024.0)),
        "s" if value.abs() >= 120.0 => format!("{} min", short(value / 60.0)),
        "s" if value.abs() >= 1.0 => format!("{} s", short(value)),
        "s" => format!("{} ms", short(value * 1000.0)),
        "reqps" | "cps" => format!("{}/s", short(value)),
        _ => short(value),
    }
}

#[test]
fn values_are_written_short_and_with_their_unit() {
    for (value, unit, expected) in [
        (0.0, "", "0"),
        (0.5, "", "0.50"),
        (3.0, "", "3"),
        (0.125, "percentunit", "12.5 %"),
        (18.0 * 1_048_576.0, "bytes", "18 MiB"),
        (3400.0, "s", "56.7 min"),
        (0.002, "s", "2 ms"),
        (12.34, "reqps", "12.3/s"),
    ] {
        assert_eq!(written(value, unit), expected, "{value} {unit}");
    }
}
