//! JSON into commands and saved sessions, with the path of what is wrong.

use super::command::{Command, NOT_YET, Refusal, Saved, TimedCommand};
use crate::protocol::ErrorCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Commands of one saved session, at the most.
const COMMANDS_MAX: usize = 100_000;

/// Reads a command. An unknown or malformed one is `INVALID_ARGUMENT`; one whose engine part does not exist yet is `UNSUPPORTED_VERSION`.
pub fn parse_command(value: Value) -> Result<Command, Refusal> {
    let Value::Object(fields) = value else {
        return Err(Refusal::argument("type", "A command is an object with a type."));
    };
    match fields.get("type") {
        Some(Value::String(name)) if NOT_YET.contains(&name.as_str()) => {
            Err(Refusal::kafka(ErrorCode::UnsupportedVersion, format!("{name} comes with a later version.")).at("type"))
        }
        Some(Value::String(_)) => read(fields),
        Some(_) => Err(Refusal::argument("type", "A command's type is a string.")),
        None => Err(Refusal::argument("type", "A command has a type.")),
    }
}

/// Reads a saved session; what it means is checked when it is loaded.
pub fn parse_saved(value: Value) -> Result<Saved, Refusal> {
    let Value::Object(mut fields) = value else {
        return Err(Refusal::argument("format", "A saved session is an object."));
    };
    if fields.get("format").and_then(Value::as_str) != Some("brokerlab") {
        return Err(Refusal::argument("format", "A saved session has the format \"brokerlab\"."));
    }
    if fields.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(Refusal::kafka(ErrorCode::UnsupportedVersion, "Saved sessions of version 1 are read.").at("version"));
    }
    let commands = match fields.insert("commands".to_owned(), Value::Array(Vec::new())) {
        Some(Value::Array(commands)) if commands.len() <= COMMANDS_MAX => commands,
        Some(Value::Array(_)) => return Err(Refusal::argument("commands", format!("A session has at most {COMMANDS_MAX} commands."))),
        Some(_) => return Err(Refusal::argument("commands", "The commands are a list.")),
        None => return Err(Refusal::argument("commands", "The commands are missing.")),
    };
    let mut saved: Saved = read(fields)?;
    for (index, timed) in commands.into_iter().enumerate() {
        let path = |field: &str| format!("commands[{index}].{field}");
        let Value::Object(mut timed) = timed else {
            return Err(Refusal::argument(&format!("commands[{index}]"), "A command of a saved session is an object with at and command."));
        };
        let Some(at) = timed.remove("at").as_ref().and_then(Value::as_f64) else {
            return Err(Refusal::argument(&path("at"), "A command's time is a number of milliseconds."));
        };
        let command = timed.remove("command").unwrap_or(Value::Null);
        if let Some(extra) = timed.keys().next() {
            return Err(Refusal::argument(&path(extra), format!("A timed command has no {extra}.")));
        }
        let command = parse_command(command).map_err(|refusal| {
            let field = refusal.field.clone().unwrap_or_default();
            refusal.at(&path(&format!("command.{field}")))
        })?;
        saved.commands.push(TimedCommand { at, command });
    }
    Ok(saved)
}

/// Reads an object; on failure finds the field to blame.
fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(fields.clone())).map_err(|error| {
        let message = error.to_string();
        let field = named_field(&message).unwrap_or_else(|| blamed_field::<T>(&fields, &message));
        Refusal::argument(&field, message)
    })
}

/// The field that serde's message names in backticks ("missing field `x`", "unknown field `x`", "unknown variant `x`").
fn named_field(message: &str) -> Option<String> {
    if message.starts_with("unknown variant") {
        return None;
    }
    let (_, rest) = message.split_once("field `")?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

/// A value of the wrong type is not named: it is the one without which the message is another.
fn blamed_field<T: DeserializeOwned>(fields: &Map<String, Value>, message: &str) -> String {
    let another = |name: &&String| {
        let mut rest = fields.clone();
        rest.remove(*name);
        match serde_json::from_value::<T>(Value::Object(rest)) {
            Ok(_) => true,
            Err(error) => error.to_string() != message,
        }
    };
    fields.keys().filter(|name| *name != "type").find(another).map_or_else(|| "type".to_owned(), Clone::clone)
}
