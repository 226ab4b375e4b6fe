use super::*;

struct World {
    genesis: GenesisManifest,
    chain: GrantChain,
    issuer: SigningKey,
}

fn world(tenant: &str, scope: (&str, &str, &str)) -> World {
    let (quorum, root, issuer) =
        (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]), SigningKey::from_seed(&[3; 32]));
    let genesis = GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![quorum.public()] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 1,
    };
    let genesis_sha256 = genesis.sha256();
    let tenant = Tenant::parse(tenant).unwrap();
    let root_statement =
        TenantRoot { genesis_sha256, tenant: tenant.clone(), key: root.public(), issued_at_ms: 1, epoch: 0 };
    let scopes = vec![Scope { aggregate: scope.0.into(), id: scope.1.into(), verb: scope.2.into() }];
    let grant = IssuerGrant {
        genesis_sha256,
        tenant,
        key: issuer.public(),
        label: "test".into(),
        scopes,
        not_before_ms: 10,
        expires_at_ms: 20,
    };
    let chain = GrantChain {
        root: Signed::sign(root_statement, &[&quorum]),
        grant: Signed::sign(grant, &[&root]),
        revocation: None,
    };
    World { genesis, chain, issuer }
}

fn judge(world: &World, subject: &str, now_ms: u64) -> Result<(), ChainError> {
    let subject = CommandSubject::parse(subject).unwrap();
    world.chain.authorises(&Operators::of_genesis(&world.genesis), world.issuer.public(), &subject, now_ms)
}

#[test]
fn a_grant_reaches_exactly_its_scope() {
    let acme = world("acme", ("wallet", "main", "*"));
    assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 15), Ok(()));
    assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.other.create", 15), Err(ChainError::Scope));
    assert_eq!(judge(&acme, "nsl.v1.cmd.other.wallet.main.create", 15), Err(ChainError::Scope));
    assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.record-outcome", 15), Err(ChainError::Scope));
    assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 9), Err(ChainError::NotInForce));
    assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 20), Err(ChainError::NotInForce));
    let system = world("system", ("*", "*", "*"));
    assert_eq!(judge(&system, "nsl.v1.cmd.acme.wallet.main.record-outcome", 15), Ok(()));
    assert_eq!(judge(&system, "nsl.v1.cmd.acme.wallet.main.create", 15), Err(ChainError::Scope));
}

#[test]
fn a_broken_link_breaks_the_chain() {
    let subject = "nsl.v1.cmd.acme.wallet.main.create";
    let mut forged_root = world("acme", ("*", "*", "*"));
    forged_root.chain.root.statement.issued_at_ms = 2;
    assert_eq!(judge(&forged_root, subject, 15), Err(ChainError::Root));
    let mut forged_grant = world("acme", ("*", "*", "*"));
    forged_grant.chain.grant.statement.expires_at_ms = 30;
    assert_eq!(judge(&forged_grant, subject, 15), Err(ChainError::Grant));
    let mut other_log = world("acme", ("*", "*", "*"));
    other_log.genesis.log_origin = "other".into();
    assert_eq!(judge(&other_log, subject, 15), Err(ChainError::OtherGenesis));
    let mut other_key = world("acme", ("*", "*", "*"));
    other_key.issuer = SigningKey::from_seed(&[9; 32]);
    assert_eq!(judge(&other_key, subject, 15), Err(ChainError::OtherKey));
}

#[test]
fn a_quorum_counts_each_key_once() {
    let keys: Vec<_> = (1..=3).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let quorum = Quorum { threshold: 2, keys: keys.iter().map(SigningKey::public).collect() };
    let sign =
        |key: &SigningKey| KeySignature { key: key.public(), signature: Base64(key.sign(b"m").to_vec()) };
    assert!(quorum.is_met(b"m", &[sign(&keys[0]), sign(&keys[2])]));
    assert!(!quorum.is_met(b"m", &[sign(&keys[0]), sign(&keys[0])]));
    assert!(!quorum.is_met(b"m", &[sign(&keys[0]), sign(&SigningKey::from_seed(&[8; 32]))]));
    assert!(!Quorum { threshold: 0, keys: quorum.keys.clone() }.is_met(b"m", &[]));
    assert!(!Quorum { threshold: 1, keys: vec![keys[0].public(); 2] }.is_sound());
}

#[test]
fn a_revocation_by_the_root_ends_every_grant_that_began_by_then() {
    let subject = "nsl.v1.cmd.acme.wallet.main.create";
    let root = SigningKey::from_seed(&[2; 32]);
    let revoked = |world: &World, revoked_at_ms: u64, signer: &SigningKey| {
        let statement = GrantRevocation {
            genesis_sha256: world.genesis.sha256(),
            key: world.issuer.public(),
            revoked_at_ms,
            tenant: Tenant::parse("acme").unwrap(),
        };
        Some(Signed::sign(statement, &[signer]))
    };
    let mut world = world("acme", ("*", "*", "*"));
    world.chain.revocation = revoked(&world, 10, &root);
    assert_eq!(judge(&world, subject, 15), Err(ChainError::Revoked));
    world.chain.revocation = revoked(&world, 9, &root);
    assert_eq!(judge(&world, subject, 15), Ok(()), "a grant that begins later is another one");
    world.chain.revocation = revoked(&world, 10, &world.issuer);
    assert_eq!(judge(&world, subject, 15), Ok(()), "nobody but the root takes a grant back");
}
