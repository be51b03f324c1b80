//! The root component: the only holder of the session. It obeys [`Act`]s, keeps the clock, and takes the [`Shot`] that everything else draws from.

use super::tree::{classes, html};
use super::{
    act::{Act, Browse, Dialog, ImportAct, LessonAct},
    automation,
    cells::PITCH,
    clock::{Frames, Pace},
    cluster::cluster,
    desk::Desk,
    dock::dock,
    flight::Sky,
    forms,
    groups::groups,
    header::header,
    import_job::ImportJob,
    inspector::inspector,
    js, kafka_line,
    keys::Keys,
    lesson::lesson,
    memo::{Panel, memo},
    producers::producers,
    route, save, shortcuts,
    shot::{Shared, Shot},
    theme,
    timeline::timeline,
};
use crate::lesson::Level;
use crate::session::{
    self, Session,
    command::{Command, Refusal, Saved},
};
use crate::view;
use gloo::events::{EventListener, EventListenerOptions};
use std::cell::RefCell;
use std::rc::Rc;
use yew::prelude::*;

/// Between two renders while time runs, in milliseconds: about fifteen a second.
const RENDER_MS: f64 = 66.0;
/// While time runs the panels take a new shot in turns, one turn a frame: no frame is long, and each panel is as fresh as if all were drawn at once.
const TURNS: usize = 3;
/// Between two turns, in milliseconds. A little less than a frame of sixty a second; where frames are longer, one takes several turns.
const TURN_MS: f64 = 15.0;
/// A session of more commands has no rescue copy: writing it after each of them would be felt.
const RESCUE_COMMANDS_MAX: usize = 2_000;
/// Events that a step back looks through.
const BACK_EVENTS: usize = 2000;

pub struct App {
    session: Rc<RefCell<Session>>,
    act: Callback<Act>,
    shot: Shared<Shot>,
    /// What the panels of each turn show: the newest shot or, until their turn comes, the one before.
    shown: [Shared<Shot>; TURNS],
    /// Turns taken since the newest shot.
    turn: usize,
    frames: Frames,
    pace: Pace,
    sky: Sky,
    /// The panels may have changed their sizes since the cells were counted.
    resized: bool,
    /// Something changed since the last shot.
    dirty: bool,
    /// How many commands the rescue copy holds.
    kept: Option<usize>,
    shot_at: f64,
    seek: Option<f64>,
    /// Where the scene began, in virtual milliseconds.
    scene_start: f64,
    /// The free-play session while a lesson is open.
    sandbox: Option<Saved>,
    desk: Desk,
    dialog: Option<Dialog>,
    /// What had the focus before the dialog.
    opener: Option<web_sys::HtmlElement>,
    refusal: Option<Rc<Refusal>>,
    alert: Option<Rc<Refusal>>,
    /// Kept alive as long as the page.
    _listeners: Vec<EventListener>,
}

impl Component for App {
    type Message = Act;
    type Properties = ();

    fn create(ctx: &Context<App>) -> App {
        let act: Callback<Act> = ctx.link().callback(|act| act);
        let session = Rc::new(RefCell::new(fresh(&session::default_scene())));
        automation::install(&session, &act);
        let scene_start = session.borrow().time_ms();
        let mut desk = Desk::new();
        let shot = Shared::new(desk.look(&session.borrow()));
        let mut app = App {
            frames: Frames::new(ctx.link().callback(Act::Frame)),
            shown: std::array::from_fn(|_| shot.clone()),
            turn: 0,
            shot,
            _listeners: listeners(&act, &session),
            session,
            act,
            pace: Pace::default(),
            sky: Sky::default(),
            resized: true,
            dirty: false,
            kept: None,
            shot_at: 0.0,
            seek: None,
            scene_start,
            sandbox: None,
            desk,
            dialog: None,
            opener: None,
            refusal: None,
            alert: None,
        };
        app.follow_route();
        app.look();
        app.show(TURNS);
        app
    }

    fn update(&mut self, _: &Context<App>, act: Act) -> bool {
        match act {
            Act::Frame(now) => return self.frame(now),
            Act::Scrolled => {
                self.sky.forget();
                self.frames.wake();
                return false;
            }
            _ => {}
        }
        self.obey(act);
        self.look();
        self.show(TURNS);
        true
    }

    fn rendered(&mut self, _: &Context<App>, _: bool) {
        self.sky.forget();
        self.resized |= self.turn == TURNS;
        self.frames.wake();
    }

