//! The story of `cargo dev demo` on a running system: it asserts every step itself and fails with the first that fails.

use crate::log;
use crate::system::{System, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_well_and_tells_every_step() {
    let Some(system) = System::start().await else { return };
    let output = system.dev(&["demo"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for step in [
        "1. Create a wallet",
        "2. Fund it",
        "3. Command a transfer:",
        "4. Command a transfer above the policy's bound",
        "5. Send the confirmed transfer's command again",
        "6. Three venues' market data",
        "7. Rebuild the read models",
    ] {
        assert!(told.contains(step), "{step}: {told}");
    }
    assert_eq!(told.lines().filter(|line| line.starts_with("   ok (")).count(), 7, "{told}");
    let database = system.database();
    assert_eq!(log::faults(&database).await, [""; 0]);
    for (event, expected) in [("key-created", 1), ("transfer-signed", 1), ("transfer-confirmed", 1)] {
        let query = format!("SELECT count(*) FROM events WHERE tenant = 'demo' AND event_type = '{event}'");
        assert_eq!(log::count(&database, &query).await, expected, "{event}");
    }
}
