//! HTTP, one request a connection: as little as the tests need.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Stream, within};

/// A request in the making.
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        let mut request = Self::new("POST", path).header("Content-Type", "application/json");
        request.body = body.to_string();
        request
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn send(self, to: SocketAddr) -> Answer {
        within(format!("{} {}", self.method, self.path), async {
            let stream = Stream::dial(to, None).await.unwrap();
            self.over(stream, to).await
        })
        .await
    }

    /// Sends it over a connection that stands already.
    pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, host: SocketAddr) -> Answer {
        stream.write_all(self.text(host).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A TLS connection may end without its last word; what was said is complete by its length.
        drop(stream.read_to_end(&mut answer).await);
        Answer::parse(&answer)
    }

    /// As [`Request::over`]; none where the server closes without an answer.
    pub(crate) async fn try_over<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        mut stream: S,
        host: SocketAddr,
    ) -> Option<Answer> {
        stream.write_all(self.text(host).as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        (!answer.is_empty()).then(|| Answer::parse(&answer))
    }

    fn text(&self, host: SocketAddr) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        let is_handshake = self.headers.iter().any(|(name, _)| name == "Upgrade");
        if !is_handshake {
            text += "Connection: close\r\n";
        }
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if !self.body.is_empty() {
            text.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        text + "\r\n" + &self.body
    }

    /// A WebSocket handshake as a browser sends it.
    pub(crate) fn handshake() -> Self {
        Self::get("/v1/ws")
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Sends it and reads no further than the head: after 101 nothing else comes.
    pub(crate) async fn head(self, to: SocketAddr) -> Answer {
        within("the head of an answer", async {
            let mut stream = Stream::dial(to, None).await.unwrap();
            stream.write_all(self.text(to).as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(stream.read_u8().await.unwrap());
            }
            Answer::parse(&answer)
        })
        .await
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer, but {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let pairs = lines.filter_map(|line| line.split_once(": "));
        let headers = pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status: status.unwrap_or_else(|| panic!("no status in {head:?}")), headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The body of an answer with this status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The problem's code: the answer must be a problem document with the same status.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}
