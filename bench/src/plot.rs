//! Charts as plain SVG: how figures grow, and Redis CPU per task by peer.

use std::fmt::Write as _;

use crate::{figures::Figures, peer::WINDLASS};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for the words around the chart.
const LEFT: f64 = 80.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
/// Lines across, the ground not counted.
const STEPS: u32 = 4;
const COLOURS: [&str; 2] = ["#2f6f9f", "#c8893b"];

/// A chart of a phase's variants: its file, the phase, the figure, and the title.
const LINES: [(&str, &str, &str, &str); 5] = [
    ("drain-by-backlog.svg", "backlog", "rate", "Drained a second, by tasks queued"),
    ("drain-by-workers.svg", "workers", "rate", "Drained a second, by other nodes"),
    ("drain-by-tenants.svg", "tenants", "rate", "Drained a second, by tenants"),
    (
        "redis-cpu-by-payload.svg",
        "payloads",
        "redis_us",
        "Redis CPU of a drained task, µs, by bytes of its payload",
    ),
    (
        "drain-by-partitions.svg",
        "cluster",
        "per_cpu_second",
        "Drained in a second of Redis CPU, on one server and on three primaries",
    ),
];

/// The charts of what was measured, with the names of their files.
pub(crate) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    let mut charts = Vec::new();
    for (file, phase, figure, title) in LINES {
        let point = |variant: &str| {
            let value = figures.median_of(WINDLASS, phase, Some(variant), figure)?;
            // Of several words what tells it from the others, so that names have room beside each other.
            Some((variant.rsplit(", ").next().unwrap_or(variant).to_owned(), value))
        };
        let points: Vec<(String, f64)> = figures.variants(phase).into_iter().filter_map(point).collect();
        if !points.is_empty() {
            charts.push((file, lines(title, &points)));
        }
    }
    let cpu: Vec<(String, Vec<f64>)> = figures
        .peers()
        .into_iter()
        .filter_map(|peer| {
            let of = |phase| figures.median(peer, phase, "redis_us");
            Some((peer.to_owned(), vec![of("enqueue-bulk")?, of("drain")?]))
        })
        .collect();
    if !cpu.is_empty() {
        charts.push((
            "redis-cpu.svg",
            bars("Redis CPU of a task, µs", &["submitted in bulk", "drained"], &cpu),
        ));
    }
    charts
}

/// The next round number.
fn ceiling(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|n| n * unit).find(|top| *top >= value).unwrap_or(value)
}

fn height(value: f64, top: f64) -> f64 {
    (HEIGHT - TOP - BOTTOM) * value / top
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

/// Title, scale and ground.
fn frame(title: &str, top: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#333\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    svg += &text(WIDTH / 2.0, 20.0, "middle", title);
    for step in 0..=STEPS {
        let value = top * f64::from(step) / f64::from(STEPS);
        let y = HEIGHT - BOTTOM - height(value, top);
        let right = WIDTH - RIGHT;
        _ = writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ccc\"/>");
        svg += &text(LEFT - 6.0, y + 4.0, "end", &value.to_string());
    }
    svg
}

fn lines(title: &str, points: &[(String, f64)]) -> String {
    let top = ceiling(points.iter().map(|(_, value)| *value).fold(0.0, f64::max));
    let step = (WIDTH - LEFT - RIGHT) / points.len() as f64;
    let mut svg = frame(title, top);
    let mut path = String::new();
    for (index, (name, value)) in points.iter().enumerate() {
        let (x, y) = (LEFT + step * (index as f64 + 0.5), HEIGHT - BOTTOM - height(*value, top));
        _ = write!(path, "{x:.1},{y:.1} ");
        _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{}\"/>", COLOURS[0]);
        svg += &text(x, HEIGHT - BOTTOM + 18.0, "middle", name);
        svg += &text(x, y - 8.0, "middle", &format!("{value:.0}"));
    }
    _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n</svg>",
        path.trim_end(),
        COLOURS[0]
    );
    svg
}

fn bars(title: &str, kinds: &[&str], groups: &[(String, Vec<f64>)]) -> String {
    let top = ceiling(groups.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max));
    let step = (WIDTH - LEFT - RIGHT) / groups.len() as f64;
    let width = step * 0.7 / kinds.len() as f64;
    let mut svg = frame(title, top);
    for (index, (name, values)) in groups.iter().enumerate() {
        let left = LEFT + step * (index as f64 + 0.15);
        for (number, value) in values.iter().enumerate() {
            let (x, tall) = (left + width * number as f64, height(*value, top));
            let (y, colour) = (HEIGHT - BOTTOM - tall, COLOURS[number % COLOURS.len()]);
            _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"/>"
            );
            svg += &text(x + width / 2.0, y - 4.0, "middle", &format!("{value:.1}"));
        }
        svg += &text(left + step * 0.35, HEIGHT - BOTTOM + 18.0, "middle", name);
    }
    for (number, kind) in kinds.iter().enumerate() {
        let (x, y) = (LEFT + 160.0 * number as f64, HEIGHT - 20.0);
        let colour = COLOURS[number % COLOURS.len()];
        _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
        svg += &text(x + 18.0, y + 10.0, "start", kind);
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number() {
        let tops = [0.9, 1.0, 37.0, 61.0, 130_000.0].map(|value| ceiling(value).round() as u64);
        assert_eq!(tops, [1, 1, 40, 80, 200_000]);
    }

    #[test]
    fn every_bar_and_every_point_is_drawn() {
        let chart = bars("t", &["a", "b"], &[("x".into(), vec![1.0, 2.0]), ("y<".into(), vec![3.0, 4.0])]);
        assert_eq!(chart.matches("<rect x").count(), 6, "four bars and two colours of the legend");
        assert!(chart.contains("y&lt;") && chart.ends_with("</svg>\n"));
        assert_eq!(lines("t", &[("1".into(), 5.0), ("2".into(), 6.0)]).matches("<circle").count(), 2);
    }
}
