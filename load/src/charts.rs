//! What can be drawn of a run: lines over time, over a count, over the share of all messages.

use hdrhistogram::Histogram;

use crate::report::{micros_as_ms, whole};

/// How an axis runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Log,
    /// 90 %, 99 %, 99.9 % ... each as far from the one before; values are shares, 0 to below 1.
    Nines,
    /// Hours of a day, as 09:00.
    Clock,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) unit: &'static str,
    pub(crate) scale: Scale,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What one should know to read it.
    pub(crate) note: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

impl Chart {
    /// Something over the seconds of a run.
    pub(crate) fn over_time(title: &str, note: &'static str, unit: &'static str, scale: Scale) -> Self {
        let (x, y) = (Axis { unit: "s", scale: Scale::Linear }, Axis { unit, scale });
        Self { title: title.to_owned(), note, x, y, lines: Vec::new() }
    }

    /// Latencies in milliseconds over the share of messages that had at most that.
    pub(crate) fn distribution(title: &str, lines: &[(&str, &Histogram<u64>)]) -> Self {
        let note = "At most this many milliseconds for so many of a hundred. What lies far right is rare, and is what people remember.";
        let (x, y) = (Axis { unit: "%", scale: Scale::Nines }, Axis { unit: "ms", scale: Scale::Log });
        let lines = lines.iter().filter(|(_, histogram)| !histogram.is_empty());
        let lines = lines.map(|(name, histogram)| Line { name: (*name).to_owned(), points: shares(histogram) });
        Self { title: title.to_owned(), note, x, y, lines: lines.collect() }
    }

    pub(crate) fn with(mut self, name: &str, points: Vec<(f64, f64)>) -> Self {
        if !points.is_empty() {
            self.lines.push(Line { name: name.to_owned(), points });
        }
        self
    }
}

/// Points of a distribution, ever denser towards the rare ones, as far as there are messages enough to say.
fn shares(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    const STEPS_PER_NINE: u32 = 24;
    let nines = whole(histogram.len()).log10().clamp(1.0, 6.0);
    let point = |step: u32| {
        let share = 1.0 - 10_f64.powf(-f64::from(step) / f64::from(STEPS_PER_NINE));
        (share, micros_as_ms(histogram.value_at_quantile(share)))
    };
    (0..=6 * STEPS_PER_NINE).map(point).take_while(|(share, _)| -(1.0 - share).log10() <= nines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::histogram;

    #[test]
    fn a_distribution_goes_as_far_as_there_are_messages_to_say() {
        let mut times = histogram();
        (1..=1000).for_each(|ms| times.saturating_record(ms * 1000));
        let chart = Chart::distribution("x", &[("ack", &times), ("nothing", &histogram())]);
        assert_eq!(chart.lines.len(), 1, "what was not measured is no line");
        let points = &chart.lines[0].points;
        let at = |share: f64| {
            points.iter().min_by(|one, other| (one.0 - share).abs().total_cmp(&(other.0 - share).abs())).unwrap().1
        };
        assert!((at(0.5) - 500.0).abs() < 30.0 && (at(0.99) - 990.0).abs() < 3.0, "{} {}", at(0.5), at(0.99));
        assert!(points.last().unwrap().0 <= 0.999 + 1e-9, "one of a thousand is the rarest");
    }
}
