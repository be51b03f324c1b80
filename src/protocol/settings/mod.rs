//! Every setting that a user may give: name, type, default, what is allowed, and one sentence about it.
//!
//! Defined once, here: forms, command line, docs and checks read these tables. Which of them the engine heeds is not known here, nor how settings
//! depend on each other. Source: `ProducerConfig`, `ConsumerConfig`, `LogConfig`, the broker's config classes; `ConfigDef` for how text becomes a value.

mod broker;
mod client;
mod group;
mod idle;
mod parse;
mod security;
mod topic;

pub use parse::{SettingError, iso_duration_ms, parse, real};

/// Whose setting it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Producer,
    Consumer,
    Topic,
    Broker,
    Group,
}

/// Kafka's types of settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Boolean,
    Short,
    Int,
    Long,
    Double,
    String,
    List,
    Class,
    Password,
}

/// What is allowed beyond the type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    RealBetween(&'static str, &'static str),
    /// gzip's levels, or -1 for its default.
    LevelOrDefault(i64, i64),
    OneOf(&'static [&'static str]),
    OneOfInAnyCase(&'static [&'static str]),
    /// Every element of a list, none twice.
    EachOf(&'static [&'static str]),
    NotEmpty,
    /// `*`, or elements `partition:broker`.
    Replicas,
    /// `latest`, `earliest`, `none` or `by_duration:` and an ISO 8601 duration (KIP-1106).
    OffsetReset,
    /// The same without `none`.
    ShareOffsetReset,
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// As text; `None` is Java's null.
    pub default: Option<&'static str>,
    /// Has no default: a Java client refuses to start without it.
    pub required: bool,
    pub valid: Valid,
    /// Of a broker's: may be changed while it runs (KIP-226).
    pub dynamic: bool,
    /// One sentence. The page shows none of them, and would download them all.
    #[cfg(not(target_arch = "wasm32"))]
    pub doc: &'static str,
}

/// A setting's value, of its type.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Boolean(bool),
    /// Short, int or long.
    Number(i64),
    Double(f64),
    /// String, class or password.
    Text(String),
    List(Vec<String>),
}

impl Kind {
    /// Kafka's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::String => "STRING",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }
}

impl Setting {
    const fn new(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Setting {
        #[cfg(target_arch = "wasm32")]
        let _ = doc;
        Setting {
            name,
            kind,
            default,
            required: false,
            valid: Valid::Any,
            dynamic: false,
            #[cfg(not(target_arch = "wasm32"))]
            doc,
        }
    }

    const fn required(self) -> Setting {
        Setting { required: true, ..self }
    }

    const fn valid(self, valid: Valid) -> Setting {
        Setting { valid, ..self }
    }

    const fn at_least(self, least: i64) -> Setting {
        self.valid(Valid::AtLeast(least))
    }

    const fn dynamic(self) -> Setting {
        Setting { dynamic: true, ..self }
    }

    /// Not meant for users.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("internal.")
    }

    /// The default as a value; `None` if it is null or there is none.
    pub fn default_value(&self) -> Option<Value> {
        self.default.and_then(|text| parse(self, text).ok())
    }
}

/// Every setting of a scope, table by table.
pub fn all(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    let tables: [&'static [Setting]; 3] = match scope {
        Scope::Producer => [client::PRODUCER, client::COMMON, security::SECURITY],
        Scope::Consumer => [client::CONSUMER, client::COMMON, security::SECURITY],
        Scope::Topic => [topic::TOPIC, &[], &[]],
        Scope::Broker => [broker::BROKER, &[], &[]],
        Scope::Group => [group::GROUP, &[], &[]],
    };
    tables.into_iter().flatten()
}

/// The setting of this name, also as Python clients write it: `max_poll_records` is `max.poll.records`.
pub fn lookup(scope: Scope, name: &str) -> Option<&'static Setting> {
    all(scope).find(|setting| is_named(name, setting.name))
}

/// A setting of Kafka's brokers that nothing here has a use for.
pub fn without_use(name: &str) -> Option<Setting> {
    let security = security::SECURITY.iter().find(|setting| is_named(name, setting.name)).copied();
    security.or_else(|| idle::idle(name))
}

/// Whether a name, as Python clients write it or as Kafka does, is the setting's.
pub fn is_named(name: &str, setting: &str) -> bool {
    dotted(name).eq(setting.bytes())
}

/// The name that was probably meant by one that does not exist.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    // The longest names have some 50 characters: what is much longer is no slip of the pen.
    if 80 < name.len() {
        return None;
    }
    let (edits, nearest) = all(scope).map(|setting| (edits(name, setting.name), setting.name)).min()?;
    (edits <= 1 + name.len() / 4).then_some(nearest)
}

fn dotted(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if byte == b'_' { b'.' } else { byte })
}

/// How many characters to insert, delete or replace (Levenshtein): one row of the table at a time.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, byte) in dotted(from).enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (index, other) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(!byte.eq_ignore_ascii_case(&other));
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

const fn boolean(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Boolean, Some(default), doc)
}

const fn short(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Short, Some(default), doc)
}

const fn int(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Int, Some(default), doc)
}

const fn long(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Long, Some(default), doc)
}

const fn double(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Double, Some(default), doc)
}

const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::String, Some(default), doc)
}

const fn list(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::List, Some(default), doc)
}

const fn class(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(name, Kind::Class, Some(default), doc)
}

/// A setting that is null unless given.
const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting::new(name, kind, None, doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPES: [Scope; 5] = [Scope::Producer, Scope::Consumer, Scope::Topic, Scope::Broker, Scope::Group];

    #[test]
    fn every_default_is_allowed_and_every_name_stands_once() {
        for scope in SCOPES {
            let mut names: Vec<&str> = all(scope).map(|setting| setting.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{scope:?}");
            for setting in all(scope) {
                if let Some(default) = setting.default {
                    parse(setting, default).unwrap_or_else(|error| panic!("{error}"));
                }
                assert!(setting.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.'));
            }
        }
    }

    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn every_setting_says_in_a_sentence_what_it_does() {
        for setting in SCOPES.into_iter().flat_map(all) {
            assert!(setting.doc.ends_with('.') && setting.doc.len() < 140, "{}", setting.name);
        }
    }

    #[test]
    fn names_are_found_in_both_styles_and_slips_are_understood() {
        let found = |scope, name| lookup(scope, name).map(|setting| setting.name);
        assert_eq!(found(Scope::Producer, "linger.ms"), Some("linger.ms"));
        assert_eq!(found(Scope::Producer, "max_in_flight_requests_per_connection"), Some("max.in.flight.requests.per.connection"));
        assert_eq!(found(Scope::Consumer, "linger.ms"), None);
        assert_eq!(found(Scope::Topic, "min.insync.replicas"), Some("min.insync.replicas"));
        assert_eq!(nearest(Scope::Producer, "linger"), None);
        assert_eq!(nearest(Scope::Producer, "lingr.ms"), Some("linger.ms"));
        assert_eq!(nearest(Scope::Consumer, "max_pol_record"), Some("max.poll.records"));
        assert_eq!(found(Scope::Consumer, "Max.Poll.Records"), None);
        assert_eq!(nearest(Scope::Consumer, "Max.Poll.Records"), Some("max.poll.records"));
        assert_eq!(nearest(Scope::Consumer, "colour"), None);
        assert_eq!(nearest(Scope::Consumer, &"x".repeat(100_000)), None);
    }
}
