//! Where cells and markers of a partition's row lie: one window of offsets for all its replicas, so that what stands in one column is one offset.

use super::keys::{Keys, Look};
use crate::protocol::Outcome;
use crate::view::{Cell, CellKind, GroupView, PartitionView, Picture, ReplicaView};

/// Width of a cell and its gap, as in the style sheet.
pub const PITCH: f64 = 18.0;
/// Width of a letter of the marker labels, about.
const LETTER: f64 = 6.5;
/// Room at the left of the lane, under the role sign.
const MARGIN: f64 = 24.0;
/// Groups shown under a strip; the tables have all.
const GROUPS: usize = 3;

/// How a cell is filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// On the leader, below the high watermark.
    Committed,
    /// Not below the high watermark yet.
    Pending,
    /// A follower's copy, below its high watermark.
    Copy,
    /// Of an aborted transaction.
    Aborted,
    /// The marker of a transaction.
    Marker(Outcome),
    /// This replica does not have it.
    Absent,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CellLook {
    pub offset: i64,
    pub look: Look,
    pub fill: Fill,
    /// Its transaction has not ended.
    pub open: bool,
}

/// A line across the strip with its label under it.
#[derive(Clone, PartialEq, Debug)]
pub struct Marker {
    pub class: &'static str,
    /// In cells from the window's start.
    pub at: f64,
    pub text: String,
    /// The label begins at the line instead of ending there.
    pub starts: bool,
}

impl Marker {
    /// From where to where its label goes.
    fn span(&self) -> (f64, f64) {
        let (at, width) = (self.at * PITCH, self.text.chars().count() as f64 * LETTER);
        if self.starts { (at, at + width) } else { (at - width, at) }
    }
}

/// The first offset of a partition's window: as many as fit, up to the longest log.
pub fn window(partition: &PartitionView, cells: usize) -> i64 {
    let end = partition.replicas.iter().map(|r| r.log_end_offset).max().unwrap_or(0);
    let start = partition.replicas.iter().map(|r| r.log_start_offset).min().unwrap_or(0);
    (end - cells as i64).max(start)
}

/// The cells of one replica within the window.
pub fn cells(
    picture: &Picture,
    keys: &Keys,
    place: (&str, i32),
    replica: &ReplicaView,
    leads: bool,
    window: (i64, usize),
) -> Vec<CellLook> {
    let strip = picture.strips.iter().find(|s| s.partition == place.1 && s.broker == replica.broker && s.topic == place.0);
    let known = strip.map_or(&[][..], |s| &s.cells);
    (window.0..window.0 + window.1 as i64)
        .map(|offset| {
            let cell = known.binary_search_by_key(&offset, |c| c.offset).ok().map(|i| known[i]);
            let kind = cell.map(|c| c.kind);
            let fill = match cell {
                None => Fill::Absent,
                Some(Cell { kind: CellKind::Marker(outcome), .. }) => Fill::Marker(outcome),
                Some(Cell { kind: CellKind::Aborted, .. }) => Fill::Aborted,
                Some(_) if offset >= replica.high_watermark => Fill::Pending,
                Some(_) if leads => Fill::Committed,
                Some(_) => Fill::Copy,
            };
            CellLook { offset, look: keys.look(cell.and_then(|c| c.key_hash)), fill, open: kind == Some(CellKind::Open) }
        })
        .collect()
}

/// Last stable offset (where a transaction keeps it back), high watermark and log end offset, placed so that their labels never cover each other: who
/// lacks the room speaks through the next, the last one first.
pub fn ends(replica: &ReplicaView, first: i64, cells: usize) -> Vec<Marker> {
    let (lso, hw, leo) = (replica.last_stable_offset, replica.high_watermark, replica.log_end_offset);
    let x = |offset: i64| (offset - first).clamp(0, cells as i64) as f64;
    let mut points = vec![("leo", "LEO", leo)];
    match hw == leo {
        true => points[0] = ("hw", "HW = LEO", leo),
        false => points.insert(0, ("hw", "HW", hw)),
    }
    if lso < hw {
        points.insert(0, ("lso", "LSO", lso));
    }
    let mut out: Vec<Marker> = Vec::new();
    for (class, name, offset) in points.into_iter().rev() {
        let mut marker = Marker { class, at: x(offset), text: format!("{name} {offset}"), starts: false };
        marker.starts = marker.span().0 < 0.0;
        if let Some(next) = out.iter_mut().rfind(|next| !next.text.is_empty())
            && next.span().0 < marker.span().1 + LETTER
        {
            let own = std::mem::take(&mut marker.text);
            next.text = format!("{own} · {}", next.text);
            (next.starts, marker.starts) = (false, false);
            next.starts = next.span().0 < 0.0;
        }
        out.push(marker);
    }
    out.reverse();
    out
}

/// The offset of the first cell, where no label stands in its place.
pub fn start_label(markers: &[Marker], first: i64) -> Option<String> {
    let text = first.to_string();
    let room = (text.len() as f64 + 1.5) * LETTER;
    let free = markers.iter().all(|m| !m.starts && room < m.span().0);
    free.then_some(text)
}

/// Committed offsets of groups, one line each.
pub fn committed(groups: &[GroupView], topic: &str, partition: i32, first: i64, cells: usize) -> Vec<Marker> {
    groups
        .iter()
        .filter_map(|g| {
            let offset = g.offsets.iter().find(|o| o.partition == partition && o.topic == topic)?.committed?;
            let at = (offset - first).clamp(0, cells as i64) as f64;
            let before = if offset < first { "‹ " } else { "" };
            let text = format!("{before}{} {offset}", g.id);
            let starts = at * PITCH + MARGIN < text.chars().count() as f64 * LETTER + 8.0;
            Some(Marker { class: "group", at, text, starts })
        })
        .take(GROUPS)
        .collect()
}