    fn view(&self, _: &Context<App>) -> Html {
        let (shot, act) = (&self.shot, &self.act);
        let places = classes!("app", shot.lesson.open.then_some("with-lesson"), self.desk.selection.is_some().then_some("with-inspector"));
        html! {
            <div class={places}>
                { self.panel(0, header) }
                <main class="stage">
                    { self.panel(2, lesson) }
                    { self.panel(0, producers) }
                    { self.panel(1, cluster) }
                    { self.panel(0, groups) }
                    <canvas class="sky" aria-hidden="true" ref={self.sky.canvas.clone()}></canvas>
                </main>
                { self.panel(0, timeline) }
                { self.panel(2, dock) }
                { self.panel(2, inspector) }
                if let Some(alert) = &self.alert {
                    <div class="alert" role="alert"><span><b>{ &alert.code }</b>{ " " }{ &alert.message }</span>
                        <Button icon="close" name="Dismiss" ask={Act::DismissAlert} act={act} /></div>
                }
                { self.dialog.as_ref().map_or_else(Html::default, |dialog| forms::open(dialog, shot, act, &self.refusal)) }
            </div>
        }
    }
}

impl App {
    fn frame(&mut self, now: f64) -> bool {
        if let Some(ms) = self.seek.take() {
            self.say(|s| s.seek(ms));
            self.dirty = true;
        }
        self.run(now);
        if let Some(job) = self.desk.import.as_mut().filter(|job| job.running()) {
            let session = &self.session;
            job.chunk(|command| session.borrow_mut().apply(command));
            if !job.running() {
                // The shell line and the rescue copy follow the whole import, not each chunk.
                self.dirty = true;
                self.shot_at = 0.0;
            }
            self.dirty = true;
        }
        if std::mem::take(&mut self.resized) && self.fit() {
            self.dirty = true;
        }
        if self.dirty && now - self.shot_at >= RENDER_MS {
            self.shot_at = now;
            self.look();
        }
        let drawn = self.turn < TURNS;
        let session = self.session.clone();
        let session = session.borrow();
        let playing = session.playing;
        self.show(if playing { 1 + ((now - self.shot_at) / TURN_MS) as usize } else { TURNS });
        self.sky.draw(&view::flights(&session), session.time_ms(), playing, session.speed);
        if playing || self.dirty || self.turn < TURNS || self.desk.import.as_ref().is_some_and(ImportJob::running) {
            self.frames.wake();
        }
        drawn
    }

    /// Lets virtual time run for one frame, and gives the solution's commands at their times.
    fn run(&mut self, now: f64) {
        let mut session = self.session.borrow_mut();
        if !session.playing {
            self.pace.rest();
            return;
        }
        self.pace.frame(now, &mut session, self.desk.lesson.until());
        self.dirty = true;
        while let Some(command) = self.desk.lesson.due(session.time_ms()) {
            let line = kafka_line::of(&command);
            match session.apply(command) {
                Ok(_) => {
                    self.desk.lesson.commands += 1;
                    self.desk.line = Some(line.into());
                }
                Err(refusal) => self.alert = Some(refusal.into()),
            }
        }
    }

