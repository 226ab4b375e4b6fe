//! The figures, as a table for people or as one JSON object a line for programs.

use serde::Serialize;

/// One line of the report; the names are the contract of every benchmark of this project.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) bench: &'static str,
    pub(crate) clients: usize,
    pub(crate) unit: &'static str,
    pub(crate) ours: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) peer: &'static str,
    pub(crate) peer_value: u64,
    pub(crate) ratio_to_peer: f64,
    pub(crate) limit: String,
    pub(crate) limit_value: u64,
    pub(crate) ratio_to_limit: f64,
}

/// `value` / `base`, to a hundredth.
pub(crate) fn ratio(value: u64, base: u64) -> f64 {
    let hundredths = u128::from(value) * 100 / u128::from(base.max(1));
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

/// Prints a table's head.
pub(crate) fn head() {
    println!(
        "{:>7} {:>9} {:>10} {:>10} {:>9} {:>8} {:>9} {:>8}  peer",
        "clients", "ours 1/s", "p50", "p99", "peer 1/s", "ratio", "limit 1/s", "ratio"
    );
}

impl Line {
    /// Prints the line.
    pub(crate) fn print(&self, json: bool) -> Result<(), serde_json::Error> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            let Self { clients, ours, p50_us, p99_us, peer, peer_value, limit_value, .. } = self;
            let (ratio_to_peer, limit) = (self.ratio_to_peer, self.ratio_to_limit);
            println!(
                "{clients:>7} {ours:>9} {p50_us:>7} us {p99_us:>7} us {peer_value:>9} {ratio_to_peer:>7.2}x \
                 {limit_value:>9} {limit:>7.2}x  {peer}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_line_has_the_contract_s_keys() {
        let line = Line {
            bench: "commands.e2e",
            clients: 64,
            unit: "1/s",
            ours: 9_000,
            p50_us: 1,
            p99_us: 2,
            peer: "p",
            peer_value: 3_000,
            ratio_to_peer: ratio(9_000, 3_000),
            limit: "l".into(),
            limit_value: 36_000,
            ratio_to_limit: ratio(9_000, 36_000),
        };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"bench":"commands.e2e","clients":64,"unit":"1/s","ours":9000,"p50_us":1,"p99_us":2,"peer":"p","peer_value":3000,"ratio_to_peer":3.0,"limit":"l","limit_value":36000,"ratio_to_limit":0.25}"#
        );
    }

    #[test]
    fn ratio_of_nothing_is_bounded() {
        assert!(ratio(u64::MAX, 0) > 1e7);
        assert!(ratio(0, 5).abs() < f64::EPSILON);
    }
}
