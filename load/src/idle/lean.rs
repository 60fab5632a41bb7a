//! A session that only listens, on as little memory as there can be: both ends of a large herd share one machine, and what its
//! clients take could hold other sessions. A frame is read into the stack; only what is not whole yet is kept.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::ready,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use deskbell::protocol::{
    SUBPROTOCOL,
    client::{ClientFrame, Command, Connect},
};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use crate::{
    client::Dialer,
    scan::{self, Line},
    stream::Stream,
};

/// How long setting up one session may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What one read takes at most.
const READ_BYTES: usize = 4096;
/// More than the server ever says at once to somebody who does nothing.
const MOST_BYTES: usize = 1 << 20;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One session.
pub(super) struct Lean {
    stream: Stream,
    /// The beginning of a frame whose end has not come.
    rest: Vec<u8>,
}

impl Lean {
    /// Dials, upgrades and connects.
    pub(super) async fn connect(dialer: &Dialer, index: usize, token: &str) -> Result<Self> {
        tokio::time::timeout(PATIENCE, Self::set_up(dialer, index, token)).await.context("no session within 30 s")?
    }

    async fn set_up(dialer: &Dialer, index: usize, token: &str) -> Result<Self> {
        let mut new = Self { stream: dialer.dial_stream(index).await?, rest: Vec::new() };
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZGVza2JlbGwtbG9hZC4uLg==\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        new.stream.write_all(request.as_bytes()).await?;
        new.stream.flush().await?;
        let end = loop {
            new.read().await?;
            if let Some(end) = new.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&new.rest[..end]).into_owned();
        if !head.starts_with("HTTP/1.1 101") {
            bail!("the server refused the WebSocket: {}", head.lines().next().unwrap_or_default());
        }
        new.rest.drain(..end);
        let connect = Connect { token: token.to_owned(), client: None, resume: Vec::new() };
        let frame = ClientFrame { id: Some(1), command: Command::Connect(connect) };
        new.say(TEXT, serde_json::to_string(&frame)?.as_bytes()).await?;
        loop {
            let text = new.next().await?;
            for line in scan::lines(&text) {
                match scan::line(line) {
                    Line::Ok { id: 1, .. } => return Ok(new),
                    Line::Error { id: Some(1), .. } => bail!("refused: {line}"),
                    _ => {}
                }
            }
        }
    }

    /// Answers heartbeats until the session ends, counting them; returns why it did.
    pub(super) async fn listen(mut self, pings: &AtomicU64) -> anyhow::Error {
        loop {
            let text = match self.next().await {
                Ok(text) => text,
                Err(error) => return error,
            };
            if scan::lines(&text).any(|line| scan::line(line) == Line::Ping) {
                pings.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.say(TEXT, br#"{"type":"pong"}"#).await {
                    return error;
                }
            }
        }
    }

    /// The next text.
    async fn next(&mut self) -> Result<String> {
        loop {
            let Some((opcode, body)) = frame(&self.rest)? else {
                self.read().await?;
                continue;
            };
            let end = body.end;
            let body = self.rest[body].to_vec();
            // A list that is emptied keeps its memory; a new one has none.
            self.rest = if end == self.rest.len() { Vec::new() } else { self.rest.split_off(end) };
            match opcode {
                TEXT => return String::from_utf8(body).context("a frame is no text"),
                PING => self.say(PONG, &body).await?,
                CLOSE => {
                    let code = body.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)).unwrap_or_default();
                    bail!("closed with {code}: {}", String::from_utf8_lossy(body.get(2..).unwrap_or_default()));
                }
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        let Self { stream, rest } = self;
        let count = poll_fn(|context| {
            let mut bytes = [0; READ_BYTES];
            let mut into = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut into))?;
            rest.extend_from_slice(into.filled());
            std::task::Poll::Ready(std::io::Result::Ok(into.filled().len()))
        });
        if count.await.context("the connection broke")? == 0 {
            bail!("the connection ended without a close frame");
        }
        if self.rest.len() > MOST_BYTES {
            bail!("the server says more than is expected");
        }
        Ok(())
    }

    async fn say(&mut self, opcode: u8, body: &[u8]) -> Result<()> {
        self.stream.write_all(&masked(opcode, body)).await.context("failed to send")?;
        self.stream.flush().await.context("failed to send")
    }
}

/// The first frame, if it is whole: what it is, and where its body is.
fn frame(bytes: &[u8]) -> Result<Option<(u8, std::ops::Range<usize>)>> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & 0x80 == 0 || second & 0x80 != 0 {
        bail!("the server sent a fragment, or a masked frame");
    }
    let (start, length) = match second {
        126 => (4, bytes.get(2..4).and_then(|two| two.try_into().ok()).map(|two| usize::from(u16::from_be_bytes(two)))),
        127 => bail!("the server sent a frame of more than 64 KiB"),
        short => (2, Some(usize::from(short))),
    };
    let end = length.map(|length| start + length).filter(|end| *end <= bytes.len());
    Ok(end.map(|end| (first & 0x0f, start..end)))
}

/// A frame as a client sends it.
fn masked(opcode: u8, body: &[u8]) -> Vec<u8> {
    let mask: [u8; 4] = rand::random();
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(body.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0xfe);
            frame.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_when_it_is_whole() {
        for length in [0, 5, 125, 126, 300, 60_000] {
            let body = vec![b'x'; length];
            let mut bytes = masked(TEXT, &body);
            // As a server sends it: without the mask.
            let at = bytes.len() - length - 4;
            let mask: Vec<u8> = bytes.drain(at..at + 4).collect();
            bytes[1] &= 0x7f;
            bytes[at..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            for end in 0..bytes.len().min(8) {
                assert_eq!(frame(&bytes[..end]).unwrap(), None, "{length} cut at {end}");
            }
            assert_eq!(frame(&bytes[..bytes.len() - 1]).unwrap(), None);
            let (opcode, range) = frame(&bytes).unwrap().unwrap();
            assert_eq!((opcode, &bytes[range]), (TEXT, &body[..]));
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_an_error() {
        assert!(frame(&[0x01, 0x00]).is_err(), "a fragment");
        assert!(frame(&masked(TEXT, b"x")).is_err(), "masked");
    }
}
