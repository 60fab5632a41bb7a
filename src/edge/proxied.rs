//! The PROXY protocol, versions 1 and 2: what a balancer that passes bytes through says first, on whose behalf it comes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What version 2 begins with. Nothing else that is spoken here does.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included.
const LINE_BYTES: usize = 107;
/// The longest rest of version 2 that is read: two Unix paths, the longest addresses there are, and as much for extensions.
const REST_BYTES: u16 = 512;

/// Reads what stands before everything else; none when the balancer comes on its own behalf, as for a health check.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE { read_binary(stream).await } else { read_line(stream, &start).await }
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let (version_and_command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = stream.read_u16().await?;
    if length > REST_BYTES {
        return Err(wrong());
    }
    let mut rest = vec![0; usize::from(length)];
    stream.read_exact(&mut rest).await?;
    match (version_and_command, family) {
        (0x21, 0x11) => {
            let (address, port) = (part::<4>(&rest, 0)?, part::<2>(&rest, 8)?);
            Ok(Some((IpAddr::V4(Ipv4Addr::from(address)), u16::from_be_bytes(port)).into()))
        }
        (0x21, 0x21) => {
            let (address, port) = (part::<16>(&rest, 0)?, part::<2>(&rest, 32)?);
            Ok(Some((IpAddr::V6(Ipv6Addr::from(address)), u16::from_be_bytes(port)).into()))
        }
        (0x20 | 0x21, _) => Ok(None),
        _ => Err(wrong()),
    }
}

fn part<const N: usize>(rest: &[u8], at: usize) -> io::Result<[u8; N]> {
    rest.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or_else(wrong)
}

/// Byte by byte, because what follows the line is not for here.
async fn read_line(stream: &mut (impl AsyncRead + Unpin), start: &[u8]) -> io::Result<Option<SocketAddr>> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES || !line.starts_with(b"PROXY ") {
            return Err(wrong());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| wrong())?.trim_end();
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "TCP4" | "TCP6", source, _, port, _] => {
            let (source, port) = (source.parse::<IpAddr>(), port.parse::<u16>());
            source.ok().zip(port.ok()).map(|source| Some(source.into())).ok_or_else(wrong)
        }
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        _ => Err(wrong()),
    }
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what comes first is no PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, and what is left for who comes after.
    async fn read_all(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let mut left = bytes;
        let read = read(&mut left).await;
        (read, left.to_vec())
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"\x16hello"].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_client() {
        let four = [&[198, 51, 100, 7, 10, 0, 0, 1][..], &4_711_u16.to_be_bytes(), &443_u16.to_be_bytes(), b"\x04\0\0"];
        let mut six = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().repeat(2);
        six.extend([&4_711_u16.to_be_bytes()[..], &443_u16.to_be_bytes()].concat());
        for (said, source) in [
            (binary(0x21, 0x11, &four.concat()), "198.51.100.7:4711"),
            (binary(0x21, 0x21, &six), "[2001:db8::7]:4711"),
            (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n\x16hello".to_vec(), "198.51.100.7:4711"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n\x16hello".to_vec(), "[2001:db8::7]:4711"),
        ] {
            let (read, left) = read_all(&said).await;
            assert_eq!((read.unwrap(), &*left), (source.parse().ok(), &b"\x16hello"[..]));
        }
    }

    #[tokio::test]
    async fn a_balancer_may_come_for_itself() {
        for said in [binary(0x20, 0, b""), binary(0x21, 0, b""), b"PROXY UNKNOWN\r\n\x16hello".to_vec()] {
            let (read, left) = read_all(&said).await;
            assert_eq!((read.unwrap(), &*left), (None, &b"\x16hello"[..]));
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let long = [b"PROXY TCP4 ", &[b'1'; 200][..], b"\r\n"].concat();
        for said in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PROXY TCP4 nowhere 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 198.51.100.7 10.0.0.1 99999 443\r\n".to_vec(),
            b"PROXY TCP4 198.51.100.7\r\n".to_vec(),
            long,
            binary(0x31, 0x11, &[0; 12]),
            binary(0x21, 0x11, &[0; 4]),
            [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
            b"\r\n\r\n".to_vec(),
        ] {
            assert!(read_all(&said).await.0.is_err(), "{}", said.escape_ascii());
        }
    }
}
