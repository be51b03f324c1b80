//! Regular expressions that stand for topics: RE2's syntax, as the broker resolves them (KIP-848), and what `java.util.regex` has beyond it in lookaheads,
//! for a consumer of the classic protocol.
//!
//! The house's own, for the page must stay small (`regex-lite` adds 27 KB to it, a tenth of that is enough for names): a name is ASCII and is matched
//! as a whole, so that a set of characters is 128 bits and nobody asks which group matched what. Matching takes time by the product of both lengths, and
//! of a lookahead by the name's length once more, whatever is written: all ways are gone at once (Thompson). Source: `com.google.re2j.Parser` for what is refused, and in which words.

use std::str::Chars;

/// Parentheses within parentheses, at the most.
const DEPTH_MAX: u32 = 200;
/// `x{1000}` is the most that RE2 repeats.
const REPEAT_MAX: usize = 1_000;
/// What repetitions within repetitions may come to.
const STEPS_MAX: usize = 20_000;

/// ASCII characters, each a bit.
type Set = u128;

const DIGITS: Set = range(b'0', b'9');
const UPPER: Set = range(b'A', b'Z');
const LOWER: Set = range(b'a', b'z');
const WORD: Set = DIGITS | UPPER | LOWER | one(b'_');
const SPACE: Set = range(b'\t', b'\n') | range(b'\x0c', b'\r') | one(b' ');

const fn one(byte: u8) -> Set {
    1 << byte
}

const fn range(first: u8, last: u8) -> Set {
    (!0 >> (127 - last)) & (!0 << first)
}

/// Which language a pattern is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    Re2,
    Java,
}

/// What has to be at a place between two characters.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Start,
    End,
    /// A word begins or ends here, or does not.
    Word(bool),
    /// What follows matches, or does not.
    Ahead(bool, Vec<Step>),
}

/// Goes on with the next step unless it says otherwise; a distance is counted from itself.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Take(Set),
    Both(isize, isize),
    At(Place),
}

/// Stands for all characters beyond ASCII: one that no name has.
const BEYOND_ASCII: u8 = 0x7f;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicPattern {
    pub text: String,
    steps: Vec<Step>,
}

impl TopicPattern {
    /// What is wrong with it comes in RE2's words.
    pub fn parse(text: &str, dialect: Dialect) -> Result<TopicPattern, &'static str> {
        let mut parser = Parser { rest: text.chars(), dialect, folds: false, depth: 0, looks_ahead: false };
        let steps = parser.either()?;
        match parser.rest.next() {
            None => Ok(TopicPattern { text: text.to_owned(), steps }),
            Some(_) => Err("regexp/syntax: internal error"),
        }
    }

    /// Whether all of the name is what the pattern says. Of a transactional id's characters beyond ASCII, each is what `.` and negated sets take, and
    /// no letter of a pattern.
    pub fn matches(&self, name: &str) -> bool {
        let text: Vec<u8> = name.chars().map(|letter| if letter.is_ascii() { letter as u8 } else { BEYOND_ASCII }).collect();
        runs(&self.steps, &text, 0, true)
    }
}

/// Whether steps lead from this place to the end, or anywhere.
fn runs(steps: &[Step], text: &[u8], from: usize, whole: bool) -> bool {
    let mut here = vec![false; steps.len() + 1];
    reach(steps, text, from, 0, &mut here);
    for place in from..=text.len() {
        if here[steps.len()] && (!whole || place == text.len()) {
            return true;
        }
        if !here.contains(&true) {
            break;
        }
        let Some(byte) = text.get(place) else { break };
        let mut next = vec![false; steps.len() + 1];
        for (index, step) in steps.iter().enumerate().filter(|(index, _)| here[*index]) {
            if matches!(step, Step::Take(set) if byte.is_ascii() && set & one(*byte) != 0) {
                reach(steps, text, place + 1, index + 1, &mut next);
            }
        }
        here = next;
    }
    false
}

/// Marks a step, and those that it leads to without taking a character.
fn reach(steps: &[Step], text: &[u8], place: usize, first: usize, marked: &mut [bool]) {
    let mut open = vec![first];
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut marked[index], true) {
            continue;
        }
        match steps.get(index) {
            Some(Step::Both(one, other)) => open.extend([one, other].map(|distance| index.saturating_add_signed(*distance))),
            Some(Step::At(what)) if what.holds(text, place) => open.push(index + 1),
            _ => {}
        }
    }
}

