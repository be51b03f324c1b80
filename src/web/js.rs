//! Values from scripts, made safe: whatever JavaScript hands over becomes plain JSON or a refusal that names the place, never a panic.

use crate::session::command::Refusal;
use js_sys::{Object, Reflect};
use serde::Serialize;
use serde_json::{Map, Number, Value};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// Unlike `js_sys`'s, it can fail: a revoked proxy throws even here.
    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
}

/// Deeper values (and cycles, which have no end) are refused.
const DEPTH_MAX: usize = 32;
/// Elements of one array or object.
const WIDTH_MAX: u32 = 1_000_000;
/// 2^53 - 1: above it a number of JavaScript is no integer any more.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// A value as JSON. `path` names it in refusals.
pub fn to_json(value: &JsValue, path: &str) -> Result<Value, Refusal> {
    convert(value, path, 0)
}

fn convert(value: &JsValue, path: &str, depth: usize) -> Result<Value, Refusal> {
    let refuse = |what: &str| Err(Refusal::argument(if path.is_empty() { "value" } else { path }, what));
    if depth > DEPTH_MAX {
        // The whole path would only repeat itself.
        let top = path.split(['.', '[']).next().unwrap_or(path);
        return Err(Refusal::argument(top, "is nested too deeply, or contains itself"));
    }
    if value.is_null() || value.is_undefined() {
        return Ok(Value::Null);
    }
    if let Some(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Some(text) = value.as_string() {
        return Ok(Value::String(text));
    }
    if let Some(n) = value.as_f64() {
        return number(n).map_or_else(|| refuse("must be a finite number"), Ok);
    }
    if value.is_function() {
        return refuse("is a function; only JSON values can be commands");
    }
    if value.is_bigint() {
        return refuse("is a BigInt; write it as a number");
    }
    if value.is_symbol() || !value.is_object() {
        return refuse("is not a JSON value");
    }
    if is_array(value).map_err(|_| broken(path))? {
        return array(value, path, depth);
    }
    object(value, path, depth)
}

/// Proxies and getters may throw; that is a refusal like any other.
fn broken(path: &str) -> Refusal {
    Refusal::argument(if path.is_empty() { "value" } else { path }, "cannot be read")
}

fn array(value: &JsValue, path: &str, depth: usize) -> Result<Value, Refusal> {
    let length = Reflect::get(value, &"length".into()).map_err(|_| broken(path))?.as_f64().unwrap_or(0.0);
    if length > f64::from(WIDTH_MAX) {
        return Err(Refusal::argument(path, "has too many elements"));
    }
    let element = |i| convert(&Reflect::get_u32(value, i).map_err(|_| broken(path))?, &format!("{path}[{i}]"), depth + 1);
    (0..length as u32).map(element).collect::<Result<_, _>>().map(Value::Array)
}

fn object(value: &JsValue, path: &str, depth: usize) -> Result<Value, Refusal> {
    let broken = || broken(path);
    let keys = Reflect::own_keys(value).map_err(|_| broken())?;
    let mut out = Map::new();
    for key in keys.iter().take(WIDTH_MAX as usize) {
        let Some(name) = key.as_string() else { continue };
        let described = Reflect::get_own_property_descriptor(value.unchecked_ref::<Object>(), &key).map_err(|_| broken())?;
        let shown = Reflect::get(&described, &"enumerable".into()).map_err(|_| broken())?;
        let held = Reflect::get(value, &key).map_err(|_| broken())?;
        // As JSON.stringify does: what is undefined or hidden is not there.
        if held.is_undefined() || shown.is_falsy() {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        out.insert(name, convert(&held, &path, depth + 1)?);
    }
    Ok(Value::Object(out))
}

fn number(n: f64) -> Option<Value> {
    if n.fract() == 0.0 && n.abs() <= SAFE {
        return Some(Value::Number(Number::from(n as i64)));
    }
    Number::from_f64(n).map(Value::Number)
}

/// Reads JSON text: the browser does it, so that the page needs no reader of its own.
pub fn parse(text: &str) -> Result<Value, String> {
    let value = js_sys::JSON::parse(text).map_err(|error| js_sys::Error::from(error).message())?;
    to_json(&value, "").map_err(|refusal| refusal.to_string())
}

/// JSON text of a struct of ours, with so many spaces for each level; none: on one line.
pub fn stringify(value: &impl Serialize, spaces: u8) -> String {
    let text = from_rust(value)
        .ok()
        .and_then(|plain| js_sys::JSON::stringify_with_replacer_and_space(&plain, &JsValue::NULL, &spaces.into()).ok());
    text.map(String::from).unwrap_or_default()
}

/// A struct of ours as plain JavaScript objects, the same that its JSON would give.
pub fn from_rust(value: &impl Serialize) -> Result<JsValue, Refusal> {
    let broken = |message: String| Refusal { code: "UNKNOWN_SERVER_ERROR".to_owned(), message, field: None };
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(|error| broken(error.to_string()))
}

/// A refusal as scripts catch it: an `Error` named `BrokerlabError` with `code`, `message` and `field`.
pub fn error(refusal: &Refusal) -> JsValue {
    let error = js_sys::Error::new(&refusal.message);
    error.set_name("BrokerlabError");
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &refusal.code.as_str().into());
    if let Some(field) = &refusal.field {
        let _ = Reflect::set(&error, &"field".into(), &field.as_str().into());
    }
    error.into()
}
