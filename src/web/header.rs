//! The header: what this is, the transport, the speed, the virtual clock, undo and redo.

use super::tree::html;
use super::{
    act::{Act, Dialog, LessonAct},
    parts::{clock_text, fixed, icon},
    shot::{Shared, Shot},
    theme,
};
use crate::protocol::text::decimal;
use crate::session::StepKind;
use web_sys::HtmlInputElement;
use yew::prelude::*;

pub fn header(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let view = &shot.view;
    let scene: AttrValue = shot.lesson.level.map_or("Free play".into(), |l| AttrValue::from(l.title.clone()));
    let (play_name, play_icon) = if view.playing { ("Pause", "pause") } else { ("Play", "play") };
    let at_start = (view.time <= 0.0).then(|| AttrValue::from("Time stands at the start already."));
    let dark = theme::is_dark();
    html! {
        <header class="head">
            <div class="brand">
                <svg class="mark" viewBox="0 0 30 18" aria-hidden="true"><use href="icons.svg#mark" /></svg>
                <h1>{ "Brokerlab" }</h1>
            </div>
            <Button class="scene" name={format!("Session: {scene}")} text={scene} ask={Act::Open(Dialog::Session)} act={act}
                title="Start over, export or open a session" />
            <Button class="quiet lessons" icon="book" name="Lessons" text="Lessons" ask={Act::Lesson(LessonAct::ToggleDrawer)} act={act} />
            <span class="grow"></span>
            <div class="transport" role="group" aria-label="Transport">
                <Button icon="restart" name="Restart" title="Restart: back to where this scene began; nothing is lost" off={at_start.clone()} ask={Act::Restart} act={act} />
                <Button icon="back" name="Step back" title="Step back (←)" off={at_start} ask={Act::StepBack} act={act} />
                <Button class="main" icon={play_icon} name={play_name} title={format!("{play_name} (Space)")} ask={Act::TogglePlay} act={act} />
                <Button icon="step" name="Step" title="Step to the next event (→)" ask={Act::Step(StepKind::Event)} act={act} />
                <Button icon="leap" name="Step until something interesting" title="Step until an election, ISR change, rebalance or error (Ctrl →)"
                    ask={Act::Step(StepKind::Interesting)} act={act} />
            </div>
            { speed(view.speed, act) }
            <output class="clock" aria-label="Virtual time" title="Virtual time since the start">{ clock_text(view.time) }</output>
            <div class="pair">
                <Button icon="undo" name="Undo" title="Undo the last command (Ctrl Z)" off={(!shot.can_undo).then(|| AttrValue::from("There is no command to undo."))} ask={Act::Undo} act={act} />
                <Button icon="redo" name="Redo" title="Redo (Ctrl Shift Z)" off={(!shot.can_redo).then(|| AttrValue::from("Nothing was undone."))} ask={Act::Redo} act={act} />
            </div>
            <div class="pair">
                <Button icon={if dark { "sun" } else { "moon" }} name={if dark { "Light theme" } else { "Dark theme" }} ask={Act::ToggleTheme} act={act} />
                <Button icon="help" name="Help" title="Keyboard and help (?)" ask={Act::Open(Dialog::Help)} act={act} />
            </div>
        </header>
    }
}

/// Virtual time against real time, from 1/1000 to 1000, on a logarithmic slider.
fn speed(speed: f64, act: &Callback<Act>) -> Html {
    let oninput = act.reform(|event: InputEvent| {
        let exponent = event.target_unchecked_into::<HtmlInputElement>().value_as_number();
        Act::Speed(10f64.powf(exponent.clamp(-3.0, 3.0)))
    });
    let text = speed_text(speed);
    html! {
        <label class="speed" title="How fast virtual time runs against real time">
            { icon("speed") }
            <input type="range" min="-3" max="3" step="0.05" aria-label="Speed" aria-valuetext={format!("{text} of real time")}
                value={fixed(speed.log10(), 2)} {oninput} />
            <span class="mono" aria-hidden="true">{ text }</span>
        </label>
    }
}

fn speed_text(speed: f64) -> String {
    let near = |x: f64| if x < 9.95 { decimal((x * 10.0).round() / 10.0) } else { fixed(x, 0) };
    if speed >= 0.995 { format!("{}×", near(speed)) } else { format!("1/{}×", near(1.0 / speed)) }
}
