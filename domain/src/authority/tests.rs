use nsl_schemas::authority::{
    Build, GrantRevocation, IssuerGrant, OperatorAct, Operators, SCOPES_MAX, Scope, Signed, TenantRoot,
};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::command::authority::{
    AllowBuild, AuthorityCommand, EstablishPool, Grant, RegisterRoot, ReplaceQuorum, Revoke, RevokeBuild,
    RevokeWorker,
};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::authority::{
    AuthorityEvent, GenesisRecorded, IssuerGranted, QuorumReplaced, RootRegistered,
};
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::pool_view::{Heads, PoolView};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{TOKEN_BYTES_MAX, Tenant};
use uuid::Uuid;

use super::{Authority, ISSUERS_MAX};
use crate::decision::Rejection;
use crate::test_world::{Alter, NOW_MS, acme, genesis, id, key, order, quorum};

/// The tenant's root key.
const ROOT: u8 = 20;
/// The key that is granted.
const ISSUER: u8 = 21;

/// Makes a grant wrong.
type Wrong<'a> = &'a dyn Fn(&mut IssuerGrant);

fn root() -> TenantRoot {
    TenantRoot {
        epoch: 0,
        genesis_sha256: genesis().sha256,
        tenant: acme(),
        key: key(ROOT).public(),
        issued_at_ms: NOW_MS,
    }
}

fn grant() -> IssuerGrant {
    IssuerGrant {
        genesis_sha256: genesis().sha256,
        tenant: acme(),
        key: key(ISSUER).public(),
        label: "app".into(),
        scopes: vec![Scope { aggregate: "wallet".into(), id: "*".into(), verb: "*".into() }],
        not_before_ms: 0,
        expires_at_ms: NOW_MS + 1,
    }
}

fn signed<T: nsl_schemas::authority::Statement>(statement: T, signers: &[u8]) -> Signed<T> {
    let keys: Vec<SigningKey> = signers.iter().map(|number| key(*number)).collect();
    Signed::sign(statement, &keys.iter().collect::<Vec<_>>())
}

fn register(statement: TenantRoot, signers: &[u8]) -> AuthorityCommand {
    AuthorityCommand::RegisterRoot(RegisterRoot { root: signed(statement, signers) })
}

fn grants(statement: IssuerGrant, signers: &[u8]) -> AuthorityCommand {
    AuthorityCommand::Grant(Grant { grant: signed(statement, signers) })
}

fn ask(authority: &Authority, body: AuthorityCommand) -> Result<Vec<AuthorityEvent>, Rejection> {
    authority.decide(&order(id("root"), Uuid::nil(), body))
}

fn and(mut authority: Authority, body: AuthorityCommand) -> Authority {
    for event in ask(&authority, body).unwrap() {
        authority.evolve(event);
    }
    authority
}

fn rooted() -> Authority {
    and(Authority::default(), register(root(), &[1, 2]))
}

#[test]
fn a_quorum_of_the_manifest_names_a_tenants_root() {
    let event = RootRegistered { root: signed(root(), &[1, 3]) };
    assert_eq!(ask(&Authority::default(), register(root(), &[1, 3])), Ok(vec![event.into()]));
}

#[test]
fn a_root_is_rejected_by_the_first_rule_that_says_no() {
    let alterations: [(Alter<TenantRoot>, &[u8], Authority, ErrorCode); 7] = [
        (
            |statement| statement.genesis_sha256 = Sha256([0; 32]),
            &[1, 2],
            rooted(),
            errors::STATEMENT_INVALID,
        ),
        (|statement| statement.tenant = Tenant::system(), &[1, 2], rooted(), errors::STATEMENT_INVALID),
        (|statement| statement.epoch = 1, &[1, 2], rooted(), errors::STATEMENT_INVALID),
        (|_| {}, &[1], rooted(), errors::STATEMENT_INVALID),
        (|_| {}, &[1, 1], rooted(), errors::STATEMENT_INVALID),
        (|_| {}, &[1, ROOT], rooted(), errors::STATEMENT_INVALID),
        (|_| {}, &[1, 2], rooted(), errors::ROOT_EXISTS),
    ];
    for (index, (alter, signers, authority, expected)) in alterations.into_iter().enumerate() {
        let mut statement = root();
        alter(&mut statement);
        let rejection = ask(&authority, register(statement, signers)).unwrap_err();
        assert_eq!(rejection.code, expected, "case {index}");
    }
    let elsewhere = order(id("other"), Uuid::nil(), register(root(), &[1, 2]));
    let rejection = Authority::default().decide(&elsewhere).unwrap_err();
    assert_eq!(rejection.code, errors::STATEMENT_INVALID);
}

