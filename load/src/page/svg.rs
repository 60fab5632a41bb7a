//! Charts as SVG, drawn for one width: text does not shrink with the screen.

use std::fmt::Write as _;

use crate::charts::{Axis, Chart, Line, Scale};

/// Colours for lines, by class: the style sheet has as many.
const COLOURS: usize = 5;
/// More points than this are drawn as the highest of each group.
const MOST_POINTS: usize = 300;

/// Where a chart's lines run inside its picture.
struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Range,
    y: Range,
}

/// What an axis shows, from one end to the other, as far as it is scaled.
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

/// Draws a chart `width` pixels wide.
pub(super) fn draw(chart: &Chart, width: u32, height: u32) -> String {
    let lines: Vec<Line> = chart.lines.iter().map(thinned).collect();
    let frame = Frame::around(chart, &lines, f64::from(width), f64::from(height));
    let mut svg =
        format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#, super::escape(&chart.title));
    frame.grid(&mut svg);
    for (at, line) in lines.iter().enumerate() {
        frame.line(&mut svg, line, at % COLOURS, lines.len() == 1);
    }
    if chart.x.scale == Scale::Nines {
        frame.marks(&mut svg, &lines);
    }
    svg.push_str("</svg>");
    svg
}

fn thinned(line: &Line) -> Line {
    let group = line.points.len().div_ceil(MOST_POINTS).max(1);
    let highest = |points: &[(f64, f64)]| points.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1));
    Line { name: line.name.clone(), points: line.points.chunks(group).filter_map(highest).collect() }
}

impl Frame {
    fn around(chart: &Chart, lines: &[Line], width: f64, height: f64) -> Self {
        let all = |of: fn(&(f64, f64)) -> f64| lines.iter().flat_map(move |line| line.points.iter().map(of));
        let y = Range::of(&chart.y, all(|point| point.1), if height > 250.0 { 5 } else { 4 });
        let x = Range::of(&chart.x, all(|point| point.0), if width > 500.0 { 8 } else { 4 });
        let widest = y.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or_default();
        let left = 14.0 + 7.0 * f64::from(u32::try_from(widest).unwrap_or_default());
        Self { width, height, left, right: width - 14.0, top: 14.0, bottom: height - 30.0, x, y }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (x, y) = (self.x.share(x), self.y.share(y));
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }

