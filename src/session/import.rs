//! Pasted or dropped text into records: JSON lines and CSV.
//!
//! Owns the cutting and the reasons for what cannot be cut. Knows no topic and no producer. One bad line never costs the good ones: it is
//! reported with its number and a reason; only what spoils every line (a key field that no column has, too much text) refuses the whole.
//!
//! CSV is RFC 4180 as the `csv` crate reads it, with two strictnesses on top: each record has the header's number of fields, and a quoted
//! field is closed.

use super::command::{ImportFormat, Refusal};
use crate::protocol::json::{json_field, unescaped};
use crate::protocol::text::quoted;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// Bytes of one line or value: Kafka's default `max.request.size`, beyond which a producer refuses the record anyway.
pub const LINE_BYTES_MAX: usize = 1_048_576;
/// Records of one command; a larger file comes as several.
pub const RECORDS_MAX: usize = 250_000;

/// A record ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedRecord {
    /// Where it starts in the text, from 1.
    pub line: u32,
    pub key: Option<Bytes>,
    pub value: Bytes,
}

/// A line that is not a record, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    pub line: u32,
    pub reason: String,
}

type Parsed = (Vec<ParsedRecord>, Vec<Rejected>);

/// Cuts `text` into records; `key_field` names the field or column that becomes the key.
pub fn parse(format: ImportFormat, text: &str, key_field: Option<&str>) -> Result<Parsed, Refusal> {
    if key_field == Some("") {
        return Err(Refusal::argument("keyField", "The key field has an empty name. Leave it out to send records without a key."));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        ImportFormat::Jsonl => json_lines(text, key_field),
        ImportFormat::Csv => csv_records(text, key_field),
    }
}

fn too_many() -> Refusal {
    Refusal::argument("text", format!("More than {RECORDS_MAX} records in one import. Split the text."))
}

fn too_long(bytes: usize) -> String {
    format!("{bytes} bytes long; a record may have {LINE_BYTES_MAX} (Kafka's default max.request.size)")
}

/// Puts each outcome on its list.
fn sort_out(outcomes: impl Iterator<Item = (u32, Result<(Option<Bytes>, Bytes), String>)>) -> Result<Parsed, Refusal> {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for (line, outcome) in outcomes {
        if records.len() + rejected.len() == RECORDS_MAX {
            return Err(too_many());
        }
        match outcome {
            Ok((key, value)) => records.push(ParsedRecord { line, key, value }),
            Err(reason) => rejected.push(Rejected { line, reason }),
        }
    }
    Ok((records, rejected))
}

fn json_lines(text: &str, key_field: Option<&str>) -> Result<Parsed, Refusal> {
    let lines = (1..).zip(text.split('\n')).map(|(line, text)| (line, text.trim_matches([' ', '\t', '\r'])));
    sort_out(lines.filter(|(_, text)| !text.is_empty()).map(|(line, text)| (line, json_record(text, key_field))))
}

fn json_record(text: &str, key_field: Option<&str>) -> Result<(Option<Bytes>, Bytes), String> {
    if LINE_BYTES_MAX < text.len() {
        return Err(too_long(text.len()));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or_default();
        format!("not one JSON value: {what} at column {}", error.column())
    })?;
    let key = key_field.map(|field| json_key(raw, field)).transpose()?;
    Ok((key, Bytes::copy_from_slice(text.as_bytes())))
}

/// The key's bytes: a string's own text, a number or boolean as it is written in the line.
fn json_key(line: &RawValue, field: &str) -> Result<Bytes, String> {
    let text = json_field(line, field).ok_or_else(|| format!("no field `{field}` to take the key from"))?.get();
    match text.as_bytes().first() {
        Some(b'"') => {
            unescaped(text).map(Bytes::from).ok_or_else(|| format!("field `{field}` holds half of a surrogate pair, which is no text"))
        }
        Some(b'{') => Err(format!("field `{field}` is an object; a key is a string, number or boolean")),
        Some(b'[') => Err(format!("field `{field}` is an array; a key is a string, number or boolean")),
        Some(b'n') => Err(format!("field `{field}` is null, so there is no key")),
        _ => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}

fn csv_records(text: &str, key_field: Option<&str>) -> Result<Parsed, Refusal> {
    let (starts, open) = csv_starts(text);
    let whole = open.as_ref().map_or(text, |open| &text[..open.record]);
    let mut lines = starts.into_iter();
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(whole.as_bytes()).into_records();
    let (Some(_), Some(header)) = (lines.next(), rows.next()) else {
        return Err(Refusal::argument("text", "CSV starts with a header line that names the columns, and there is none."));
    };
    let header = header.map_err(|_| Refusal::argument("text", "The header is no readable row of CSV."))?;
    let key_column = check_header(&header, key_field)?;
    let unclosed = open.map(|open| {
        let reason = format!("the quoted field that opens on line {} is never closed, so nothing after it was read", open.line);
        (open.record_line, Err(reason))
    });
    let outcomes = lines.zip(rows).map(|(line, row)| {
        // Text in memory is readable and any number of fields is taken: this cannot be.
        let row = row.map_err(|_| "no readable row of CSV".to_owned());
        (line, row.and_then(|row| csv_record(&header, &row, key_column)))
    });
    sort_out(outcomes.chain(unclosed))
}

/// Names must be there and differ, for each becomes a field of the record. Returns the key's column.
fn check_header(header: &csv::StringRecord, key_field: Option<&str>) -> Result<Option<usize>, Refusal> {
    let mut seen = BTreeSet::new();
    for (at, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(Refusal::argument("text", format!("Column {} of the header has no name.", at + 1)));
        }
        if !seen.insert(name) {
            return Err(Refusal::argument("text", format!("The header names two columns `{name}`.")));
        }
    }
    let Some(field) = key_field else { return Ok(None) };
    let column = header.iter().position(|name| name == field);
    column.map(Some).ok_or_else(|| {
        let names: Vec<&str> = header.iter().collect();
        Refusal::argument("keyField", format!("No column is named `{field}`; the header has {}.", names.join(", ")))
    })
}