#[test]
fn the_root_grants_and_the_chain_proves_it() {
    let event = IssuerGranted { grant: signed(grant(), &[ROOT]) };
    assert_eq!(ask(&rooted(), grants(grant(), &[ROOT])), Ok(vec![event.into()]));
    let granted = and(rooted(), grants(grant(), &[ROOT]));
    let issuer = key(ISSUER).public();
    assert_eq!(granted.grant_of(&issuer), Some(&grant()));
    let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    let chain = granted.chain(&issuer).unwrap();
    assert_eq!(
        chain.authorises(&Operators::of_genesis(&genesis().manifest), issuer, &subject, NOW_MS),
        Ok(())
    );
}

#[test]
fn nobody_has_authority_before_a_grant() {
    for authority in [Authority::default(), rooted()] {
        assert_eq!(authority.grant_of(&key(ISSUER).public()), None);
        assert_eq!(authority.chain(&key(ISSUER).public()), None);
    }
}

#[test]
fn a_grant_is_rejected_by_the_first_rule_that_says_no() {
    let scope = Scope { aggregate: "*".into(), id: "*".into(), verb: "*".into() };
    let too_many = |statement: &mut IssuerGrant| statement.scopes = vec![scope.clone(); SCOPES_MAX + 1];
    let other_log: Wrong<'_> = &|statement| {
        statement.genesis_sha256 = Sha256([0; 32]);
        too_many(statement);
    };
    let other_tenant: Wrong<'_> = &|statement| {
        statement.tenant = Tenant::system();
        too_many(statement);
    };
    let long_label: Wrong<'_> = &|statement| statement.label = "l".repeat(TOKEN_BYTES_MAX + 1);
    let long = || "s".repeat(TOKEN_BYTES_MAX + 1);
    let long_aggregate: Wrong<'_> = &|statement| statement.scopes[0].aggregate = long();
    let long_id: Wrong<'_> = &|statement| statement.scopes[0].id = long();
    let long_verb: Wrong<'_> = &|statement| statement.scopes[0].verb = long();
    let cases: [(Authority, Wrong<'_>, &[u8], ErrorCode); 10] = [
        (Authority::default(), other_log, &[1, 2], errors::ROOT_MISSING),
        (rooted(), other_log, &[1, 2], errors::STATEMENT_INVALID),
        (rooted(), other_tenant, &[ROOT], errors::STATEMENT_INVALID),
        (rooted(), &too_many, &[1, 2, 3], errors::STATEMENT_INVALID),
        (rooted(), &|_| {}, &[], errors::STATEMENT_INVALID),
        (rooted(), &too_many, &[ROOT], errors::LIMIT_EXCEEDED),
        (rooted(), long_label, &[ROOT], errors::LIMIT_EXCEEDED),
        (rooted(), long_aggregate, &[ROOT], errors::LIMIT_EXCEEDED),
        (rooted(), long_id, &[ROOT], errors::LIMIT_EXCEEDED),
        (rooted(), long_verb, &[ROOT], errors::LIMIT_EXCEEDED),
    ];
    for (index, (authority, alter, signers, expected)) in cases.into_iter().enumerate() {
        let mut statement = grant();
        alter(&mut statement);
        let rejection = ask(&authority, grants(statement, signers)).unwrap_err();
        assert_eq!(rejection.code, expected, "case {index}");
    }
}

#[test]
fn a_grant_at_every_limit_is_taken() {
    let longest = || "s".repeat(TOKEN_BYTES_MAX);
    let scope = Scope { aggregate: longest(), id: longest(), verb: longest() };
    let widest =
        IssuerGrant { scopes: vec![scope; SCOPES_MAX], label: "l".repeat(TOKEN_BYTES_MAX), ..grant() };
    assert!(ask(&rooted(), grants(widest, &[ROOT])).is_ok());
}

#[test]
fn a_full_tenant_takes_no_new_issuer_but_renews_those_it_has() {
    let mut authority = rooted();
    for number in 0..u64::try_from(ISSUERS_MAX).unwrap() {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        // What is recorded was judged before: its signatures are not looked at again.
        let statement = IssuerGrant { key: PublicKey(bytes), ..grant() };
        authority.evolve(IssuerGranted { grant: Signed { statement, signatures: vec![] } }.into());
    }
    assert_eq!(ask(&authority, grants(grant(), &[ROOT])).unwrap_err().code, errors::LIMIT_EXCEEDED);
    let known = IssuerGrant { key: PublicKey([0; 32]), not_before_ms: 1, ..grant() };
    assert!(ask(&authority, grants(known, &[ROOT])).is_ok());
}

