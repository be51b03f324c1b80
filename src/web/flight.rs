//! Messages in flight, drawn on one canvas over the stage: a pure function of the flights and the virtual time.
//!
//! Where things are on the screen is read from the document once after each change of it (`data-node` names the ends), never while drawing.

use super::theme;
use crate::ordered::OrderedMap;
use crate::view::Flight;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, DomRect, Element, HtmlCanvasElement};
use yew::NodeRef;

/// More would only be a smear.
const DRAWN_MAX: usize = 160;
/// With more than this many on the way, labels would cover each other.
const LABELS_MAX: usize = 8;
/// Above this speed labels cannot be read.
const LABEL_SPEED: f64 = 0.05;
/// How far messages fall on a narrow page.
const DROP: f64 = 24.0;
/// Width of a letter of the labels, about.
const LETTER: f64 = 6.4;
const TURN: f64 = std::f64::consts::TAU;

#[derive(Clone, Copy)]
struct Box2 {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box2 {
    fn of(r: &DomRect) -> Box2 {
        Box2 { left: r.left(), top: r.top(), right: r.right(), bottom: r.bottom() }
    }
    fn middle(&self) -> f64 {
        (self.top + self.bottom) / 2.0
    }
}

/// The ink of each kind of message, from the style sheet.
#[derive(Default)]
struct Inks {
    produce: String,
    fetch: String,
    replicate: String,
    other: String,
    bad: String,
    paper: String,
}

/// The canvas and what it needs to know of the page.
#[derive(Default)]
pub struct Sky {
    pub canvas: NodeRef,
    nodes: OrderedMap<String, Box2>,
    /// Where the canvas begins in the window, and its pixels per pixel of the page.
    corner: (f64, f64),
    ratio: f64,
    scroller: Option<Box2>,
    inks: Inks,
    stale: bool,
    shown: bool,
    /// The person asked for less motion.
    calm: bool,
}

impl Sky {
    /// The layout may have changed: measure before the next drawing.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    fn measure(&mut self, canvas: &HtmlCanvasElement) -> Option<()> {
        self.stale = false;
        self.calm = theme::reduced_motion();
        let window = web_sys::window()?;
        let document = window.document()?;
        let rect = |selector: &str| document.query_selector(selector).ok().flatten().map(|e| Box2::of(&e.get_bounding_client_rect()));
        self.scroller = rect(".cluster-body");
        self.nodes.clear();
        let found = document.query_selector_all("[data-node]").ok()?;
        for i in 0..found.length() {
            let element: Element = found.get(i)?.dyn_into().ok()?;
            let here = element.get_bounding_client_rect();
            if here.width() > 0.0
                && let Some(name) = element.get_attribute("data-node")
            {
                let mut here = Box2::of(&here);
                // A strip that is scrolled out of sight sends and receives at the edge that hides it.
                if let Some(s) = self.scroller.filter(|_| name.contains('/')) {
                    here.left = here.left.clamp(s.left, s.right);
                    here.right = here.right.clamp(s.left, s.right);
                }
                self.nodes.insert(name, here);
            }
        }
        // As large as what is seen of the stage and no larger: the browser copies the whole canvas for each frame that draws on it.
        let stage = rect(".stage")?;
        let (left, top) = (stage.left.max(0.0).floor(), stage.top.max(0.0).floor());
        let wide = (stage.right.min(window.inner_width().ok()?.as_f64()?) - left).max(0.0).ceil();
        let high = (stage.bottom.min(window.inner_height().ok()?.as_f64()?) - top).max(0.0).ceil();
        self.corner = (left, top);
        self.ratio = window.device_pixel_ratio().clamp(1.0, 2.0);
        let (w, h) = ((wide * self.ratio) as u32, (high * self.ratio) as u32);
        if canvas.width() != w || canvas.height() != h {
            canvas.set_width(w);
            canvas.set_height(h);
        }
        for (name, pixels) in [("left", left), ("top", top), ("width", wide), ("height", high)] {
            set_style(canvas, name, &format!("{}px", pixels as u32));
        }
        let style = window.get_computed_style(&document.document_element()?).ok()??;
        let ink = |name: &str| style.get_property_value(name).unwrap_or_default();
        self.inks = Inks {
            produce: ink("--accent"),
            fetch: ink("--txn"),
            replicate: ink("--ink-3"),
            other: ink("--line-strong"),
            bad: ink("--bad"),
            paper: ink("--surface"),
        };
        Some(())
    }

