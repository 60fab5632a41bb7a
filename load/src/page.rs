//! `--html`: one page that needs nothing else. No scripts; its own policy forbids everything from outside.

pub(crate) mod board;
mod svg;

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use deskbell::clock::Clock;
use sha2::{Digest as _, Sha256};

use self::svg::{draw, number};
use crate::{
    charts::Chart,
    check::Fault,
    procfs,
    report::{Figures, command},
};

const STYLE: &str = include_str!("page/page.css");

/// Figures that are shown large, the first six that were measured: name, label, unit.
const TILES: [(&str, &str, &str); 24] = [
    ("messages_per_s", "messages a second", "/s"),
    ("deliveries_per_s", "deliveries a second", "/s"),
    ("rss_per_session_bytes", "memory a session", "bytes"),
    ("all_back_s", "until all are back", "s"),
    ("full_handshakes_per_s", "full handshakes", "/s"),
    ("resumed_handshakes_per_s", "handshakes by ticket", "/s"),
    ("cpu_growth", "CPU a message, last to first", "×"),
    ("start_to_ready_ms", "start to ready", "ms"),
    ("start_after_kill_ms", "start after a kill", "ms"),
    ("log_mb", "the log", "MB"),
    ("ratio", "of the baseline", "×"),
    ("cross_node_extra_p99_ms", "across nodes adds, p99", "ms"),
    ("chats", "chats", ""),
    ("ack_p99_ms", "acknowledged, p99", "ms"),
    ("delivered_p99_ms", "delivered, p99", "ms"),
    ("in_line_p99_ms", "waiting for an agent, p99", "ms"),
    ("rss_mb_per_hour", "memory grows by", "MB/h"),
    ("disk_sync_p99_ms", "the disk's own sync, p99", "ms"),
    ("server_cpu_us_per_message", "CPU a message", "µs"),
    ("server_cpu_percent", "CPU of the server", "%"),
    ("server_rss_mb", "memory of the server", "MB"),
    ("empty_rss_mb", "memory, empty", "MB"),
    ("heartbeats", "heartbeats", ""),
    ("server_descriptors", "descriptors", ""),
];
const MOST_TILES: usize = 6;

/// Writes the page of a run: its medians, each run's figures, and what failed.
pub(crate) fn write(path: &Path, medians: &Figures, runs: &[Figures], failures: &[String]) -> Result<()> {
    let page = page(&command(), medians, runs, failures);
    std::fs::write(path, page).with_context(|| format!("failed to write {}", path.display()))
}

/// The head of a page, whose policy allows this style and nothing else.
fn start(command: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let title = format!("deskbell-load {}", escape(command));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style></head><body><main>"
    )
}

fn footer(page: &mut String) {
    page.push_str("</main></body></html>\n");
}

fn page(command: &str, medians: &Figures, runs: &[Figures], failures: &[String]) -> String {
    let mut page = start(command);
    header(&mut page, command, runs.len(), failures.is_empty());
    verdict(&mut page, medians, failures);
    tiles(&mut page, medians, runs);
    page.push_str("<section class=\"charts\">");
    for chart in medians.charts() {
        figure(&mut page, chart);
    }
    page.push_str("</section>");
    details(&mut page, medians, runs);
    footer(&mut page);
    page
}

fn header(page: &mut String, command: &str, runs: usize, holds: bool) {
    let name = command.split_whitespace().find(|word| !word.starts_with('-')).unwrap_or("run");
    let machine = procfs::machine();
    let cores = machine["cores"].as_u64().unwrap_or_default();
    let seconds = u64::try_from(Clock::system().now() / 1000).unwrap_or_default();
    let repeated = if runs > 1 { format!(" · medians of {runs} runs") } else { String::new() };
    let (class, word) = if holds { ("held", "held") } else { ("failed", "failed") };
    // Writing to a String does not fail.
    write!(
        page,
        "<header><p class=\"brand\">deskbell-load</p><h1>{}</h1><span class=\"pill {class}\">{word}</span>\
         <p class=\"where\">{} · {cores} cores · Linux {} · {}{repeated}</p><code>deskbell-load {}</code></header>",
        escape(name),
        escape(machine["cpu"].as_str().unwrap_or("unknown machine")),
        escape(machine["kernel"].as_str().unwrap_or_default()),
        date(seconds),
        escape(command),
    )
    .ok();
}