#[test]
fn a_later_grant_takes_the_place_of_the_earlier_for_ever() {
    let narrowed = IssuerGrant { scopes: vec![], not_before_ms: 1, ..grant() };
    let renewed = and(and(rooted(), grants(grant(), &[ROOT])), grants(narrowed.clone(), &[ROOT]));
    assert_eq!(renewed.grant_of(&key(ISSUER).public()), Some(&narrowed));
    // Whoever holds the earlier statement may deliver it again: it proves itself, but it is history.
    let of_the_same_time = IssuerGrant { not_before_ms: 1, ..grant() };
    for replayed in [grant(), of_the_same_time] {
        let rejection = ask(&renewed, grants(replayed, &[ROOT])).unwrap_err();
        assert_eq!(rejection.code, errors::STATEMENT_INVALID);
    }
    assert!(ask(&renewed, grants(narrowed, &[ROOT])).is_ok());
    let another_issuer = IssuerGrant { key: key(22).public(), ..grant() };
    assert!(ask(&renewed, grants(another_issuer, &[ROOT])).is_ok());
}

fn revocation(revoked_at_ms: u64) -> GrantRevocation {
    GrantRevocation {
        genesis_sha256: genesis().sha256,
        key: key(ISSUER).public(),
        revoked_at_ms,
        tenant: acme(),
    }
}

fn revoke(statement: GrantRevocation, signers: &[u8]) -> AuthorityCommand {
    AuthorityCommand::Revoke(Revoke { revocation: signed(statement, signers) })
}

#[test]
fn a_revocation_ends_what_began_by_then_and_nothing_brings_it_back() {
    let granted = and(rooted(), grants(IssuerGrant { not_before_ms: 5, ..grant() }, &[ROOT]));
    let issuer = key(ISSUER).public();
    let revoked = and(granted, revoke(revocation(10), &[ROOT]));
    assert_eq!(revoked.grant_of(&issuer), None);
    assert!(revoked.chain(&issuer).unwrap().revocation.is_some(), "jobs carry why they are refused");
    for not_before_ms in [6, 10] {
        let withheld = IssuerGrant { not_before_ms, ..grant() };
        assert_eq!(ask(&revoked, grants(withheld, &[ROOT])).unwrap_err().code, errors::STATEMENT_INVALID);
    }
    let anew = IssuerGrant { not_before_ms: 11, ..grant() };
    let granted = and(revoked, grants(anew.clone(), &[ROOT]));
    assert_eq!(granted.grant_of(&issuer), Some(&anew));
}

#[test]
fn a_revocation_is_rejected_by_the_first_rule_that_says_no() {
    let granted = || and(rooted(), grants(IssuerGrant { not_before_ms: 5, ..grant() }, &[ROOT]));
    let revoked = || and(granted(), revoke(revocation(10), &[ROOT]));
    let cases: [(Authority, Alter<GrantRevocation>, &[u8], ErrorCode); 7] = [
        (Authority::default(), |_| {}, &[ROOT], errors::ROOT_MISSING),
        (granted(), |s| s.genesis_sha256 = Sha256([0; 32]), &[ROOT], errors::STATEMENT_INVALID),
        (granted(), |s| s.tenant = Tenant::system(), &[ROOT], errors::STATEMENT_INVALID),
        (granted(), |_| {}, &[ISSUER], errors::STATEMENT_INVALID),
        (granted(), |_| {}, &[1, 2, 3], errors::STATEMENT_INVALID),
        (granted(), |s| s.revoked_at_ms = 4, &[ROOT], errors::STATEMENT_INVALID),
        (revoked(), |_| {}, &[ROOT], errors::STATEMENT_INVALID),
    ];
    for (index, (authority, alter, signers, expected)) in cases.into_iter().enumerate() {
        let mut statement = revocation(10);
        alter(&mut statement);
        assert_eq!(ask(&authority, revoke(statement, signers)).unwrap_err().code, expected, "case {index}");
    }
    // A key may be shut out before it was ever granted anything.
    assert!(ask(&rooted(), revoke(revocation(10), &[ROOT])).is_ok());
}

#[test]
fn the_manifest_names_no_root_by_itself() {
    let system = system();
    assert_eq!(system.root_key(), None);
    assert_eq!(*system.operators().unwrap(), Operators::of_genesis(&genesis().manifest));
}

/// The system tenant's authority as the log begins.
fn system() -> Authority {
    let mut authority = Authority::default();
    authority.evolve(GenesisRecorded { manifest: signed(genesis().manifest.clone(), &[1, 2]) }.into());
    authority
}

fn build() -> Build {
    Build { name: "next".into(), pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]) }
}

