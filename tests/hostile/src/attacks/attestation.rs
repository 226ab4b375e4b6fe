//! Attestation: documents of another build, another manifest, another purpose, another time; and birth certificates.

use anyhow::Result;
use nsl_client::birth;
use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::AttestationRequest;
use nsl_schemas::authority::{OperatorAct, Operators};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::outcome::{BirthCertificate, BirthStatement};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_test_site::{COMMAND_ID, OPERATOR, acme, key, mutate, quorum};
use uuid::Uuid;

use super::{ANY, STATELESS, attack, control, detected};
use crate::ledger::Ledger;
use crate::matrix::{Attack, Finding, Mode, Verdict};
use crate::parent::{PARENT, Parent, STRANGER, document_of_root, name};
use crate::worker::Worker;

const INVALID: &str = "attestation_invalid";
const REGISTER: &str = "domain/src/worker/register.rs";
const BIRTH: &str = "bus-schemas/sdk/rust/src/birth.rs";
/// Documents with random changes that are tried.
const MUTATIONS: u64 = 500;

/// A registration whose key and document the parent chose.
macro_rules! registered {
    ($name:literal, $attempt:expr) => {
        attack!($name, ANY, detected(INVALID, REGISTER), async |parent: &Parent, _| {
            let made: Result<(PublicKey, Base64)> = $attempt(parent).await;
            let (key, document) = made?;
            Ok(Finding::of(Ledger::of(parent, "main")?.register(key, document), "registered"))
        })
    };
}

