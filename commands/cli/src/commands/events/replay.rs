//! `nsl events replay`

use futures::StreamExt as _;
use nsl_client::EventFilter;
use nsl_client::events::FIRST_POSITION;

use super::line;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;
use crate::shell::Shell;

pub(crate) async fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let head = session.client.published_head().await?;
    let events = session.client.events(&EventFilter::default(), FIRST_POSITION).await?;
    let mut events = std::pin::pin!(take_up_to(events.backlog(), events));
    let mut contiguity = Contiguity { head, next: FIRST_POSITION };
    while let Some(event) = events.next().await {
        let event = event?;
        if event.position > head {
            break;
        }
        contiguity.advance(event.position)?;
        Shell::line(&line::json(&event)?)?;
    }
    contiguity.finish()?;
    invocation.shell.note(&format!("{head} events, positions contiguous"));
    Ok(Outcome::Streamed)
}

fn take_up_to<S: futures::Stream>(count: u64, events: S) -> impl futures::Stream<Item = S::Item> {
    events.take(usize::try_from(count).unwrap_or(usize::MAX))
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
}
