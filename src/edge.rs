//! The edge: what comes in over HTTP, and what is refused there.

pub mod agents;
pub mod asyncapi;
pub mod openapi;
pub mod problem;
pub mod sessions;

/// Compares a generated file of the repository with what the code generates; `UPDATE_GENERATED` writes it.
#[cfg(test)]
fn assert_current(path: &str, generated: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, generated).unwrap_or_else(|error| panic!("{error}"));
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == generated, "`make gen` brings {path} up to date");
}