/// A birth certificate as the parent altered it.
macro_rules! certified {
    ($name:literal, $by:literal, $alter:expr) => {
        attack!($name, STATELESS, detected($by, BIRTH), async |parent: &Parent, mode| certified(
            parent, mode, $alter
        ))
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("a worker's own registration", ANY, "registered", REGISTER, async |parent: &Parent, _| {
        let (key, document) = registration(parent.worker()).await?;
        Ok(Finding::of(Ledger::of(parent, "main")?.register(key, document), "registered"))
    }),
    registered!("the parent's key with a worker's document", async |parent: &Parent| {
        Ok((key(PARENT).public(), registration(parent.worker()).await?.1))
    }),
    registered!("one worker's key with another's document", async |parent: &Parent| {
        let own = registration(parent.worker()).await?;
        Ok((own.0, registration(&parent.workers[1]).await?.1))
    }),
    registered!("the parent's program on the same hardware", async |parent: &Parent| {
        let key = key(PARENT).public();
        Ok((key, parent.document(STRANGER, parent.site.sha256(), of_key(&key))?))
    }),
    registered!("an allowed build that obeys the parent's manifest", async |parent: &Parent| {
        let key = key(PARENT).public();
        Ok((key, parent.document(parent.build(), Sha256([9; 32]), of_key(&key))?))
    }),
    registered!("a build in debug mode", async |parent: &Parent| {
        let key = key(PARENT).public();
        Ok((key, parent.document([[0; 48]; 3], parent.site.sha256(), of_key(&key))?))
    }),
    registered!("hardware of another root", async |parent: &Parent| {
        let root = nsl_enclave_worker::nsm::software::DevelopmentRoot::generate(parent.now_ms)?;
        let (key, pem) = (key(PARENT).public(), root.to_pem());
        let document = document_of_root(&pem, parent.build(), parent.site.sha256(), of_key(&key))?;
        Ok((key, document))
    }),
    registered!("the document of a key's birth", async |parent: &Parent| {
        Ok((key(PARENT).public(), parent.wallet(Mode::Stateless)?.certificate.document.clone()))
    }),
    attack!("bytes of a document are changed, 500 times", ANY, detected("0 of 500", REGISTER), mutated),
    attack!("a worker that the operators revoked", ANY, detected(INVALID, REGISTER), |parent, _| revoked(
        parent
    )),
    control!("a birth certificate as it is", STATELESS, "believed", BIRTH, async |parent: &Parent, mode| {
        certified(parent, mode, |_, _| Ok(()))
    }),
    certified!("the birth of another log's key", "birth certificate is for another log", |_, c| {
        c.statement.genesis_sha256 = Sha256([9; 32]);
        Ok(())
    }),
    certified!("the birth of another tenant's key", "birth certificate is for another tenant", |_, c| {
        c.statement.tenant = Tenant::system();
        Ok(())
    }),
    certified!(
        "the birth of another wallet's key",
        "birth certificate is for another wallet",
        |parent, c| {
            *c = parent.wallet(Mode::Withheld)?.certificate.clone();
            Ok(())
        }
    ),
    certified!(
        "the birth that another command asked for",
        "birth certificate is for another command",
        |_, c| {
            c.statement.command_id = Uuid::nil();
            Ok(())
        }
    ),
    certified!("a birth under another policy", "birth certificate is for another policy", |_, c| {
        c.statement.policy_sha256 = Sha256([9; 32]);
        Ok(())
    }),
    certified!("a birth with other owners", "birth certificate is for another quorum", |_, c| {
        c.statement.owners = quorum(1, &[PARENT]);
        Ok(())
    }),
    certified!("the parent's key in the statement", "attestation document does not carry", |_, c| {
        c.statement.public_key = "02".repeat(33);
        Ok(())
    }),
    certified!("the document of another birth", "attestation document does not carry", |parent, c| {
        c.document = parent.wallet(Mode::Withheld)?.certificate.document.clone();
        Ok(())
    }),
    certified!(
        "the parent's key, attested by its own program",
        "attestation document does not hold",
        |parent, c| {
            c.statement.public_key = "02".repeat(33);
            c.document = parent.document(STRANGER, parent.site.sha256(), of_birth(&c.statement))?;
            Ok(())
        }
    ),
    certified!(
        "the parent's key, attested under its own manifest",
        "attestation document does not hold",
        |parent, c| {
            c.statement.public_key = "02".repeat(33);
            c.document = parent.document(parent.build(), Sha256([9; 32]), of_birth(&c.statement))?;
            Ok(())
        }
    ),
    attack!(
        "a birth in a build that the operators revoked",
        STATELESS,
        detected("attestation document does not hold", BIRTH),
        async |parent: &Parent, mode| born_in_revoked_build(parent, mode)
    ),
];

/// What a worker says when it is asked who it is.
async fn registration(worker: &Worker) -> Result<(PublicKey, Base64)> {
    match worker.ask(&Request::Register { nonce: Base64(vec![1; 32]) }).await? {
        Response::Registration { key, attestation } => Ok((key, attestation)),
        other => anyhow::bail!("{other:?}"),
    }
}

fn of_key(key: &PublicKey) -> AttestationRequest {
    AttestationRequest { public_key: Some(key.0.to_vec()), ..AttestationRequest::default() }
}

fn of_birth(statement: &BirthStatement) -> AttestationRequest {
    let user_data = Some(statement.user_data().0.to_vec());
    AttestationRequest { user_data, ..AttestationRequest::default() }
}

async fn mutated(parent: &Parent, _: Mode) -> Result<Finding> {
    let (key, document) = registration(parent.worker()).await?;
    let mut believed = 0;
    for seed in 0..MUTATIONS {
        let (mut random, mut altered) = (fastrand::Rng::with_seed(seed), document.clone());
        mutate(&mut random, &mut altered.0);
        let is_another = altered != document;
        believed += u64::from(is_another && Ledger::of(parent, "main")?.register(key, altered).is_ok());
    }
    let verdict = if believed == 0 { Verdict::Detected } else { Verdict::Accepted };
    Ok(Finding::new(verdict, format!("{believed} of {MUTATIONS} mutations believed")))
}

async fn revoked(parent: &Parent) -> Result<Finding> {
    let (key, document) = registration(parent.worker()).await?;
    let mut operators = parent.site.operators();
    operators.follow(&parent.site.acts(vec![(OperatorAct::RevokeWorker { key }, &[OPERATOR])]))?;
    let mut ledger = Ledger::of(parent, "main")?;
    ledger.follow(operators);
    Ok(Finding::of(ledger.register(key, document), "registered"))
}

/// What a client makes of a certificate.
fn certified(
    parent: &Parent,
    mode: Mode,
    alter: fn(&Parent, &mut BirthCertificate) -> Result<()>,
) -> Result<Finding> {
    let mut certificate = parent.wallet(mode)?.certificate.clone();
    alter(parent, &mut certificate)?;
    check(parent, mode, &certificate, &parent.site.operators())
}

fn born_in_revoked_build(parent: &Parent, mode: Mode) -> Result<Finding> {
    let mut operators = parent.site.operators();
    let build = parent.site.genesis.statement.builds[0].clone();
    operators.follow(&parent.site.acts(vec![(OperatorAct::RevokeBuild { build }, &[OPERATOR])]))?;
    check(parent, mode, &parent.wallet(mode)?.certificate, &operators)
}

fn check(
    parent: &Parent,
    mode: Mode,
    certificate: &BirthCertificate,
    operators: &Operators,
) -> Result<Finding> {
    let born = parent.wallet(mode)?;
    let expectation = birth::Expectation {
        genesis: &parent.site.genesis.statement,
        operators,
        tenant: &acme(),
        wallet: &AggregateId::parse(&name(mode))?,
        command_id: COMMAND_ID,
        policy_sha256: born.policy.sha256(),
        owners: &born.policy.owners,
    };
    Ok(Finding::of(birth::check(certificate, &expectation), "believed"))
}