impl Place {
    fn holds(&self, text: &[u8], place: usize) -> bool {
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii() && WORD & one(*byte) != 0);
        match self {
            Place::Start => place == 0,
            Place::End => place == text.len(),
            Place::Word(wanted) => (is_word(text[..place].last()) != is_word(text.get(place))) == *wanted,
            Place::Ahead(wanted, steps) => runs(steps, text, place, false) == *wanted,
        }
    }
}

type Steps = Result<Vec<Step>, &'static str>;

struct Parser<'a> {
    rest: Chars<'a>,
    dialect: Dialect,
    /// `(?i)`: both cases of a letter are meant.
    folds: bool,
    depth: u32,
    /// It is within a lookahead.
    looks_ahead: bool,
}

/// How many steps these are, with those of lookaheads.
fn weight(steps: &[Step]) -> usize {
    steps.iter().map(|step| if let Step::At(Place::Ahead(_, inner)) = step { 1 + inner.len() } else { 1 }).sum()
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.as_str().strip_prefix(text);
        rest.into_iter().for_each(|rest| self.rest = rest.chars());
        rest.is_some()
    }

    /// `a|b|c`
    fn either(&mut self) -> Steps {
        let mut last = self.sequence()?;
        let (mut ways, mut length, mut weighs) = (Vec::new(), last.len(), weight(&last));
        while self.eat("|") {
            let way = std::mem::replace(&mut last, self.sequence()?);
            (length, weighs) = (length + last.len() + 2, weighs + weight(&last) + 2);
            if STEPS_MAX < weighs {
                return Err("invalid repeat count");
            }
            ways.push(way);
        }
        let mut steps = Vec::with_capacity(length);
        for way in ways {
            steps.push(Step::Both(1, way.len() as isize + 2));
            steps.extend(way);
            steps.push(jump((length - steps.len()) as isize));
        }
        steps.extend(last);
        Ok(steps)
    }

    fn sequence(&mut self) -> Steps {
        let (mut steps, mut weighs) = (Vec::new(), 0);
        while self.peek().is_some_and(|next| !matches!(next, '|' | ')')) {
            let is_quoted = self.eat("\\Q");
            let mut atom = if is_quoted { self.quoted() } else { self.atom()? };
            // Of what is quoted an operator repeats the last.
            let last = atom.split_off(if is_quoted { atom.len().saturating_sub(1) } else { 0 });
            let repeated = self.repeated(last)?;
            weighs += weight(&atom) + weight(&repeated);
            steps.extend(atom);
            steps.extend(repeated);
            if STEPS_MAX < weighs {
                return Err("invalid repeat count");
            }
        }
        Ok(steps)
    }

    /// An atom with the operator behind it, if there is one. Whether it takes much or little makes no difference to what matches.
    fn repeated(&mut self, atom: Vec<Step>) -> Steps {
        let Some((least, most)) = self.repetition()? else { return Ok(atom) };
        self.eat("?");
        if self.repetition()?.is_some() {
            return Err("invalid nested repetition operator");
        }
        if STEPS_MAX < weight(&atom) * most.unwrap_or(least).max(1) {
            return Err("invalid repeat count");
        }
        let length = atom.len() as isize;
        let mut steps: Vec<Step> = (0..least).flat_map(|_| atom.iter().cloned()).collect();
        match most {
            None => {
                steps.push(Step::Both(1, length + 2));
                steps.extend(atom);
                steps.push(jump(-length - 1));
            }
            Some(most) => {
                for _ in least..most {
                    steps.push(Step::Both(1, length + 1));
                    steps.extend(atom.iter().cloned());
                }
            }
        }
        Ok(steps)
    }

    /// `*`, `+`, `?`, `{2}`, `{2,}` or `{2,3}`; a brace with anything else in it is itself.
    fn repetition(&mut self) -> Result<Option<(usize, Option<usize>)>, &'static str> {
        for (operator, least, most) in [("*", 0, None), ("+", 1, None), ("?", 0, Some(1))] {
            if self.eat(operator) {
                return Ok(Some((least, most)));
            }
        }
        let Some((inner, rest)) = self.rest.as_str().strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return Ok(None) };
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            is_number.then(|| text.parse().unwrap_or(usize::MAX))
        };
        let bounds = match inner.split_once(',') {
            None => number(inner).map(|count| (count, Some(count))),
            Some((least, "")) => number(least).map(|least| (least, None)),
            Some((least, most)) => number(least).zip(number(most)).map(|(least, most)| (least, Some(most))),
        };
        match bounds {
            Some((least, most)) if REPEAT_MAX < least || most.is_some_and(|most| most < least || REPEAT_MAX < most) => {
                Err("invalid repeat count")
            }
            Some(_) => {
                self.rest = rest.chars();
                Ok(bounds)
            }
            None => Ok(None),
        }
    }

    /// `\Q...\E`, after its beginning.
    fn quoted(&mut self) -> Vec<Step> {
        let rest = self.rest.as_str();
        let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
        self.rest = rest.chars();
        quoted.chars().map(|character| Step::Take(self.folded(set_of(character)))).collect()
    }

    fn atom(&mut self) -> Steps {
        if self.repetition()?.is_some() {
            return Err("missing argument to repetition operator");
        }
        let step = match self.rest.next() {
            Some('(') => return self.group(),
            Some('[') => Step::Take(self.class()?),
            Some('.') => Step::Take(!one(b'\n')),
            Some('^') => Step::At(Place::Start),
            Some('$') => Step::At(Place::End),
            Some('\\') if self.eat("A") => Step::At(Place::Start),
            Some('\\') if self.eat("z") => Step::At(Place::End),
            Some('\\') if self.eat("b") => Step::At(Place::Word(true)),
            Some('\\') if self.eat("B") => Step::At(Place::Word(false)),
            Some('\\') => Step::Take(match self.named_set()? {
                Some(set) => set,
                None => {
                    let character = self.escaped()?;
                    self.folded(set_of(character))
                }
            }),
            Some(character) => Step::Take(self.folded(set_of(character))),
            None => return Ok(Vec::new()),
        };
        Ok(vec![step])
    }

    /// After an opening parenthesis.
    fn group(&mut self) -> Steps {
        let java = self.dialect == Dialect::Java;
        let folds = self.folds;
        let mut ahead = None;
        if java && self.eat("?=") {
            ahead = Some(true);
        } else if java && self.eat("?!") {
            ahead = Some(false);
        } else if self.eat("?P<") || !self.rest.as_str().starts_with("?<=") && !self.rest.as_str().starts_with("?<!") && self.eat("?<") {
            let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let named = self.rest.as_str().split_once('>').filter(|(name, _)| is_name(name));
            let (_, rest) = named.ok_or("invalid named capture")?;
            self.rest = rest.chars();
        } else if self.eat("?") && !self.flags()? {
            // They hold until the group ends in which they stand.
            return Ok(Vec::new());
        }
        self.depth += 1;
        if DEPTH_MAX < self.depth {
            return Err("nesting depth exceeded");
        }
        if ahead.is_some() && std::mem::replace(&mut self.looks_ahead, true) {
            return Err("lookaheads within lookaheads are not understood");
        }
        let steps = self.either()?;
        self.looks_ahead &= ahead.is_none();
        self.depth -= 1;
        self.folds = folds;
        if !self.eat(")") {
            return Err("missing closing )");
        }
        Ok(match ahead {
            Some(wanted) => vec![Step::At(Place::Ahead(wanted, steps))],
            None => steps,
        })
    }

    /// `(?i)`, `(?-i:`, after the question mark. Returns whether a group follows. Of them only `i` makes a difference to names.
    fn flags(&mut self) -> Result<bool, &'static str> {
        let (mut sets, mut saw_flag) = (true, false);
        loop {
            match self.rest.next() {
                Some('i') => (self.folds, saw_flag) = (sets, true),
                Some('m' | 's' | 'U') => saw_flag = true,
                Some('d' | 'u') if self.dialect == Dialect::Java => saw_flag = true,
                Some('-') if sets => (sets, saw_flag) = (false, false),
                Some(end @ (':' | ')')) if sets || saw_flag => return Ok(end == ':'),
                _ => return Err("invalid or unsupported Perl syntax"),
            }
        }
    }

    /// After an opening bracket.
    fn class(&mut self) -> Result<Set, &'static str> {
        let negated = self.eat("^");
        let mut set = 0;
        let mut is_first = true;
        while is_first || !self.eat("]") {
            is_first = false;
            let java = self.dialect == Dialect::Java;
            if let Some((name, rest)) = self.rest.as_str().strip_prefix("[:").and_then(|rest| rest.split_once(":]")).filter(|_| !java) {
                set |= class_of(name).ok_or("invalid character class range")?;
                self.rest = rest.chars();
                continue;
            }
            if java && (self.peek() == Some('[') || self.rest.as_str().starts_with("&&")) {
                return Err("unions and intersections of character classes are not understood");
            }
            let first = match self.rest.next() {
                Some('\\') => match self.named_set()? {
                    Some(named) => {
                        set |= named;
                        continue;
                    }
                    None => self.escaped()?,
                },
                Some(character) => character,
                None => return Err("missing closing ]"),
            };
            let mut last = first;
            if self.peek() == Some('-') && !self.rest.as_str().starts_with("-]") {
                self.rest.next();
                last = match self.rest.next() {
                    Some('\\') => self.escaped()?,
                    Some(character) => character,
                    None => return Err("missing closing ]"),
                };
            }
            if last < first {
                return Err("invalid character class range");
            }
            if let Ok(first) = u8::try_from(u32::from(first))
                && first.is_ascii()
            {
                set |= range(first, u8::try_from(u32::from(last)).unwrap_or(127).min(127));
            }
        }
        let set = self.folded(set);
        Ok(if negated { !set } else { set })
    }

    /// After a backslash: `\d`, `\p{L}` and the like.
    fn named_set(&mut self) -> Result<Option<Set>, &'static str> {
        let (letter, rest) = {
            let mut rest = self.rest.clone();
            (rest.next(), rest)
        };
        let set = match letter.map(|letter| letter.to_ascii_lowercase()) {
            Some('d') => DIGITS,
            Some('w') => WORD,
            Some('s') => SPACE,
            Some('p') => {
                let rest = rest.as_str();
                let short = rest.chars().next().map(|letter| rest.split_at(letter.len_utf8()));
                let (name, rest) =
                    rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).or(short).ok_or("invalid character class range")?;
                self.rest = rest.chars();
                let java = (self.dialect == Dialect::Java).then(|| class_of(&name.to_ascii_lowercase())).flatten();
                let set = category_of(name).or(java).ok_or("invalid character class range")?;
                return Ok(Some(if letter == Some('P') { !set } else { set }));
            }
            _ => return Ok(None),
        };
        self.rest = rest;
        Ok(Some(if letter.is_some_and(|letter| letter.is_ascii_uppercase()) { !set } else { set }))
    }

    /// After a backslash: the character that is meant.
    fn escaped(&mut self) -> Result<char, &'static str> {
        let wrong = "invalid escape sequence";
        let letter = self.rest.next().ok_or("trailing backslash at end of expression")?;
        let number = |digits: &str, base: u32| u32::from_str_radix(digits, base).ok().and_then(char::from_u32).ok_or(wrong);
        match letter {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => {
                let rest = self.rest.as_str();
                let in_braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (digits, rest) = in_braces.or_else(|| rest.split_at_checked(2)).ok_or(wrong)?;
                self.rest = rest.chars();
                number(digits, 16)
            }
            '0'..='7' => {
                let rest = self.rest.as_str();
                let more = rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                if letter != '0' && more == 0 {
                    return Err(wrong);
                }
                let (digits, rest) = rest.split_at(more);
                self.rest = rest.chars();
                number(&format!("{letter}{digits}"), 8)
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(other),
            _ => Err(wrong),
        }
    }

    fn folded(&self, set: Set) -> Set {
        if self.folds { set | (set & UPPER) << 32 | (set & LOWER) >> 32 } else { set }
    }
}

