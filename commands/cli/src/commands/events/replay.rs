//! `nsl events replay`

use std::collections::HashMap;

use futures::StreamExt as _;
use nsl_client::events::FIRST_POSITION;
use nsl_client::{EventFilter, PublishedEvent};

use super::line;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;
use crate::shell::Shell;

/// Aggregate type of rejections: each has a stream of its own with one event, so there is nothing to remember of it.
const REJECTION: &str = "rejection";

pub(crate) async fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let mut events = session.client.events_to_head(&EventFilter::default(), FIRST_POSITION).await?;
    let (mut check, mut count) = (Completeness::default(), 0_u64);
    // Other tenants' events stand at other positions, so only the operators' own tenant sees all of them.
    let mut contiguity =
        session.tenant().is_system().then(|| Contiguity { head: events.head(), next: FIRST_POSITION });
    while let Some(event) = events.next().await {
        let event = event?;
        if let Some(contiguity) = &mut contiguity {
            contiguity.advance(event.position)?;
        }
        check.advance(&event)?;
        Shell::line(&line::json(&event)?)?;
        count += 1;
    }
    let what = if contiguity.is_some() { "positions and versions" } else { "versions" };
    contiguity.map_or(Ok(()), Contiguity::finish)?;
    invocation.shell.note(&format!("{count} events, {what} contiguous"));
    Ok(Outcome::Streamed)
}

/// Checks that each aggregate's versions are first, second, third and so on.
#[derive(Default)]
struct Completeness {
    versions: HashMap<String, u64>,
}

impl Completeness {
    fn advance(&mut self, event: &PublishedEvent) -> Result<(), Error> {
        let aggregate = event.subject.rsplit_once('.').map_or("", |(aggregate, _)| aggregate);
        if aggregate.split('.').nth(4) == Some(REJECTION) {
            return checked(1, event);
        }
        let last = self.versions.entry(aggregate.to_owned()).or_default();
        *last += 1;
        checked(*last, event)
    }
}

fn checked(expected: u64, event: &PublishedEvent) -> Result<(), Error> {
    let PublishedEvent { position, version, subject, .. } = event;
    if *version == expected {
        Ok(())
    } else {
        Err(Error::VersionGap { position: *position, subject: subject.clone(), expected, found: *version })
    }
}

/// Checks that positions are first, second, third and so on up to the head.
struct Contiguity {
    head: u64,
    next: u64,
}

impl Contiguity {
    fn advance(&mut self, position: u64) -> Result<(), Error> {
        if position != self.next {
            return Err(Error::LogGap { expected: self.next, found: position });
        }
        self.next += 1;
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        match self.next - 1 {
            last if last < self.head => Err(Error::LogShort { last, head: self.head }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_position_is_found_wherever_it_is() {
        let judge = |head: u64, positions: &[u64]| {
            let mut contiguity = Contiguity { head, next: FIRST_POSITION };
            positions.iter().try_for_each(|position| contiguity.advance(*position))?;
            contiguity.finish()
        };
        assert!(judge(0, &[]).is_ok());
        assert!(judge(3, &[1, 2, 3]).is_ok());
        assert!(matches!(judge(3, &[2, 3]), Err(Error::LogGap { expected: 1, found: 2 })));
        assert!(matches!(judge(3, &[1, 3]), Err(Error::LogGap { expected: 2, found: 3 })));
        assert!(matches!(judge(3, &[1, 1]), Err(Error::LogGap { expected: 2, found: 1 })));
        assert!(matches!(judge(3, &[1, 2]), Err(Error::LogShort { last: 2, head: 3 })));
    }

    #[test]
    fn a_missing_version_of_an_aggregate_is_found() {
        let event = |aggregate: &str, version: u64| PublishedEvent {
            position: 7,
            subject: format!("nsl.v1.evt.acme.{aggregate}.key-created"),
            id: "i".into(),
            event_type: "t".into(),
            schema_version: "1.0.0".into(),
            time: "2026-11-22T19:00:00Z".into(),
            version,
            data: serde_json::value::RawValue::NULL.to_owned(),
        };
        let judge = |events: &[(&str, u64)]| {
            let mut check = Completeness::default();
            events.iter().try_for_each(|(aggregate, version)| check.advance(&event(aggregate, *version)))
        };
        assert!(judge(&[("wallet.a", 1), ("wallet.b", 1), ("wallet.a", 2), ("rejection.x", 1)]).is_ok());
        for missing in [&[("wallet.a", 2)][..], &[("wallet.a", 1), ("wallet.a", 3)], &[("rejection.x", 2)]] {
            assert!(matches!(judge(missing), Err(Error::VersionGap { .. })), "{missing:?}");
        }
    }
}
