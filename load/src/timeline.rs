//! What was so at each moment of a run, and whether it grows.

use std::time::Instant;

use crate::{
    charts::{Chart, Scale},
    flights::{Latencies, Meter},
    procfs::Reading,
    report::{micros_as_ms, whole},
    target::Target,
};

/// One moment: what was done since the one before, and how the server stands.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at_s: f64,
    messages_per_s: f64,
    ack_p50_ms: Option<f64>,
    ack_p99_ms: Option<f64>,
    delivered_p99_ms: Option<f64>,
    cpu_percent: Option<f64>,
    server: Option<Reading>,
}

/// The moments of a run.
pub(crate) struct Timeline {
    began: Instant,
    last: Last,
    moments: Vec<Moment>,
}

/// How it stood at the last moment.
struct Last {
    at: Instant,
    total: u64,
    latencies: Latencies,
    server: Option<Reading>,
}

impl Last {
    fn now(target: &Target, meter: &Meter) -> Self {
        Self { at: Instant::now(), total: meter.total(), latencies: meter.latencies(), server: target.read() }
    }
}

/// A straight line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    /// For each unit of x.
    pub(crate) slope: f64,
    /// How much the line rises from the first point to the last.
    pub(crate) rise: f64,
    pub(crate) mean: f64,
    /// How much of what varies lies on the line, 0 to 1.
    pub(crate) certainty: f64,
}

impl Fit {
    /// By least squares; `None` of fewer than three points.
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = whole(points.len() as u64);
        let ((first, _), (last, _)) = (points.first()?, points.last()?);
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        if points.len() < 3 || xx <= 0.0 {
            return None;
        }
        let (slope, certainty) = (xy / xx, if yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 });
        Some(Self { slope, rise: slope * (last - first), mean: mean_y, certainty })
    }

    /// Whether it plainly rises, by more than this share of its mean.
    pub(crate) fn grows(self, tolerance: f64) -> bool {
        self.certainty > 0.5 && self.rise > tolerance * self.mean.abs()
    }
}

impl Timeline {
    pub(crate) fn begin(target: &Target, meter: &Meter) -> Self {
        Self { began: Instant::now(), last: Last::now(target, meter), moments: Vec::new() }
    }

    /// From now on with this meter; what happened since the last moment is none of it.
    pub(crate) fn go_on(&mut self, target: &Target, meter: &Meter) {
        self.last = Last::now(target, meter);
        if self.moments.is_empty() {
            self.began = self.last.at;
        }
    }

    /// Notes a moment; gives how many messages a second there were since the last one.
    pub(crate) fn tick(&mut self, target: &Target, meter: &Meter) -> f64 {
        let (now, total, latencies, server) = (Instant::now(), meter.total(), meter.latencies(), target.read());
        let span = now.duration_since(self.last.at).as_secs_f64().max(1e-3);
        let since = latencies.since(&self.last.latencies);
        let at = |histogram: &hdrhistogram::Histogram<u64>, share| {
            (!histogram.is_empty()).then(|| micros_as_ms(histogram.value_at_quantile(share)))
        };
        let busy = server.zip(self.last.server).map(|(now, before)| now.cpu.saturating_sub(before.cpu));
        let moment = Moment {
            at_s: now.duration_since(self.began).as_secs_f64(),
            messages_per_s: whole(total - self.last.total) / span,
            ack_p50_ms: at(&since.ack, 0.5),
            ack_p99_ms: at(&since.ack, 0.99),
            delivered_p99_ms: at(&since.delivered, 0.99),
            cpu_percent: busy.map(|busy| 100.0 * busy.as_secs_f64() / span),
            server,
        };
        self.last = Last { at: now, total, latencies, server };
        self.moments.push(moment);
        moment.messages_per_s
    }

    fn points(&self, of: impl Fn(&Moment) -> Option<f64>) -> Vec<(f64, f64)> {
        self.moments.iter().filter_map(|moment| Some((moment.at_s, of(moment)?))).collect()
    }

    pub(crate) fn rss_mb(&self) -> Vec<(f64, f64)> {
        self.points(|moment| Some(whole(moment.server?.rss) / 1e6))
    }

    pub(crate) fn descriptors(&self) -> Vec<(f64, f64)> {
        self.points(|moment| moment.server.map(|server| whole(server.descriptors)))
    }

    pub(crate) fn ack_p99_ms(&self) -> Vec<(f64, f64)> {
        self.points(|moment| moment.ack_p99_ms)
    }

    /// All of it, to be drawn.
    pub(crate) fn charts(&self) -> Vec<Chart> {
        let rate = "Stored, acknowledged and delivered.";
        let times = "Of the messages that were done since the moment before.";
        let memory = "What the kernel counts as the server's resident memory.";
        let charts = [
            Chart::over_time("Messages a second", rate, "/s", Scale::Linear)
                .with("messages", self.points(|moment| Some(moment.messages_per_s))),
            Chart::over_time("Latency over time", times, "ms", Scale::Log)
                .with("delivered p99", self.points(|moment| moment.delivered_p99_ms))
                .with("ack p99", self.ack_p99_ms())
                .with("ack p50", self.points(|moment| moment.ack_p50_ms)),
            Chart::over_time("CPU of the server", "100 % is one core.", "%", Scale::Linear)
                .with("CPU", self.points(|moment| moment.cpu_percent)),
            Chart::over_time("Memory of the server", memory, "MB", Scale::Linear).with("memory", self.rss_mb()),
        ];
        charts.into_iter().filter(|chart| chart.lines.iter().any(|line| line.points.len() > 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_tells_growth_from_noise() {
        let line: Vec<_> = (0..100_u32).map(|x| (f64::from(x), 50.0 + f64::from(x) * 0.2)).collect();
        let fit = Fit::through(&line).unwrap();
        assert!((fit.slope - 0.2).abs() < 1e-9 && (fit.rise - 19.8).abs() < 1e-9 && fit.certainty > 0.999);
        assert!(fit.grows(0.1) && !fit.grows(0.5), "a third of its mean");
        let falling: Vec<_> = line.iter().map(|(x, y)| (*x, -y)).collect();
        assert!(!Fit::through(&falling).unwrap().grows(0.1));
        let noise: Vec<_> = (0..100_u32).map(|x| (f64::from(x), f64::from(x * 7919 % 101))).collect();
        assert!(!Fit::through(&noise).unwrap().grows(0.0));
        assert_eq!(Fit::through(&line[..2]), None);
    }
}
