#![cfg(not(target_arch = "wasm32"))]
//! Ten thousand malformed commands and a thousand damaged sessions: refused with a reason, nothing changed, nothing panics.

mod hostile;

#[test]
fn ten_thousand_malformed_commands_are_refused_or_harmless() {
    let refused = hostile::malformed_commands(10_000);
    println!("{refused} of 10000 refused");
    assert!(9_000 < refused, "only {refused} were refused");
}

#[test]
fn a_thousand_damaged_sessions_are_refused_or_still_sessions() {
    let refused = hostile::damaged_sessions(1_000);
    println!("{refused} of 1000 refused");
    assert!(700 < refused, "only {refused} were refused");
}
