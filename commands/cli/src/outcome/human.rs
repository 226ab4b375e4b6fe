//! Outcomes for people: facts as `label  value`, rows as tables without borders.

use comfy_table::{Table, presets};
use nsl_schemas::canonical;
use nsl_schemas::policy::Policy;
use nsl_schemas::query::{Balance, Page, Price, SigningRequest, Transaction, Wallet};
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::sealing::SealingStatus;

use super::{
    CheckedWallet, ExitCodeMeaning, NamedContext, Outcome, Recorded, TransferFacts, secrets, workers,
};
use crate::assets::{PRICE_DECIMALS, show_amount, show_gas, show_units};

impl Outcome {
    /// The text for people; empty when there is nothing more to say.
    pub(crate) fn human(&self) -> String {
        match self {
            Self::ContextAdded { name, is_selected } => {
                format!("context {name} added{}", if *is_selected { " and selected" } else { "" })
            }
            Self::ContextsListed { contexts } => contexts_table(contexts),
            Self::ContextSelected { name } => format!("context {name} selected"),
            Self::ContextShown { name, context } => {
                let path = |path: &Option<std::path::PathBuf>| {
                    path.as_ref().map_or_else(String::new, |path| path.display().to_string())
                };
                facts(&[
                    ("name", name.clone()),
                    ("url", context.url.clone()),
                    ("tenant", context.tenant.to_string()),
                    ("user", context.user.clone().unwrap_or_default()),
                    ("password file", path(&context.password_file)),
                    ("issuer file", path(&context.issuer_file)),
                    ("genesis file", path(&context.genesis_file)),
                ])
            }
            Self::ContextRemoved { name } => format!("context {name} removed"),
            Self::KeyGenerated { public_key, seed_file } => facts(&[
                ("public key", public_key.to_string()),
                ("seed file", seed_file.display().to_string()),
            ]),
            Self::GenesisShown { sha256, manifest } => {
                let manifest = &manifest.statement;
                let builds: Vec<_> = manifest.builds.iter().map(|build| build.name.as_str()).collect();
                facts(&[
                    ("sha256", sha256.to_string()),
                    ("log origin", manifest.log_origin.clone()),
                    ("quorum", format!("{} of {}", manifest.quorum.threshold, manifest.quorum.keys.len())),
                    ("attestation root", manifest.attestation_root_sha256.to_string()),
                    ("builds", builds.join(", ")),
                ])
            }
            Self::WorkerAttested { key, build, module_id, attested_at_ms } => facts(&[
                ("worker", key.to_string()),
                ("build", build.clone()),
                ("module", module_id.clone()),
                ("attested at ms", attested_at_ms.to_string()),
            ]),
            Self::AuthorityShown(operators) => facts(&operators.rows()),
            Self::StatementWritten { file, statement } => {
                format!("{}\nto be signed: {}", statement.human(), file.display())
            }
            Self::StatementSigned { file, key, statement } => {
                format!("{}\nsigned by {key}: {}", statement.human(), file.display())
            }
            Self::StatementRecorded { statement, command } => {
                format!("{}\n{}", statement.human(), recorded(command))
            }
            Self::CustodianKeyGenerated { public_key, key_file } => {
                facts(&[("public key", public_key.to_string()), ("key file", key_file.display().to_string())])
            }
            Self::SealingKeyFounded { epoch, key_id, command } => {
                format!("sealing key {key_id} of epoch {epoch} founded\n{}", recorded(command))
            }
            Self::ShareProvided { worker, status } => {
                format!("share given to worker {worker}\n{}", sealing_keys(status))
            }
            Self::ResealRequested { sealing_key_id, asked: 0, pending: 0 } => {
                format!("every wallet's key is sealed with {sealing_key_id}")
            }
            Self::ResealRequested { sealing_key_id, asked, pending } => format!(
                "{asked} wallets asked, {pending} under way; run this again until every key is sealed with {sealing_key_id}"
            ),
            Self::SealingStatusShown { workers } => workers
                .iter()
                .map(|one| {
                    format!("worker {} at {}\n{}", one.worker, one.endpoint, sealing_keys(&one.status))
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Self::WalletCreated(wallet) => {
                format!("wallet {} created, its birth certificate holds\n{}", wallet.wallet, checked(wallet))
            }
            Self::WalletVerified(wallet) => {
                format!("the birth certificate of wallet {} holds\n{}", wallet.wallet, checked(wallet))
            }
            Self::WalletsListed(page) => wallets_table(page),
            Self::WalletShown(wallet) => wallet_facts(wallet),
            Self::PolicyChanged { wallet, policy_sha256, position, command } => {
                format!(
                    "policy {policy_sha256} of wallet {wallet} is in force since position {position}\n{}",
                    recorded(command)
                )
            }
            Self::TransferAccepted { transfer, command } => {
                format!("accepted: {}\n{}", transferred(transfer), recorded(command))
            }
            Self::TransferSigned { transfer, tx_hash, valid_until_block, command } => format!(
                "signed: {}\ntransaction {tx_hash}, valid until block {valid_until_block}\n{}",
                transferred(transfer),
                recorded(command)
            ),
            Self::TransferConfirmed { transfer, tx_hash, block_index, gas_consumed_datoshi: _, command } => {
                format!(
                    "confirmed: {}\ntransaction {tx_hash} in block {block_index}\n{}",
                    transferred(transfer),
                    recorded(command)
                )
            }
            Self::BalancesShown { wallet: _, address, balances } => balances_table(address, balances),
            Self::RequestsListed(page) => requests_table(page),
            Self::RequestShown(request) => request_facts(request),
            Self::TransactionsListed(page) => transactions_table(page),
            Self::SecretStored(sealed) => sealed.human("stored secret"),
            Self::SecretReadersChanged(sealed) => sealed.human("changed the readers of secret"),
            Self::SecretRead(read) => read.human(),
            Self::SecretsListed(page) => secrets::table(page),
            Self::SecretShown(secret) => secrets::shown(secret),
            Self::SecretDestroyed { secret, command } => {
                format!("secret {secret} destroyed\n{}", recorded(command))
            }
            Self::PriceShown(price) => price_facts(price),
            Self::PricesListed(page) => prices_table(page),
            Self::WorkersListed { hosts } => workers::show(hosts),
            Self::CommandAccepted { command } => format!("accepted\n{}", recorded(command)),
            Self::AttestationExamined(report) => report.human(),
            Self::ResultShown { result } => result_facts(result),
            Self::PageShown { code: _, page } => page.clone(),
            Self::CompletionsWritten { script } => script.clone(),
            Self::ExitCodesShown { exit_codes } => exit_codes_table(exit_codes),
            Self::Streamed => String::new(),
        }
    }
}

/// A worker's sealing keys, and those that it waits for.
fn sealing_keys(status: &SealingStatus) -> String {
    let has = status.keys.iter().map(|key| format!("has {} of epoch {}", key.key_id, key.epoch));
    let waits = status.waiting.iter().map(|one| {
        let (key, names) = (&one.key, one.shares.join(", "));
        let (have, need) = (one.shares.len(), one.threshold);
        format!("waits for {} of epoch {}: {have} of {need} shares ({names})", key.key_id, key.epoch)
    });
    has.chain(waits).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let told = || rows.iter().filter(|(_, value)| !value.is_empty());
    let width = told().map(|(label, _)| label.len()).max().unwrap_or_default();
    let lines: Vec<_> = told().map(|(label, value)| format!("{label:width$}  {value}")).collect();
    lines.join("\n")
}

pub(super) fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headers.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A table of one page, with the way to the next.
pub(super) fn page_table<T>(page: &Page<T>, headers: &[&str], row: impl Fn(&T) -> Vec<String>) -> String {
    let text = table(headers, page.data.iter().map(row));
    match &page.next {
        Some(next) => format!("{text}\nmore: --after {next}"),
        None => text,
    }
}

fn contexts_table(contexts: &[NamedContext]) -> String {
    let rows = contexts.iter().map(|one| {
        let mark = if one.is_selected { "*" } else { "" };
        vec![mark.to_owned(), one.name.clone(), one.context.url.clone(), one.context.tenant.to_string()]
    });
    table(&["", "NAME", "URL", "TENANT"], rows)
}

pub(super) fn recorded(command: &Recorded) -> String {
    facts(&[
        ("command", command.command_id.to_string()),
        ("position", command.first_position.to_string()),
        ("version", command.version.map_or_else(String::new, |version| version.to_string())),
    ])
}

fn checked(wallet: &CheckedWallet) -> String {
    facts(&[
        ("address", wallet.address.clone()),
        ("public key", wallet.public_key.clone()),
        ("policy", wallet.policy_sha256.to_string()),
        ("command", wallet.command_id.to_string()),
        ("position", wallet.position.to_string()),
    ])
}

fn transferred(transfer: &TransferFacts) -> String {
    format!(
        "{} from {} to {} (fees {} + {})",
        show_amount(&transfer.asset, transfer.amount),
        transfer.wallet,
        transfer.to,
        show_gas(transfer.system_fee_datoshi),
        show_gas(transfer.network_fee_datoshi)
    )
}

fn wallets_table(page: &Page<Wallet>) -> String {
    page_table(page, &["WALLET", "STATUS", "ADDRESS", "VERSION"], |wallet| {
        let address = wallet.address.clone().unwrap_or_default();
        vec![wallet.id.to_string(), wallet.status.clone(), address, wallet.version.to_string()]
    })
}

fn wallet_facts(wallet: &Wallet) -> String {
    let policy = &wallet.policy;
    let assets: Vec<_> = policy.assets.iter().map(|rule| show_amount(&rule.asset, rule.amount_max)).collect();
    facts(&[
        ("wallet", wallet.id.to_string()),
        ("status", wallet.status.clone()),
        ("address", wallet.address.clone().unwrap_or_default()),
        ("public key", wallet.public_key.clone().unwrap_or_default()),
        ("owners", format!("{} of {}", policy.owners.threshold, policy.owners.keys.len())),
        ("network", policy.network_magic.to_string()),
        ("at most", assets.join(", ")),
        ("recipients", policy.recipients.as_ref().map_or_else(|| "any".to_owned(), |list| list.join(", "))),
        ("fees at most", show_gas(policy.fee_max_datoshi)),
        ("rules", rules(policy)),
        ("policy", policy.sha256().to_string()),
        ("version", wallet.version.to_string()),
        ("position", wallet.position.to_string()),
    ])
}

/// The rules beyond the bounds, as the policy's file has them.
fn rules(policy: &Policy) -> String {
    if policy.rules.is_empty() { String::new() } else { canonical::to_string(&policy.rules) }
}

fn balances_table(address: &str, balances: &[Balance]) -> String {
    let rows = balances.iter().map(|balance| {
        let amount = show_units(balance.amount.0, balance.decimals);
        vec![balance.symbol.clone(), amount, balance.asset.clone()]
    });
    format!("{address}\n{}", table(&["ASSET", "AMOUNT", "CONTRACT"], rows))
}

fn requests_table(page: &Page<SigningRequest>) -> String {
    page_table(page, &["REQUEST", "WALLET", "STATUS", "AMOUNT", "TO"], |request| {
        vec![
            request.id.to_string(),
            request.wallet.to_string(),
            request.status.clone(),
            show_amount(&request.asset, request.amount),
            request.to.clone(),
        ]
    })
}

fn request_facts(request: &SigningRequest) -> String {
    facts(&[
        ("request", request.id.to_string()),
        ("wallet", request.wallet.to_string()),
        ("status", request.status.clone()),
        (
            "approvals missing",
            request.approvals_missing.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
        ("not before", request.not_before_ms.map(|at_ms| format!("{at_ms} ms")).unwrap_or_default()),
        ("refused with", request.refusal_code.clone().unwrap_or_default()),
        ("amount", show_amount(&request.asset, request.amount)),
        ("to", request.to.clone()),
        ("transaction", request.tx_hash.clone()),
        ("position", request.position.to_string()),
    ])
}

fn transactions_table(page: &Page<Transaction>) -> String {
    page_table(page, &["TRANSACTION", "WALLET", "STATUS", "BLOCK", "REASON"], |transaction| {
        vec![
            transaction.tx_hash.clone(),
            transaction.wallet.to_string(),
            transaction.status.clone(),
            transaction.block_index.map_or_else(String::new, |index| index.to_string()),
            transaction.reason.clone().unwrap_or_default(),
        ]
    })
}

fn show_price(price_e8: nsl_schemas::number::PriceE8) -> String {
    show_units(u128::from(price_e8.0), PRICE_DECIMALS)
}

fn sources(price: &Price) -> String {
    let names: Vec<_> = price.sources.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn price_facts(price: &Price) -> String {
    facts(&[
        ("pair", price.pair.to_string()),
        ("price", show_price(price.price_e8)),
        ("confidence", show_price(price.confidence_e8)),
        ("as of", format!("{} ms", price.as_of_ms)),
        ("good for", format!("{} ms", price.age_max_ms)),
        ("sources", sources(price)),
        ("round", price.round.to_string()),
        ("position", price.position.to_string()),
    ])
}

fn prices_table(page: &Page<Price>) -> String {
    page_table(page, &["PAIR", "PRICE", "CONFIDENCE", "ROUND", "SOURCES"], |price| {
        vec![
            price.pair.to_string(),
            show_price(price.price_e8),
            show_price(price.confidence_e8),
            price.round.to_string(),
            sources(price),
        ]
    })
}

fn result_facts(result: &CommandResult) -> String {
    let (status, version, code, message) = match &result.answer {
        Answer::Accepted { version } => ("accepted", version.to_string(), String::new(), String::new()),
        Answer::Rejected { code, message } => ("rejected", String::new(), code.clone(), message.clone()),
    };
    facts(&[
        ("command", result.command_id.to_string()),
        ("status", status.to_owned()),
        ("code", code),
        ("message", message),
        ("position", result.first_position.to_string()),
        ("events", result.event_count.to_string()),
        ("version", version),
    ])
}

fn exit_codes_table(exit_codes: &[ExitCodeMeaning]) -> String {
    let rows = exit_codes.iter().map(|one| vec![one.exit_code.to_string(), one.meaning.to_owned()]);
    table(&["CODE", "MEANING"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_align_and_leave_out_what_is_unknown() {
        let rows = [("a", "1".to_owned()), ("longer", "2".to_owned()), ("unknown fact", String::new())];
        assert_eq!(facts(&rows), "a       1\nlonger  2");
    }

    #[test]
    fn reasons_are_stable() {
        let outcome = Outcome::ContextAdded { name: "local".into(), is_selected: true };
        assert_eq!(
            serde_json::to_string(&outcome).unwrap(),
            "{\"reason\":\"context_added\",\"name\":\"local\",\"is_selected\":true}"
        );
        assert_eq!(outcome.human(), "context local added and selected");
    }

    #[test]
    fn a_page_shows_the_way_to_the_next() {
        let page = Page { data: vec![1, 2], next: Some("2".to_owned()) };
        let text = page_table(&page, &["NUMBER"], |number| vec![number.to_string()]);
        assert!(text.starts_with("NUMBER") && text.ends_with("more: --after 2"), "{text}");
    }
}
