//! The dialogs: what is asked before a command is given, its shell line as it is filled in, and a refusal next to the field that caused it.
//!
//! Forms that make a command are data: a [`form::Spec`] each, drawn by one component.

mod add_consumer;
mod add_producer;
mod create_topic;
mod field;
mod form;
mod frame;
mod help;
mod import;
mod send_record;
mod session;
mod settings;

use super::{
    act::{Act, Dialog},
    shot::{Shared, Shot},
    tree::mount,
};
use crate::session::command::Refusal;
pub use frame::{dismiss, focused};
use std::rc::Rc;
use yew::prelude::*;

/// What every dialog gets.
#[derive(Properties, PartialEq)]
pub struct Props {
    pub shot: Shared<Shot>,
    pub act: Callback<Act>,
    /// Why the last try was refused.
    pub refusal: Option<Rc<Refusal>>,
}

/// The open dialog.
pub fn open(dialog: &Dialog, shot: &Shared<Shot>, act: &Callback<Act>, refusal: &Option<Rc<Refusal>>) -> Html {
    let (shot, act, refusal) = (shot.clone(), act.clone(), refusal.clone());
    match dialog {
        Dialog::Import => mount::<import::Import>(Props { shot, act, refusal }, None),
        Dialog::Session => mount::<session::SessionDialog>(Props { shot, act, refusal }, None),
        Dialog::Help => help::help(&act),
        _ => mount::<form::Form>(form::Props { dialog: dialog.clone(), shot, act, refusal }, None),
    }
}

/// The form of a dialog that makes a command.
fn spec(dialog: &Dialog, shot: &Shot) -> form::Spec {
    match dialog {
        Dialog::AddProducer => add_producer::spec(shot),
        Dialog::AddConsumer => add_consumer::spec(shot),
        Dialog::SendRecord { producer, topic } => send_record::spec(producer.clone(), topic.clone(), shot),
        _ => create_topic::spec(shot),
    }
}

/// The topics that people send to.
fn topic_names(shot: &Shot) -> Vec<(AttrValue, AttrValue)> {
    shot.view.topics.iter().filter(|t| !t.internal).map(|t| (AttrValue::from(t.name.clone()), AttrValue::from(t.name.clone()))).collect()
}

/// The first name of the form `stem-1`, `stem-2`, ... that is free.
fn free_name(stem: &str, taken: impl Fn(&str) -> bool) -> String {
    (1..).map(|n| format!("{stem}-{n}")).find(|name| !taken(name)).unwrap_or_default()
}