/// The sentence that matters most: what became of every message.
fn verdict(page: &mut String, medians: &Figures, failures: &[String]) {
    if !failures.is_empty() {
        page.push_str("<section class=\"verdict failed\"><h2>What failed</h2><ul>");
        for failure in failures {
            write!(page, "<li>{}</li>", escape(failure)).ok();
        }
        page.push_str("</ul></section>");
        return;
    }
    let (Some(acked), Some(received)) = (medians.get("acked"), medians.get("received")) else { return };
    let clean = Fault::ALL.iter().all(|fault| medians.get(fault.as_str()).unwrap_or_default() == 0.0);
    if clean {
        write!(
            page,
            "<section class=\"verdict held\"><p><strong>{}</strong> messages acknowledged, <strong>{}</strong> receipts \
             judged one by one: none lost, none doubled, none out of order, none in the wrong place.</p></section>",
            number(acked),
            number(received),
        )
        .ok();
    }
}

fn tiles(page: &mut String, medians: &Figures, runs: &[Figures]) {
    page.push_str("<section class=\"tiles\">");
    let measured = TILES.iter().filter_map(|(name, label, unit)| Some((name, label, unit, medians.get(name)?)));
    for (name, label, unit, value) in measured.take(MOST_TILES) {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.get(name)).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = if values.len() > 1 { format!("{} .. {}", number(low), number(high)) } else { String::new() };
        write!(
            page,
            "<div class=\"tile\"><p class=\"label\">{label}</p><p class=\"big\">{}<span> {unit}</span></p><p class=\"spread\">{spread}</p></div>",
            number(value),
        )
        .ok();
    }
    page.push_str("</section>");
}

fn figure(page: &mut String, chart: &Chart) {
    write!(page, "<figure><figcaption><h2>{}</h2><p>{}</p>", escape(&chart.title), chart.note).ok();
    if chart.lines.len() > 1 {
        page.push_str("<ul class=\"legend\">");
        for (at, line) in chart.lines.iter().enumerate() {
            write!(page, "<li class=\"c{}\">{}</li>", at % 5, escape(&line.name)).ok();
        }
        page.push_str("</ul>");
    }
    let (wide, narrow) = (draw(chart, 960, 300), draw(chart, 400, 260));
    write!(page, "</figcaption><div class=\"wide\">{wide}</div><div class=\"narrow\">{narrow}</div></figure>").ok();
}

fn details(page: &mut String, medians: &Figures, runs: &[Figures]) {
    page.push_str("<details><summary>All figures</summary><table><thead><tr><th>figure</th>");
    page.push_str(if runs.len() > 1 { "<th>median</th>" } else { "<th>value</th>" });
    let each = if runs.len() > 1 { runs } else { &[] };
    for run in 1..=each.len() {
        write!(page, "<th>run {run}</th>").ok();
    }
    page.push_str("</tr></thead><tbody>");
    for (name, value) in medians.values() {
        write!(page, "<tr><td>{}</td><td>{}</td>", escape(name), number(*value)).ok();
        for run in each {
            write!(page, "<td>{}</td>", run.get(name).map(number).unwrap_or_default()).ok();
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></details>");
}

/// A day in the Gregorian calendar, from seconds since 1970.
fn date(seconds: u64) -> String {
    // Howard Hinnant's civil_from_days, for days after 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60)
}

/// Text for HTML, between tags and in quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::Scale;

    fn sample() -> Figures {
        let mut figures = Figures::default();
        for (name, value) in [("messages_per_s", 5000.0), ("acked", 10.0), ("received", 20.0), ("lost", 0.0)] {
            figures.set(name, value);
        }
        figures.draw([
            Chart::over_time("Memory <b>", "note", "MB", Scale::Linear).with("x", vec![(0.0, 1.0), (1.0, 2.0)])
        ]);
        figures
    }

    #[test]
    fn the_page_needs_nothing_and_obeys_its_own_policy() {
        let page = page("chat --rate 5000", &sample(), &[sample(), sample()], &[]);
        for outside in ["src=", "href=", "url(", "@import", "<script", " style=", "http://", "https://"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        assert!(page.contains(&format!("style-src 'sha256-{hash}'")));
        assert!(page.contains("none lost") && page.contains("5,000") && page.contains("Memory &lt;b&gt;"));
        assert_eq!(page.matches("<svg").count(), 2, "one for wide screens and one for narrow ones");
    }

    #[test]
    fn what_failed_is_told_instead_of_praise() {
        let page = page("chat", &sample(), &[sample()], &["lost = 3 > 0".to_owned()]);
        assert!(page.contains("lost = 3 &gt; 0") && !page.contains("none lost"));
    }

    #[test]
    fn a_date_is_a_date() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59 UTC");
    }
}
