//! What patterns match, by the rules of RE2 and of `java.util.regex`; and what they refuse, in RE2's words.

use super::*;

fn matching(pattern: &str, dialect: Dialect, names: &str) -> String {
    let pattern = TopicPattern::parse(pattern, dialect).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    names.split(' ').filter(|name| pattern.matches(name)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pattern_matches_whole_names() {
    for (pattern, names, expected) in [
        ("orders", "orders orders-eu my.orders", "orders"),
        ("orders.*", "orders orders-eu my.orders", "orders orders-eu"),
        ("^orders$", "orders orders-eu", "orders"),
        (".*", "a __consumer_offsets", "a __consumer_offsets"),
        ("", "a b", ""),
        ("a|bc|d", "a bc d b c ad", "a bc d"),
        ("a|", "a b", "a"),
        ("(a|b)+", "a abba c abc", "a abba"),
        ("x(?:1|2)?y", "xy x1y x2y x12y", "xy x1y x2y"),
        ("a{2}", "a aa aaa", "aa"),
        ("a{2,}", "a aa aaa", "aa aaa"),
        ("a{0,2}b", "b ab aab aaab", "b ab aab"),
        ("a{,2}", "a{,2} aa", "a{,2}"),
        ("a{x}", "a{x} a", "a{x}"),
        ("a*?b+?", "b aab a", "b aab"),
        ("(a*)*b", "b aaab aaa", "b aaab"),
        ("(a*)+", "a aaa b", "a aaa"),
        ("[a-c]x[^0-9]", "ax_ bxa cx1 dx_", "ax_ bxa"),
        ("[]a]", "] a b", "] a"),
        ("[a-]", "a - b", "a -"),
        (r"[\d\-.]+", "1-2.3 1_2", "1-2.3"),
        (r"\w+\.\w+", "a.b a-b a.b.c", "a.b"),
        (r"\D\d\S", "a1b 11b", "a1b"),
        (r"v\x31\x{32}\063", "v123 v12", "v123"),
        (r"\Qa.b*\E+", "a.b* a.b** axb*", "a.b* a.b**"),
        (r"\bone\b.*\bend\b", "one-end one_end one.end", "one-end one.end"),
        (r"a\Bb", "ab a-b", "ab"),
        (r"\Aab\z", "ab abc", "ab"),
        ("[[:alpha:]]+[[:digit:]_]", "ab1 a_ a- 1", "ab1 a_"),
        (r"\p{Lu}\p{Ll}+\pN\P{N}", "Ab1- ab1- Ab11", "Ab1-"),
        ("(?i)orders", "ORDERS Orders order", "ORDERS Orders"),
        ("(?i:o)rders", "Orders ORDERS", "Orders"),
        ("(?i)a(?-i)b", "Ab AB ab", "Ab ab"),
        ("((?i)a)b", "Ab AB", "Ab"),
        ("(?i)[a-c]+", "ABC abc abd", "ABC abc"),
        ("(?P<region>eu|us)-(?<kind>.+)", "eu-orders us- as-orders", "eu-orders"),
        ("(?s).+", "a", "a"),
        ("ä|b", "b", "b"),
    ] {
        for dialect in [Dialect::Re2, Dialect::Java] {
            if dialect == Dialect::Java && pattern.contains("[[") {
                continue;
            }
            assert_eq!(matching(pattern, dialect, names), expected, "{pattern} {dialect:?}");
        }
    }
}

#[test]
fn java_looks_ahead() {
    let all = "__consumer_offsets orders orders-dlq orders-eu";
    assert_eq!(matching("(?!__).*", Dialect::Java, all), "orders orders-dlq orders-eu");
    assert_eq!(matching("^(?!.*-dlq$)orders.*", Dialect::Java, all), "orders orders-eu");
    assert_eq!(matching("(?=.*eu)orders.*", Dialect::Java, all), "orders-eu");
    assert_eq!(matching(r"\p{Alpha}+", Dialect::Java, all), "orders");
}

#[test]
fn what_cannot_be_read_is_refused_in_the_words_of_re2() {
    let nested = "(".repeat(100_000);
    for (pattern, error) in [
        ("(a", "missing closing )"),
        ("a)", "regexp/syntax: internal error"),
        ("[a", "missing closing ]"),
        ("[", "missing closing ]"),
        ("[a-", "missing closing ]"),
        ("*a", "missing argument to repetition operator"),
        ("a|*", "missing argument to repetition operator"),
        ("(+)", "missing argument to repetition operator"),
        ("a**", "invalid nested repetition operator"),
        ("a*+", "invalid nested repetition operator"),
        ("a{2}{3}", "invalid nested repetition operator"),
        ("a{1001}", "invalid repeat count"),
        ("a{3,2}", "invalid repeat count"),
        ("a{99999999999999999999}", "invalid repeat count"),
        ("((a{1000}){1000}){1000}", "invalid repeat count"),
        ("[z-a]", "invalid character class range"),
        ("[[:nonsense:]]", "invalid character class range"),
        (r"\p{Nonsense}", "invalid character class range"),
        (r"\p", "invalid character class range"),
        (r"a\", "trailing backslash at end of expression"),
        (r"\1", "invalid escape sequence"),
        (r"\y", "invalid escape sequence"),
        (r"\xg1", "invalid escape sequence"),
        (r"\x1ä", "invalid escape sequence"),
        ("(?!a)b", "invalid or unsupported Perl syntax"),
        ("(?<=a)b", "invalid or unsupported Perl syntax"),
        ("(?x)a", "invalid or unsupported Perl syntax"),
        ("(?", "invalid or unsupported Perl syntax"),
        ("(?-)", "invalid or unsupported Perl syntax"),
        ("(?P<a-b>c)", "invalid named capture"),
        (&nested, "nesting depth exceeded"),
    ] {
        let refused = TopicPattern::parse(pattern, Dialect::Re2);
        assert_eq!(refused.map(|pattern| pattern.text), Err(error), "{}", &pattern[..pattern.len().min(40)]);
    }
    assert!(TopicPattern::parse("[a-z&&[^b]]", Dialect::Java).is_err());
    assert!(TopicPattern::parse("(?<=a)b", Dialect::Java).is_err());
    assert!(TopicPattern::parse(r"(a)\1", Dialect::Java).is_err());
}

#[test]
fn time_is_bounded_whatever_is_written() {
    let name = "a".repeat(249);
    for pattern in ["(a*)*(a*)*(a*)*b", "((((a+)+)+)+)+b", "(a|aa|aaa)+b", "(.*){10}(.*){10}b"] {
        let pattern = TopicPattern::parse(pattern, Dialect::Re2).expect("a pattern");
        assert!(!pattern.matches(&name));
    }
}

#[test]
fn steps_are_counted_wherever_they_stand() {
    let ways = "|".repeat(32_767);
    let repeated = format!("({}){{1000}}", "a|".repeat(500));
    for pattern in ["(?=(a{1000}){20}){1000}", "(?=a{1000}){1000}", &ways, &repeated] {
        assert_eq!(
            TopicPattern::parse(pattern, Dialect::Java).map(|pattern| pattern.text),
            Err("invalid repeat count"),
            "{}",
            &pattern[..20]
        );
    }
    for nested in ["(?=.*(?=.*x))", "(?!a(b(?=c)))"] {
        assert_eq!(
            TopicPattern::parse(nested, Dialect::Java).map(|pattern| pattern.text),
            Err("lookaheads within lookaheads are not understood")
        );
    }
    let beside = TopicPattern::parse("(?=a)(?!.*b)(?:a|c)*", Dialect::Java).expect("a pattern");
    assert!(beside.matches("aca") && !beside.matches("caa") && !beside.matches("ab"));
}

#[test]
fn ids_may_have_letters_beyond_ascii() {
    let takes = |pattern: &str, id: &str| TopicPattern::parse(pattern, Dialect::Re2).expect("a pattern").matches(id);
    for pattern in [".*", "zahlung-.", "zahlung-[^a-z]", r"\w+-\W"] {
        assert!(takes(pattern, "zahlung-ü"), "{pattern}");
    }
    assert!(!takes("zahlung-..", "zahlung-ü") && !takes("zahlung-[a-z]", "zahlung-ü"));
}
