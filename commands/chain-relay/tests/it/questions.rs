//! Questions and their answers.

use nsl_client::QueryError;
use nsl_client::transfer::Transfer;
use nsl_neo::{Account, Address, PublicKey, Transaction, Witness, native};
use nsl_schemas::command::wallet::WalletCommand;
use nsl_schemas::errors;
use nsl_schemas::number::Amount;
use nsl_schemas::query::{Balance, BalancesRequest, Quote, QuoteRequest, name};
use serde_json::{Value, json};

use crate::chain::{ONE_GAS, fresh_account, fresh_key, quoted_transfer};
use crate::service::{World, world};

fn key_text(key: PublicKey) -> String {
    hex::encode(key.as_bytes())
}

fn gas(to: Address, amount: u128) -> Transfer {
    Transfer { asset: native::GAS.to_string(), to: to.to_string(), amount: Amount(amount) }
}

async fn balances(world: &World, address: Address) -> Vec<Balance> {
    let question = BalancesRequest { address: address.to_string() };
    world.client.query(&world.tenant, name::BALANCES, &question).await.unwrap()
}

fn code(answer: Result<Value, QueryError>) -> String {
    match answer {
        Err(QueryError::Answered { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_quote_is_the_node_s_own_fee_and_pays_for_exactly_that_transfer() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    world.answers().await;
    let (key, recipient) = (fresh_key(), Address::from(fresh_account()));
    let sender = Address::from(key.public_key().script_hash());
    world.chain.fund(sender.script_hash(), 5 * ONE_GAS).await;

    let transfer = gas(recipient, 2 * ONE_GAS);
    let public_key = key_text(key.public_key());
    let quote = world.client.quote_transfer(&world.tenant, &public_key, &transfer).await.unwrap();
    let transaction = quoted_transfer(&key, recipient.script_hash(), 2 * ONE_GAS, &quote);
    let verification = Account::SingleSignature(key.public_key()).verification_script();
    let witness = Witness { invocation: vec![], verification };
    let template = Transaction::new(transaction.unsigned().clone(), vec![witness]).unwrap();
    let node_fee = world.chain.node.calculate_network_fee_datoshi(&template).await.unwrap();
    assert_eq!(i64::try_from(quote.network_fee_datoshi.0).unwrap(), node_fee);
    assert_eq!(quote.network_magic, world.chain.magic);
    assert_eq!(quote.valid_until_block, quote.block_count + 240);

    let job = world.write_side.job(&transaction);
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    let WalletCommand::RecordConfirmation(confirmed) = &heard.command else { panic!("{:?}", heard.command) };
    assert_eq!(confirmed.gas_consumed_datoshi, quote.system_fee_datoshi);
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;

    let fees = u128::from(quote.system_fee_datoshi.0 + quote.network_fee_datoshi.0);
    for (address, amount) in [(sender, 3 * ONE_GAS - fees), (recipient, 2 * ONE_GAS)] {
        let expected = Balance {
            asset: native::GAS.to_string(),
            symbol: "GAS".to_owned(),
            decimals: 8,
            amount: Amount(amount),
        };
        assert_eq!(balances(&world, address).await, [expected]);
    }
}

#[tokio::test]
async fn the_committee_s_account_has_neo_before_gas() {
    let Some(world) = world().await else { return };
    let _relay = world.relay();
    world.answers().await;
    let held = balances(&world, "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP".parse().unwrap()).await;
    let symbols: Vec<_> = held.iter().map(|balance| (balance.symbol.as_str(), balance.decimals)).collect();
    assert_eq!(symbols, [("NEO", 0), ("GAS", 8)]);
}

#[tokio::test]
async fn what_is_asked_wrongly_or_would_fail_is_refused_by_code() {
    let Some(world) = world().await else { return };
    let _relay = world.relay();
    world.answers().await;
    let question = QuoteRequest {
        public_key: key_text(fresh_key().public_key()),
        asset: native::GAS.to_string(),
        to: Address::from(fresh_account()).to_string(),
        amount: Amount(1),
    };
    let with = |field: &str, value: Value| {
        let mut question = serde_json::to_value(&question).unwrap();
        question[field] = value;
        question
    };
    let oversized = json!({ "address": "N".repeat(5000) });
    let deep = json!({ "address": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]] });
    let (invalid, rejected) = (errors::QUERY_INVALID.code, errors::NODE_REJECTED.code);
    for (name, question, expected) in [
        (name::TRANSFER_QUOTE, serde_json::to_value(&question).unwrap(), rejected),
        (name::TRANSFER_QUOTE, with("asset", fresh_account().to_string().into()), rejected),
        (name::TRANSFER_QUOTE, with("asset", "GAS".into()), invalid),
        (name::TRANSFER_QUOTE, with("to", "nobody".into()), invalid),
        (name::TRANSFER_QUOTE, with("amount", 1.into()), invalid),
        (name::TRANSFER_QUOTE, with("public_key", "00".into()), invalid),
        (name::TRANSFER_QUOTE, with("note", "more".into()), invalid),
        (name::TRANSFER_QUOTE, json!([]), invalid),
        (name::BALANCES, json!({ "address": "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHQ" }), invalid),
        (name::BALANCES, json!({}), invalid),
        (name::BALANCES, oversized, invalid),
        (name::BALANCES, deep, invalid),
    ] {
        let answer = world.client.query::<_, Value>(&world.tenant, name, &question).await;
        assert_eq!(code(answer), expected, "{name} {question}");
    }
}

#[tokio::test]
async fn a_node_that_is_away_makes_answers_unavailable() {
    let Some(world) = world().await else { return };
    let _relay = world.relay_of("http://127.0.0.1:1");
    world.answers().await;
    let recipient = Address::from(fresh_account());
    let public_key = key_text(fresh_key().public_key());
    let quote = world.client.quote_transfer(&world.tenant, &public_key, &gas(recipient, 1)).await;
    let unavailable = errors::UNAVAILABLE.code;
    assert_eq!(code(quote.map(|quote: Quote| json!(quote))), unavailable);
    let question = BalancesRequest { address: recipient.to_string() };
    let balances = world.client.query::<_, Value>(&world.tenant, name::BALANCES, &question).await;
    assert_eq!(code(balances), unavailable);
}