    /// Does what was asked.
    fn obey(&mut self, act: Act) {
        match act {
            Act::Frame(_) | Act::Scrolled | Act::Look => self.frames.wake(),
            Act::Commanded => {
                self.desk.lesson.commands += 1;
                self.frames.wake();
            }
            Act::Replaced => {
                self.renew();
                self.leave_lesson();
            }
            Act::Do(command) => self.command(command, false),
            Act::Submit(command) => self.command(command, true),
            Act::TogglePlay => {
                let mut session = self.session.borrow_mut();
                session.playing = !session.playing;
            }
            Act::Step(kind) => self.pausing(|s| s.step(kind)),
            Act::StepBack => self.step_back(),
            Act::Restart => {
                let start = self.scene_start;
                // Already there or before it: then to the very beginning.
                let to = if self.session.borrow().time_ms() > start + 0.001 { start } else { 0.0 };
                self.pausing(|_| ());
                self.say(|s| s.seek(to));
            }
            Act::Speed(speed) => self.session.borrow_mut().speed = speed,
            Act::Seek(ms) => {
                self.pausing(|_| ());
                self.seek = Some(ms);
            }
            Act::Undo => {
                if self.session.borrow_mut().undo() {
                    self.desk.lesson.commands = self.desk.lesson.commands.saturating_sub(1);
                }
            }
            Act::Redo => {
                if self.session.borrow_mut().redo() {
                    self.desk.lesson.commands += 1;
                }
            }
            Act::Open(dialog) => {
                self.refusal = None;
                self.opener = forms::focused();
                self.dialog = Some(dialog);
            }
            Act::Close => self.close_dialog(),
            Act::Select(selection) => self.desk.selection = selection,
            Act::Tab(tab) => self.desk.tab = tab,
            Act::Filter(filter) => self.desk.filter = filter,
            Act::Browse(browse) => self.desk.browse = browse,
            Act::ToggleInternal => self.desk.show_internal = !self.desk.show_internal,
            Act::ToggleTheme => theme::toggle(),
            Act::Copy(text) => save::copy(&text),
            Act::DismissAlert => self.alert = None,
            Act::Route => self.follow_route(),
            Act::Lesson(ask) => self.obey_lesson(ask),
            Act::Import(ImportAct::Start { text, format, topic, key_field }) => {
                self.desk.line = Some(
                    kafka_line::of(&Command::Import { topic: topic.clone(), format, text: "".into(), key_field: key_field.clone() }).into(),
                );
                self.desk.import = Some(ImportJob::new(text, format, topic, key_field));
            }
            Act::Import(ImportAct::Cancel) => {
                if let Some(job) = &mut self.desk.import {
                    job.cancel();
                }
            }
            Act::StartOver => {
                self.close_dialog();
                self.replace(&session::default_scene());
                self.leave_lesson();
            }
            Act::Export => save::download("brokerlab-session.json", &self.saved_text()),
            Act::LoadText(text) => self.load_text(&text),
        }
        self.frames.wake();
    }

    fn obey_lesson(&mut self, ask: LessonAct) {
        match ask {
            LessonAct::ToggleDrawer => self.desk.lesson.open = !self.desk.lesson.open,
            LessonAct::Slide(slide) => self.desk.lesson.slide = slide,
            LessonAct::Hint => self.desk.lesson.hints += 1,
            LessonAct::Reset | LessonAct::Solution => {
                if let Some(level) = self.desk.lesson.level {
                    self.replace(&level.start);
                    let solution = ask == LessonAct::Solution;
                    self.desk.lesson.begin(solution);
                    self.session.borrow_mut().playing = solution;
                }
            }
        }
    }

    /// Gives a command to the session; `in_dialog` says where a refusal is shown.
    fn command(&mut self, command: Command, in_dialog: bool) {
        let line = kafka_line::of(&command);
        let answer = match self.desk.lesson.level.map_or(Ok(()), |l| l.allows(&command)) {
            Ok(()) => self.session.borrow_mut().apply(command),
            Err(reason) => Err(Refusal { code: "POLICY_VIOLATION".to_owned(), message: reason, field: None }),
        };
        match (answer, in_dialog) {
            (Ok(_), _) => {
                self.desk.lesson.commands += 1;
                self.desk.line = Some(line.into());
                self.alert = None;
                self.refusal = None;
                if in_dialog {
                    self.close_dialog();
                }
            }
            (Err(refusal), true) => self.refusal = Some(refusal.into()),
            (Err(refusal), false) => self.alert = Some(refusal.into()),
        }
    }

    /// Shows a refusal of something that has no dialog.
    fn say(&mut self, run: impl FnOnce(&mut Session) -> Result<(), Refusal>) {
        let answer = run(&mut self.session.borrow_mut());
        if let Err(refusal) = answer {
            self.alert = Some(refusal.into());
        }
    }

    /// Stops the clock and then does something by hand.
    fn pausing(&mut self, run: impl FnOnce(&mut Session)) {
        let mut session = self.session.borrow_mut();
        session.playing = false;
        run(&mut session);
    }

    fn step_back(&mut self) {
        let before = {
            let session = self.session.borrow();
            let now = session.time_ms();
            let since = session.event_count().saturating_sub(BACK_EVENTS as u64);
            view::events(&session, since, BACK_EVENTS).iter().rev().map(|e| e.time).find(|t| *t < now - 0.0005)
        };
        self.pausing(|_| ());
        self.say(|s| s.seek(before.unwrap_or(0.0)));
    }

    /// Another session takes the place of this one.
    fn replace(&mut self, saved: &Saved) {
        match Session::load(saved) {
            Ok(mut session) => {
                session.speed = self.session.borrow().speed;
                session.settle();
                *self.session.borrow_mut() = session;
                self.renew();
            }
            Err(refusal) => self.alert = Some(refusal.into()),
        }
    }