    /// Draws the flights as they stand at a virtual time in milliseconds.
    pub fn draw(&mut self, flights: &[Flight], time: f64, playing: bool, speed: f64) {
        let Some(canvas) = self.canvas.cast::<HtmlCanvasElement>() else { return };
        // A canvas that is seen costs every frame something, whether it is drawn on or not.
        let shown = !flights.is_empty();
        if self.shown != shown {
            self.shown = shown;
            set_style(&canvas, "visibility", if shown { "visible" } else { "hidden" });
        }
        if !shown {
            return;
        }
        if self.stale {
            self.measure(&canvas);
        }
        let Ok(Some(context)) = canvas.get_context("2d") else { return };
        let pen: CanvasRenderingContext2d = context.unchecked_into();
        let (ratio, (left, top)) = (self.ratio, self.corner);
        // Setting a transform of finite numbers and clearing cannot fail.
        let _ = pen.set_transform(ratio, 0.0, 0.0, ratio, -left * ratio, -top * ratio);
        pen.clear_rect(left, top, f64::from(canvas.width()), f64::from(canvas.height()));
        pen.set_font("10.5px ui-monospace, Menlo, Consolas, monospace");
        let labelled = (!playing || speed <= LABEL_SPEED) && flights.iter().filter(|f| shown_large(f)).count() <= LABELS_MAX;
        let still = !playing || self.calm;
        let mut labels = labelled.then(Vec::new);
        for flight in flights.iter().take(DRAWN_MAX) {
            self.one(&pen, flight, time, still, &mut labels);
        }
    }

    fn one(&self, pen: &CanvasRenderingContext2d, f: &Flight, time: f64, still: bool, labels: &mut Option<Vec<(f64, f64)>>) -> Option<()> {
        let (from, to) = (self.end(&f.from, f)?, self.end(&f.to, f)?);
        let rightward = from.left + from.right < to.left + to.right;
        let (ax, bx) = if rightward { (from.right, to.left) } else { (from.left, to.right) };
        // In one column (a phone) the way between two boxes would run across all others: there messages drop into strips and out of them.
        let overlap = from.left < to.right && to.left < from.right;
        let (ax, bx, ay, by) = match (overlap, f.to.starts_with("broker-")) {
            (false, _) => (ax, bx, self.within(from, f, &f.from), self.within(to, f, &f.to)),
            (true, true) => (to.right - 28.0, to.right - 28.0, to.top - DROP, to.middle()),
            (true, false) => (from.right - 28.0, from.right - 28.0, from.middle(), from.bottom + DROP),
        };
        // Requests arch over, responses hang under: the two directions of one pair never share a line.
        let bend = if f.response { 1.0 } else { -1.0 } * (14.0 + ((bx - ax).abs() * 0.05).min(22.0));
        let (cx, cy) = ((ax + bx) / 2.0, (ay + by) / 2.0 + if overlap { 0.0 } else { bend });
        let mut t = if f.arrives > f.sent { ((time - f.sent) / (f.arrives - f.sent)).clamp(0.0, 1.0) } else { 1.0 };
        if self.calm {
            // Less motion: a message stands near its sender, then near its receiver.
            t = if t < 0.5 { 0.2 } else { 0.8 };
        }
        let at = |t: f64| {
            let u = 1.0 - t;
            (u * u * ax + 2.0 * u * t * cx + t * t * bx, u * u * ay + 2.0 * u * t * cy + t * t * by)
        };
        let large = shown_large(f);
        let ink = self.ink(f);
        pen.set_stroke_style_str(ink);
        pen.set_fill_style_str(ink);
        pen.set_line_width(1.1);
        pen.set_global_alpha(if large { 0.5 } else { 0.28 });
        let _ = pen.set_line_dash(&js_sys::Array::of2(&JsValue::from(1.5), &JsValue::from(4.0)));
        pen.begin_path();
        pen.move_to(ax, ay);
        pen.quadratic_curve_to(cx, cy, bx, by);
        pen.stroke();
        let _ = pen.set_line_dash(&js_sys::Array::new());
        pen.set_global_alpha(if large { 1.0 } else { 0.55 });
        let (x, y) = at(t);
        if large {
            packet(pen, x, y, f, &self.inks.paper);
        } else {
            pen.begin_path();
            let _ = pen.arc(x, y, 2.4, 0.0, TURN);
            pen.fill();
        }
        if still {
            // On its way out of sight an arrow has nowhere to point.
            if t < 0.97 {
                arrow(pen, (x, y), at(t + 0.02), if large { 9.0 + f64::from(f.records.min(12)) * 0.45 } else { 6.0 }, large);
            }
        }
        // A label that would cover another is left out.
        if let Some(labels) = labels
            && large
            && !labels.iter().any(|(lx, ly)| (lx - x).abs() < 70.0 && (ly - y).abs() < 13.0)
        {
            labels.push((x, y));
            let text = if f.records > 0 { format!("{} {}", f.api, f.records) } else { f.api.to_owned() };
            let text = f.error.map_or(text, str::to_owned);
            let width = text.len() as f64 * LETTER + 8.0;
            // Beside the box it has just left, not on it.
            let x = match (overlap, rightward) {
                (true, _) => x,
                (_, true) => x.max(ax + width / 2.0 + 4.0),
                _ => x.min(ax - width / 2.0 - 4.0),
            };
            pen.set_fill_style_str(&self.inks.paper);
            pen.set_global_alpha(0.9);
            pen.begin_path();
            let _ = pen.round_rect_with_f64(x - width / 2.0, y - 22.0, width, 15.0, 5.0);
            pen.fill();
            pen.set_global_alpha(1.0);
            pen.set_fill_style_str(ink);
            let _ = pen.fill_text(&text, x - width / 2.0 + 4.0, y - 11.0);
        }
        pen.set_global_alpha(1.0);
        Some(())
    }

