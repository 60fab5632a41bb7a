//! Which pages may ask: CORS for the widget, same origin only for the console.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::problem::Problem;
use crate::config::Origin;

/// How long a browser may remember that it may ask: ten minutes, so that a changed list is soon felt.
const MAX_AGE_S: &str = "600";

/// The page's origin, if a browser named one.
pub(super) fn of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null"))
}

/// Lets every page read the answer, a refusal included: a widget on a page that is not on the list must learn that, or it
/// would take itself for offline and try for ever. No cookie is ever read here, so nothing is given away.
pub(super) fn cors() -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after")),
    ]
}

/// The answer to a browser that asks first.
pub(super) fn preflight() -> (StatusCode, Vec<(HeaderName, HeaderValue)>) {
    let mut answer = cors();
    answer.push((header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST")));
    answer.push((header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type")));
    answer.push((header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S)));
    (StatusCode::NO_CONTENT, answer)
}

/// Refuses what a page of another site caused: the agent's cookie would come along. `SameSite=Strict` keeps it back
/// already; this holds where a browser does not know it, and for sister sites, which count as the same site.
pub(super) fn own_page_only(is_own: impl Fn(&Origin) -> bool, headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or_default());
    let own_origin = of(headers).map(|origin| origin.parse().is_ok_and(|origin| is_own(&origin)));
    if site.is_some_and(|site| site != "same-origin") || own_origin == Some(false) {
        return Err(Problem::forbidden("only this server's own pages may ask that; is `public_url` configured?"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_the_servers_own_pages_sign_in() {
        let own = |origin: &Origin| origin.to_string() == "https://chat.example.org";
        let passes = |pairs: &[(&'static str, &'static str)]| own_page_only(own, &headers(pairs)).is_ok();
        assert!(passes(&[]), "no browser");
        assert!(passes(&[("origin", "https://chat.example.org"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("origin", "https://shop.example.org"), ("sec-fetch-site", "same-site")]));
        assert!(!passes(&[("origin", "https://evil.example")]));
        assert!(!passes(&[("origin", "null")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "none")]));
        assert!(!passes(&[("origin", "http://chat.example.org")]), "another scheme");
    }
}
