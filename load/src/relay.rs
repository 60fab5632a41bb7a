//! Servers that only relay: the baseline, and other products, each with its own way to say a text.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::client::Socket;

/// How a server that only relays wants texts wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A frame each; the first names the pair.
    #[default]
    Plain,
    /// Socket.IO's event `m`; the first names the pair.
    SocketIo,
    /// NATS' text protocol in binary frames: a subject for each of a pair.
    Nats,
    /// The JSON protocol of Centrifuge: a channel for each of a pair.
    Centrifuge,
}

impl Dialect {
    /// The dialect of this name, as a peer says it.
    pub(crate) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "websocket" => Self::Plain,
            "socket.io" => Self::SocketIo,
            "nats" => Self::Nats,
            "centrifuge" => Self::Centrifuge,
            other => bail!("{other:?} is no dialect: websocket, socket.io, nats, centrifuge"),
        })
    }

    /// Where its WebSocket is.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Plain | Self::Nats => "/v1/ws",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Centrifuge => "/connection/websocket",
        }
    }
}

/// One of a pair's sockets.
pub(crate) struct Relay {
    socket: Socket,
    dialect: Dialect,
    /// The names of its own subject or channel, and of the other one's.
    names: [String; 2],
    last_id: u32,
    /// What came and makes no whole message yet.
    rest: Vec<u8>,
    heard: VecDeque<Heard>,
}

/// What a server says, whatever its dialect.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    /// It has taken what was asked of it.
    Ready,
    Ping,
    Refusal(String),
}

impl Relay {
    /// One of the two sockets of a pair: the first (0) or the second (1).
    pub(crate) fn new(socket: Socket, dialect: Dialect, pair: usize, own: usize) -> Self {
        let names = [own, 1 - own].map(|side| format!("pair-{pair}-{side}"));
        Self { socket, dialect, names, last_id: 0, rest: Vec::new(), heard: VecDeque::new() }
    }

    /// Says which pair it is to be one of.
    pub(crate) async fn greet(&mut self, pair: usize) -> Result<()> {
        let own = &self.names[0];
        let first = match self.dialect {
            Dialect::Plain => format!("pair {pair}"),
            Dialect::SocketIo => {
                self.open_socket_io().await?;
                socket_io(&format!("pair {pair}"))
            }
            Dialect::Nats => {
                let terms = r#"{"verbose":false,"pedantic":false,"echo":false,"lang":"deskbell-load","version":"1","protocol":1}"#;
                // The answer to the `PING` says that the subscription stands.
                format!("CONNECT {terms}\r\nSUB {own} 1\r\nPING\r\n")
            }
            Dialect::Centrifuge => {
                self.last_id = 2;
                format!(r#"{{"id":1,"connect":{{}}}}{}{{"id":2,"subscribe":{{"channel":"{own}"}}}}"#, '\n')
            }
        };
        self.send(first).await
    }

    /// Returns when the server has taken it, and the other one where it knows of pairs.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        loop {
            match self.hear().await? {
                Heard::Ready => return Ok(()),
                Heard::Text(text) if text == "ready" => return Ok(()),
                Heard::Ping => self.pong().await?,
                other => bail!("the relay said {other:?}"),
            }
        }
    }

    /// Socket.IO's server opens with its terms, a client with `40`; what comes before the answer to that ends the socket.
    async fn open_socket_io(&mut self) -> Result<()> {
        self.send("40".to_owned()).await?;
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text.starts_with("40") => return Ok(()),
                Some(Ok(Message::Text(_))) => {}
                other => bail!("the relay ended with {other:?}"),
            }
        }
    }

    /// Says a text, which needs no escaping, to the other one.
    pub(crate) async fn say(&mut self, text: String) -> Result<()> {
        let to = &self.names[1];
        let frame = match self.dialect {
            Dialect::Plain => text,
            Dialect::SocketIo => socket_io(&text),
            Dialect::Nats => format!("PUB {to} {}\r\n{text}\r\n", text.len()),
            Dialect::Centrifuge => {
                self.last_id += 1;
                format!(r#"{{"id":{},"publish":{{"channel":"{to}","data":"{text}"}}}}"#, self.last_id)
            }
        };
        self.send(frame).await
    }

    /// The next text that the other one said. May be cancelled and called again.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.hear().await? {
                Heard::Text(text) => return Ok(text.into()),
                Heard::Ping => self.pong().await?,
                Heard::Ready => {}
                Heard::Refusal(why) => bail!("the relay refused: {why}"),
            }
        }
    }

    async fn hear(&mut self) -> Result<Heard> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => self.read(text.as_bytes())?,
                Some(Ok(Message::Binary(bytes))) => self.read(&bytes)?,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => bail!("the relay ended with {other:?}"),
            }
        }
    }

    fn read(&mut self, frame: &[u8]) -> Result<()> {
        let text = || std::str::from_utf8(frame).context("a frame is no text");
        match self.dialect {
            Dialect::Plain => self.heard.push_back(Heard::Text(text()?.to_owned())),
            Dialect::SocketIo => self.heard.extend(of_socket_io(text()?)),
            Dialect::Centrifuge => self.heard.extend(text()?.lines().filter_map(of_centrifuge)),
            Dialect::Nats => {
                self.rest.extend_from_slice(frame);
                let used = of_nats(&self.rest, &mut self.heard)?;
                self.rest.drain(..used);
            }
        }
        Ok(())
    }

    async fn pong(&mut self) -> Result<()> {
        let pong = match self.dialect {
            Dialect::Plain => return Ok(()),
            Dialect::SocketIo => "3",
            Dialect::Nats => "PONG\r\n",
            Dialect::Centrifuge => "{}",
        };
        self.send(pong.to_owned()).await
    }

    async fn send(&mut self, text: String) -> Result<()> {
        let frame =
            if self.dialect == Dialect::Nats { Message::Binary(Bytes::from(text)) } else { Message::text(text) };
        Ok(self.socket.send(frame).await?)
    }
}

