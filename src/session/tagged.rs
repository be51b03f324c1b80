//! Objects with their name inside as `type`, and serde's plain form of the same, `{name: fields}`.
//!
//! serde's own way for a `type` inside buffers every field and costs twice the code; turning the JSON value round costs nearly none.

use serde_json::{Map, Value};

/// `{"type": name, ...}` to `{name: {...}}`. `None`: there is no type, or it is no string.
pub fn plain(mut fields: Map<String, Value>) -> Option<Value> {
    let Some(Value::String(name)) = fields.remove("type") else { return None };
    Some(Value::Object(Map::from_iter([(name, Value::Object(fields))])))
}

/// `{name: {...}}` to `{"type": name, ...}`.
pub fn flat(plain: Value) -> Map<String, Value> {
    let mut flat = Map::new();
    if let Value::Object(plain) = plain {
        for (name, fields) in plain {
            flat.insert("type".to_owned(), Value::String(name));
            if let Value::Object(fields) = fields {
                flat.extend(fields);
            }
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_two_forms_turn_into_each_other() {
        let tagged = json!({ "type": "crashBroker", "broker": 2 });
        let Value::Object(fields) = tagged.clone() else { unreachable!("an object") };
        let plain = plain(fields).expect("it has a type");
        assert_eq!(plain, json!({ "crashBroker": { "broker": 2 } }));
        assert_eq!(Value::Object(flat(plain)), tagged);
        assert_eq!(super::plain(Map::new()), None);
    }
}
