//! Web origins: scheme, host and port, compared exactly.

use std::{fmt, net::IpAddr, str::FromStr};

/// A web origin as a browser writes it: lower case, no default port, no path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: Option<u16>,
}

/// The text is no origin of http or https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is written https://host or https://host:port, without a path")]
pub struct NoOrigin;

impl Origin {
    /// The origin of a listening address.
    pub fn of_address(address: std::net::SocketAddr, https: bool) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { https, host, port: Some(address.port()).filter(|port| *port != default_port(https)) }
    }

    /// Whether it is reached by TLS.
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, the scheme's own where none is said.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(default_port(self.https))
    }

    /// Host and port as a request's `Host` says them.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// Whether it is this machine: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The same place for WebSockets, for a page's `connect-src`.
    pub fn websocket(&self) -> String {
        let text = self.to_string();
        text.replacen("http", "ws", 1)
    }
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Letters, digits, dots, hyphens; or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(plain)
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(NoOrigin)?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(NoOrigin),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let colon = rest.rfind(':').filter(|at| rest.rfind(']').is_none_or(|bracket| bracket < *at));
        let (host, port) = match colon {
            Some(at) => (&rest[..at], Some(rest[at + 1..].parse::<u16>().map_err(|_| NoOrigin)?)),
            None => (rest, None),
        };
        if !is_host(host) {
            return Err(NoOrigin);
        }
        Ok(Self { https, host: host.to_owned(), port: port.filter(|port| *port != default_port(https)) })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(out, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_browsers_write_them() {
        let written = |text: &str| text.parse::<Origin>().map(|origin| origin.to_string());
        assert_eq!(written("HTTPS://Shop.Example.org:443/").as_deref(), Ok("https://shop.example.org"));
        assert_eq!(written("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(written("http://[::1]:80").as_deref(), Ok("http://[::1]"));
        for wrong in
            ["shop.example.org", "ftp://a", "https://", "https://a/b", "https://a b", "https://a:x", "null", "*"]
        {
            assert_eq!(written(wrong), Err(NoOrigin), "{wrong}");
        }
    }

    #[test]
    fn another_port_or_scheme_is_another_origin() {
        let origin = |text: &str| text.parse::<Origin>().ok();
        assert_ne!(origin("https://a.org"), origin("http://a.org"));
        assert_ne!(origin("https://a.org"), origin("https://a.org:8443"));
        assert_ne!(origin("https://a.org"), origin("https://b.a.org"));
    }

    #[test]
    fn loopback_is_this_machine_only() {
        let loopback = |text: &str| text.parse::<Origin>().is_ok_and(|origin| origin.is_loopback());
        assert!(loopback("http://localhost:1") && loopback("http://127.0.0.5") && loopback("http://[::1]:9"));
        assert!(!loopback("http://localhost.example.org") && !loopback("http://10.0.0.1"));
    }
}
