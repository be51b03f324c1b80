//! The lesson drawer: objective, text, goals with why-not-yet, hints, solution; without a lesson, the list of all.

use super::tree::{classes, html};
use super::{
    act::{Act, LessonAct},
    lesson_run::LessonShot,
    markdown::markdown,
    parts::{count, icon},
    route,
    shot::{Shared, Shot},
};
use crate::lesson::{GoalState, Level, levels};
use yew::prelude::*;

pub fn lesson(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let run = &shot.lesson;
    if !run.open {
        return Html::default();
    }
    html! {
        <section class="lesson" aria-label="Lesson">
            { match run.level {
                Some(level) => one(shot, level, act),
                None => all(run, act),
            } }
        </section>
    }
}

fn close(act: &Callback<Act>) -> Html {
    html! { <Button icon="close" name="Close lessons" ask={Act::Lesson(LessonAct::ToggleDrawer)} act={act} /> }
}

fn all(run: &LessonShot, act: &Callback<Act>) -> Html {
    html! {
        <>
            <div class="drawer-head"><div class="grow"><span class="eyebrow">{ format!("{} of {} solved", run.solved.len(), levels().len()) }</span><h2>{ "Lessons" }</h2></div>{ close(act) }</div>
            <div class="drawer-body scroll">{ list(run) }</div>
        </>
    }
}

fn list(run: &LessonShot) -> Html {
    html! {
        <ol class="levels">
            { for levels().iter().enumerate().map(|(i, level)| {
                let solved = run.solved.contains(&level.id);
                let here = run.level.is_some_and(|l| l.id == level.id);
                let chapter = (i == 0 || levels()[i - 1].chapter != level.chapter).then_some(&level.chapter);
                html! {
                    <li key={level.id.clone()}>
                        if let Some(chapter) = chapter { <span class="eyebrow">{ chapter }</span> }
                        <a href={route::of(level)} aria-current={here.then_some("page")}>
                            <span class={classes!("goal-mark", solved.then_some("met"))}>{ for solved.then(|| icon("check")) }</span>
                            <span>{ &level.title }</span><span class="sr-only">{ if solved { ", solved" } else { "" } }</span>
                        </a>
                    </li>
                }
            }) }
        </ol>
    }
}

fn one(shot: &Shot, level: &'static Level, act: &Callback<Act>) -> Html {
    let run = &shot.lesson;
    let at = levels().iter().position(|l| l.id == level.id).unwrap_or(0);
    let ask = |lesson| Act::Lesson(lesson);
    let (slide, slides) = (run.slide.min(level.slides.len().saturating_sub(1)), level.slides.len());
    let met = run.goals.iter().filter(|g| g.met).count();
    let done = !run.goals.is_empty() && met == run.goals.len() && run.commands > 0;
    let no_hint = (run.hints >= level.hints.len()).then(|| AttrValue::from("All hints are shown."));
    let hint = format!("Hint {} of {}", (run.hints + 1).min(level.hints.len()), level.hints.len());
    html! {
        <>
            <div class="drawer-head">
                <div class="grow"><span class="eyebrow">{ format!("{} · {} of {}", level.chapter, at + 1, levels().len()) }</span><h2>{ &level.title }</h2></div>
                { close(act) }
            </div>
            <div class="drawer-body scroll">
                <div class="prose" key={slide}>{ for level.slides.get(slide).map(|slide| markdown(&slide.text)) }</div>
                if slides > 1 {
                    <div class="row slides">
                        <Button class="line" icon="back" name="Slide before" off={(slide == 0).then(|| AttrValue::from("This is the first slide."))} ask={ask(LessonAct::Slide(slide.saturating_sub(1)))} act={act} />
                        <span class="dim fine">{ format!("{} of {slides}", slide + 1) }</span>
                        <Button class="line" icon="step" name="Next slide" off={(slide + 1 == slides).then(|| AttrValue::from("This is the last slide."))} ask={ask(LessonAct::Slide(slide + 1))} act={act} />
                    </div>
                }
                if run.commands == 0 {
                    { level.predict.iter().map(|asked| question("Before you begin", &asked.ask, &asked.answer)).collect::<Html>() }
                }
                <h3 class="goals-head">{ "Objective" }<span class="dim fine">{ format!("{met} of {}", run.goals.len()) }</span></h3>
                <ul class="goals">{ for run.goals.iter().map(goal) }</ul>
                if done {
                    <p class="done" role="status">{ icon("check") }<span>{ if run.shown { "Reached by the shown solution. Reset and try it yourself.".to_owned() } else {
                        format!("Solved with {}; {} is par.", count(run.commands as u64, "command", "commands"), level.par) } }</span></p>
                    { question("One more question", &level.after.ask, &level.after.answer) }
                }
                { for level.hints.iter().take(run.hints).enumerate().map(|(i, text)| html! { <div class="hint" key={i}><span class="eyebrow">{ format!("Hint {}", i + 1) }</span><div class="prose">{ markdown(text) }</div></div> }) }
                if run.replaying {
                    <p class="note" role="status">{ "The solution is being replayed. Slow it down or pause it as you like." }</p>
                }
                <div class="row wrap ladder">
                    if !level.hints.is_empty() { <Button class="line" name={hint.clone()} text={hint} off={no_hint} ask={ask(LessonAct::Hint)} act={act} /> }
                    <Button class="line" name="Solution" text="Solution" off={run.replaying.then(|| AttrValue::from("It is being replayed."))} ask={ask(LessonAct::Solution)} act={act} />
                    <Button class="line" name="Reset" text="Reset" ask={ask(LessonAct::Reset)} act={act} />
                    <Button class="line" name="Undo last command" text="Undo" off={(!shot.can_undo).then(|| AttrValue::from("There is no command to undo."))} ask={Act::Undo} act={act} />
                </div>
                <nav class="row wrap turn" aria-label="Lessons">
                    if at > 0 { <a class="btn line" href={route::of(&levels()[at - 1])}>{ icon("back") }{ "Previous" }</a> }
                    if let Some(next) = levels().get(at + 1) { <a class={classes!("btn", if done { "main" } else { "line" })} href={route::of(next)}>{ "Next" }{ icon("step") }</a> }
                    <span class="grow"></span><a class="btn quiet" href="#/">{ "Free play" }</a>
                </nav>
                <details><summary>{ "All lessons" }</summary>{ list(run) }</details>
            </div>
        </>
    }
}

/// A question to think about first: its answer opens on request.
fn question(when: &'static str, ask: &str, answer: &str) -> Html {
    html! {
        <details class="hint"><summary><span class="eyebrow">{ when }</span>{ " " }{ ask }</summary><div class="prose">{ markdown(answer) }</div></details>
    }
}

fn goal(goal: &GoalState) -> Html {
    html! {
        <li class={classes!("goal", goal.met.then_some("met"))}>
            <span class={classes!("goal-mark", goal.met.then_some("met"))} aria-hidden="true">{ for goal.met.then(|| icon("check")) }</span>
            <span><span class="sr-only">{ if goal.met { "Met: " } else { "Not met: " } }</span>{ &goal.text }
                <small>{ match &goal.why_not_yet { Some(why) => format!("not yet: {why}"), None => goal.measured.clone() } }</small></span>
        </li>
    }
}