fn csv_record(header: &csv::StringRecord, row: &csv::StringRecord, key_column: Option<usize>) -> Result<(Option<Bytes>, Bytes), String> {
    if row.len() != header.len() {
        return Err(format!("{} fields, but the header has {}", row.len(), header.len()));
    }
    let mut value = String::from("{");
    for (name, field) in header.iter().zip(row) {
        if 1 < value.len() {
            value.push(',');
        }
        value += &quoted(name);
        value.push(':');
        value += &quoted(field);
    }
    value.push('}');
    if LINE_BYTES_MAX < value.len() {
        return Err(too_long(value.len()));
    }
    let key = key_column.map(|column| match &row[column] {
        "" => Err(format!("column `{}` is empty, so there is no key", &header[column])),
        key => Ok(Bytes::copy_from_slice(key.as_bytes())),
    });
    Ok((key.transpose()?, Bytes::from(value)))
}

/// A quoted field that runs into the end of the text.
struct OpenQuote {
    /// Byte and line where its record starts.
    record: usize,
    record_line: u32,
    /// The line of the quote itself.
    line: u32,
}

/// The line on which each complete record starts, blank lines left out: the `csv` crate counts neither blank lines nor `\r\n` reliably, and
/// takes an open quote for a closed one.
fn csv_starts(text: &str) -> (Vec<u32>, Option<OpenQuote>) {
    let bytes = text.as_bytes();
    let mut starts = Vec::new();
    let (mut line, mut at) = (1, 0);
    while at < bytes.len() {
        let (record, record_line) = (at, line);
        let (mut quote, mut field_start) = (None, true);
        while at < bytes.len() {
            let byte = bytes[at];
            at += 1;
            let line_end = byte == b'\n' || (byte == b'\r' && bytes.get(at) != Some(&b'\n'));
            line += u32::from(line_end);
            match (byte, quote) {
                (b'"', Some(_)) if bytes.get(at) == Some(&b'"') => at += 1,
                (b'"', Some(_)) => quote = None,
                (b'"', None) if field_start => quote = Some(line),
                _ if line_end && quote.is_none() => break,
                _ => {}
            }
            field_start = byte == b',';
        }
        if let Some(line) = quote {
            return (starts, Some(OpenQuote { record, record_line, line }));
        }
        if !text[record..at].trim_matches(['\r', '\n']).is_empty() {
            starts.push(record_line);
        }
    }
    (starts, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as `line key value`, rejections as `line! reason`.
    fn check(format: ImportFormat, text: &str, key_field: Option<&str>, expected: &[&str]) {
        let (records, rejected) = parse(format, text, key_field).unwrap();
        let utf8 = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut lines: Vec<(u32, String)> = records
            .iter()
            .map(|one| (one.line, format!("{} {} {}", one.line, one.key.as_ref().map_or("-".into(), utf8), utf8(&one.value))))
            .collect();
        lines.extend(rejected.iter().map(|one| (one.line, format!("{}! {}", one.line, one.reason))));
        lines.sort();
        assert_eq!(lines.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected);
    }

    fn refused(format: ImportFormat, text: &str, key_field: Option<&str>) -> String {
        let refusal = parse(format, text, key_field).unwrap_err();
        assert_eq!(refusal.code, "INVALID_ARGUMENT");
        format!("{}: {}", refusal.field.unwrap(), refusal.message)
    }

    use ImportFormat::{Csv, Jsonl};

    #[test]
    fn json_lines_keep_their_own_text() {
        let text = "\u{feff}{\"b\": 1.50, \"a\":2}\r\n\n  [1, 2]\t\r\n\"x\"";
        check(Jsonl, text, None, &["1 - {\"b\": 1.50, \"a\":2}", "3 - [1, 2]", "4 - \"x\""]);
        check(Jsonl, "", None, &[]);
    }

    #[test]
    fn a_json_key_is_a_field_or_a_path() {
        check(
            Jsonl,
            "{\"user\":{\"id\":\"a\\u00e9\"}}\n{\"user.id\":12345678901234567890123.0}\n{\"user\":{\"id\":true}}\n{\"user\":{\"id\":\"\"}}",
            Some("user.id"),
            &[
                "1 aé {\"user\":{\"id\":\"a\\u00e9\"}}",
                "2 12345678901234567890123.0 {\"user.id\":12345678901234567890123.0}",
                "3 true {\"user\":{\"id\":true}}",
                "4  {\"user\":{\"id\":\"\"}}",
            ],
        );
    }

    #[test]
    fn a_json_line_without_a_usable_key_is_rejected() {
        check(
            Jsonl,
            "{\"id\":null}\n{}\n{\"id\":{}}\n{\"id\":[1]}\n7\n{\"id\":\"\\ud800\"}\n{\"id\":1}",
            Some("id"),
            &[
                "1! field `id` is null, so there is no key",
                "2! no field `id` to take the key from",
                "3! field `id` is an object; a key is a string, number or boolean",
                "4! field `id` is an array; a key is a string, number or boolean",
                "5! no field `id` to take the key from",
                "6! field `id` holds half of a surrogate pair, which is no text",
                "7 1 {\"id\":1}",
            ],
        );
        assert_eq!(
            refused(Jsonl, "{}", Some("")),
            "keyField: The key field has an empty name. Leave it out to send records without a key."
        );
    }

    #[test]
    fn hostile_json_is_rejected_line_by_line() {
        let deep = "[".repeat(100_000);
        let long = format!("\"{}\"", "x".repeat(LINE_BYTES_MAX));
        let text = format!("{{\"a\":1\n1 2\nnul\n{{'a':1}}\n{deep}\n{long}\n\0\n{{\"ok\":1}}");
        let (records, rejected) = parse(Jsonl, &text, Some("ok")).unwrap();
        assert_eq!(records.iter().map(|one| one.line).collect::<Vec<_>>(), [8]);
        assert_eq!(rejected.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rejected[0].reason, "not one JSON value: EOF while parsing an object at column 6");
        assert_eq!(rejected[1].reason, "not one JSON value: trailing characters at column 3");
        assert_eq!(rejected[5].reason, "1048578 bytes long; a record may have 1048576 (Kafka's default max.request.size)");
    }

    #[test]
    fn too_many_records_are_refused_whole() {
        assert!(refused(Jsonl, &"1\n".repeat(RECORDS_MAX + 1), None).starts_with("text: More than 250000 records"));
    }

    #[test]
    fn csv_rows_become_objects_in_the_header_s_order() {
        let text = "\u{feff}user,note\r\nann,\"a, \"\"b\"\"\"\r\n\r\nben,\"two\r\nlines\"\r\ncy,é";
        check(
            Csv,
            text,
            Some("user"),
            &[
                "2 ann {\"user\":\"ann\",\"note\":\"a, \\\"b\\\"\"}",
                "4 ben {\"user\":\"ben\",\"note\":\"two\\r\\nlines\"}",
                "6 cy {\"user\":\"cy\",\"note\":\"é\"}",
            ],
        );
        check(Csv, "a\n1\r2\n", None, &["2 - {\"a\":\"1\"}", "3 - {\"a\":\"2\"}"]);
        check(Csv, "only,header", None, &[]);
    }

    #[test]
    fn bad_csv_rows_are_rejected_with_their_line() {
        check(
            Csv,
            "user,n\n\nann\nben,1,2\n,3\ncy,4\ndi,\"5\n6\n",
            Some("user"),
            &[
                "3! 1 fields, but the header has 2",
                "4! 3 fields, but the header has 2",
                "5! column `user` is empty, so there is no key",
                "6 cy {\"user\":\"cy\",\"n\":\"4\"}",
                "7! the quoted field that opens on line 7 is never closed, so nothing after it was read",
            ],
        );
    }

    #[test]
    fn a_bad_csv_header_refuses_the_whole() {
        assert_eq!(refused(Csv, "a,a\n1,2", None), "text: The header names two columns `a`.");
        assert_eq!(refused(Csv, "a,\n1,2", None), "text: Column 2 of the header has no name.");
        assert_eq!(refused(Csv, "a,b\n1,2", Some("c")), "keyField: No column is named `c`; the header has a, b.");
        for nothing in ["", "\n\r\n", "\"a,b\n1,2"] {
            assert_eq!(refused(Csv, nothing, None), "text: CSV starts with a header line that names the columns, and there is none.");
        }
    }
}
