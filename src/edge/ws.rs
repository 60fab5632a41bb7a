//! The WebSocket handshake of `/v1/ws`: everything that can be refused is refused here, with an HTTP status, before 101.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Edge, Peer, limits::Seat, origins, problem::Problem};
use crate::{
    protocol::SUBPROTOCOL,
    session::{self, stream::Plain},
};

/// A connection that turns into a WebSocket.
#[utoipa::path(get, path = "/v1/ws", tag = "socket", responses(
    (status = 101, description = "The socket speaks `deskbell.v1` from here on"),
    (status = 400, description = "The subprotocol `deskbell.v1` is not offered", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The page's origin is on no project's list", body = Problem, content_type = "application/problem+json"),
    (status = 426, description = "No WebSocket handshake of version 13", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many connections", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn upgrade(
    State(edge): State<Arc<Edge>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Response {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    match begin(&edge, peer, request.headers(), upgrade) {
        Ok(answer) => {
            metrics::counter!("deskbell_handshakes_total", "outcome" => "accepted").increment(1);
            answer
        }
        Err((outcome, problem)) => {
            metrics::counter!("deskbell_handshakes_total", "outcome" => outcome).increment(1);
            refused(problem)
        }
    }
}

/// Why a handshake was refused: a word for the metric, and the answer.
type Refused = (&'static str, Problem);

fn begin(edge: &Arc<Edge>, peer: Peer, headers: &HeaderMap, upgrade: Option<OnUpgrade>) -> Result<Response, Refused> {
    let accept = accept_key(headers)?;
    let upgrade = upgrade.ok_or_else(|| not_a_handshake("the connection can't be upgraded"))?;
    if !offers_subprotocol(headers) {
        let detail = format!("offer the subprotocol: `Sec-WebSocket-Protocol: {SUBPROTOCOL}`");
        return Err(("subprotocol", Problem::bad_request(detail)));
    }
    let origin = origins::of(headers);
    if origin.is_some_and(|origin| !edge.accounts.knows_origin(origin)) {
        let detail = "this page's origin is on no project's list; `deskbell project set --origin` adds one";
        return Err(("origin", Problem::forbidden(detail)));
    }
    if edge.sessions.drain.is_cancelled() {
        return Err(("draining", Problem::busy("this node is being stopped", 1)));
    }
    let address = edge.gate.client(peer.address.ip(), headers);
    let seat = edge.gate.admit_socket(address).map_err(|problem| ("limit", problem))?;
    let peer = session::Peer { address, origin: origin.map(str::to_owned) };
    serve(edge, upgrade, peer, seat);
    Ok(switching(&accept))
}

/// Checks that this is a WebSocket handshake; the answer's `Sec-WebSocket-Accept`.
fn accept_key(headers: &HeaderMap) -> Result<String, Refused> {
    if !has_token(headers, header::CONNECTION, "upgrade") || !has_token(headers, header::UPGRADE, "websocket") {
        return Err(not_a_handshake("this address takes WebSocket handshakes only"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(not_a_handshake("this server speaks version 13 of the WebSocket protocol (RFC 6455)"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map_or(&[][..], HeaderValue::as_bytes);
    if BASE64_STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
        return Err(("malformed", Problem::bad_request("`Sec-WebSocket-Key` takes 16 bytes in base64")));
    }
    Ok(derive_accept_key(key))
}

fn not_a_handshake(detail: &str) -> Refused {
    ("no_upgrade", Problem::new(StatusCode::UPGRADE_REQUIRED, "bad_request", detail))
}

fn refused(problem: Problem) -> Response {
    let wants_upgrade = problem.status == StatusCode::UPGRADE_REQUIRED.as_u16();
    let mut answer = problem.into_response();
    if wants_upgrade {
        let headers = answer.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    answer
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == SUBPROTOCOL)
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn switching(accept: &str) -> Response {
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Waits for the bare stream and has a session begin on it.
fn serve(edge: &Arc<Edge>, upgrade: OnUpgrade, peer: session::Peer, seat: Seat) {
    let sessions = Arc::clone(&edge.sessions);
    edge.tasks.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        match bare(upgraded) {
            Some(Bare::Plain(Parts { io, read_buf, .. })) => {
                session::run(sessions, (Plain::from(io.into_inner()), read_buf), peer, seat).await;
            }
            Some(Bare::Tls(parts)) => {
                let Parts { io, read_buf, .. } = *parts;
                // Behind a pointer: it takes 1 KiB, and is handed on several times.
                session::run(sessions, (Box::new(io.into_inner()), read_buf), peer, seat).await;
            }
            None => tracing::error!("an upgraded connection is of no known kind"),
        }
    });
}

enum Bare {
    Plain(Parts<TokioIo<TcpStream>>),
    Tls(Box<Parts<TokioIo<TlsStream<TcpStream>>>>),
}

fn bare(upgraded: Upgraded) -> Option<Bare> {
    match upgraded.downcast() {
        Ok(parts) => Some(Bare::Plain(parts)),
        Err(upgraded) => upgraded.downcast().ok().map(|parts| Bare::Tls(Box::new(parts))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_key_is_answered_as_rfc_6455_says() {
        let handshake = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        assert_eq!(accept_key(&handshake).ok().as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_wanted() {
        let status = |pairs: &[(&'static str, &'static str)]| accept_key(&headers(pairs)).map_err(|(_, it)| it.status);
        assert_eq!(status(&[]), Err(426));
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(status(&[upgrade[0], upgrade[1], ("sec-websocket-version", "8")]), Err(426));
        assert_eq!(status(&[upgrade[0], upgrade[1], ("sec-websocket-version", "13")]), Err(400));
        let answer = refused(not_a_handshake("x").1);
        assert_eq!(answer.headers().get("sec-websocket-version"), Some(&HeaderValue::from_static("13")));
    }

    #[test]
    fn the_subprotocol_may_stand_in_a_list() {
        assert!(offers_subprotocol(&headers(&[("sec-websocket-protocol", "chat, deskbell.v1")])));
        assert!(!offers_subprotocol(&headers(&[("sec-websocket-protocol", "deskbell.v2")])));
        assert!(!offers_subprotocol(&headers(&[])));
    }
}