    fn grid(&self, svg: &mut String) {
        for (value, text) in &self.y.ticks {
            let y = self.bottom - self.y.share(*value) * (self.bottom - self.top);
            let (left, right) = (self.left, self.right);
            // Writing to a String does not fail.
            write!(svg, r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/>"#).ok();
            write!(svg, r#"<text class="tick end" x="{:.1}" y="{:.1}">{text}</text>"#, left - 8.0, y + 4.0).ok();
        }
        for (value, text) in &self.x.ticks {
            let (x, bottom) = (self.left + self.x.share(*value) * (self.right - self.left), self.bottom);
            write!(svg, r#"<path class="mark" d="M{x:.1} {bottom:.1}v5"/>"#).ok();
            // The last one would hang over the edge.
            let class = if x > self.width - 30.0 { "tick end" } else { "tick" };
            let x = if x > self.width - 30.0 { self.right } else { x };
            write!(svg, r#"<text class="{class}" x="{x:.1}" y="{:.1}">{text}</text>"#, self.height - 8.0).ok();
        }
    }

    fn line(&self, svg: &mut String, line: &Line, colour: usize, is_alone: bool) {
        let mut path = String::new();
        let mut pen = "M";
        for point in &line.points {
            // No number: the pen is lifted.
            if point.1.is_nan() {
                pen = "M";
                continue;
            }
            let (x, y) = self.at(*point);
            write!(path, "{pen}{x:.1} {y:.1}").ok();
            pen = "L";
        }
        if let (true, Some(first), Some(last)) = (is_alone, line.points.first(), line.points.last()) {
            let (from, to, bottom) = (self.at(*first).0, self.at(*last).0, self.bottom);
            write!(svg, r#"<path class="area c{colour}" d="{path}L{to:.1} {bottom:.1}L{from:.1} {bottom:.1}Z"/>"#).ok();
        }
        write!(svg, r#"<path class="line c{colour}" d="{path}"/>"#).ok();
    }

    /// Dots at the percentiles that people name, with their values.
    fn marks(&self, svg: &mut String, lines: &[Line]) {
        for (colour, line) in lines.iter().enumerate() {
            for share in [0.5, 0.99, 0.999] {
                let near = |point: &&(f64, f64)| point.0 >= share - 1e-9;
                let Some(point) = line.points.iter().find(near) else { continue };
                let ((x, y), value) = (self.at(*point), number(point.1));
                write!(svg, r#"<g class="dot c{}"><circle cx="{x:.1}" cy="{y:.1}" r="4"/>"#, colour % COLOURS).ok();
                write!(svg, "<title>{}: {value} ms</title>", super::escape(&line.name)).ok();
                if colour == 0 {
                    write!(svg, r#"<text class="value end" x="{:.1}" y="{:.1}">{value}</text>"#, x - 4.0, y - 9.0).ok();
                }
                svg.push_str("</g>");
            }
        }
    }
}

impl Range {
    fn of(axis: &Axis, values: impl Iterator<Item = f64>, most: usize) -> Self {
        let scaled =
            values.filter(|value| axis.scale != Scale::Log || *value > 0.0).map(|value| scaled(axis.scale, value));
        let (low, high) =
            scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        if !low.is_finite() {
            return Self { scale: axis.scale, low: 0.0, high: 1.0, ticks: Vec::new() };
        }
        match axis.scale {
            Scale::Log => Self::logarithmic(low.floor(), high.ceil().max(low.floor() + 1.0), axis.unit),
            Scale::Nines => Self::nines(high),
            Scale::Linear | Scale::Clock => Self::linear(axis, high, most),
        }
    }

    /// From 0, with steps that people count in.
    fn linear(axis: &Axis, high: f64, most: usize) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let is_clock = axis.scale == Scale::Clock;
        let steps: &[f64] = if is_clock { &[3.0, 6.0] } else { &[1.0, 2.0, 5.0, 10.0] };
        let unit = if is_clock { 1.0 } else { 10_f64.powf((high / whole(most)).log10().floor()) };
        let fits = |step: &&f64| high / (**step * unit) <= whole(most);
        let step = steps.iter().find(fits).or(steps.last()).copied().unwrap_or(1.0) * unit;
        let top = if is_clock {
            24.0
        } else if axis.unit == "s" || axis.unit == "sessions" {
            high
        } else {
            (high / step).ceil() * step
        };
        let text =
            |value: f64| if is_clock { format!("{value:02.0}:00") } else { format!("{} {}", number(value), axis.unit) };
        let ticks = (0..=most * 2).map(|at| whole(at) * step).take_while(|value| *value <= top * 1.0001);
        Self { scale: axis.scale, low: 0.0, high: top, ticks: ticks.map(|value| (value, text(value))).collect() }
    }

    fn logarithmic(low: f64, high: f64, unit: &str) -> Self {
        let powers = (0..20_u32).map(|at| low + f64::from(at)).take_while(|power| *power <= high);
        let ticks =
            powers.map(|power| (10_f64.powf(power), format!("{} {unit}", number(10_f64.powf(power))))).collect();
        Self { scale: Scale::Log, low, high, ticks }
    }

    fn nines(high: f64) -> Self {
        let names = [
            (0.0, "0 %"),
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
            (0.99999, "99.999 %"),
        ];
        let shown = names.into_iter().filter(|(share, _)| scaled(Scale::Nines, *share) <= high + 0.05);
        Self {
            scale: Scale::Nines,
            low: 0.0,
            high,
            ticks: shown.map(|(share, text)| (share, text.to_owned())).collect(),
        }
    }

    /// How far along the axis, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let at = if self.scale == Scale::Log && value <= 0.0 { self.low } else { scaled(self.scale, value) };
        ((at - self.low) / (self.high - self.low).max(1e-12)).clamp(0.0, 1.0)
    }
}

fn scaled(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear | Scale::Clock => value,
        Scale::Log => value.log10(),
        Scale::Nines => -(1.0 - value).max(1e-9).log10(),
    }
}

fn whole(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A number as people write it, with as many places as matter.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1000.0 {
        let digits = format!("{magnitude:.0}");
        let grouped: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        return format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped.join(","));
    }
    let text = match magnitude {
        _ if value.fract() == 0.0 => return format!("{value:.0}"),
        _ if magnitude >= 100.0 => return format!("{value:.0}"),
        _ if magnitude >= 10.0 => format!("{value:.1}"),
        _ if magnitude >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        let cases = [
            (0.0, "0"),
            (1234.5, "1,234"),
            (-2_000_000.0, "-2,000,000"),
            (99.96, "100"),
            (12.34, "12.3"),
            (0.5, "0.5"),
            (0.01, "0.01"),
            (250.4, "250"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_point_lies_where_its_value_says() {
        let line = Line { name: "x".into(), points: vec![(0.0, 0.0), (10.0, 50.0), (20.0, 100.0)] };
        let chart = Chart::over_time("t", "n", "MB", Scale::Linear).with("x", line.points.clone());
        let frame = Frame::around(&chart, &[line], 800.0, 300.0);
        assert_eq!(frame.at((0.0, 0.0)), (frame.left, frame.bottom));
        assert_eq!(frame.at((20.0, 100.0)), (frame.right, frame.top));
        let middle = frame.at((10.0, 50.0));
        assert!((middle.0 - f64::midpoint(frame.left, frame.right)).abs() < 1e-9);
        assert!((middle.1 - f64::midpoint(frame.top, frame.bottom)).abs() < 1e-9);
    }

    #[test]
    fn the_pen_is_lifted_where_there_is_no_number() {
        let points = vec![(1.0, 1.0), (1.0, 2.0), (1.0, f64::NAN), (2.0, 1.0), (2.0, 2.0)];
        let chart = Chart::over_time("t", "n", "s", Scale::Linear).with("x", points).with("y", vec![(0.0, 1.0)]);
        let svg = draw(&chart, 400, 200);
        let path = svg.split("line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2), "{path}");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn long_lines_keep_their_peaks() {
        let points = (0..10_000_u32).map(|at| (f64::from(at), if at == 7_777 { 9.0 } else { 1.0 })).collect();
        let drawn = thinned(&Line { name: String::new(), points });
        assert!(drawn.points.len() <= MOST_POINTS && drawn.points.contains(&(7_777.0, 9.0)));
    }
}
