//! What is drawn anew only when what it shows has changed.
//!
//! One component does it for panels, strips, rows and buttons alike: each component of its own would be two kilobytes more to download.

use super::{
    act::Act,
    shot::{Shared, Shot},
    tree::mount,
};
use std::any::Any;
use std::rc::Rc;
use yew::prelude::*;
use yew::virtual_dom::Key;

/// Draws what it holds; two that are equal look the same.
pub trait Draw: PartialEq + 'static {
    fn draw(&self) -> Html;
}

/// A part of the page that stays as it is while it is given its equal.
pub fn memo(part: impl Draw, key: Option<Key>) -> Html {
    mount::<Memo>(Props { part: Rc::new(part) }, key)
}

/// [`Draw`] behind a pointer.
trait Part: Any {
    fn show(&self) -> Html;
    fn same(&self, other: &dyn Any) -> bool;
}

impl<D: Draw> Part for D {
    fn show(&self) -> Html {
        self.draw()
    }
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

#[derive(Properties)]
struct Props {
    part: Rc<dyn Part>,
}

impl PartialEq for Props {
    fn eq(&self, other: &Props) -> bool {
        let other: &dyn Any = &*other.part;
        self.part.same(other)
    }
}

#[component]
fn Memo(p: &Props) -> Html {
    p.part.show()
}

/// A panel: drawn anew when it is given another shot.
pub struct Panel {
    pub draw: fn(&Shared<Shot>, &Callback<Act>) -> Html,
    pub shot: Shared<Shot>,
    pub act: Callback<Act>,
}

impl PartialEq for Panel {
    /// What draws a panel and whom it asks never change.
    fn eq(&self, other: &Panel) -> bool {
        self.shot == other.shot
    }
}

impl Draw for Panel {
    fn draw(&self) -> Html {
        (self.draw)(&self.shot, &self.act)
    }
}
