//! Lesson texts: the part of Markdown they are written in, to virtual nodes. Raw HTML in them stays text; nothing is ever parsed as markup.
//!
//! Headings, paragraphs, lists, quotes, fenced code, `code`, **strong**, *emphasis* and [links](https://...). A whole CommonMark parser
//! would be a sixth of the page's size, most of it for what lessons never use.

use super::tree::html;
use yew::prelude::*;

/// Renders one text.
pub fn markdown(text: &str) -> Html {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<Html> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_end();
        at += 1;
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with("```") {
            let from = at;
            while at < lines.len() && !lines[at].starts_with("```") {
                at += 1;
            }
            out.push(html! { <pre tabindex="0"><code>{ lines[from..at].join("\n") }</code></pre> });
            at += 1;
        } else if let Some(heading) = line.strip_prefix('#') {
            // The drawer's title is a level 2 heading; those of the text stand under it, whatever their level.
            out.push(html! { <h3>{ inline(heading.trim_start_matches('#').trim()) }</h3> });
        } else if line.starts_with('>') {
            let quoted = block(&lines, line, &mut at, |next| next.starts_with('>'));
            let quoted: Vec<&str> = quoted.iter().map(|l| l.trim_start_matches('>').trim()).collect();
            out.push(html! { <blockquote>{ inline(&quoted.join(" ")) }</blockquote> });
        } else if item(line).is_some() {
            let ordered = !line.trim_start().starts_with(['-', '*']);
            let mut items: Vec<String> = Vec::new();
            for part in block(&lines, line, &mut at, |next| item(next).is_some() || next.starts_with("  ")) {
                match (item(part), items.last_mut()) {
                    (Some(text), _) => items.push(text.to_owned()),
                    (None, Some(last)) => *last = format!("{last} {}", part.trim()),
                    (None, None) => {}
                }
            }
            let items = items.iter().map(|text| html! { <li>{ inline(text) }</li> }).collect::<Html>();
            out.push(if ordered {
                html! { <ol>{ items }</ol> }
            } else {
                html! { <ul>{ items }</ul> }
            });
        } else {
            let starts = |next: &str| next.starts_with(['#', '>', '`']) && (next.starts_with("```") || !next.starts_with('`'));
            let text = block(&lines, line, &mut at, |next| !starts(next) && item(next).is_none()).join(" ");
            out.push(html! { <p>{ inline(&text) }</p> });
        }
    }
    out.into_iter().collect()
}

/// The first line and those after it that belong to the same block.
fn block<'a>(lines: &[&'a str], first: &'a str, at: &mut usize, belongs: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let mut out = vec![first];
    while let Some(next) = lines.get(*at).filter(|l| !l.trim().is_empty() && belongs(l)) {
        out.push(next.trim_end());
        *at += 1;
    }
    out
}

/// The text of a list item, if the line is one: `- text`, `* text` or `1. text`.
fn item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some(text);
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    line[digits..].strip_prefix(". ").filter(|_| digits > 0)
}

/// Text within a block. A mark without its partner is an ordinary letter.
fn inline(text: &str) -> Html {
    let mut out: Vec<Html> = Vec::new();
    let (mut rest, mut plain) = (text, String::new());
    while let Some(next) = rest.chars().next() {
        let found = match next {
            '`' => between(rest, "`", "`").map(|(inner, len)| (html! { <code>{ inner.to_owned() }</code> }, len)),
            '*' | '_' if rest.starts_with("**") => {
                between(rest, "**", "**").map(|(inner, len)| (html! { <strong>{ inline(inner) }</strong> }, len))
            }
            // Names such as `__consumer_offsets` and `log_end_offset` are full of underscores: only stars emphasise.
            '*' => between(rest, "*", "*").map(|(inner, len)| (html! { <em>{ inline(inner) }</em> }, len)),
            '[' => link(rest),
            '\\' => rest.chars().nth(1).filter(char::is_ascii_punctuation).map(|c| (html! { { c.to_string() } }, 2)),
            _ => None,
        };
        match found {
            Some((node, len)) => {
                out.push(html! { { std::mem::take(&mut plain) } });
                out.push(node);
                rest = &rest[len..];
            }
            None => {
                plain.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    out.push(html! { { plain } });
    out.into_iter().collect()
}

/// What stands between two marks at the start of a text, and the length of it all.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, usize)> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(close).filter(|end| *end > 0)?;
    Some((&inner[..end], open.len() + end + close.len()))
}

/// `[text](address)`. Only ordinary addresses become links: a script address would be one.
fn link(text: &str) -> Option<(Html, usize)> {
    let (name, name_len) = between(text, "[", "]")?;
    let (address, address_len) = between(&text[name_len..], "(", ")")?;
    let node = if address.starts_with("https://") {
        html! { <a href={address.to_owned()} target="_blank" rel="noreferrer">{ inline(name) }</a> }
    } else if address.starts_with('#') {
        html! { <a href={address.to_owned()}>{ inline(name) }</a> }
    } else {
        inline(name)
    };
    Some((node, name_len + address_len))
}
