//! The registry's upcasts as cqrs-es upcasters: for whoever reads the log through a stock repository of cqrs-es. Our own
//! readers decode in one step, see [`nsl_schemas::event::Stored`].

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use nsl_schemas::event::{EventType, WireEvent};

/// Makes every older version of the aggregate's events the newest.
pub fn upcasters<E: WireEvent>() -> Vec<Box<dyn EventUpcaster>> {
    E::TYPES.iter().map(|event_type| -> Box<dyn EventUpcaster> { Box::new(Upcaster(event_type)) }).collect()
}

/// Makes every older version of one event type the newest.
struct Upcaster(&'static EventType);

impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        let older = self.0.upcasts_from(event_version).is_some_and(|upcasts| !upcasts.is_empty());
        self.0.name == event_type && older
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        let upcasts = self.0.upcasts_from(&event.event_version).unwrap_or_default();
        event.payload = upcasts.iter().fold(event.payload, |payload, upcast| upcast.apply(payload));
        self.0.version.clone_into(&mut event.event_version);
        event
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::event::Upcast;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;

    /// A sample with two older versions.
    #[derive(Debug, Serialize, Deserialize)]
    struct Moved {}

    const UPCASTS: &[Upcast] = &[
        Upcast {
            from: "1.0.0",
            change: Some(|old| json!({ "millimetres": old["metres"].as_i64().map(|m| m * 1000) })),
        },
        Upcast { from: "2.0.0", change: None },
    ];

    impl WireEvent for Moved {
        const TYPES: &'static [EventType] =
            &[EventType { aggregate: "sample", name: "moved", version: "2.1.0", upcasts: UPCASTS }];

        fn event_type(&self) -> &'static EventType {
            &Self::TYPES[0]
        }
    }

    /// As `PersistedEventStore` does with what a repository gives it.
    fn read(event_type: &str, event_version: &str, payload: Value) -> (String, Value) {
        let event = SerializedEvent {
            aggregate_id: "t.a".into(),
            sequence: 1,
            aggregate_type: "sample".into(),
            event_type: event_type.into(),
            event_version: event_version.into(),
            payload,
            metadata: json!({}),
        };
        let event = upcasters::<Moved>().iter().fold(event, |event, upcaster| {
            if upcaster.can_upcast(&event.event_type, &event.event_version) {
                upcaster.upcast(event)
            } else {
                event
            }
        });
        (event.event_version, event.payload)
    }

    #[test]
    fn a_stock_reader_meets_only_newest_versions() {
        let newest = ("2.1.0".to_owned(), json!({ "millimetres": 2000 }));
        assert_eq!(read("moved", "1.0.0", json!({ "metres": 2 })), newest);
        assert_eq!(read("moved", "2.0.0", json!({ "millimetres": 2000 })), newest);
        assert_eq!(read("moved", "2.1.0", json!({ "millimetres": 2000 })), newest);
    }

    #[test]
    fn what_is_no_older_version_of_the_event_stays_as_it_is() {
        for (event_type, version) in [("moved", "3.0.0"), ("made", "1.0.0")] {
            let payload = json!({ "metres": 2 });
            assert_eq!(read(event_type, version, payload.clone()), (version.to_owned(), payload));
        }
    }
}
