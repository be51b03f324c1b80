//! Members of a share group: how one is drawn; and a share group that a session has by chance, whose members come and go beside all else.

use super::scenarios::Scenario;
use super::transactors::TRANSFERS;
use brokerlab::node::Chance;
use brokerlab::session::Session;
use brokerlab::sim::ProcessState;
use serde_json::{Value, json};

/// The one share group.
pub const SHARERS: &str = "sharers";
pub const SHARERS_MAX: usize = 4;
/// One in so many times that something happens a member comes, if there is room for it, or one goes, stands still or goes on.
const ODDS: u64 = 4;

pub struct Sharers {
    /// Absent: this seed has none but those that its scenario draws.
    chance: Option<Chance>,
    made: u64,
    /// The group reads what transactional producers write, too, and of that only what is committed.
    reads_committed: bool,
}

impl Sharers {
    pub fn new(seed: u64, scenario: &Scenario) -> Sharers {
        let mut chance = Chance::new(seed).fork(0x005a_a7e5);
        let has = scenario.beside.sharers != 0 && chance.below(scenario.beside.sharers) == 0;
        let reads_committed = Chance::new(seed).fork(0x0150_1a7e).below(2) == 0;
        Sharers { chance: has.then_some(chance), made: 0, reads_committed }
    }

    pub fn act(&mut self, session: &Session) -> Vec<Value> {
        let Some(chance) = &mut self.chance else { return Vec::new() };
        if chance.below(ODDS) != 0 {
            return Vec::new();
        }
        let members = members(session);
        let image = session.world().controller().image();
        let is_read = |name: &&str| name.starts_with("topic") || self.reads_committed && *name == TRANSFERS;
        let topics: Vec<&str> = image.topics.values().map(|topic| &*topic.name).filter(is_read).collect();
        match members.get(chance.below(SHARERS_MAX as u64) as usize) {
            Some(member) => {
                // Mostly it stands still: only then the lock of what it holds may be over.
                let what = match chance.below(8) {
                    0 => "crashConsumer",
                    1 => "removeConsumer",
                    2 => "resumeConsumer",
                    _ => "pauseConsumer",
                };
                vec![json!({ "type": what, "id": member })]
            }
            None if topics.is_empty() => Vec::new(),
            None => {
                self.made += 1;
                sharer(chance, &format!("sharer-{}", self.made), &topics, self.reads_committed)
            }
        }
    }
}

/// The members that have not crashed.
fn members(session: &Session) -> Vec<&str> {
    let alive = session.world().clients().filter(|client| client.state != ProcessState::Crashed);
    alive.map(|client| &*client.name).filter(|name| name.starts_with("sharer")).collect()
}

/// A member, which begins at the beginning; most accept what they are given.
pub fn sharer(chance: &mut Chance, id: &str, topics: &[&str], reads_committed: bool) -> Vec<Value> {
    let isolation = if reads_committed { "read_committed" } else { "read_uncommitted" };
    let set = json!({
        "share.auto.offset.reset": "earliest", "share.record.lock.duration.ms": "15000", "share.delivery.count.limit": "3",
        "share.isolation.level": isolation,
    });
    let mut one_of = |items: &[&'static str]| items[chance.below(items.len() as u64) as usize];
    let most = one_of(&["1", "10", "500"]);
    // Who is at work on what it polled for longer than its locks last gets nowhere.
    let processing = one_of(if most == "500" { &["0", "5"] } else { &["0", "5", "50"] });
    let configs = json!({
        "group.protocol": "share",
        "max.poll.records": most,
        "metadata.max.age.ms": one_of(&["5000", "300000"]),
        "request.timeout.ms": one_of(&["5000", "30000"]),
        "share.acknowledgement.mode": one_of(&["implicit", "implicit", "explicit"]),
        "brokerlab.acknowledge.type": one_of(&["accept", "accept", "accept", "accept", "release", "reject"]),
    });
    // Where all give everything back each record comes as often as the limit says, and that has to end within the time there is for coming to rest.
    let processing = if configs["brokerlab.acknowledge.type"] == "release" { 0 } else { processing.parse().unwrap_or(0) };
    vec![
        json!({ "type": "alterConfigs", "resource": "group", "name": SHARERS, "set": set }),
        json!({
            "type": "addConsumer", "id": id, "group": SHARERS, "topics": topics, "processingMs": processing, "configs": configs,
        }),
    ]
}