    /// Forgets what belonged to the session before.
    fn renew(&mut self) {
        self.scene_start = self.session.borrow().time_ms();
        self.desk.keys = Keys::default();
        self.desk.import = None;
        self.desk.selection = None;
        self.seek = None;
        self.desk.line = None;
        self.alert = None;
        self.desk.browse = Browse::default();
    }

    fn follow_route(&mut self) {
        let level = route::level();
        let id = |l: Option<&Level>| l.map(|l| l.id.clone());
        if id(level) == id(self.desk.lesson.level) {
            return;
        }
        if let Some(level) = level {
            if self.desk.lesson.level.is_none() {
                self.sandbox = Some(self.session.borrow().save());
            }
            self.replace(&level.start);
        } else if let Some(sandbox) = self.sandbox.take() {
            self.replace(&sandbox);
        }
        self.desk.lesson.enter(level);
    }

    fn close_dialog(&mut self) {
        forms::dismiss(self.opener.take());
        self.dialog = None;
    }

    /// Free play goes on with the session that is there, not with the one from before the lesson.
    fn leave_lesson(&mut self) {
        self.sandbox = None;
        if self.desk.lesson.level.is_some() {
            self.desk.lesson.enter(None);
            route::leave();
        }
    }

    fn load_text(&mut self, text: &str) {
        let read = js::parse(text).map_err(|e| Refusal::argument("file", format!("This is not JSON: {e}.")));
        match read.and_then(session::parse_saved).and_then(|saved| Session::load(&saved)) {
            Ok(session) => {
                *self.session.borrow_mut() = session;
                self.renew();
                self.close_dialog();
                self.leave_lesson();
            }
            Err(refusal) => self.refusal = Some(refusal.into()),
        }
    }

    fn saved_text(&self) -> String {
        js::stringify(&self.session.borrow().save(), 0)
    }

    /// Counts how many cells fit into a strip; true when that changed.
    fn fit(&mut self) -> bool {
        let document = web_sys::window().and_then(|w| w.document());
        let lane = document.and_then(|d| d.query_selector(".crossing.shown .lane").ok().flatten()).map(|e| f64::from(e.client_width()));
        let Some(width) = lane.filter(|w| *w > 0.0) else { return false };
        let cells = ((width / PITCH).floor() as usize).clamp(3, 32);
        let changed = cells != self.desk.cells;
        self.desk.cells = cells;
        changed
    }

    /// Takes a new shot.
    fn look(&mut self) {
        let shot = self.desk.look(&self.session.borrow());
        self.shot = Shared::new(shot);
        self.turn = 0;
        self.dirty = false;
        self.rescue();
    }

    /// Keeps a copy of the session whenever its commands have become other ones; an import's many are kept when it is over.
    fn rescue(&mut self) {
        let commands = self.session.borrow().commands().len();
        if self.kept != Some(commands) && !self.desk.import.as_ref().is_some_and(ImportJob::running) {
            self.kept = Some(commands);
            let text = (commands <= RESCUE_COMMANDS_MAX).then(|| self.saved_text());
            save::keep(text.as_deref());
        }
    }

    /// Gives the newest shot to the panels of the first turns.
    fn show(&mut self, turns: usize) {
        while self.turn < turns.min(TURNS) {
            self.shown[self.turn] = self.shot.clone();
            self.turn += 1;
        }
    }

    fn panel(&self, turn: usize, draw: fn(&Shared<Shot>, &Callback<Act>) -> Html) -> Html {
        memo(Panel { draw, shot: self.shown[turn].clone(), act: self.act.clone() }, None)
    }
}

fn fresh(saved: &Saved) -> Session {
    let mut session = Session::load(saved).expect("the scene that is built in loads");
    // It lives already when the page opens, and what built it is not the user's to undo.
    session.settle();
    session.playing = true;
    session
}

/// What the whole document and window tell.
fn listeners(act: &Callback<Act>, session: &Rc<RefCell<Session>>) -> Vec<EventListener> {
    let Some(window) = web_sys::window() else { return Vec::new() };
    let on = |kind: &'static str, ask: Act| {
        let act = act.clone();
        EventListener::new(&window, kind, move |_| act.emit(ask.clone()))
    };
    let session = session.clone();
    let mut all = vec![on("hashchange", Act::Route), on("resize", Act::Look)];
    all.extend(shortcuts::listen(act.clone(), move || session.borrow().speed));
    // Panels scroll under the canvas; scroll events do not bubble, so they are caught on their way down.
    let act = act.clone();
    all.push(EventListener::new_with_options(&window, "scroll", EventListenerOptions::run_in_capture_phase(), move |_| {
        act.emit(Act::Scrolled)
    }));
    all
}