fn socket_io(text: &str) -> String {
    format!("42[\"m\",\"{text}\"]")
}

fn of_socket_io(frame: &str) -> Option<Heard> {
    match frame {
        "2" => Some(Heard::Ping),
        _ => Some(Heard::Text(frame.strip_prefix("42[\"m\",\"")?.strip_suffix("\"]")?.to_owned())),
    }
}

/// Reads a line of Centrifuge's JSON protocol, with as little work as possible: the texts need no escaping.
fn of_centrifuge(line: &str) -> Option<Heard> {
    if line == "{}" {
        return Some(Heard::Ping);
    }
    if line.contains("\"error\":") || line.contains("\"disconnect\":") {
        return Some(Heard::Refusal(line.to_owned()));
    }
    if line.contains("\"push\":") {
        let (_, data) = line.split_once("\"data\":\"")?;
        return Some(Heard::Text(data[..data.find('"')?].to_owned()));
    }
    line.contains("\"subscribe\":").then_some(Heard::Ready)
}

/// Reads all whole messages of NATS' protocol; returns how many bytes they were.
fn of_nats(bytes: &[u8], heard: &mut VecDeque<Heard>) -> Result<usize> {
    let mut used = 0;
    while let Some(end) = bytes[used..].windows(2).position(|two| two == b"\r\n") {
        let line = std::str::from_utf8(&bytes[used..used + end]).context("a line is no text")?;
        let after = used + end + 2;
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "MSG" => {
                let length: usize =
                    rest.rsplit(' ').next().unwrap_or_default().parse().context("a message has a length")?;
                let Some(text) = bytes.get(after..after + length).filter(|_| bytes.len() >= after + length + 2) else {
                    break;
                };
                heard.push_back(Heard::Text(std::str::from_utf8(text)?.to_owned()));
                used = after + length + 2;
                continue;
            }
            "PING" => heard.push_back(Heard::Ping),
            "PONG" => heard.push_back(Heard::Ready),
            "-ERR" => heard.push_back(Heard::Refusal(rest.to_owned())),
            _ => {}
        }
        used = after;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nats_is_read_wherever_a_frame_ends() {
        let all = b"INFO {}\r\nPING\r\nMSG pair-0-1 1 5\r\nhe\r\no\r\nPONG\r\n-ERR 'no'\r\n";
        let expected = [Heard::Ping, Heard::Text("he\r\no".into()), Heard::Ready, Heard::Refusal("'no'".into())];
        for cut in 0..all.len() {
            let (mut rest, mut heard) = (all[..cut].to_vec(), VecDeque::new());
            let used = of_nats(&rest, &mut heard).unwrap();
            rest.drain(..used);
            rest.extend_from_slice(&all[cut..]);
            assert_eq!(of_nats(&rest, &mut heard).unwrap(), rest.len(), "cut at {cut}");
            assert_eq!(heard, expected, "cut at {cut}");
        }
    }

    #[test]
    fn lines_of_centrifuge_are_told_apart() {
        let cases = [
            ("{}", Some(Heard::Ping)),
            (r#"{"id":1,"connect":{"client":"c","version":"6","ping":25,"pong":true}}"#, None),
            (r#"{"id":2,"subscribe":{}}"#, Some(Heard::Ready)),
            (r#"{"id":3,"publish":{}}"#, None),
            (
                r#"{"push":{"channel":"pair-0-1","pub":{"data":"0.0.1 xx","info":{"user":"","client":"c"}}}}"#,
                Some(Heard::Text("0.0.1 xx".into())),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(of_centrifuge(line), expected, "{line}");
        }
        let refused = r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#;
        assert_eq!(of_centrifuge(refused), Some(Heard::Refusal(refused.into())));
    }

    #[test]
    fn socket_io_says_texts_as_an_event() {
        assert_eq!(of_socket_io(&socket_io("0.1.2 x")), Some(Heard::Text("0.1.2 x".into())));
        assert_eq!((of_socket_io("2"), of_socket_io("0{}")), (Some(Heard::Ping), None));
    }
}
