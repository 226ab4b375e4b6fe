//! The whole path on a real private node: dry run, fees, submission, confirmation, balances.
//!
//! Needs `NSL_TEST_NEO_RPC`, the URL of a node whose only committee member has the well-known key of neo-go's
//! tests. Without it the tests pass and say that they did nothing.

#![allow(clippy::unwrap_used, reason = "in a test a failed step is the finding")]

use std::io::Write as _;
use std::time::Duration;

use nsl_neo::attribute::Attribute;
use nsl_neo::signer::{ScopeLimits, WitnessScope};
use nsl_neo::witness_condition::{RuleAction, WitnessCondition, WitnessRule};
use nsl_neo::{
    Account, Address, FeePolicy, Hash160, Hash256, Multisig, Nep17Transfer, PrivateKey, Signer, Transaction,
    TransactionFields, TransferRequest, UnsignedTransaction, Witness, build_transfer, native, sign_transfer,
    wif,
};
use nsl_neo_rpc::{Client, Error, KnownWhere, StackItem, Submission, VmState};
use zeroize::Zeroizing;

const GENESIS_WIF: &str = "KxyjQ8eUa4FHt3Gvioyt1Wz29cTUrE4eTqX3yFSk1YFCsPL8uNsY";
const ONE_GAS: u128 = 100_000_000;

struct Network {
    client: Client,
    magic: u32,
    policy: FeePolicy,
}

impl Network {
    /// The network under test, or `None` after saying so.
    async fn connect() -> Option<Self> {
        let Ok(url) = std::env::var("NSL_TEST_NEO_RPC") else {
            // Written past the test harness, which hides the output of passing tests.
            let reason = "SKIPPED: NSL_TEST_NEO_RPC is not set, so nothing was tested against a Neo node";
            let mut stderr = std::io::stderr();
            writeln!(stderr, "{reason}").unwrap();
            return None;
        };
        let client = Client::new(&url, Duration::from_secs(10)).unwrap();
        let magic = client.version().await.unwrap().network_magic;
        let policy = client.fee_policy().await.unwrap();
        Some(Self { client, magic, policy })
    }

    async fn valid_until_block(&self) -> u32 {
        self.client.block_count().await.unwrap() + 100
    }

