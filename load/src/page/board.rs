//! The page of a run that is a table: a line for each of its parts, and what each part looked like.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};

use super::{escape, footer, header, start, svg::draw};
use crate::{charts::Chart, report::command};

/// One part of the run.
pub(crate) struct Part {
    /// Its line in the table; the first cell is its name, the last one its verdict.
    pub(crate) cells: Vec<String>,
    pub(crate) holds: bool,
    /// What is to be said of it.
    pub(crate) notes: Vec<String>,
    pub(crate) charts: Vec<Chart>,
}

/// Writes the page: the table with its last line, `total`, and a section for each part.
/// `legend` says how to read the curves.
pub(crate) fn write(path: &Path, legend: &str, headings: &[&str], parts: &[Part], total: &[String]) -> Result<()> {
    let page = page(&command(), legend, headings, parts, total);
    std::fs::write(path, page).with_context(|| format!("failed to write {}", path.display()))
}

fn page(command: &str, legend: &str, headings: &[&str], parts: &[Part], total: &[String]) -> String {
    let mut page = start(command);
    header(&mut page, command, 1, parts.iter().all(|part| part.holds));
    page.push_str("<section class=\"board\"><table><thead><tr>");
    for heading in headings {
        // Writing to a String does not fail.
        write!(page, "<th>{}</th>", escape(heading)).ok();
    }
    page.push_str("</tr></thead><tbody>");
    for part in parts {
        line(&mut page, &part.cells, Some(part.holds));
    }
    line(&mut page, total, None);
    write!(page, "</tbody></table><p class=\"label\">{}</p></section>", escape(legend)).ok();
    for part in parts {
        section(&mut page, part);
    }
    footer(&mut page);
    page
}

fn line(page: &mut String, cells: &[String], holds: Option<bool>) {
    page.push_str("<tr>");
    for (at, cell) in cells.iter().enumerate() {
        match (holds, at + 1 == cells.len()) {
            (Some(holds), true) => write!(page, "<td>{}</td>", pill(holds, cell)).ok(),
            _ => write!(page, "<td>{}</td>", escape(cell)).ok(),
        };
    }
    page.push_str("</tr>");
}

fn pill(holds: bool, word: &str) -> String {
    format!("<span class=\"pill {}\">{}</span>", if holds { "held" } else { "failed" }, escape(word))
}

fn section(page: &mut String, part: &Part) {
    let name = part.cells.first().map(String::as_str).unwrap_or_default();
    let word = part.cells.last().map(String::as_str).unwrap_or_default();
    write!(page, "<figure><figcaption><h2>{} {}</h2>", escape(name), pill(part.holds, word)).ok();
    for note in &part.notes {
        write!(page, "<p>{}</p>", escape(note)).ok();
    }
    page.push_str("</figcaption><div class=\"pair\">");
    for chart in &part.charts {
        write!(page, "<div><p class=\"label\">{}</p>{}</div>", escape(&chart.title), draw(chart, 480, 200)).ok();
    }
    page.push_str("</div></figure>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::Scale;

    #[test]
    fn every_part_has_its_line_and_its_section() {
        let chart =
            Chart::over_time("Messages a second", "", "/s", Scale::Linear).with("x", vec![(0.0, 1.0), (1.0, 2.0)]);
        let part = |name: &str, holds| Part {
            cells: [name, if holds { "held" } else { "FAILED" }].map(String::from).to_vec(),
            holds,
            notes: if holds { Vec::new() } else { vec!["lost: <3>".into()] },
            charts: vec![chart.clone()],
        };
        let total = ["total", "FAILED"].map(String::from);
        let page = page(
            "drills --short",
            "how to read it",
            &["fault", ""],
            &[part("storm", true), part("node-killed", false)],
            &total,
        );
        assert!(page.contains("lost: &lt;3&gt;") && page.contains("<td>total</td>") && page.contains("how to read it"));
        assert_eq!((page.matches("<svg").count(), page.matches("class=\"pill failed").count()), (2, 3));
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains(" style="));
    }
}
