//! Single fields of JSON texts, found without taking the whole apart.

use serde_json::value::RawValue;

/// A field by its name or, if there is none of that name, by its dotted path. Numbers keep their spelling: nothing is re-serialised.
pub fn json_field<'a>(value: &'a RawValue, path: &str) -> Option<&'a RawValue> {
    if let Some(found) = member(value.get(), path) {
        return Some(found);
    }
    let (head, tail) = path.split_once('.')?;
    json_field(member(value.get(), head)?, tail)
}

/// The value of this name in the text of a JSON object; the last one where a name stands twice, as JSON's readers take it.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    let mut rest = object.trim_start().strip_prefix('{')?;
    // What is left at the end is the closing brace, which is no value.
    while let Some(known) = next_value(&mut rest) {
        rest = rest.trim_start().strip_prefix(':')?;
        let value = next_value(&mut rest)?;
        if unescaped(known.get()).is_some_and(|known| known == name) {
            found = Some(value);
        }
        rest = rest.trim_start().trim_start_matches(',');
    }
    found
}

/// Takes the first JSON value off the text.
fn next_value<'a>(text: &mut &'a str) -> Option<&'a RawValue> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let value = values.next()?.ok()?;
    *text = &text[values.byte_offset()..];
    Some(value)
}

/// The text of a JSON string, which is known to be well formed; `None` where half of a surrogate pair stands in it. serde_json reads strings as
/// well, and with them the words for whatever else could have stood there, numbers and all: kilobytes of the page.
pub fn unescaped(string: &str) -> Option<String> {
    let string = string.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(string.len());
    let mut pieces = string.split('\\');
    text.push_str(pieces.next()?);
    // The first half of a pair, until its second one comes.
    let mut half: Option<u32> = None;
    while let Some(piece) = pieces.next() {
        let Some(escape) = piece.chars().next() else {
            // Two backslashes: one, and what follows them.
            if half.is_some() {
                return None;
            }
            text.push('\\');
            text.push_str(pieces.next().unwrap_or_default());
            continue;
        };
        let (character, rest) = match escape {
            'u' => {
                let (code, rest) = (u32::from_str_radix(piece.get(1..5)?, 16).ok()?, &piece[5..]);
                let code = match (half.take(), code) {
                    (None, 0xD800..=0xDBFF) if rest.is_empty() => {
                        half = Some(code);
                        continue;
                    }
                    (Some(first), 0xDC00..=0xDFFF) => 0x10000 + ((first - 0xD800) << 10) + (code - 0xDC00),
                    (None, code) => code,
                    (Some(_), _) => return None,
                };
                (char::from_u32(code)?, rest)
            }
            'n' => ('\n', &piece[1..]),
            't' => ('\t', &piece[1..]),
            'r' => ('\r', &piece[1..]),
            'b' => ('\u{8}', &piece[1..]),
            'f' => ('\u{c}', &piece[1..]),
            itself => (itself, &piece[1..]),
        };
        if half.is_some() {
            return None;
        }
        text.push(character);
        text.push_str(rest);
    }
    half.is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_wherever_it_stands() {
        let object = r#" { "a" : "x}{,\\\":" , "b\u0022":[{"k":1},"]"],"k":{"k":"}"}, "n":-1.50e+3 ,"t":true,"k":7, "":null } "#;
        let found = |name| member(object, name).map(RawValue::get);
        assert_eq!(found("a"), Some(r#""x}{,\\\":""#));
        assert_eq!(found("b\""), Some(r#"[{"k":1},"]"]"#));
        assert_eq!(found("n"), Some("-1.50e+3"));
        assert_eq!(found("t"), Some("true"));
        // Twice: the last one, as JSON's readers take it.
        assert_eq!(found("k"), Some("7"));
        assert_eq!(found(""), Some("null"));
        assert_eq!(found("c"), None);
        assert_eq!(member("{}", "a").map(RawValue::get), None);
        assert_eq!(member("[{\"a\":1}]", "a").map(RawValue::get), None);
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        for string in [
            r#""""#,
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""a\\""#,
            r#""\\\\u0041""#,
            r#""\\\u0041x""#,
            r#""\u00e9\uD83D\uDE00!""#,
            r#""\ud83d\ude00\ud83d\ude01""#,
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx\ude00""#,
            r#""\ud83d\n""#,
            r#""\ud83d\\""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\u0000\u007f€""#,
        ] {
            assert_eq!(unescaped(string), serde_json::from_str(string).ok(), "{string}");
        }
    }
}
