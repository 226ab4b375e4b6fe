//! The chain node: makes blocks, owns the genesis funds, goes on where it was.

use nsl_local_services::{NeoEndpoint, Part, Site};

use crate::{await_until, http_post};

fn call(endpoint: &NeoEndpoint, method: &str, parameters: &str) -> String {
    http_post(
        endpoint.port,
        &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{parameters}}}"#),
    )
}

fn block_count(endpoint: &NeoEndpoint) -> u32 {
    let answer = call(endpoint, "getblockcount", "[]");
    let result = answer.split("\"result\":").nth(1).unwrap();
    result.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

#[test]
fn chain_grows_and_survives_restart_and_kill_9() {
    let mut site = Site::temporary(&[Part::Neo]).unwrap();
    let endpoint = site.endpoints().neo.clone().unwrap();
    await_until("some blocks", || block_count(&endpoint) > 5);
    let genesis_account = r#"["NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP"]"#;
    assert!(call(&endpoint, "getnep17balances", genesis_account).contains("100000000"));

    let before = block_count(&endpoint);
    site.restart("neo").unwrap();
    assert!(block_count(&endpoint) >= before, "a stop in good order keeps every block");
    await_until("a block after the restart", || block_count(&endpoint) > before);

    site.kill9("neo").unwrap();
    site.restart("neo").unwrap();
    let resumed = block_count(&endpoint);
    assert!(resumed > 1, "a kill keeps the persisted chain");
    await_until("a block after the kill", || block_count(&endpoint) > resumed);
}
