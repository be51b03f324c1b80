//! JSON objects taken apart field by field, with the path of what is wrong and a sentence about it.
//!
//! Owns the reading of plain values: numbers within their type's range, text, lists, settings. Knows no command, no lesson and no question
//! of the page: each room reads its own objects with [`object`].
//!
//! Why not serde's derive: it writes a reader for each variant of an enum, and those of the commands and goals alone were 25 KB of the page's
//! download. Here a field costs one call. A wrong field is remembered and read as its type's default, so that nothing needs to be taken back
//! on the way; the whole is refused at the end.

use super::command::{Configs, Refusal};
use crate::protocol::text::{self, Text, written};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Characters of a wrong text that its refusal quotes.
const QUOTED_MAX: usize = 40;

/// What was read, or what is wrong with it.
pub type Read<T> = Result<T, Misfit>;

/// A value that can be read from JSON.
pub trait FromValue: Sized {
    /// Takes the value, so that large texts are moved and not copied.
    fn from_value(value: Value) -> Read<Self>;
}

/// What is wrong, and where. The path grows on the way out.
#[derive(Debug)]
pub struct Misfit(Box<Wrong>);

#[derive(Debug)]
struct Wrong {
    path: String,
    words: Words,
}

#[derive(Debug)]
enum Words {
    /// What follows the path of the field: "must be a string, not 5."
    OfField(String),
    /// A sentence with a code of its own.
    Whole { code: String, sentence: String },
}

impl Misfit {
    /// Another value stands there than the one that is expected.
    #[inline(never)]
    pub fn expected(expected: &str, found: &Value) -> Misfit {
        let found = match found {
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) => quoted(text),
            plain => written(plain),
        };
        Misfit::of_field("", format!("must be {expected}, not {found}."))
    }

    fn missing(name: &str) -> Misfit {
        Misfit::of_field(name, "is missing.".to_owned())
    }

    fn of_field(path: &str, words: String) -> Misfit {
        Misfit(Box::new(Wrong { path: path.to_owned(), words: Words::OfField(words) }))
    }

    /// The same seen from outside: `name` is the field in which it was found.
    #[inline(never)]
    pub fn within(mut self, name: &str) -> Misfit {
        let joint = if self.0.path.is_empty() || self.0.path.starts_with('[') { "" } else { "." };
        self.0.path = format!("{name}{joint}{}", self.0.path);
        self
    }

    /// The same, found in an element of a list.
    #[inline(never)]
    fn within_element(self, index: usize) -> Misfit {
        self.within(&format!("[{index}]"))
    }
}

/// A text as a sentence quotes it: as JSON, and not longer than a sentence.
pub fn quoted(text: &str) -> String {
    let text = match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => &format!("{}…", &text[..end]),
        None => text,
    };
    text::quoted(text)
}

impl From<Refusal> for Misfit {
    fn from(refusal: Refusal) -> Misfit {
        let words = Words::Whole { code: refusal.code, sentence: refusal.message };
        Misfit(Box::new(Wrong { path: refusal.field.unwrap_or_default(), words }))
    }
}

impl From<Misfit> for Refusal {
    fn from(Misfit(wrong): Misfit) -> Refusal {
        let Wrong { path, words } = *wrong;
        match words {
            // A whole value that is wrong is named as the page names it: there is no field to name.
            Words::OfField(words) if path.is_empty() => Refusal::argument("value", format!("`value` {words}")),
            Words::OfField(words) => Refusal::argument(&path, format!("`{path}` {words}")),
            Words::Whole { code, sentence } => Refusal { code, message: sentence, field: Some(path).filter(|path| !path.is_empty()) },
        }
    }
}

/// The fields of one object, until they are taken.
pub struct Fields {
    left: Map<String, Value>,
    /// The first thing that was wrong.
    misfit: Option<Misfit>,
}

/// Reads an object. `what` it is begins the sentence about a field that it does not have: "A cluster".
pub fn object<T>(value: Value, what: &str, read: impl FnOnce(&mut Fields) -> Read<T>) -> Read<T> {
    let mut fields = Fields { left: Map::from_value(value)?, misfit: None };
    match read(&mut fields) {
        Ok(whole) => fields.end(what).map(|()| whole),
        Err(misfit) => Err(fields.misfit.unwrap_or(misfit)),
    }
}

impl Fields {
    /// A field that must be there.
    #[inline(never)]
    pub fn take<T: FromValue + Default>(&mut self, name: &str) -> T {
        let read = self.try_take(name);
        self.keep(read)
    }

    /// A field that may be left out.
    #[inline(never)]
    pub fn optional<T: FromValue + Default>(&mut self, name: &str) -> T {
        match self.left.remove(name) {
            Some(value) => {
                let read = T::from_value(value).map_err(|misfit| misfit.within(name));
                self.keep(read)
            }
            None => T::default(),
        }
    }

    /// A field that must be there, of a type without a default.
    pub fn try_take<T: FromValue>(&mut self, name: &str) -> Read<T> {
        match self.left.remove(name) {
            Some(value) => T::from_value(value).map_err(|misfit| misfit.within(name)),
            None => Err(Misfit::missing(name)),
        }
    }

