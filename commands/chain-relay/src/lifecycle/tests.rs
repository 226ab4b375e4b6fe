use nsl_neo_rpc::{KnownWhere, Submission};
use proptest::prelude::*;

use super::*;

const LAST_BLOCK: u32 = 20;

fn block(index: u32) -> Input {
    Input::Block { index, holds_it: false }
}

fn rejected(code: i64, message: &str) -> Input {
    Input::Submission(Submission::Rejected { code, message: message.to_owned() })
}

fn expired(block_index: u32, reason: Option<&str>) -> Step {
    Step::Expire(Expiry { block_index, reason: reason.map(str::to_owned) })
}

/// The step after each input, beginning with a transaction that was taken at `tip`.
fn steps(tip: u32, inputs: Vec<Input>) -> Vec<Step> {
    let mut lifecycle = Lifecycle::new(LAST_BLOCK, tip);
    let first = lifecycle.step();
    let later = inputs.into_iter().map(|input| {
        lifecycle.take(input);
        lifecycle.step()
    });
    std::iter::once(first).chain(later).collect()
}

#[test]
fn every_way_leads_from_what_is_known_to_the_next_step() {
    let accepted = || Input::Submission(Submission::Accepted);
    let in_pool = || Input::Submission(Submission::AlreadyKnown(KnownWhere::Pool));
    let on_chain = || Input::Submission(Submission::AlreadyKnown(KnownWhere::Chain));
    let (look_up, submit, wait) = (Step::LookUp, Step::Submit, Step::AwaitBlock);
    let retry = |failures| Step::AwaitRetry { failures };
    let confirm = |block_index| Step::Confirm { block_index };
    let unknown = || Input::Height(None);
    for (name, tip, way) in [
        ("on chain from an earlier run", 10, vec![(Input::Height(Some(7)), confirm(7))]),
        (
            "the usual way",
            10,
            vec![
                (unknown(), submit.clone()),
                (accepted(), wait.clone()),
                (block(11), wait.clone()),
                (Input::Block { index: 12, holds_it: true }, confirm(12)),
                (block(21), confirm(12)),
            ],
        ),
        (
            "forgotten by the node and submitted again",
            10,
            vec![
                (unknown(), submit.clone()),
                (in_pool(), wait.clone()),
                (block(14), wait.clone()),
                (block(15), submit.clone()),
                (in_pool(), wait.clone()),
            ],
        ),
        (
            "in a block that was read while it was submitted",
            10,
            vec![
                (unknown(), submit.clone()),
                (Input::Block { index: 11, holds_it: true }, confirm(11)),
                (accepted(), confirm(11)),
            ],
        ),
        (
            "on chain, says the submission",
            10,
            vec![
                (unknown(), submit.clone()),
                (on_chain(), retry(1)),
                (Input::RetryDue, look_up.clone()),
                (Input::Height(Some(9)), confirm(9)),
            ],
        ),
        (
            "the node is away and comes back",
            10,
            vec![
                (Input::NoAnswer, retry(1)),
                (Input::RetryDue, look_up.clone()),
                (Input::NoAnswer, retry(2)),
                (block(11), retry(2)),
                (Input::RetryDue, look_up.clone()),
                (unknown(), submit.clone()),
                (Input::NoAnswer, retry(1)),
                (Input::RetryDue, look_up.clone()),
            ],
        ),
        (
            "no room in the pool",
            10,
            vec![
                (unknown(), submit.clone()),
                (Input::Submission(Submission::PoolFull), wait.clone()),
                (block(11), submit.clone()),
            ],
        ),
        (
            "refused ever less often, then expired with the reason",
            10,
            vec![
                (unknown(), submit.clone()),
                (rejected(-511, "insufficient funds"), wait.clone()),
                (block(11), submit.clone()),
                (rejected(-511, "insufficient funds"), wait.clone()),
                (block(12), wait.clone()),
                (block(13), submit.clone()),
                (rejected(-510, "expired"), wait.clone()),
                (block(20), wait.clone()),
                (block(21), look_up.clone()),
                (unknown(), expired(21, Some("insufficient funds (-511)"))),
                (Input::Height(Some(20)), expired(21, Some("insufficient funds (-511)"))),
            ],
        ),
        (
            "refused, then accepted, then expired without a reason",
            17,
            vec![
                (unknown(), submit.clone()),
                (rejected(-511, "insufficient funds"), wait.clone()),
                (block(18), submit.clone()),
                (accepted(), wait.clone()),
                (block(21), look_up.clone()),
                (unknown(), expired(21, None)),
            ],
        ),
        (
            "taken when its last block was the newest",
            20,
            vec![(unknown(), wait.clone()), (block(21), look_up.clone()), (unknown(), expired(21, None))],
        ),
        ("taken too late", 30, vec![(unknown(), expired(30, None))]),
        ("taken too late, but on chain", 30, vec![(Input::Height(Some(20)), confirm(20))]),
        (
            "a later block comes while it is looked up: asked once more",
            20,
            vec![(block(21), look_up.clone()), (unknown(), look_up.clone()), (unknown(), expired(21, None))],
        ),
        (
            "later blocks come while it is submitted",
            19,
            vec![(unknown(), submit.clone()), (block(22), submit.clone()), (accepted(), look_up.clone())],
        ),
        (
            "an answer to a closed question says nothing",
            10,
            vec![(accepted(), look_up.clone()), (Input::RetryDue, look_up.clone()), (unknown(), submit)],
        ),
    ] {
        let (inputs, expected): (Vec<_>, Vec<_>) = way.into_iter().unzip();
        assert_eq!(steps(tip, inputs)[1..], expected, "{name}");
    }
}

