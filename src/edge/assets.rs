//! The pages: console, widget, hosted chat and demo, built into the program.
//!
//! A debug build reads `web/dist` from the source folder at run time, so that pages change without a new build.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rust_embed::RustEmbed;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Edge, problem::Problem};
use crate::log::ProjectRecord;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist"]
#[allow_missing = true]
struct Dist;

/// The word that stands for the project's public key in a page.
const PROJECT: &str = "__PROJECT__";
/// A file whose name holds its hash never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The loader is in every page of every site: five minutes, then ask again.
const FIVE_MINUTES: &str = "public, max-age=300, must-revalidate";
/// Ask every time; the answer is mostly 304.
const ASK: &str = "no-cache";
/// What is shown when no pages were built.
const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Deskbell</title>\
    <h1>The pages are not built yet</h1><p>Run <code>make web</code> in the source folder, then load this page again.</p>";

/// Console pages: every address of its own routes is the same page.
pub(super) async fn console(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    page(&edge, "console/index.html", &headers, &edge.policies.console)
}

/// The console's hashed files.
pub(super) async fn console_asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("console/assets/{name}"), &headers, FOR_EVER)
}

/// The widget's files: any site's page may load them.
pub(super) async fn widget(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let keep = match name.as_str() {
        "loader.js" => FIVE_MINUTES,
        hashed if hashed.starts_with("assets/") => FOR_EVER,
        _ => ASK,
    };
    let mut answer = if has_suffix(&name, &["html"]) {
        Problem::not_found().into_response()
    } else {
        file(&format!("w/{name}"), &headers, keep)
    };
    let shared = answer.headers_mut();
    shared.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    shared.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    answer
}

/// The hosted chat page of a project.
pub(super) async fn chat(State(edge): State<Arc<Edge>>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    let Some(project) = edge.accounts.project_by_key(&key) else { return Problem::not_found().into_response() };
    let policy = edge.policies.chat(&project);
    page_of_project("w/chat.html", &project.public_key, &headers, Some(&policy))
}

/// How the demo page is asked for.
#[derive(Deserialize)]
pub(super) struct DemoQuery {
    csp: Option<String>,
}

/// The demo shop; only in demo mode.
pub(super) async fn demo(
    State(edge): State<Arc<Edge>>,
    Query(query): Query<DemoQuery>,
    headers: HeaderMap,
) -> Response {
    let Some(key) = &edge.demo else { return Problem::not_found().into_response() };
    let strict = query.csp.as_deref() == Some("strict");
    let policy = if strict { HeaderValue::from_static(STRICT_HOST) } else { HeaderValue::from_static(PLAIN_HOST) };
    page_of_project("demo/index.html", key, &headers, Some(&policy))
}

/// The demo shop's files.
pub(super) async fn demo_file(State(edge): State<Arc<Edge>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if edge.demo.is_none() || has_suffix(&name, &["html"]) {
        return Problem::not_found().into_response();
    }
    file(&format!("demo/{name}"), &headers, ASK)
}

/// Files beside the console's page, such as its icon; everything else is not there.
pub(super) async fn fallback(method: axum::http::Method, uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    let plain = !name.contains('/') && !has_suffix(name, &["html"]) && name.contains('.');
    if plain && (method == axum::http::Method::GET || method == axum::http::Method::HEAD) {
        return file(&format!("console/{name}"), &headers, ASK);
    }
    Problem::not_found().into_response()
}

/// A site's page with the strictest policy that the widget must live under.
const STRICT_HOST: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
    img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";
/// A site's page without a policy of its own, but for who may frame it.
const PLAIN_HOST: &str = "base-uri 'self'; frame-ancestors 'self'";

/// The policies of the server's own pages.
pub(super) struct Policies {
    console: HeaderValue,
    sockets: String,
}

impl Policies {
    /// For a server whose sockets are at `sockets`, its own origins' WebSocket addresses.
    pub(super) fn new(sockets: &[String]) -> Self {
        let sockets = sockets.join(" ");
        Self { console: policy(&sockets, "'none'"), sockets }
    }

