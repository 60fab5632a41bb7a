//! What a person typed, made fit to store: Unicode NFC, no control characters, bounded.

use std::{borrow::Cow, collections::BTreeMap};

use unicode_normalization::UnicodeNormalization as _;

use super::Refusal;

/// The longest message, in Unicode characters after NFC.
pub const MESSAGE_CHARS: usize = 8_000;
/// The longest preview of a message in an inbox, in Unicode characters: two lines of a list row.
pub const PREVIEW_CHARS: usize = 120;
/// The longest name of a person, in Unicode characters.
pub const NAME_CHARS: usize = 100;
/// The longest comment on a rating, in Unicode characters.
pub const COMMENT_CHARS: usize = 1_000;
/// The longest URL of a page, in Unicode characters: what browsers and proxies agree to carry.
pub const URL_CHARS: usize = 2_000;
/// The longest title of a page, in Unicode characters.
pub const TITLE_CHARS: usize = 300;

/// The most fields that are kept of a visitor: what one form can have.
pub const FIELDS: usize = 20;

/// What is known of a visitor after it filled in `new`: the older fields stay where there is room.
pub fn merge_fields(new: BTreeMap<String, String>, old: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut merged = new;
    for (name, value) in old {
        if merged.len() >= FIELDS {
            break;
        }
        merged.entry(name).or_insert(value);
    }
    merged
}

/// A message's or note's text: 1 to [`MESSAGE_CHARS`] characters.
pub fn message(raw: &str) -> Result<String, Refusal> {
    let text = clean(raw, "body.text")?;
    let text = text.trim_matches(['\n', ' ', '\t']);
    if text.is_empty() {
        return Err(Refusal::BadRequest("`body.text` is empty".to_owned()));
    }
    within(text, "body.text", MESSAGE_CHARS)
}

/// A line of text that may be missing: a name, a comment, a title. An empty one is none.
pub fn line(raw: Option<&str>, field: &str, most: usize) -> Result<Option<String>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    let text = clean(raw, field)?;
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { within(text, field, most).map(Some) }
}

/// A page's address without query and fragment: they carry search words, mail addresses and tokens of the host's site.
pub fn page_url(raw: &str) -> Result<String, Refusal> {
    let end = raw.find(['?', '#']).unwrap_or(raw.len());
    let url = raw.get(..end).unwrap_or_default();
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(Refusal::BadRequest("`page.url` takes an http or https address".to_owned()));
    }
    line(Some(url), "page.url", URL_CHARS).map(Option::unwrap_or_default)
}

/// The beginning of a message for an inbox row, on one line.
pub fn preview(text: &str) -> String {
    let end = match text.as_bytes().get(..PREVIEW_CHARS) {
        None => text.len(),
        Some(beginning) if beginning.is_ascii() => PREVIEW_CHARS,
        Some(_) => text.char_indices().nth(PREVIEW_CHARS).map_or(text.len(), |(end, _)| end),
    };
    let beginning = text.get(..end).unwrap_or_default();
    if all(beginning, |byte| !matches!(byte, b'\n' | b'\t')) {
        return beginning.to_owned();
    }
    beginning.replace(['\n', '\t'], " ")
}

/// Whether all bytes are so. Each is looked at, whatever those before it were: then many are at once.
fn all(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |so_far, byte| so_far & is_so(byte))
}

fn within(text: &str, field: &str, most: usize) -> Result<String, Refusal> {
    if text.chars().count() > most {
        return Err(Refusal::TooLarge(format!("`{field}` takes at most {most} characters")));
    }
    Ok(text.to_owned())
}

/// NFC; line ends become `\n`; bidirectional overrides and embeddings are taken out, because they let a text pretend to
/// be another (isolation is the page's work, `dir="auto"`); any other control character is refused.
fn clean<'t>(raw: &'t str, field: &str) -> Result<Cow<'t, str>, Refusal> {
    // Most messages are like this, and are what they would become.
    if all(raw, |byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return Ok(raw.into());
    }
    let unix = raw.replace("\r\n", "\n");
    let text: String = unix.nfc().filter(|c| !is_bidi_control(*c)).collect();
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some(control) => Err(Refusal::BadRequest(format!(
            "`{field}` holds the control character U+{:04X}; only newline and tab are taken",
            u32::from(control)
        ))),
        None => Ok(text.into()),
    }
}

const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_normalised() {
        assert_eq!(message("Cafe\u{301}\r\nnow").as_deref(), Ok("Caf\u{e9}\nnow"));
        assert_eq!(message("\u{202e}gnp.exe").as_deref(), Ok("gnp.exe"));
    }

    #[test]
    fn empty_long_and_control_texts_are_refused() {
        assert!(matches!(message(" \n "), Err(Refusal::BadRequest(_))));
        assert!(matches!(message("a\u{0}b"), Err(Refusal::BadRequest(_))));
        assert!(matches!(message(&"x".repeat(MESSAGE_CHARS + 1)), Err(Refusal::TooLarge(_))));
        assert_eq!(message(&"é".repeat(MESSAGE_CHARS)).map(|text| text.chars().count()), Ok(MESSAGE_CHARS));
    }

    #[test]
    fn a_preview_is_the_first_characters_on_one_line() {
        assert_eq!(preview("two\nlines\tand a tab"), "two lines and a tab");
        for letter in ["x", "é", "😀"] {
            for length in [0, 1, PREVIEW_CHARS - 1, PREVIEW_CHARS, PREVIEW_CHARS + 1] {
                assert_eq!(
                    preview(&letter.repeat(length)),
                    letter.repeat(length.min(PREVIEW_CHARS)),
                    "{letter} {length}"
                );
            }
        }
        let mixed = format!("{}\n{}", "x".repeat(PREVIEW_CHARS - 1), "é".repeat(9));
        assert_eq!(preview(&mixed), format!("{} ", "x".repeat(PREVIEW_CHARS - 1)));
    }

    #[test]
    fn fields_do_not_grow_without_end() {
        let form = |from: usize| (from..from + FIELDS).map(|n| (format!("f{n:03}"), n.to_string())).collect();
        let merged = merge_fields(form(100), form(0));
        assert_eq!(merged, form(100), "the newest form is whole");
        assert_eq!(merge_fields(BTreeMap::new(), form(0)).len(), FIELDS);
    }

    #[test]
    fn a_page_keeps_no_query() {
        assert_eq!(page_url("https://a.example/x?mail=ada@example.org#top").as_deref(), Ok("https://a.example/x"));
        assert!(page_url("javascript:alert(1)").is_err());
    }
}