    fn keep<T: Default>(&mut self, read: Read<T>) -> T {
        read.unwrap_or_else(|misfit| {
            self.misfit.get_or_insert(misfit);
            T::default()
        })
    }

    /// Refuses what is left over, for nothing may be ignored; and what was wrong. In this order: who misspells a field misses it too.
    #[inline(never)]
    fn end(self, what: &str) -> Read<()> {
        match (self.left.keys().next(), self.misfit) {
            (Some(name), _) => Err(Refusal::argument(name, format!("{what} has no field `{name}`.")).into()),
            (None, Some(misfit)) => Err(misfit),
            (None, None) => Ok(()),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Read<String> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(Misfit::expected("a string", &other)),
        }
    }
}

impl FromValue for Arc<str> {
    fn from_value(value: Value) -> Read<Arc<str>> {
        String::from_value(value).map(Arc::from)
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Read<bool> {
        value.as_bool().ok_or_else(|| Misfit::expected("true or false", &value))
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Read<f64> {
        value.as_f64().ok_or_else(|| Misfit::expected("a number", &value))
    }
}

/// Beyond it, doubles are no whole numbers any more.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// The bits of a whole number within a range. 3.0 is one: a script's numbers are doubles, and the page and a file mean the same by it.
#[inline(never)]
fn whole(value: &Value, min: i64, max: u64) -> Read<i64> {
    let spelt_with_point = value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0 && number.abs() <= SAFE);
    let number = match spelt_with_point.map(|number| number as i64).or(value.as_i64()) {
        Some(negative @ ..0) => Some(negative).filter(|negative| min <= *negative),
        Some(number) => Some(number).filter(|number| *number as u64 <= max),
        None => value.as_u64().filter(|number| *number <= max).map(|number| number as i64),
    };
    number.ok_or_else(|| Misfit::expected(&format!("a whole number from {min} to {max}"), value))
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl FromValue for $number {
            fn from_value(value: Value) -> Read<$number> {
                whole(&value, <$number>::MIN as i64, <$number>::MAX as u64).map(|number| number as $number)
            }
        }
    )*};
}

whole_numbers!(i16, i32, i64, u32, u64, usize);

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Read<Option<T>> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

fn list(value: Value) -> Read<Vec<Value>> {
    match value {
        Value::Array(elements) => Ok(elements),
        other => Err(Misfit::expected("a list", &other)),
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Read<Vec<T>> {
        let values = list(value)?;
        let mut elements = Vec::with_capacity(values.len());
        for value in values {
            elements.push(T::from_value(value).map_err(|misfit| misfit.within_element(elements.len()))?);
        }
        Ok(elements)
    }
}

impl FromValue for Map<String, Value> {
    fn from_value(value: Value) -> Read<Map<String, Value>> {
        match value {
            Value::Object(fields) => Ok(fields),
            other => Err(Misfit::expected("an object", &other)),
        }
    }
}

impl FromValue for Configs {
    fn from_value(value: Value) -> Read<Configs> {
        // One by one: collecting them into a map would bring a merge sort along.
        let mut configs = Configs::new();
        for (name, value) in Map::from_value(value)? {
            let text = match value {
                // Under Python's names stand Python's values; a name of one word may be either's.
                value if name.contains('.') => String::from_value(value).map_err(|misfit| misfit.within(&name))?,
                Value::Null => "None".to_owned(),
                Value::Bool(_) | Value::Number(_) => written(&value),
                Value::Array(parts) => {
                    let parts = parts.into_iter().map(String::from_value).collect::<Read<Vec<String>>>();
                    parts.map_err(|misfit| misfit.within(&name))?.join(",")
                }
                value => String::from_value(value).map_err(|misfit| misfit.within(&name))?,
            };
            configs.insert(name, text);
        }
        Ok(configs)
    }
}

impl FromValue for Text {
    fn from_value(value: Value) -> Read<Text> {
        match value {
            Value::String(text) => Ok(Text(text.into())),
            Value::Object(_) => object(value, "A text", |fields| {
                let coded: String = fields.take("base64");
                Text::from_base64(&coded).ok_or_else(|| Misfit::expected("base64", &Value::String(coded)).within("base64"))
            }),
            other => Err(Misfit::expected("a string or {\"base64\": \"...\"}", &other)),
        }
    }
}

/// A record's header: its name and its value.
impl FromValue for (String, Option<Text>) {
    fn from_value(value: Value) -> Read<(String, Option<Text>)> {
        let parts = list(value)?;
        let [name, value] = <[Value; 2]>::try_from(parts).map_err(|parts| {
            let words = format!("must be a name and a value, not {} elements.", parts.len());
            Misfit::of_field("", words)
        })?;
        let name = String::from_value(name).map_err(|misfit| misfit.within_element(0))?;
        Ok((name, Option::from_value(value).map_err(|misfit| misfit.within_element(1))?))
    }
}
