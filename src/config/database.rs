//! Where the log is: SQLite, or a PostgreSQL whose address is looked at before anybody connects.

use std::ops::RangeInclusive;

use super::{Secret, reader::Reader};

/// How many connections read at once. Reads are short (a page of a conversation); more would only hold more memory.
pub(super) const POOL: u32 = 4;
/// How many may.
pub(super) const POOLS: RangeInclusive<u64> = 1..=100;

/// What may stand behind the question mark of a PostgreSQL address, besides `options[...]`. Anything else would be ignored
/// by the driver, and told to the log with its value, which may be a secret.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// What `sslmode` takes. PostgreSQL's own `allow` is none of them: it would mean no TLS at all.
const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

pub(super) fn url(reader: &mut Reader) -> Secret {
    let url = reader.text("database.url").unwrap_or_else(|| "sqlite".to_owned());
    // The mistakes name what is wrong and never repeat the address: it may hold a password.
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_option = name.starts_with("options[") || name.starts_with("options%5");
            if !is_option && !PARAMETERS.contains(&name) {
                reader.mistake(format!("database.url has a parameter that is none of {}", PARAMETERS.join(", ")));
            }
            if name == "sslmode" && !SSL_MODES.contains(&value) {
                reader.mistake(format!("database.url: sslmode takes {}", SSL_MODES.join(", ")));
            }
        }
    } else if url != "sqlite" {
        reader
            .mistake("database.url takes \"sqlite\" or an address such as postgres://deskbell@db.example.org/deskbell");
    }
    Secret::new(url)
}

pub(super) fn pool(reader: &mut Reader) -> u32 {
    u32::try_from(reader.number("database.pool", u64::from(POOL), POOLS)).unwrap_or(POOL)
}
