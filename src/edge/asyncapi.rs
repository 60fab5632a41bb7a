//! The AsyncAPI 3 document of the socket, built from the same types as the OpenAPI document.
//!
//! `docs/asyncapi.json` is a copy of it; a test compares them.

use serde_json::{Map, Value, json};

use super::openapi;
use crate::protocol::{SUBPROTOCOL, client::Command};

/// The document as pretty JSON.
pub fn document() -> String {
    openapi::pretty(&value())
}

fn value() -> Value {
    let openapi = openapi::value();
    let schemas = openapi.pointer("/components/schemas").cloned().unwrap_or_default();
    let sent = variants(&schemas, "Command");
    let received = variants(&schemas, "ServerFrame");
    let mut messages = Map::new();
    for (name, payload) in &sent {
        messages.insert(format!("client.{name}"), message(name, &with_id(payload)));
    }
    for (name, payload) in &received {
        messages.insert(format!("server.{name}"), message(name, payload));
    }
    let listed: Map<String, Value> =
        messages.keys().map(|name| (name.clone(), reference("#/components/messages", name))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Deskbell",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The wire protocol deskbell.v1. A text frame holds 1 to 16 of these objects, one a line.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/v1/ws",
                "description": "A WebSocket (RFC 6455) over TLS. Offer the subprotocol; send `connect` first, within 10 s.",
                "messages": listed,
                "bindings": { "ws": { "method": "GET", "headers": {
                    "type": "object",
                    "required": ["Sec-WebSocket-Protocol"],
                    "properties": { "Sec-WebSocket-Protocol": { "type": "string", "const": SUBPROTOCOL } },
                } } },
            },
        },
        "operations": {
            "command": operation("receive", "What a client may send.", "client", Command::NAMES.iter().copied()),
            "event": operation("send", "What the server sends.", "server", received.iter().map(|(name, _)| name.as_str())),
        },
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// The variants of a tagged enum's schema: the word in `type`, and the variant's schema.
fn variants(schemas: &Value, name: &str) -> Vec<(String, Value)> {
    let choices = schemas.pointer(&format!("/{name}/oneOf")).and_then(Value::as_array).cloned().unwrap_or_default();
    choices.into_iter().filter_map(|choice| Some((word(&choice)?, choice))).collect()
}

/// The one value that a variant's `type` takes.
fn word(choice: &Value) -> Option<String> {
    let parts = choice.get("allOf").and_then(Value::as_array).map_or(std::slice::from_ref(choice), Vec::as_slice);
    let kind = parts.iter().find_map(|part| part.pointer("/properties/type/enum/0"))?;
    kind.as_str().map(str::to_owned)
}

/// A command with the number that asks for an answer.
fn with_id(payload: &Value) -> Value {
    json!({ "allOf": [payload, {
        "type": "object",
        "properties": { "id": { "type": "integer", "minimum": 0, "maximum": u32::MAX,
            "description": "Asks for exactly one `ok` or `error` with the same number." } },
    }] })
}

fn message(name: &str, payload: &Value) -> Value {
    let summary = payload.get("description").or_else(|| payload.pointer("/allOf/0/description")).cloned();
    json!({ "name": name, "summary": summary.unwrap_or_default(), "payload": payload })
}

fn reference(root: &str, name: &str) -> Value {
    json!({ "$ref": format!("{root}/{name}") })
}

fn operation<'a>(action: &str, summary: &str, side: &str, names: impl Iterator<Item = &'a str>) -> Value {
    let messages: Vec<Value> =
        names.map(|name| reference("#/channels/socket/messages", &format!("{side}.{name}"))).collect();
    json!({ "action": action, "summary": summary, "channel": { "$ref": "#/channels/socket" }, "messages": messages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_copy_is_current() {
        super::super::assert_current("docs/asyncapi.json", &document());
    }

    #[test]
    fn every_command_and_every_frame_is_a_message() {
        let document = value();
        for name in Command::NAMES {
            let summary = document.pointer(&format!("/components/messages/client.{name}/summary"));
            assert!(summary.is_some_and(|text| text != ""), "{name}");
        }
        let frames = document.pointer("/operations/event/messages").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(frames, 13);
        let text = document.to_string();
        for target in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(target).is_some(), "{target}");
        }
    }
}