    /// Waits until a block holds the transaction, at most until none can hold it any more.
    async fn confirmed(&self, transaction: &Transaction) -> u32 {
        while self.client.block_count().await.unwrap() <= transaction.unsigned().fields().valid_until_block {
            if let Some(height) = self.client.transaction_height(transaction.hash()).await.unwrap() {
                return height;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} was in no block before it expired", transaction.hash());
    }

    async fn submit_and_confirm(&self, transaction: &Transaction) -> u32 {
        let submission = self.client.send_raw_transaction(transaction).await.unwrap();
        assert_eq!(submission, Submission::Accepted);
        let height = self.confirmed(transaction).await;
        let log = self.client.application_log(transaction.hash()).await.unwrap().unwrap();
        assert_eq!(log.executions[0].state, VmState::Halt, "{log:?}");
        height
    }

    async fn gas_of(&self, account: Hash160) -> u128 {
        let balances = self.client.nep17_balances(Address::from(account)).await.unwrap();
        balances.iter().find(|balance| balance.asset == native::GAS).map_or(0, |balance| balance.amount)
    }

    /// Pays GAS from the genesis account: a 1-of-1 multi-signature account of the well-known key.
    async fn fund(&self, to: Hash160, amount: u128) -> Transaction {
        let key = wif::decode(GENESIS_WIF).unwrap();
        let group = Multisig::new(1, vec![key.public_key()]).unwrap();
        let account = Account::Multisig(group.clone());
        let from = account.script_hash();
        let transfer = Nep17Transfer { asset: native::GAS, from, to, amount };
        let mut fields = TransactionFields {
            nonce: u32::from_le_bytes(random()),
            system_fee_datoshi: 0,
            network_fee_datoshi: 0,
            valid_until_block: self.valid_until_block().await,
            signers: vec![Signer::called_by_entry(from)],
            attributes: vec![],
            script: transfer.script().unwrap(),
        };
        let dry_run = self.client.invoke_script(&fields.script, &fields.signers).await.unwrap();
        assert_eq!(dry_run.state, VmState::Halt, "{dry_run:?}");
        fields.system_fee_datoshi = dry_run.gas_consumed_datoshi;
        let unpriced = UnsignedTransaction::new(fields.clone()).unwrap();
        fields.network_fee_datoshi = self.policy.network_fee_datoshi(&unpriced, &[account]).unwrap();
        let unsigned = UnsignedTransaction::new(fields).unwrap();
        let signature = key.sign(&unsigned.sign_data(self.magic)).unwrap();
        let witness = group.witness(&[(key.public_key(), signature)]).unwrap();
        Transaction::new(unsigned, vec![witness]).unwrap()
    }

    /// A priced transfer of GAS by `key`.
    async fn request(&self, key: &PrivateKey, to: Hash160, amount: u128) -> TransferRequest {
        let unpriced = TransferRequest {
            command_id: random(),
            network_magic: self.magic,
            asset: native::GAS,
            from: key.public_key(),
            to,
            amount,
            system_fee_datoshi: 0,
            network_fee_datoshi: 0,
            valid_until_block: self.valid_until_block().await,
        };
        let unsigned = build_transfer(&unpriced).unwrap();
        let fields = unsigned.fields();
        let dry_run = self.client.invoke_script(&fields.script, &fields.signers).await.unwrap();
        let accounts = [Account::SingleSignature(key.public_key())];
        TransferRequest {
            system_fee_datoshi: dry_run.gas_consumed_datoshi,
            network_fee_datoshi: self.policy.network_fee_datoshi(&unsigned, &accounts).unwrap(),
            ..unpriced
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn fresh_key() -> PrivateKey {
    PrivateKey::from_bytes(Zeroizing::new(random())).unwrap()
}

#[tokio::test]
async fn genesis_funds_a_fresh_key_which_pays_exactly_amount_and_fees() {
    let Some(network) = Network::connect().await else { return };
    let (key, recipient) = (fresh_key(), Hash160::from_le_bytes(random()));
    let from = key.public_key().script_hash();

    let funding = network.fund(from, 5 * ONE_GAS).await;
    network.submit_and_confirm(&funding).await;
    assert_eq!(network.gas_of(from).await, 5 * ONE_GAS);

    let request = network.request(&key, recipient, 2 * ONE_GAS).await;
    let transfer = sign_transfer(&request, &key).unwrap();
    let height = network.submit_and_confirm(&transfer).await;

    let fees = u128::try_from(request.system_fee_datoshi + request.network_fee_datoshi).unwrap();
    assert_eq!(network.gas_of(from).await, 3 * ONE_GAS - fees);
    assert_eq!(network.gas_of(recipient).await, 2 * ONE_GAS);

    let block = network.client.block(height).await.unwrap().unwrap();
    assert!(block.transaction_hashes.contains(&transfer.hash()));
    assert_eq!(block.index, height);
    assert_eq!(network.client.raw_transaction(transfer.hash()).await.unwrap(), Some(transfer.clone()));

    let log = network.client.application_log(transfer.hash()).await.unwrap().unwrap();
    let announced = &log.executions[0].notifications[0];
    assert_eq!((announced.contract, announced.event_name.as_str()), (native::GAS, "Transfer"));
    let parties = [from, recipient].map(|account| StackItem::Bytes(account.as_le_bytes().to_vec()));
    let [payer, receiver] = parties;
    let amount = StackItem::Integer(i128::try_from(2 * ONE_GAS).unwrap());
    assert_eq!(announced.state, StackItem::Array(vec![payer, receiver, amount]));

    let again = network.client.send_raw_transaction(&transfer).await.unwrap();
    assert_eq!(again, Submission::AlreadyKnown(KnownWhere::Chain));
}

#[tokio::test]
async fn the_local_network_fee_is_the_nodes() {
    let Some(network) = Network::connect().await else { return };
    let keys: Vec<_> = (0..29).map(|_| fresh_key().public_key()).collect();
    let multisig = |threshold: usize, count: usize| {
        Account::Multisig(Multisig::new(threshold, keys[..count].to_vec()).unwrap())
    };
    let single = Account::SingleSignature(keys[0]);
    for accounts in [
        vec![single.clone()],
        vec![multisig(1, 1)],
        vec![multisig(3, 4)],
        vec![multisig(4, 17)],
        vec![multisig(15, 29)],
        vec![single, multisig(2, 3)],
    ] {
        let from = accounts[0].script_hash();
        let transfer = Nep17Transfer { asset: native::GAS, from, to: from, amount: ONE_GAS };
        let unsigned = UnsignedTransaction::new(TransactionFields {
            nonce: 1,
            system_fee_datoshi: 0,
            network_fee_datoshi: 0,
            valid_until_block: network.valid_until_block().await,
            signers: accounts.iter().map(|account| Signer::called_by_entry(account.script_hash())).collect(),
            attributes: vec![],
            script: transfer.script().unwrap(),
        })
        .unwrap();
        let local = network.policy.network_fee_datoshi(&unsigned, &accounts).unwrap();
        let template = template(unsigned, &accounts);
        let node = network.client.calculate_network_fee_datoshi(&template).await.unwrap();
        assert_eq!(local, node, "{accounts:?}");
    }
}

fn template(unsigned: UnsignedTransaction, accounts: &[Account]) -> Transaction {
    let witnesses = accounts
        .iter()
        .map(|account| Witness { invocation: vec![], verification: account.verification_script() })
        .collect();
    Transaction::new(unsigned, witnesses).unwrap()
}

#[tokio::test]
async fn the_node_reads_every_scope_and_attribute_as_written() {
    let Some(network) = Network::connect().await else { return };
    let key = fresh_key().public_key();
    let account = Account::SingleSignature(key);
    let (hash, other) = (account.script_hash(), Hash160::from_le_bytes(random()));
    let any_of = WitnessCondition::Or(vec![
        WitnessCondition::Boolean(false),
        WitnessCondition::ScriptHash(hash),
        WitnessCondition::Group(key),
        WitnessCondition::CalledByEntry,
        WitnessCondition::CalledByContract(other),
        WitnessCondition::CalledByGroup(key),
    ]);
    let nested =
        WitnessCondition::Not(Box::new(WitnessCondition::And(vec![WitnessCondition::Boolean(true)])));
    let rules = vec![
        WitnessRule { action: RuleAction::Deny, condition: nested },
        WitnessRule { action: RuleAction::Allow, condition: any_of },
    ];
    let limits =
        ScopeLimits { called_by_entry: true, contracts: vec![hash, other], groups: vec![key], rules };
    let signers = vec![
        Signer { account: hash, scope: WitnessScope::Limited(limits) },
        Signer { account: other, scope: WitnessScope::Global },
    ];
    let dry_run = network.client.invoke_script(&[0x11], &signers).await.unwrap();
    assert_eq!((dry_run.state, &dry_run.stack[..]), (VmState::Halt, &[StackItem::Integer(1)][..]));

    let unsigned = UnsignedTransaction::new(TransactionFields {
        nonce: 1,
        system_fee_datoshi: 0,
        network_fee_datoshi: 0,
        valid_until_block: network.valid_until_block().await,
        signers: signers[..1].to_vec(),
        attributes: vec![
            Attribute::HighPriority,
            Attribute::NotValidBefore(5),
            Attribute::Conflicts(Hash256::from_le_bytes([1; 32])),
            Attribute::NotaryAssisted { key_count: 2 },
        ],
        script: vec![0x11],
    })
    .unwrap();
    // The node decodes the transaction before it answers; a field misread would be an error or another size.
    let size =
        i64::try_from(template(unsigned.clone(), std::slice::from_ref(&account)).to_bytes().len()).unwrap();
    let fee = network.client.calculate_network_fee_datoshi(&template(unsigned, &[account])).await.unwrap();
    assert!(fee > size * i64::from(network.policy.fee_per_byte_datoshi));
}

#[tokio::test]
async fn refusals_are_told_apart_by_their_codes() {
    let Some(network) = Network::connect().await else { return };
    let key = fresh_key();
    let from = key.public_key().script_hash();
    network.submit_and_confirm(&network.fund(from, ONE_GAS).await).await;
    let valid = network.request(&key, from, 1).await;

    let foreign_network = TransferRequest { network_magic: network.magic + 1, ..valid };
    let expired = TransferRequest { valid_until_block: 0, ..valid };
    let underpaid = TransferRequest { network_fee_datoshi: valid.network_fee_datoshi - 1, ..valid };
    let unaffordable = TransferRequest { system_fee_datoshi: 2 * 100_000_000, ..valid };
    for (request, expected) in
        [(foreign_network, -508), (expired, -510), (underpaid, -500), (unaffordable, -511)]
    {
        let transaction = sign_transfer(&request, &key).unwrap();
        let submission = network.client.send_raw_transaction(&transaction).await.unwrap();
        assert!(
            matches!(submission, Submission::Rejected { code, .. } if code == expected),
            "{expected}: {submission:?}"
        );
    }
    network.submit_and_confirm(&sign_transfer(&valid, &key).unwrap()).await;
}

#[tokio::test]
async fn what_does_not_exist_is_none_and_what_is_wrong_is_an_error() {
    let Some(network) = Network::connect().await else { return };
    let client = &network.client;
    let unknown = Hash256::from_le_bytes(random());
    assert_eq!(client.transaction_height(unknown).await.unwrap(), None);
    assert_eq!(client.raw_transaction(unknown).await.unwrap(), None);
    assert_eq!(client.application_log(unknown).await.unwrap(), None);
    assert_eq!(client.block(u32::MAX).await.unwrap(), None);
    assert_eq!(client.nep17_balances(Address::from(Hash160::from_le_bytes(random()))).await.unwrap(), vec![]);
    assert_eq!(client.invoke_script(&[0x38], &[]).await.unwrap().state, VmState::Fault);
    let contract_without_code = TransactionFields {
        nonce: 1,
        system_fee_datoshi: 0,
        network_fee_datoshi: 0,
        valid_until_block: network.valid_until_block().await,
        signers: vec![Signer::fee_only(Hash160::from_le_bytes(random()))],
        attributes: vec![],
        script: vec![0x11],
    };
    let unsigned = UnsignedTransaction::new(contract_without_code).unwrap();
    let empty = Witness { invocation: vec![], verification: vec![] };
    let transaction = Transaction::new(unsigned, vec![empty]).unwrap();
    let refused = client.calculate_network_fee_datoshi(&transaction).await;
    assert!(matches!(refused, Err(Error::Rpc { .. })), "{refused:?}");
    let version = client.version().await.unwrap();
    assert_eq!(version.address_version, nsl_neo::address::ADDRESS_VERSION);
    assert!(version.max_valid_until_block_increment > 0);
}
