//! Which process an id means: ids are reused, so the start time and the boot belong to it.

use serde::{Deserialize, Serialize};

/// A process for ever: no other one, now or later, has the same identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Process id.
    pub id: u32,
    /// Start time in clock ticks since the boot, as in `/proc/<id>/stat`.
    pub start_ticks: u64,
    /// The kernel's id of the boot.
    pub boot_id: String,
}

impl Identity {
    /// The identity of the living process `id`.
    pub fn of(id: u32) -> Option<Self> {
        let stat = ProcessStat::read(id).filter(|stat| !stat.is_zombie)?;
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Self { id, start_ticks: stat.start_ticks, boot_id })
    }

    /// Whether this very process still lives.
    pub fn is_alive(&self) -> bool {
        Self::of(self.id).as_ref() == Some(self)
    }

    /// Parses a record; `None` when it is none of ours.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The record.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// The fields of `/proc/<id>/stat` that we use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProcessStat {
    pub(super) parent: u32,
    start_ticks: u64,
    is_zombie: bool,
}

impl ProcessStat {
    pub(super) fn read(id: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name stands in parentheses and may hold spaces and parentheses itself: count from the last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?; // proc(5): field 4, ppid
        let start_ticks = fields.get(19)?.parse().ok()?; // proc(5): field 22, starttime
        Some(Self { parent, start_ticks, is_zombie: fields.first() == Some(&"Z") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names_with_parentheses_and_refuses_short_lines() {
        let tail = "S 7 3 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        for name in ["(sh)", "(a b)", "(evil) S 1 (x)"] {
            let stat = ProcessStat::parse(&format!("42 {name} {tail}"));
            assert_eq!(stat, Some(ProcessStat { parent: 7, start_ticks: 987_654, is_zombie: false }));
        }
        for broken in ["", "42 (sh", "42 (sh) S 7", "42 (sh) S x 3 3"] {
            assert_eq!(ProcessStat::parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn other_start_time_or_boot_is_another_process() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert_eq!(Identity::from_json(&me.to_json()), Some(me.clone()));
        assert!(!Identity { start_ticks: me.start_ticks + 1, ..me.clone() }.is_alive());
        assert!(!Identity { boot_id: "another".into(), ..me }.is_alive());
    }
}
