//! The one Neo transaction that a transfer command stands for (D9): a pure function of the signed command.

use nsl_neo::{
    Address, Hash160, PublicKey, Signature, Transaction, TransferRequest, UnsignedTransaction, Witness,
};
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::number::Datoshi;
use uuid::Uuid;

/// Why a command stands for no transaction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not `0x` and 40 lower-case hex digits.
    #[error("asset {0:?} is not 0x and 40 lower-case hex digits")]
    Asset(String),
    /// Not a Neo N3 address.
    #[error("recipient {0:?} is not a Neo N3 address")]
    Recipient(String),
    /// Above what a transaction can hold.
    #[error("fee {0} is above 2^63 - 1 datoshi")]
    Fee(Datoshi),
    /// Neo's own rules.
    #[error("transaction: {0}")]
    Transfer(#[from] nsl_neo::transfer::Error),
    /// Neo's own limits.
    #[error("transaction: {0}")]
    Transaction(#[from] nsl_neo::transaction::Error),
    /// The signature is not this key's over this transaction.
    #[error("signature does not match the transaction")]
    Signature,
}

/// Reads a command's transfer, so that the same texts always mean the same transaction.
pub fn transfer_request(
    command_id: Uuid,
    public_key: &PublicKey,
    command: &RequestTransfer,
) -> Result<TransferRequest, Error> {
    let asset: Hash160 = canonical(&command.asset).ok_or_else(|| Error::Asset(command.asset.clone()))?;
    let to: Address = canonical(&command.to).ok_or_else(|| Error::Recipient(command.to.clone()))?;
    let fee = |datoshi: Datoshi| i64::try_from(datoshi.0).map_err(|_| Error::Fee(datoshi));
    Ok(TransferRequest {
        command_id: command_id.into_bytes(),
        network_magic: command.network_magic,
        asset,
        from: *public_key,
        to: to.script_hash(),
        amount: command.amount.0,
        system_fee_datoshi: fee(command.system_fee_datoshi)?,
        network_fee_datoshi: fee(command.network_fee_datoshi)?,
        valid_until_block: command.valid_until_block,
    })
}

/// The unsigned transaction.
pub fn transfer(
    command_id: Uuid,
    public_key: &PublicKey,
    command: &RequestTransfer,
) -> Result<UnsignedTransaction, Error> {
    Ok(nsl_neo::build_transfer(&transfer_request(command_id, public_key, command)?)?)
}

/// The bytes to send, after checking that `signature` is the key's over exactly this transaction.
pub fn with_witness(
    command_id: Uuid,
    public_key: &PublicKey,
    command: &RequestTransfer,
    signature: &[u8],
) -> Result<Base64, Error> {
    let unsigned = transfer(command_id, public_key, command)?;
    let signature = Signature::from_bytes(signature.try_into().map_err(|_| Error::Signature)?);
    public_key
        .verify(&unsigned.sign_data(command.network_magic), &signature)
        .map_err(|_| Error::Signature)?;
    let witness = Witness::single_signature(public_key, &signature);
    Ok(Base64(Transaction::new(unsigned, vec![witness])?.to_bytes()))
}

/// Reads a text that must be the one text of its value: policies compare texts.
fn canonical<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|value| value.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_neo::{Hash256, PrivateKey};
    use nsl_schemas::number::Amount;
    use proptest::prelude::*;

    /// Two published test keys.
    const WIF: &str = "L1QqQJnpBwbsPGAuutuzPTac8piqvbR1HRjrY5qHup48TBCBFe4g";
    const OTHER_WIF: &str = "L2QTooFoDFyRFTxmtiVHt5CfsXfVnexdbENGDkkrrgTTryiLsPMG";
    const COMMAND: Uuid = Uuid::from_u128(7);
    /// r ‖ s begin behind PUSHDATA1 and the length.
    const SIGNATURE_AT: usize = 2;

    type Change = fn(&mut RequestTransfer);

    fn key(wif: &str) -> PrivateKey {
        nsl_neo::wif::decode(wif).unwrap()
    }

    fn command() -> RequestTransfer {
        RequestTransfer {
            network_magic: 56_753,
            asset: "0xd2a4cff31913016155e38e474a2c06d08be276cf".into(),
            to: "NMBfzaEq2c5zodiNbLPoohVENARMbJim1r".into(),
            amount: Amount(100),
            system_fee_datoshi: Datoshi(600),
            network_fee_datoshi: Datoshi(400),
            valid_until_block: 5_000,
        }
    }

    fn signature(wif: &str, command_id: Uuid, command: &RequestTransfer) -> [u8; 64] {
        let unsigned = transfer(command_id, &key(WIF).public_key(), command).unwrap();
        *key(wif).sign(&unsigned.sign_data(command.network_magic)).unwrap().as_bytes()
    }

    /// The error's own text and its causes'.
    fn failure(command: &RequestTransfer) -> String {
        transfer(COMMAND, &key(WIF).public_key(), command).unwrap_err().to_string()
    }

    #[test]
    fn the_transaction_has_the_commands_fields_and_no_others() {
        let request = transfer_request(COMMAND, &key(WIF).public_key(), &command()).unwrap();
        let unsigned = transfer(COMMAND, &key(WIF).public_key(), &command()).unwrap();
        assert_eq!(unsigned, nsl_neo::build_transfer(&request).unwrap());
        let fields = unsigned.fields();
        assert_eq!(fields.nonce, nsl_neo::nonce_from_command_id(&COMMAND.into_bytes()));
        assert_eq!((fields.system_fee_datoshi, fields.network_fee_datoshi), (600, 400));
        assert_eq!(fields.valid_until_block, 5_000);
        assert!(fields.attributes.is_empty());
        let [signer] = &fields.signers[..] else { panic!("{:?}", fields.signers) };
        let payer = key(WIF).public_key().script_hash();
        assert_eq!(*signer, nsl_neo::Signer::called_by_entry(payer));
        let recipient: Address = command().to.parse().unwrap();
        let paid = nsl_neo::Nep17Transfer {
            asset: command().asset.parse().unwrap(),
            from: payer,
            to: recipient.script_hash(),
            amount: 100,
        };
        assert_eq!(fields.script, paid.script().unwrap());
    }

    #[test]
    fn other_texts_of_the_same_value_stand_for_nothing() {
        let cases: [(Change, &str); 10] = [
            (|c| c.asset = c.asset.to_uppercase(), "asset \"0X"),
            (|c| c.asset = format!("0x{}", c.asset[2..].to_uppercase()), "asset \"0xD2"),
            (|c| c.asset = c.asset[2..].to_owned(), "asset \"d2"),
            (|c| c.asset.push(' '), "asset \"0xd2"),
            (|c| c.asset = String::new(), "asset \"\""),
            (|c| c.to.push(' '), "recipient \"NM"),
            (|c| c.to = c.to.to_lowercase(), "recipient \"nm"),
            (|c| c.to = String::new(), "recipient \"\""),
            (|c| c.system_fee_datoshi = Datoshi(1 << 63), "fee 9223372036854775808"),
            (|c| c.network_fee_datoshi = Datoshi(u64::MAX), "fee 18446744073709551615"),
        ];
        for (alter, begins) in cases {
            let mut altered = command();
            alter(&mut altered);
            assert!(failure(&altered).starts_with(begins), "{} is not {begins}", failure(&altered));
        }
    }

    #[test]
    fn what_neo_cannot_hold_stands_for_nothing() {
        let cases: [Change; 2] =
            [|c| c.amount = Amount(u128::MAX), |c| c.system_fee_datoshi = Datoshi(i64::MAX.unsigned_abs())];
        for alter in cases {
            let mut altered = command();
            alter(&mut altered);
            assert!(failure(&altered).starts_with("transaction: "), "{}", failure(&altered));
        }
    }

    #[test]
    fn a_witness_is_the_keys_signature_over_exactly_this_transaction() {
        let good = signature(WIF, COMMAND, &command());
        assert!(with_witness(COMMAND, &key(WIF).public_key(), &command(), &good).is_ok());
        let other_amount = RequestTransfer { amount: Amount(99), ..command() };
        let other_network = RequestTransfer { network_magic: 1, ..command() };
        let (swapped, zero) = ([&good[32..], &good[..32]].concat(), [0; 64]);
        let forged: [(&str, &[u8]); 9] = [
            ("none", &[]),
            ("63 bytes", &good[..63]),
            ("65 bytes", &[&good[..], &[0]].concat()),
            ("zeros", &zero),
            ("s and r", &swapped),
            ("another key's", &signature(OTHER_WIF, COMMAND, &command())),
            ("another command's", &signature(WIF, Uuid::nil(), &command())),
            ("another amount's", &signature(WIF, COMMAND, &other_amount)),
            ("another network's", &signature(WIF, COMMAND, &other_network)),
        ];
        for (name, bytes) in forged {
            let refused = with_witness(COMMAND, &key(WIF).public_key(), &command(), bytes);
            assert!(matches!(refused, Err(Error::Signature)), "{name}: {refused:?}");
        }
    }

    proptest! {
        /// D9: a command can never become two transactions, nor two commands one.
        #[test]
        fn a_command_stands_for_one_transaction(
            id: u128, other: u128, amount in 1..=u128::MAX >> 1, fee in 0..=1_u64 << 61, valid_until_block: u32,
        ) {
            let changed = RequestTransfer {
                amount: Amount(amount), system_fee_datoshi: Datoshi(fee), valid_until_block, ..command()
            };
            let hash = |id| transfer(Uuid::from_u128(id), &key(WIF).public_key(), &changed).unwrap().hash();
            prop_assert_eq!(hash(id), hash(id));
            let nonce = |id: u128| nsl_neo::nonce_from_command_id(&Uuid::from_u128(id).into_bytes());
            prop_assert_eq!(hash(id) == hash(other), nonce(id) == nonce(other));
        }

        /// What is sent reads back as what was signed, with a witness of the wallet's account that holds.
        #[test]
        fn the_bytes_to_send_read_back_and_verify(id: u128, amount in 1..=u128::MAX >> 1, network_magic: u32) {
            let (id, changed) =
                (Uuid::from_u128(id), RequestTransfer { amount: Amount(amount), network_magic, ..command() });
            let signed = signature(WIF, id, &changed);
            let sent = with_witness(id, &key(WIF).public_key(), &changed, &signed).unwrap();
            let read = Transaction::from_bytes(&sent.0).unwrap();
            let unsigned = transfer(id, &key(WIF).public_key(), &changed).unwrap();
            prop_assert_eq!(read.unsigned(), &unsigned);
            prop_assert_eq!(unsigned.hash().to_string().parse::<Hash256>().unwrap(), read.hash());
            let [witness] = read.witnesses() else { panic!("one witness") };
            let carried: [u8; 64] = witness.invocation[SIGNATURE_AT..].try_into().unwrap();
            prop_assert_eq!(carried, signed);
            let message = read.unsigned().sign_data(network_magic);
            let verdict = key(WIF).public_key().verify(&message, &Signature::from_bytes(carried));
            prop_assert!(verdict.is_ok());
        }

        #[test]
        fn any_other_bit_of_a_signature_is_refused(bit in 0_usize..512) {
            let mut forged = signature(WIF, COMMAND, &command());
            forged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(with_witness(COMMAND, &key(WIF).public_key(), &command(), &forged).is_err());
        }
    }
}