/// The act as the operators of `authority` would do it next.
fn act(authority: &Authority, act: OperatorAct, signers: &[u8]) -> AuthorityCommand {
    let act = signed(authority.operators().unwrap().next(act, NOW_MS), signers);
    match &act.statement.act {
        OperatorAct::AllowBuild { .. } => AuthorityCommand::AllowBuild(AllowBuild { act }),
        OperatorAct::RevokeBuild { .. } => AuthorityCommand::RevokeBuild(RevokeBuild { act }),
        OperatorAct::RevokeWorker { .. } => AuthorityCommand::RevokeWorker(RevokeWorker { act }),
        OperatorAct::ReplaceQuorum { .. } => AuthorityCommand::ReplaceQuorum(ReplaceQuorum { act }),
        OperatorAct::EstablishPool { .. } => AuthorityCommand::EstablishPool(EstablishPool { act }),
    }
}

#[test]
fn the_operators_allow_and_revoke_builds_and_workers_establish_a_pool_and_hand_over() {
    let mut system = system();
    let genesis_sha256 = system.operators().unwrap().genesis_sha256();
    let (heads_sha256, members) = (Heads::default().sha256(), vec![key(41).public()]);
    let view = PoolView { genesis_sha256, heads_sha256, members, number: 1 };
    for next in [
        OperatorAct::EstablishPool { heads_position: 5, view: view.clone() },
        OperatorAct::AllowBuild { build: build() },
        OperatorAct::RevokeBuild { build: build() },
        OperatorAct::RevokeWorker { key: key(40).public() },
        OperatorAct::ReplaceQuorum { quorum: quorum(2, &[4, 5, 6]), voids_roots: false },
    ] {
        let command = act(&system, next, &[1, 3, 4, 6]);
        system = and(system, command);
    }
    let operators = system.operators().unwrap();
    assert_eq!((operators.sequence(), operators.epoch(), operators.builds()), (5, 1, &[][..]));
    assert_eq!(operators.pool().unwrap().view, view);
    assert!(operators.is_revoked(&key(40).public()));
}

#[test]
fn an_act_is_taken_only_from_the_quorum_for_its_own_verb_and_in_the_operators_authority() {
    let allow =
        |authority: &Authority, signers| act(authority, OperatorAct::AllowBuild { build: build() }, signers);
    let refused = |authority: &Authority, command| ask(authority, command).unwrap_err().code;
    let system = system();
    assert_eq!(refused(&system, allow(&system, &[1])), errors::STATEMENT_INVALID);
    assert_eq!(refused(&rooted(), allow(&system, &[1, 2])), errors::STATEMENT_INVALID);
    let AuthorityCommand::AllowBuild(AllowBuild { act: other }) = allow(&system, &[1, 2]) else { panic!() };
    let disguised = AuthorityCommand::RevokeBuild(RevokeBuild { act: other });
    assert_eq!(refused(&system, disguised), errors::STATEMENT_INVALID);
    let again = allow(&system, &[1, 2]);
    let allowed = and(system, again.clone());
    assert_eq!(refused(&allowed, again), errors::STATEMENT_INVALID, "an act is done once");
}

#[test]
fn a_later_quorum_names_a_root_anew_and_another_root_ends_all_grants() {
    let mut operators = Operators::of_genesis(&genesis().manifest);
    let replace = OperatorAct::ReplaceQuorum { quorum: quorum(1, &[4]), voids_roots: false };
    let handed_over = signed(operators.next(replace, NOW_MS), &[1, 2, 4]);
    operators.follow(std::slice::from_ref(&handed_over)).unwrap();
    let later = |authority: &Authority, root_key: u8, signers: &[u8]| {
        let statement = TenantRoot { epoch: 1, key: key(root_key).public(), ..root() };
        let mut order = order(id("root"), Uuid::nil(), register(statement, signers));
        order.facts.operators = operators.clone().into();
        authority.decide(&order)
    };
    let granted = and(rooted(), grants(grant(), &[ROOT]));
    assert_eq!(later(&granted, ROOT, &[1, 2, 3]).unwrap_err().code, errors::STATEMENT_INVALID);
    for (root_key, keeps_grants) in [(ROOT, true), (30, false)] {
        let mut renewed = granted.clone();
        later(&renewed, root_key, &[4]).unwrap().into_iter().for_each(|event| renewed.evolve(event));
        assert_eq!(renewed.grant_of(&key(ISSUER).public()).is_some(), keeps_grants);
        assert_eq!(later(&renewed, root_key, &[4]).unwrap_err().code, errors::ROOT_EXISTS);
    }
    let mut system = system();
    system.evolve(QuorumReplaced { act: handed_over }.into());
    assert_eq!(system.operators().unwrap().quorum(), &quorum(1, &[4]));
}
