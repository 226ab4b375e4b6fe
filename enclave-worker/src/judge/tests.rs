//! Every link of a job, broken one at a time.

use nsl_schemas::authority::{GrantChain, GrantRevocation, IssuerGrant, Operators, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::Create;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::subject::CommandSubject;
use nsl_test_site::{ISSUER, ROOT, Site, acme, key, manifest, policy};

use super::*;

const NOW_MS: u64 = 1_000_000;
const CREATE: &str = "nsl.v1.cmd.acme.wallet.main.create";

fn site() -> Site {
    Site::of(manifest(Sha256([0; 32]), vec![]))
}

fn genesis() -> Operators {
    site().operators()
}

/// A chain to the issuer whose grant has just begun to end.
fn chain(change: impl FnOnce(&mut IssuerGrant)) -> GrantChain {
    site().chain_with(acme(), |grant| {
        grant.expires_at_ms = NOW_MS + 1;
        change(grant);
    })
}

fn command(subject: &str, payload: &str) -> SignedCommand {
    command_issued_at(subject, payload, NOW_MS)
}

fn command_issued_at(subject: &str, payload: &str, issued_at_ms: u64) -> SignedCommand {
    let subject = CommandSubject::parse(subject).unwrap();
    SignedCommand::sign(
        &key(ISSUER),
        &subject,
        Uuid::from_u128(7),
        issued_at_ms,
        issued_at_ms,
        payload.into(),
    )
}

fn job_of(command: SignedCommand) -> EnclaveJob {
    let job_id = ids::job_id(ids::event_id(command.envelope.command_id, 0));
    EnclaveJob { job_id, command, authority: chain(|_| {}), task: EnclaveTask::CreateKey }
}

fn create_payload() -> String {
    canonical::to_string(&Create { policy: policy() })
}

fn good() -> EnclaveJob {
    job_of(command(CREATE, &create_payload()))
}

fn state() -> (SealedKey, Policy) {
    let sealed_key = SealedKey {
        sealing_key_id: "0".into(),
        version: 1,
        nonce: Base64(vec![0; 12]),
        ciphertext: Base64(vec![0; 48]),
    };
    (sealed_key, policy())
}

#[test]
fn a_sound_job_is_judged_to_be_what_its_command_asks() {
    let judged = judge(&good(), &Chains::default(), &genesis(), NOW_MS).unwrap();
    assert_eq!(judged.work, Work::CreateKey(policy()));
    assert_eq!(judged.subject.wallet.as_str(), "main");
    assert_eq!(judged.subject.command_id, Uuid::from_u128(7));
}

#[test]
fn a_command_that_expired_while_it_waited_is_still_legal_work() {
    let old = job_of(command_issued_at(CREATE, &create_payload(), 1));
    assert!(judge(&old, &Chains::default(), &genesis(), NOW_MS).is_ok());
}

#[test]
fn each_broken_link_is_refused_with_its_code() {
    const DENIED: &str = "worker_authority_denied";
    const INVALID: &str = "worker_command_invalid";
    let (sealed_key, policy) = state();
    let sign = EnclaveTask::SignTransfer {
        approvals: vec![],
        reservation: None,
        sealed_key: sealed_key.clone(),
        policy: policy.clone(),
    };
    let replace = EnclaveTask::ReplacePolicy { sealed_key, policy };
    let changed = |change: &dyn Fn(&mut EnclaveJob)| {
        let mut job = good();
        change(&mut job);
        job
    };
    let future = NOW_MS + CLOCK_SKEW_MS_MAX + 1;
    let cases = vec![
        ("payload altered", DENIED, changed(&|job| job.command.payload.push(' '))),
        ("signature altered", DENIED, changed(&|job| job.command.envelope.signature.0[0] ^= 1)),
        ("other issuer", DENIED, changed(&|job| job.command.envelope.issuer = key(4).public())),
        (
            "other wallet",
            DENIED,
            changed(&|job| {
                job.command.envelope.subject = "nsl.v1.cmd.acme.wallet.other.create".into();
            }),
        ),
        ("root altered", DENIED, changed(&|job| job.authority.root.statement.issued_at_ms = 2)),
        ("root unsigned", DENIED, changed(&|job| job.authority.root.signatures.clear())),
        ("grant altered", DENIED, changed(&|job| job.authority.grant.statement.expires_at_ms += 1)),
        (
            "grant for another key",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.key = key(4).public());
            }),
        ),
        (
            "grant expired",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.expires_at_ms = NOW_MS);
            }),
        ),
        (
            "grant not begun",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.not_before_ms = NOW_MS + 1);
            }),
        ),
        (
            "grant of another log",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.genesis_sha256 = Sha256([0; 32]));
            }),
        ),
        (
            "grant of another tenant",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.tenant = Tenant::parse("other").unwrap());
            }),
        ),
        (
            "grant without the verb",
            DENIED,
            changed(&|job| {
                job.authority = chain(|grant| grant.scopes[0].verb = "set-policy".into());
            }),
        ),
        ("from the future", INVALID, job_of(command_issued_at(CREATE, &create_payload(), future))),
        ("job id of another command", INVALID, changed(&|job| job.job_id = Uuid::from_u128(1))),
        ("other task", INVALID, changed(&|job| job.task = sign.clone())),
        ("another other task", INVALID, changed(&|job| job.task = replace.clone())),
        ("not json", INVALID, job_of(command(CREATE, "{"))),
        ("not the shape", INVALID, job_of(command(CREATE, "{}"))),
        ("too deep", INVALID, job_of(command(CREATE, &"[".repeat(100)))),
        ("unknown verb", INVALID, job_of(command("nsl.v1.cmd.acme.wallet.main.export-key", "{}"))),
        ("other aggregate", INVALID, job_of(command("nsl.v1.cmd.acme.price-feed.main.create", "{}"))),
    ];
    for (name, code, job) in cases {
        let refusal = judge(&job, &Chains::default(), &genesis(), NOW_MS).unwrap_err();
        assert_eq!(refusal.code.code, code, "{name}: {refusal}");
    }
}

#[test]
fn a_job_whose_grant_was_taken_back_is_refused() {
    let statement = GrantRevocation {
        genesis_sha256: site().sha256(),
        key: key(ISSUER).public(),
        revoked_at_ms: 0,
        tenant: acme(),
    };
    let mut job = good();
    job.authority.revocation = Some(Signed::sign(statement, &[&key(ROOT)]));
    let refusal = judge(&job, &Chains::default(), &genesis(), NOW_MS).unwrap_err();
    assert_eq!(refusal.code, errors::WORKER_AUTHORITY_DENIED);
}