    /// The hosted chat may be framed by the project's sites.
    fn chat(&self, project: &ProjectRecord) -> HeaderValue {
        let ancestors = if project.origins.is_empty() {
            "'self'".to_owned()
        } else {
            format!("'self' {}", project.origins.join(" "))
        };
        policy(&self.sockets, &ancestors)
    }
}

fn policy(sockets: &str, ancestors: &str) -> HeaderValue {
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self'; \
         worker-src 'self'; manifest-src 'self'; connect-src 'self' {sockets}; frame-ancestors {ancestors}; \
         base-uri 'none'; form-action 'self'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn page(edge: &Edge, path: &str, headers: &HeaderMap, policy: &HeaderValue) -> Response {
    let mut answer = if Dist::get(path).is_some() { file(path, headers, ASK) } else { missing() };
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    if edge.public_url.is_https() {
        answer.headers_mut().insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
    answer
}

fn missing() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING).into_response()
}

/// A page with the project's public key in it. Keys are letters and digits: they need no escaping.
fn page_of_project(path: &str, key: &str, headers: &HeaderMap, policy: Option<&HeaderValue>) -> Response {
    let mut answer = match Dist::get(path) {
        None => missing(),
        Some(template) => {
            let page = String::from_utf8_lossy(&template.data).replace(PROJECT, key);
            content(path, page.into_bytes().into(), None, headers, ASK)
        }
    };
    if let Some(policy) = policy {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    answer
}

/// A file, in the smallest form that the client takes.
fn file(path: &str, headers: &HeaderMap, keep: &'static str) -> Response {
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") || has_suffix(path, &["br", "gz"]) {
        return Problem::not_found().into_response();
    }
    let packed = ["br", "gzip"].into_iter().filter(|coding| takes(headers, coding)).find_map(|coding| {
        let suffix = if coding == "br" { "br" } else { "gz" };
        Dist::get(&format!("{path}.{suffix}")).map(|file| (file, Some(coding)))
    });
    match packed.or_else(|| Dist::get(path).map(|file| (file, None))) {
        Some((file, coding)) => content(path, file.data, coding, headers, keep),
        None => Problem::not_found().into_response(),
    }
}

fn has_suffix(path: &str, suffixes: &[&str]) -> bool {
    std::path::Path::new(path).extension().is_some_and(|found| suffixes.iter().any(|suffix| found == *suffix))
}

/// Whether the client takes a coding. `q=0` says no.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding)) && !parts.any(refused)
    })
}

fn content(
    path: &str,
    data: Cow<'static, [u8]>,
    coding: Option<&'static str>,
    headers: &HeaderMap,
    keep: &'static str,
) -> Response {
    let hash = Sha256::digest(&data);
    let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..12]));
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|value| value.trim().trim_start_matches("W/"));
    let mut answer = if known.any(|value| tag == value) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut answer = data.into_owned().into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
        if let Some(coding) = coding {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        answer
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(codings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(codings))])
    }

    #[test]
    fn a_coding_is_taken_unless_it_is_refused() {
        assert!(takes(&accepting("gzip, deflate, br"), "br"));
        assert!(takes(&accepting("br;q=0.5"), "br"));
        assert!(!takes(&accepting("br;q=0, gzip"), "br"));
        assert!(!takes(&accepting("gzip"), "br"));
        assert!(!takes(&HeaderMap::new(), "br"));
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let ask = |headers: &HeaderMap| content("a.js", Cow::Borrowed(b"x"), None, headers, ASK);
        let first = ask(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(header::ETAG).cloned().unwrap();
        let again = ask(&HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn nothing_outside_the_folder_is_there() {
        for path in
            ["console/../../Cargo.toml", "w//etc/passwd", "w/./loader.js", "w/loader.js.br", "console/nothing.js"]
        {
            assert_eq!(file(path, &HeaderMap::new(), ASK).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
