//! `deskbell migrate | check-config | limits | healthcheck`

use std::{net::IpAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Common, Failure, print, tell};
use crate::{
    clock::Clock,
    config::{Limit, Limits},
    log::{OpenAs, SCHEMA},
};

/// How long a healthy server takes at most to say so.
const HEALTHY_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn migrate(common: &Common) -> Result<(), Failure> {
    let beside = common.open_as(OpenAs::FirstCommand).await?;
    let found = beside.log.found_schema();
    beside.close().await;
    let text = match found {
        0 => format!("the database is made, with schema {SCHEMA}"),
        SCHEMA => format!("the database has schema {SCHEMA} already, which is this program's"),
        _ => format!("the database went from schema {found} to {SCHEMA}"),
    };
    common.answer(&json!({ "migrated": true, "found": found, "schema": SCHEMA }), text)
}

pub(super) fn config(common: &Common) -> Result<(), Failure> {
    let config = common.load(&[])?;
    for doubt in config.tls.iter().flat_map(|files| files.doubts(Clock::system().now() / 1_000)) {
        tell(format_args!("deskbell: look at this: {doubt}"));
    }
    let shown = config.show();
    if !common.json {
        return print(&shown);
    }
    let settings: toml::Table = shown.parse().map_err(|error| Failure::Failed(format!("print: {error}")))?;
    common.answer(&json!({ "settings": settings }), "")
}

pub(super) fn limits(common: &Common) -> Result<(), Failure> {
    let limits = common.load(&[])?.limits;
    let rows = Limits::TABLE.iter().zip(limits.values());
    if common.json {
        let rows: Vec<Value> = rows
            .map(|(limit, value)| {
                json!({ "name": limit.name, "value": value, "unit": limit.unit, "default": limit.default,
                    "metric": limit.metric, "what": limit.what.trim() })
            })
            .collect();
        return common.answer(&json!({ "limits": rows, "exempt": limits.exempt }), "");
    }
    let rows = rows.map(|(limit, value)| {
        let was = if value == limit.default { String::new() } else { format!(" (default {})", limit.default) };
        let Limit { name, unit, metric, what, .. } = limit;
        format!("{name:<24} {value:>10} {unit:<10} {metric}{was}\n    {}\n", what.trim())
    });
    let exempt: Vec<String> = limits.exempt.iter().map(ToString::to_string).collect();
    let exempt = if exempt.is_empty() { "no network".to_owned() } else { exempt.join(", ") };
    print(&format!("{}exempt from what is counted by address: {exempt}\n", rows.collect::<String>()))
}

/// For a container's health check: there is no `curl` in a small image.
pub(super) async fn health(common: &Common) -> Result<(), Failure> {
    ask_admin(common, "/healthz").await?;
    common.answer(&json!({ "healthy": true }), "healthy")
}

/// What the admin listener of the running server answers.
pub(super) async fn ask_admin(common: &Common, path: &str) -> Result<String, Failure> {
    let mut address = common.load(&[])?.admin_listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])
        });
    }
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let failed = |why: &dyn std::fmt::Display| Failure::Failed(format!("find a healthy server at {address}: {why}"));
    match timeout(HEALTHY_WITHIN, ask).await {
        Ok(Ok(answer)) => match answer.strip_prefix("HTTP/1.1 200 ").and_then(|rest| rest.split_once("\r\n\r\n")) {
            Some((_, body)) => Ok(body.to_owned()),
            None => Err(failed(&"it says that it is not")),
        },
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&"no answer in 3 s")),
    }
}
