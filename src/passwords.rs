//! Passwords: Argon2id, and what is too easily guessed to be one.
//!
//! No composition rules: length is what helps, and the few long passwords that everybody thinks of are refused.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use unicode_normalization::UnicodeNormalization as _;

/// The shortest password, in characters.
pub const MIN_CHARS: usize = 12;
/// The longest password, in characters: a longer one costs the server, not the guesser.
pub const MAX_CHARS: usize = 256;

/// Common passwords of twelve and more characters, after [`fold`]: shorter ones are refused by their length.
const COMMON: &[&str] = &include!("passwords/common.in");

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Too short.
    #[error("a password has at least {MIN_CHARS} characters; a few words with spaces are easy to remember")]
    Short,
    /// Too long.
    #[error("a password has at most {MAX_CHARS} characters")]
    Long,
    /// On everybody's list.
    #[error("that password is one of those that are tried first; take a few unrelated words")]
    Common,
    /// The account or the product, written twice.
    #[error("a password must not be made of your address or of the product's name")]
    Personal,
}

/// Checks a new password for the account of `email`.
pub fn check(password: &str, email: &str) -> Result<(), Weak> {
    match password.chars().count() {
        ..MIN_CHARS => return Err(Weak::Short),
        MIN_CHARS..=MAX_CHARS => {}
        _ => return Err(Weak::Long),
    }
    let folded = fold(password);
    if COMMON.contains(&folded.as_str()) || is_run(&folded) {
        return Err(Weak::Common);
    }
    let local = email.split('@').next().unwrap_or_default();
    let mut rest = folded;
    for word in [email, local, "deskbell", "password"].map(fold) {
        if word.chars().count() >= 4 {
            rest = rest.replace(&word, "");
        }
    }
    if rest.chars().count() < MIN_CHARS / 2 { Err(Weak::Personal) } else { Ok(()) }
}

/// Lower case without blanks and punctuation: `Password-1234!` and `password1234` are the same guess.
fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric()).collect()
}

/// One character, or a pair of them, over and over; or neighbours in a row.
fn is_run(folded: &str) -> bool {
    let letters: Vec<char> = folded.chars().collect();
    let repeats = |period: usize| letters.iter().zip(letters.iter().skip(period)).all(|(a, b)| a == b);
    (1..=3).any(repeats)
        || letters.windows(2).all(|pair| follows(pair[0], pair[1]))
        || letters.windows(2).all(|pair| follows(pair[1], pair[0]))
}

/// Whether `next` comes after `letter` on the keyboard's row of digits or in the alphabet.
fn follows(letter: char, next: char) -> bool {
    u32::from(next) == u32::from(letter) + 1 || (letter, next) == ('9', '0')
}

/// Hashes a password as OWASP advises: Argon2id with 19 MiB and two passes. Takes about 20 ms and blocks.
pub fn hash(password: &str) -> Option<String> {
    hasher().hash_password(normal(password).as_bytes()).ok().map(|hash| hash.to_string())
}

/// Whether `password` is what `hash` was made of. Without a hash the answer is no, after as long. Blocks.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let known = hash.and_then(|hash| PasswordHash::new(hash).ok());
    if password.chars().count() > MAX_CHARS {
        return false;
    }
    if let Some(known) = known {
        hasher().verify_password(normal(password).as_bytes(), &known).is_ok()
    } else {
        // Nobody's hash, for the time it takes: whoever measures learns nothing about who has an account.
        std::hint::black_box(self::hash(password));
        false
    }
}

fn hasher() -> Argon2<'static> {
    // The crate's defaults are Argon2id, 19 MiB, two passes, one lane: OWASP's first advice for it (2023).
    Argon2::default()
}

/// One form for what looks the same, whatever the keyboard composed.
fn normal(password: &str) -> String {
    password.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_what_counts() {
        assert_eq!(check("short", "ada@example.org"), Err(Weak::Short));
        assert_eq!(check(&"long words ".repeat(30), "ada@example.org"), Err(Weak::Long));
        assert_eq!(check("four plain words here", "ada@example.org"), Ok(()));
        assert_eq!(check("größere Glöckchen läuten", "ada@example.org"), Ok(()));
    }

    #[test]
    fn what_everybody_thinks_of_is_refused() {
        for common in
            ["Password-1234", "qwertyuiop123", "123456789012", "aaaaaaaaaaaa", "abababababab", "abcdefghijklm"]
        {
            assert_eq!(check(common, "ada@example.org"), Err(Weak::Common), "{common}");
        }
        for personal in ["ada.lovelace", "ada.lovelace@x.org", "deskbell deskbell", "Deskbell2026!"] {
            assert_eq!(check(personal, "ada.lovelace@x.org"), Err(Weak::Personal), "{personal}");
        }
    }

    #[test]
    fn the_list_is_folded_and_long_enough() {
        for common in COMMON {
            assert_eq!(&fold(common), common);
            assert!(common.chars().count() >= 10, "{common} is refused by its length");
        }
    }

    #[test]
    fn a_hash_is_made_of_one_password() {
        let made = hash("four plain words here").unwrap_or_default();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(verify("four plain words here", Some(&made)));
        assert!(!verify("four plain words there", Some(&made)));
        assert!(!verify("four plain words here", None));
        assert!(!verify("four plain words here", Some("no hash")));
    }
}
