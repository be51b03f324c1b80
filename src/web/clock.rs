//! The one animation frame loop, and how much virtual time a frame is worth.

use crate::session::{Session, TIME_MAX_MS};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, closure::Closure};
use yew::Callback;

/// Engine work per frame, in milliseconds: what is left of a frame belongs to drawing.
const WORK_MS: f64 = 3.0;
/// Events between two looks at the clock.
const CHUNK_EVENTS: u64 = 100;
/// A tab that slept does not leap: one frame is never worth more than this.
const FRAME_MS_MAX: f64 = 50.0;

/// Calls back once per animation frame while awake. One closure, made once.
pub struct Frames {
    tick: Closure<dyn FnMut(f64)>,
    /// A frame is asked for.
    asked: Rc<Cell<bool>>,
}

impl Frames {
    pub fn new(callback: Callback<f64>) -> Frames {
        let asked = Rc::new(Cell::new(false));
        let flag = asked.clone();
        let tick = Closure::new(move |now: f64| {
            flag.set(false);
            callback.emit(now);
        });
        Frames { tick, asked }
    }

    /// Asks for the next frame, once.
    pub fn wake(&self) {
        if self.asked.replace(true) {
            return;
        }
        if let Some(window) = web_sys::window() {
            // Without frames (a closing page) there is nothing left to draw.
            let _ = window.request_animation_frame(self.tick.as_ref().unchecked_ref());
        }
    }
}

/// Milliseconds of the browser's steady clock.
pub fn now_ms() -> f64 {
    web_sys::window().and_then(|w| w.performance()).map_or(0.0, |p| p.now())
}

/// Turns frames into virtual time.
#[derive(Default)]
pub struct Pace {
    last: Option<f64>,
    /// Virtual microseconds owed: fractions at slow motion, nothing else.
    owed: f64,
}

impl Pace {
    /// Forgets the last frame: the next one starts from nothing.
    pub fn rest(&mut self) {
        self.last = None;
    }

    /// Runs the session for one frame. `until` holds it at a virtual time in milliseconds.
    pub fn frame(&mut self, now: f64, session: &mut Session, until: Option<f64>) {
        let passed = self.last.map_or(0.0, |last| (now - last).clamp(0.0, FRAME_MS_MAX));
        self.last = Some(now);
        // Never more than a session can last: a script may ask for any speed.
        self.owed = (self.owed + passed * 1000.0 * session.speed).min(TIME_MAX_MS * 1000.0);
        if let Some(until) = until {
            self.owed = self.owed.min(((until - session.time_ms()) * 1000.0).max(0.0).ceil());
        }
        let mut left = self.owed.floor() as u64;
        self.owed -= left as f64;
        let started = now_ms();
        while left > 0 {
            let ran = session.run(left, CHUNK_EVENTS);
            left = left.saturating_sub(ran);
            if ran == 0 || now_ms() - started > WORK_MS {
                // What did not fit is let go: at speeds that the machine cannot keep, time runs as fast as it can.
                break;
            }
        }
    }
}