#[test]
fn a_reason_is_cut_at_a_character() {
    let text = cut("é".repeat(REASON_BYTES_MAX));
    assert_eq!(text.len(), REASON_BYTES_MAX);
    assert_eq!(cut(format!("x{text}")).len(), REASON_BYTES_MAX - 1);
}

/// What a node that fails at random says of a chain in which the transaction is in one block, or in none.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Answers,
    Fails,
    Refuses,
    PoolFull,
}

fn moods() -> impl Strategy<Value = Vec<(Mood, u32)>> {
    let mood = prop_oneof![Just(Mood::Answers), Just(Mood::Fails), Just(Mood::Refuses), Just(Mood::PoolFull)];
    proptest::collection::vec((mood, 0_u32..3), 1..200)
}

proptest! {
    #[test]
    fn the_end_is_the_chain_s_whatever_the_node_says_in_between(
        held_by in proptest::option::of(1..=LAST_BLOCK), taken_at in 0..LAST_BLOCK + 3, moods in moods(),
    ) {
        let mut height = taken_at;
        let mut lifecycle = Lifecycle::new(LAST_BLOCK, height);
        let on_chain = |height: u32| held_by.filter(|block| *block <= height);
        // Random at first; then the node answers and the chain goes on, so that every run ends.
        let endless = std::iter::repeat_n((Mood::Answers, 1), 200);
        for (mood, blocks) in moods.into_iter().chain(endless) {
            let input = match (lifecycle.step(), mood) {
                (Step::Confirm { .. } | Step::Expire(_), _) => break,
                (Step::AwaitBlock, _) => None,
                (Step::AwaitRetry { .. }, _) => Some(Input::RetryDue),
                (_, Mood::Fails) => Some(Input::NoAnswer),
                (Step::LookUp, _) => Some(Input::Height(on_chain(height))),
                (Step::Submit, _) if on_chain(height).is_some() => {
                    Some(Input::Submission(Submission::AlreadyKnown(KnownWhere::Chain)))
                }
                (Step::Submit, Mood::Refuses) => Some(rejected(-500, "no")),
                (Step::Submit, Mood::PoolFull) => Some(Input::Submission(Submission::PoolFull)),
                (Step::Submit, Mood::Answers) => Some(Input::Submission(Submission::Accepted)),
            };
            // Blocks that come before the answer does are told after it, in their order, as the driver does.
            let before = height;
            height += blocks;
            if let Some(input) = input {
                lifecycle.take(input);
            }
            for index in before + 1..=height {
                lifecycle.take(Input::Block { index, holds_it: held_by == Some(index) });
            }
        }
        match (lifecycle.step(), held_by) {
            (Step::Confirm { block_index }, Some(block)) => prop_assert_eq!(block_index, block),
            (Step::Expire(Expiry { block_index, .. }), None) => {
                prop_assert!(block_index > LAST_BLOCK && block_index <= height);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn no_order_of_inputs_gives_two_ends_or_an_end_before_a_later_block(
        inputs in proptest::collection::vec(any_input(), 0..60), taken_at in 0..LAST_BLOCK + 3,
    ) {
        let mut lifecycle = Lifecycle::new(LAST_BLOCK, taken_at);
        let (mut seen, mut end) = (taken_at, None);
        for input in inputs {
            if let Input::Block { index, .. } = input {
                seen = seen.max(index);
            }
            lifecycle.take(input);
            let step = lifecycle.step();
            if let Some(end) = &end {
                prop_assert_eq!(&step, end);
            }
            if let Step::Expire(Expiry { block_index, .. }) = step {
                prop_assert!(block_index > LAST_BLOCK && block_index <= seen);
            }
            if matches!(step, Step::Confirm { .. } | Step::Expire(_)) {
                end = Some(step);
            }
        }
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let index = 0..LAST_BLOCK + 5;
    prop_oneof![
        6 => index.clone().prop_map(block),
        1 => index.clone().prop_map(|index| Input::Block { index, holds_it: true }),
        4 => Just(Input::Height(None)),
        1 => index.prop_map(|index| Input::Height(Some(index))),
        2 => Just(Input::NoAnswer),
        2 => Just(Input::RetryDue),
        2 => Just(rejected(-511, "insufficient funds")),
        1 => Just(Input::Submission(Submission::Accepted)),
        1 => Just(Input::Submission(Submission::PoolFull)),
        1 => Just(Input::Submission(Submission::AlreadyKnown(KnownWhere::Chain))),
    ]
}
