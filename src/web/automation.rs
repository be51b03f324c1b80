//! `window.brokerlab`: the page's session for scripts, tests and levels. Same session, same commands, same refusals; the page draws after each call.

use super::{act::Act, js};
use crate::session::{self, Session, StepKind, command::Refusal, fields::FromValue};
use crate::view::{self, MessageQuery};
use js_sys::{Object, Reflect};
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::{JsValue, closure::Closure};
use yew::Callback;

/// Events in one answer.
const EVENTS_MAX: usize = 200_000;

type Answer = Result<JsValue, Refusal>;

/// Puts the object into the window. Its closures live as long as the page.
pub fn install(session: &Rc<RefCell<Session>>, act: &Callback<Act>) {
    let object = Object::new();
    let method = |name: &str, argument: &'static str, run: fn(&mut Session, Value) -> Answer, after: Option<Act>| {
        let (session, act) = (session.clone(), act.clone());
        let call = Closure::<dyn FnMut(JsValue) -> Result<JsValue, JsValue>>::new(move |value: JsValue| {
            // Made plain before the session is borrowed: a getter inside the value may call back in.
            let answer = js::to_json(&value, argument).and_then(|plain| run(&mut session.borrow_mut(), plain));
            if let (Ok(_), Some(after)) = (&answer, &after) {
                act.emit(after.clone());
            }
            answer.map_err(|refusal| js::error(&refusal))
        });
        define(&object, name, &call.into_js_value());
    };
    let look = || Some(Act::Look);
    method("load", "", load, Some(Act::Replaced));
    method("export", "", |s, _| js::from_rust(&s.save()), None);
    method("command", "", |s, c| js::from_rust(&s.command(c)?), Some(Act::Commanded));
    method("advance", "ms", |s, ms| s.advance(millis(&ms)?).map(|()| JsValue::UNDEFINED), look());
    method("step", "kind", step, look());
    method("seek", "ms", |s, ms| s.seek(millis(&ms)?).map(|()| JsValue::UNDEFINED), look());
    method("undo", "", |s, _| Ok(s.undo().into()), look());
    method("redo", "", |s, _| Ok(s.redo().into()), look());
    method("play", "speed", play, look());
    method("pause", "", pause, look());
    method("view", "", |s, _| js::from_rust(&view::view(s)), None);
    method("events", "since", events, None);
    method("messages", "", messages, None);
    method("traceHash", "", |s, _| Ok(s.trace_hash().into()), None);
    define(&object, "version", &session::VERSION.into());
    if let Some(window) = web_sys::window() {
        define(window.as_ref(), "brokerlab", &object);
    }
}

/// A property that scripts can read and see but not replace.
fn define(object: &Object, name: &str, value: &JsValue) {
    let property = Object::new();
    let _ = Reflect::set(&property, &"value".into(), value);
    let _ = Reflect::set(&property, &"enumerable".into(), &JsValue::TRUE);
    Object::define_property(object, &name.into(), &property);
}

fn load(session: &mut Session, saved: Value) -> Answer {
    let mut fresh = Session::load(&session::parse_saved(saved)?)?;
    fresh.speed = session.speed;
    *session = fresh;
    Ok(JsValue::UNDEFINED)
}

fn step(session: &mut Session, kind: Value) -> Answer {
    session.step(match kind.as_str() {
        Some("event") => StepKind::Event,
        Some("request") => StepKind::Request,
        Some("interesting") => StepKind::Interesting,
        None if kind.is_null() => StepKind::Event,
        _ => return Err(Refusal::argument("kind", "must be \"event\", \"request\" or \"interesting\"")),
    });
    Ok(JsValue::UNDEFINED)
}

fn play(session: &mut Session, speed: Value) -> Answer {
    match speed.as_f64() {
        None if speed.is_null() => {}
        Some(speed) if speed > 0.0 => session.speed = speed,
        _ => return Err(Refusal::argument("speed", "must be a number above 0")),
    }
    session.playing = true;
    Ok(JsValue::UNDEFINED)
}

fn pause(session: &mut Session, _: Value) -> Answer {
    session.playing = false;
    Ok(JsValue::UNDEFINED)
}

fn events(session: &mut Session, since: Value) -> Answer {
    if !since.is_null() && since.as_u64().is_none() {
        return Err(Refusal::argument("since", "must be an event index, 0 or more"));
    }
    js::from_rust(&view::events(session, since.as_u64().unwrap_or(0), EVENTS_MAX))
}

fn messages(session: &mut Session, query: Value) -> Answer {
    js::from_rust(&view::messages(session, &MessageQuery::from_value(query)?)?)
}

/// Milliseconds from a script; the session judges the range.
fn millis(value: &Value) -> Result<f64, Refusal> {
    value.as_f64().ok_or_else(|| Refusal::argument("ms", "must be a number of milliseconds, 0 or more"))
}