fn jump(distance: isize) -> Step {
    Step::Both(distance, distance)
}

/// No name has a character that is not ASCII.
fn set_of(character: char) -> Set {
    if character.is_ascii() { one(character as u8) } else { 0 }
}

/// POSIX's names.
fn class_of(name: &str) -> Option<Set> {
    let graph = range(b'!', b'~');
    Some(match name {
        "alnum" => DIGITS | UPPER | LOWER,
        "alpha" => UPPER | LOWER,
        "ascii" => !0,
        "blank" => one(b' ') | one(b'\t'),
        "cntrl" => range(0, 31) | one(127),
        "digit" => DIGITS,
        "graph" => graph,
        "lower" => LOWER,
        "print" => graph | one(b' '),
        "punct" => graph & !(DIGITS | UPPER | LOWER),
        "space" => SPACE | one(b'\x0b'),
        "upper" => UPPER,
        "word" => WORD,
        "xdigit" => DIGITS | range(b'A', b'F') | range(b'a', b'f'),
        _ => return None,
    })
}

/// Unicode's categories and scripts, as far as a name can have anything of them.
fn category_of(name: &str) -> Option<Set> {
    Some(match name {
        "Any" => !0,
        "L" | "Latin" => UPPER | LOWER,
        "Lu" => UPPER,
        "Ll" => LOWER,
        "N" | "Nd" => DIGITS,
        "P" => one(b'.') | one(b'_') | one(b'-'),
        "Pc" => one(b'_'),
        "Pd" => one(b'-'),
        "Po" => one(b'.'),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "topic_pattern_test.rs"]
mod tests;
