//! What was so at each moment of a drill, to be drawn.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    charts::{Chart, Scale},
    crowd::Crowd,
    report::whole,
};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);

/// Watches a crowd.
pub(super) struct Watch {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Messages a second that arrived, over the seconds.
    rate: Vec<(f64, f64)>,
    /// How old the oldest message was that was under way, in seconds.
    oldest: Vec<(f64, f64)>,
    /// From when on all should be well again, each time.
    over: Vec<f64>,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), seen: Mutex::default() }
    }

    /// Looks again and again; dropped when the drill is over.
    pub(super) async fn go_on(&self, crowd: &Crowd) -> Infallible {
        let (mut landed, mut at) = (crowd.landed(), Instant::now());
        loop {
            tokio::time::sleep(EVERY).await;
            let (now, total) = (Instant::now(), crowd.landed());
            let second = now.duration_since(self.began).as_secs_f64();
            let rate = whole(total.saturating_sub(landed)) / now.duration_since(at).as_secs_f64();
            (landed, at) = (total, now);
            let oldest = crowd.oldest().map_or(0.0, |age| age.as_secs_f64());
            let mut seen = self.seen.lock();
            seen.rate.push((second, rate));
            seen.oldest.push((second, oldest));
        }
    }

    /// From then on all should be well again: the fault is over, or nothing more is done about it.
    pub(super) fn over(&self, at: Instant) {
        self.seen.lock().over.push(at.saturating_duration_since(self.began).as_secs_f64());
    }

    /// Both curves, and from where on time was taken.
    pub(super) fn charts(self) -> Vec<Chart> {
        let Seen { rate, oldest, over } = self.seen.into_inner();
        let marks = |points: &[(f64, f64)]| {
            let top = points.iter().map(|point| point.1).fold(0.0, f64::max);
            over.iter().flat_map(|at| [(*at, 0.0), (*at, top), (*at, f64::NAN)]).collect::<Vec<_>>()
        };
        let chart = |title, unit, points: Vec<(f64, f64)>| {
            let marks = marks(&points);
            let chart = Chart::over_time(title, "", unit, Scale::Linear).with("now", points);
            // One moment is no curve.
            (chart.lines.iter().any(|line| line.points.len() > 1)).then(|| chart.with("from here on", marks))
        };
        let charts = [chart("Messages a second", "/s", rate), chart("Oldest message under way", "s", oldest)];
        charts.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_time_is_taken_from_is_a_line_up_to_the_top() {
        let watch = Watch::begin();
        watch.seen.lock().rate = vec![(1.0, 200.0), (2.0, 50.0)];
        watch.over(watch.began + Duration::from_millis(1500));
        let charts = watch.charts();
        assert_eq!(charts.len(), 1, "what was not seen is not drawn");
        assert_eq!(charts[0].lines[1].points[..2], [(1.5, 0.0), (1.5, 200.0)]);
    }
}