    /// The box where a node's end of a flight lies: the partition's strip on a broker, else the node itself.
    fn end(&self, node: &str, f: &Flight) -> Option<Box2> {
        if let Some(broker) = node.strip_prefix("broker-") {
            if let (Some(topic), Some(partition)) = (&f.topic, f.partition)
                && let Some(strip) = self.nodes.get(&format!("{topic}/{partition}/{broker}"))
            {
                return Some(*strip);
            }
            return self.nodes.get(node).copied();
        }
        if node.starts_with("controller") {
            return self.nodes.get("controller").copied();
        }
        self.nodes.get(node).copied()
    }

    /// The height at which a line touches a box, kept inside the visible part of the cluster.
    fn within(&self, end: Box2, f: &Flight, node: &str) -> f64 {
        let strip = node.starts_with("broker-");
        let y = if strip && f.partition.is_some() { end.middle() + if f.response { 5.0 } else { -5.0 } } else { end.middle() };
        match self.scroller {
            Some(s) if strip => y.clamp(s.top + 4.0, (s.bottom - 4.0).max(s.top + 4.0)),
            _ => y,
        }
    }

    fn ink(&self, f: &Flight) -> &str {
        let client = |node: &str| !node.starts_with("broker-") && !node.starts_with("controller");
        match f.api {
            _ if f.error.is_some() => &self.inks.bad,
            "Produce" => &self.inks.produce,
            "Fetch" if client(&f.from) || client(&f.to) => &self.inks.fetch,
            "Fetch" => &self.inks.replicate,
            _ => &self.inks.other,
        }
    }
}

fn set_style(canvas: &HtmlCanvasElement, name: &str, value: &str) {
    // The names are right and a canvas has a style: nothing can go wrong.
    let _ = canvas.style().set_property(name, value);
}

/// What carries records or an error is drawn large; the rest is small talk.
fn shown_large(f: &Flight) -> bool {
    f.error.is_some() || f.records > 0
}

/// A message that carries records: a small packet with its count; an answer is round.
fn packet(pen: &CanvasRenderingContext2d, x: f64, y: f64, f: &Flight, paper: &str) {
    pen.begin_path();
    if f.response && f.api == "Produce" {
        let _ = pen.arc(x, y, 4.2, 0.0, TURN);
        pen.fill();
        return;
    }
    // As wide as what it carries, up to a point.
    let half = 4.5 + f64::from(f.records.min(12)) * 0.45;
    let _ = pen.round_rect_with_f64(x - half, y - 5.0, half * 2.0, 10.0, 3.0);
    pen.fill();
    pen.set_stroke_style_str(paper);
    pen.set_line_width(1.5);
    pen.stroke();
}

/// A head in front of a message, `away` pixels from its middle.
fn arrow(pen: &CanvasRenderingContext2d, from: (f64, f64), to: (f64, f64), away: f64, large: bool) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < 0.01 {
        return;
    }
    let size = if large { 6.0 } else { 4.5 };
    let (ux, uy) = (dx / length, dy / length);
    let (tx, ty) = (from.0 + ux * (away + size * 0.7), from.1 + uy * (away + size * 0.7));
    pen.begin_path();
    pen.move_to(tx, ty);
    pen.line_to(tx - ux * size - uy * size * 0.55, ty - uy * size + ux * size * 0.55);
    pen.line_to(tx - ux * size + uy * size * 0.55, ty - uy * size - ux * size * 0.55);
    pen.close_path();
    pen.fill();
}
