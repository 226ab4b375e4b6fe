//! `transfer-quote`: what a transfer will cost, from a dry run and the network's prices, and how long that holds.

use nsl_neo::{Account, PublicKey, UnsignedTransaction};
use nsl_neo_rpc::VmState;
use nsl_policy::transaction;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors;
use nsl_schemas::number::Datoshi;
use nsl_schemas::query::{Quote, QuoteRequest};
use uuid::Uuid;

use super::network_terms::Terms;
use super::{Questions, Refusal};

impl Questions {
    pub(super) async fn transfer_quote(&self, question: QuoteRequest) -> Result<Quote, Refusal> {
        let (account, unpriced) = read(question)?;
        let Terms { network_magic, valid_until_block_increment_max, fee_policy } = self.terms.get().await?;
        let network_fee =
            fee_policy.network_fee_datoshi(&unpriced, &[account]).map_err(|error| invalid(&error))?;
        let system_fee = self.dry_run(&unpriced).await?;
        let block_count = self.node.block_count().await?;
        // A node takes what ends at most the increment after its newest block, which is block_count - 1.
        let ahead = self.valid_for_blocks.get().min(valid_until_block_increment_max.saturating_sub(1));
        Ok(Quote {
            network_magic,
            system_fee_datoshi: datoshi(system_fee)?,
            network_fee_datoshi: datoshi(network_fee)?,
            valid_until_block: block_count.saturating_add(ahead),
            block_count,
        })
    }

    /// What the script costs when the sender has signed; a transfer that fails now would fail on the chain.
    async fn dry_run(&self, transaction: &UnsignedTransaction) -> Result<i64, Refusal> {
        let fields = transaction.fields();
        let run = self.node.invoke_script(&fields.script, &fields.signers).await?;
        match run.state {
            VmState::Halt => Ok(run.gas_consumed_datoshi),
            VmState::Fault => Err(Refusal {
                code: errors::NODE_REJECTED,
                message: run.exception.unwrap_or_else(|| "the dry run failed without a reason".to_owned()),
            }),
        }
    }
}

/// The very transaction that the command will stand for, but for its id, fees and last block: their fields have a
/// fixed size, so that it is as long as the real one.
fn read(question: QuoteRequest) -> Result<(Account, UnsignedTransaction), Refusal> {
    let QuoteRequest { public_key, asset, to, amount } = question;
    let command = RequestTransfer {
        network_magic: 0,
        asset,
        to,
        amount,
        system_fee_datoshi: Datoshi(0),
        network_fee_datoshi: Datoshi(0),
        valid_until_block: 0,
    };
    let public_key = public_key.parse::<PublicKey>().map_err(|error| invalid(&error))?;
    let request =
        transaction::transfer_request(Uuid::nil(), &public_key, &command).map_err(|error| invalid(&error))?;
    let unsigned = nsl_neo::build_transfer(&request).map_err(|error| invalid(&error))?;
    Ok((Account::SingleSignature(request.from), unsigned))
}

fn datoshi(fee: i64) -> Result<Datoshi, Refusal> {
    u64::try_from(fee).map(Datoshi).map_err(|_| Refusal {
        code: errors::UNAVAILABLE,
        message: "the node names a negative fee".to_owned(),
    })
}

fn invalid(error: &dyn std::error::Error) -> Refusal {
    let causes = std::iter::successors(Some(error), |error| error.source());
    Refusal::invalid(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use nsl_schemas::number::Amount;

    use super::*;

    fn question() -> QuoteRequest {
        QuoteRequest {
            // The generator of P-256, compressed.
            public_key: "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296".to_owned(),
            asset: "0xd2a4cff31913016155e38e474a2c06d08be276cf".to_owned(),
            to: "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP".to_owned(),
            amount: Amount(1),
        }
    }

    #[test]
    fn a_question_names_one_transfer_and_says_what_is_wrong_with_it() {
        assert!(read(question()).is_ok());
        let upper = question().asset.to_uppercase();
        for (wrong, expected) in [
            (QuoteRequest { public_key: "02".into(), ..question() }, "public key"),
            (QuoteRequest { public_key: "zz".into(), ..question() }, "public key"),
            (QuoteRequest { asset: upper, ..question() }, "asset"),
            (QuoteRequest { asset: "GAS".into(), ..question() }, "asset"),
            (QuoteRequest { to: "0x00".into(), ..question() }, "recipient"),
            (QuoteRequest { amount: Amount(u128::MAX), ..question() }, "2^127"),
        ] {
            let refusal = read(wrong).unwrap_err();
            assert_eq!(refusal.code, errors::QUERY_INVALID);
            assert!(refusal.message.contains(expected), "{}", refusal.message);
        }
    }
}
