//! What the operators decided, as a service tells it that nobody trusts.

use nsl_client::operators::Error;
use nsl_schemas::authority::{ActError, Build, GenesisManifest, OperatorAct, OperatorStatement, Signed};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_test_site::{Site, key, manifest, quorum};

use crate::world::world;

/// Two of the keys 1, 2 and 3.
fn genesis() -> GenesisManifest {
    GenesisManifest { quorum: quorum(2, &[1, 2, 3]), ..manifest(Sha256([0; 32]), vec![]) }
}

fn acts() -> Vec<Signed<OperatorStatement>> {
    let build = Build { name: "next".into(), pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]) };
    Site::of(genesis()).acts(vec![
        (OperatorAct::AllowBuild { build: build.clone() }, &[1, 3]),
        (OperatorAct::RevokeWorker { key: key(9).public() }, &[1, 3]),
        (OperatorAct::RevokeBuild { build }, &[1, 3]),
    ])
}

#[tokio::test]
async fn acts_are_followed_page_by_page_and_proven() {
    let Some(world) = world().await else { return };
    let acts = acts();
    *world.acts.lock().unwrap() = acts[..2].to_vec();
    let mut operators = world.client.operators(&genesis()).await.unwrap();
    assert_eq!((operators.sequence(), operators.builds().len()), (2, 1));
    *world.acts.lock().unwrap() = acts.clone();
    let new = world.client.follow_operators(&mut operators).await.unwrap();
    assert_eq!(new, acts[2..]);
    assert_eq!((operators.sequence(), operators.builds().len()), (3, 0));
}

#[tokio::test]
async fn what_the_service_alters_leaves_out_or_makes_up_is_found() {
    let Some(world) = world().await else { return };
    let altered = |alter: fn(&mut Vec<Signed<OperatorStatement>>)| {
        let mut acts = acts();
        alter(&mut acts);
        acts
    };
    let cases = [
        (altered(|acts| acts[1].statement.issued_at_ms = 2), 2, ActError::Quorum),
        (altered(|acts| drop(acts.remove(1))), 3, ActError::Sequence { expected: 2, found: 3 }),
        (altered(|acts| acts.swap(0, 1)), 2, ActError::Sequence { expected: 1, found: 2 }),
        (altered(|acts| acts[0].signatures.truncate(1)), 1, ActError::Quorum),
    ];
    for (told, at, expected) in cases {
        *world.acts.lock().unwrap() = told;
        let refused = world.client.operators(&genesis()).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Act { sequence, source } if (*sequence, *source) == (at, expected)),
            "{refused:?}"
        );
    }
}
