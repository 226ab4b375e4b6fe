//! Judges a wallet's birth certificate before anybody shows or funds its address (D8).

use nsl_schemas::authority::{Build, GenesisManifest, Operators, Quorum};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::outcome::{BirthCertificate, BirthStatement};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_verify::attestation::{self, TrustRoot, VerifyTime};
use uuid::Uuid;

/// What the certificate must state, all of it known to the client without asking the service.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    /// The manifest that the client trusts.
    pub genesis: &'a GenesisManifest,
    /// What the operators decided since, see [`crate::Client::operators`]: only builds that they allow count.
    pub operators: &'a Operators,
    /// Whose wallet.
    pub tenant: &'a Tenant,
    /// Which wallet.
    pub wallet: &'a AggregateId,
    /// The command that asked for it.
    pub command_id: Uuid,
    /// The policy that the command carried.
    pub policy_sha256: Sha256,
    /// The owners in that policy.
    pub owners: &'a Quorum,
}

/// Why a certificate proves nothing about this wallet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement is about something else.
    #[error("birth certificate is for another {field}")]
    Statement {
        /// The first field that differs.
        field: &'static str,
    },
    /// The attested document is about another statement.
    #[error("attestation document does not carry this statement")]
    UserData,
    /// The manifest names a trust root that this build does not admit.
    #[error("attestation root of the genesis manifest is not admitted")]
    TrustRoot(#[source] attestation::Error),
    /// The document does not hold.
    #[error("attestation document does not hold")]
    Attestation(#[source] attestation::Error),
}

/// Checks that an allowed build attested this key for exactly this wallet, and returns the key (66 hex digits).
///
/// The document is judged at its own time: certificates of enclaves live for hours, wallets for years.
pub fn check(certificate: &BirthCertificate, expectation: &Expectation<'_>) -> Result<String, Error> {
    let BirthCertificate { statement, document } = certificate;
    if let Some(field) = first_difference(statement, expectation) {
        return Err(Error::Statement { field });
    }
    let genesis = expectation.genesis;
    let root = TrustRoot::from_sha256(genesis.attestation_root_sha256.0).map_err(Error::TrustRoot)?;
    let demanded = attestation::Expectation::of_manifest(
        expectation.operators.builds().iter().map(Build::measurements),
        genesis.sha256().0,
    );
    let document = attestation::verify(&document.0, &demanded, &root, VerifyTime::Document)
        .map_err(Error::Attestation)?;
    if document.user_data.as_deref() != Some(statement.user_data().0.as_slice()) {
        return Err(Error::UserData);
    }
    Ok(statement.public_key.clone())
}

fn first_difference(statement: &BirthStatement, expectation: &Expectation<'_>) -> Option<&'static str> {
    let BirthStatement { genesis_sha256, tenant, wallet, command_id, public_key: _, policy_sha256, owners } =
        statement;
    let differences = [
        ("log", *genesis_sha256 != expectation.genesis.sha256()),
        ("tenant", tenant != expectation.tenant),
        ("wallet", wallet != expectation.wallet),
        ("command", *command_id != expectation.command_id),
        ("policy", *policy_sha256 != expectation.policy_sha256),
        ("quorum of owners", owners != expectation.owners),
    ];
    differences.into_iter().find_map(|(field, differs)| differs.then_some(field))
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::Operators;
    use nsl_schemas::bytes::Base64;
    use nsl_test_site::{acme, key, manifest, quorum};

    use super::*;

    struct World {
        genesis: GenesisManifest,
        operators: Operators,
        tenant: Tenant,
        wallet: AggregateId,
        owners: Quorum,
    }

    /// A manifest under AWS's root, so that the trust root is admitted with and without the feature `development`.
    fn world() -> World {
        let owners = quorum(1, &[1]);
        let genesis = manifest(Sha256(TrustRoot::aws_nitro().sha256()), vec![]);
        let (tenant, wallet) = (acme(), AggregateId::parse("main").unwrap());
        World { operators: Operators::of_genesis(&genesis), genesis, tenant, wallet, owners }
    }

    impl World {
        fn expectation(&self) -> Expectation<'_> {
            Expectation {
                genesis: &self.genesis,
                operators: &self.operators,
                tenant: &self.tenant,
                wallet: &self.wallet,
                command_id: Uuid::from_u128(7),
                policy_sha256: Sha256([2; 32]),
                owners: &self.owners,
            }
        }

        fn certificate(&self, document: &[u8]) -> BirthCertificate {
            let statement = BirthStatement {
                genesis_sha256: self.genesis.sha256(),
                tenant: self.tenant.clone(),
                wallet: self.wallet.clone(),
                command_id: Uuid::from_u128(7),
                public_key: "02".repeat(33),
                policy_sha256: Sha256([2; 32]),
                owners: self.owners.clone(),
            };
            BirthCertificate { statement, document: Base64(document.to_vec()) }
        }
    }

    #[test]
    fn a_statement_about_anything_else_is_refused_before_the_document_is_read() {
        type Change = fn(&mut BirthStatement);
        let world = world();
        let changes: [(&str, Change); 6] = [
            ("log", |s| s.genesis_sha256 = Sha256([9; 32])),
            ("tenant", |s| s.tenant = Tenant::parse("other").unwrap()),
            ("wallet", |s| s.wallet = AggregateId::parse("other").unwrap()),
            ("command", |s| s.command_id = Uuid::from_u128(8)),
            ("policy", |s| s.policy_sha256 = Sha256([3; 32])),
            ("quorum of owners", |s| s.owners.keys[0] = key(8).public()),
        ];
        for (expected, change) in changes {
            let mut certificate = world.certificate(b"");
            change(&mut certificate.statement);
            match check(&certificate, &world.expectation()) {
                Err(Error::Statement { field }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_matching_statement_without_a_document_proves_nothing() {
        let world = world();
        for document in [&b""[..], b"\xD2\x84", b"garbage", &vec![0; 30_000]] {
            let verdict = check(&world.certificate(document), &world.expectation());
            assert!(matches!(verdict, Err(Error::Attestation(_))), "{verdict:?}");
        }
    }

    #[cfg(not(feature = "development"))]
    #[test]
    fn a_manifest_with_a_foreign_root_is_refused() {
        let mut world = world();
        world.genesis.attestation_root_sha256 = Sha256([5; 32]);
        let verdict = check(&world.certificate(b""), &world.expectation());
        assert!(matches!(verdict, Err(Error::TrustRoot(_))), "{verdict:?}");
    }
}
