//! The OpenAPI 3.1 document: the HTTP endpoints, and as components every frame of the socket.
//!
//! `web/types/openapi.json` is a copy of it, from which the clients' types are generated; a test compares them.

use serde_json::{Map, Value};
use utoipa::OpenApi;

use super::{agents, problem, sessions, ws};
use crate::protocol::{client, server};

/// All endpoints and types.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Deskbell",
        description = "The live-chat server that a company runs itself. The socket `/v1/ws` speaks `deskbell.v1`: \
                       clients send `ClientFrame`, the server sends `ServerFrame`; see also `/v1/asyncapi.json`."
    ),
    paths(ws::upgrade, sessions::create, agents::login, agents::token, agents::logout),
    components(schemas(
        sessions::SessionRequest,
        sessions::SessionReply,
        agents::LoginRequest,
        agents::AgentTokenReply,
        problem::Problem,
        client::ClientFrame,
        server::ServerFrame,
    ))
)]
struct Document;

/// Components that the derive names after a Rust type where the alias is what readers know.
const ALIASES: &[(&str, &str, &str)] = &[
    ("i64", "Millis", "Milliseconds; a time is counted since the Unix epoch, UTC."),
    ("BTreeMap", "Fields", "What a visitor filled in; `name` and `email` are known."),
];

/// The document as pretty JSON.
pub fn document() -> String {
    pretty(&value())
}

/// The document.
pub(super) fn value() -> Value {
    // Serialising the document can't fail: it is made of strings and maps.
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        for (rust, alias, description) in ALIASES {
            rename(schemas, rust, alias, description);
        }
    }
    tidy(&mut document);
    document
}

/// Pretty JSON with a newline at the end.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn rename(schemas: &mut Map<String, Value>, from: &str, to: &str, description: &str) {
    if let Some(Value::Object(mut schema)) = schemas.remove(from) {
        schema.insert("description".to_owned(), description.into());
        schemas.insert(to.to_owned(), Value::Object(schema));
    }
}

/// Says what is on the wire where the derive says what serde would accept: a missing field is missing, not `null`; the
/// shapes of an untagged enum may overlap.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref") {
                for (rust, alias, _) in ALIASES {
                    if target.strip_suffix(rust).is_some_and(|rest| rest.ends_with('/')) {
                        *target = format!("#/components/schemas/{alias}");
                    }
                }
            }
            if object.get("type") == Some(&Value::from("null")) {
                object.remove("default");
            }
            never_null_when_missing(object);
            overlap(object);
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn never_null_when_missing(object: &mut Map<String, Value>) {
    let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = object.get_mut("properties") else { return };
    for (name, property) in properties {
        if !required.contains(&Value::from(name.as_str())) {
            without_null(property);
        }
    }
}

fn without_null(property: &mut Value) {
    let Some(object) = property.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("oneOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        if let [only] = choices.as_slice() {
            *property = only.clone();
        }
    }
}

/// `oneOf` of bare references is an untagged enum: several may match.
fn overlap(object: &mut Map<String, Value>) {
    let untagged =
        |choices: &Vec<Value>| choices.len() > 2 && choices.iter().all(|choice| choice.get("$ref").is_some());
    if object.get("oneOf").and_then(Value::as_array).is_some_and(untagged)
        && let Some(choices) = object.remove("oneOf")
    {
        object.insert("anyOf".to_owned(), choices);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_copy_is_current() {
        super::super::assert_current("web/types/openapi.json", &document());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = value();
        let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
        let text = document.to_string();
        for target in text.split("\"$ref\":\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.get(target).is_some(), "{target}");
        }
        assert!(schemas.get("Millis").is_some() && schemas.get("Fields").is_some());
    }

    #[test]
    fn what_may_be_missing_is_never_null() {
        let document = value();
        let at = |path: &str| document.pointer(&format!("/components/schemas/{path}")).cloned().unwrap_or_default();
        assert_eq!(at("VisitorName/properties/name/type"), "string");
        assert_eq!(at("Queue/properties/eta_ms/$ref"), "#/components/schemas/Millis");
        let head = at("Head/required");
        assert!(head.as_array().is_some_and(|names| names.contains(&"assignee".into())), "{head}");
    }
}
