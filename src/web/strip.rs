//! One replica's log as a strip: role, cells, high watermark and log end offset; under the leader's also the groups' committed offsets.

use super::tree::{classes, html};
use super::{
    cells::{CellLook, Fill, Marker},
    memo::Draw,
    parts::icon,
};
use crate::protocol::Outcome;
use crate::view::ReplicaView;
use yew::prelude::*;

/// What a replica is at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Leader,
    Follower,
    /// Its broker does not run.
    Offline,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Offline => "offline",
        }
    }
}

#[derive(PartialEq)]
pub struct Strip {
    pub topic: AttrValue,
    pub partition: i32,
    pub replica: ReplicaView,
    pub role: Role,
    /// The first replica of the assignment: it leads when all is well.
    pub preferred: bool,
    pub cells: Vec<CellLook>,
    pub markers: Vec<Marker>,
    pub start: Option<String>,
    pub groups: Vec<Marker>,
}

impl Draw for Strip {
    fn draw(&self) -> Html {
        let (replica, place) = (&self.replica, format!("{}/{}/{}", self.topic, self.partition, self.replica.broker));
        let sync = if replica.in_sync { "in sync" } else { "out of sync" };
        let name = format!(
            "{}-{} on broker {}, {}, {sync}, end offset {}, high watermark {}",
            self.topic,
            self.partition,
            replica.broker,
            self.role.name(),
            replica.log_end_offset,
            replica.high_watermark
        );
        let (symbol, hint) = match (self.role, self.preferred) {
            (Role::Leader, true) => ("star", "leader, and the preferred one"),
            (Role::Leader, false) => ("star", "leader, though not the preferred one"),
            (Role::Follower, true) => ("star-open", "follower; the preferred leader"),
            (Role::Follower, false) => ("ring", "follower"),
            (Role::Offline, _) => ("cross", "offline"),
        };
        let looks = classes!("strip", self.role.name(), (!replica.in_sync && self.role != Role::Offline).then_some("out"));
        html! {
            <div class="strip-box" ~style={format!("--n:{}", self.cells.len())}>
                <button type="button" class={looks} data-strip={place.clone()} data-node={place} aria-label={name}>
                    <span class="role" title={hint}>{ icon(symbol) }</span>
                    <span class="lane" aria-hidden="true">
                        { self.cells.iter().map(cell).collect::<Html>() }
                        { for self.markers.iter().map(|m| html! { <i class={classes!("mark-line", m.class)} ~style={format!("--at:{}", m.at as i32)}></i> }) }
                    </span>
                    if !replica.in_sync && self.role != Role::Offline { <span class="tag" aria-hidden="true">{ "out" }</span> }
                </button>
                <div class="under" aria-hidden="true">
                    if let Some(start) = &self.start { <span class="label start">{ start }</span> }
                    { for self.markers.iter().filter(|m| !m.text.is_empty()).map(label) }
                </div>
                { for self.groups.iter().map(|m| html! { <div class="under groups" aria-hidden="true"><i class="tick" ~style={format!("--at:{}", m.at as i32)}></i>{ label(m) }</div> }) }
            </div>
        }
    }
}

/// Its letter is drawn by the style sheet, since the strip's name says it all. Keyed by offset: when the window moves on, cells leave and come, and those that stay are not touched.
fn cell(cell: &CellLook) -> Html {
    let key = cell.offset as u64;
    let (fill, text) = match cell.fill {
        Fill::Committed => ("committed", cell.look.letter),
        Fill::Pending => ("pending", cell.look.letter),
        Fill::Copy => ("copy", cell.look.letter),
        Fill::Aborted => ("aborted", cell.look.letter),
        Fill::Marker(Outcome::Commit) => ("marker", "✓"),
        Fill::Marker(Outcome::Abort) => ("marker", "✕"),
        Fill::Absent => return html! { <i key={key} class="cell absent"></i> },
    };
    html! { <i {key} class={classes!("cell", fill, cell.look.class, cell.open.then_some("open"))} data-k={text} data-offset={cell.offset.to_string()} title={format!("offset {}", cell.offset)}></i> }
}

fn label(m: &Marker) -> Html {
    html! { <span class={classes!("label", m.class, m.starts.then_some("starts"))} ~style={format!("--at:{}", m.at as i32)}>{ &m.text }</span> }
}
