use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::attribute::tests::any_attribute;
use crate::signer::tests::any_signer;

fn fields() -> TransactionFields {
    TransactionFields {
        nonce: 0x0102_0304,
        system_fee_datoshi: 100_000_000,
        network_fee_datoshi: 1,
        valid_until_block: 0x0506_0708,
        signers: vec![Signer::called_by_entry(Hash160::from_le_bytes([0xAA; 20]))],
        attributes: vec![],
        script: vec![0x11],
    }
}

fn changed(change: impl FnOnce(&mut TransactionFields)) -> Result<UnsignedTransaction, Error> {
    let mut fields = fields();
    change(&mut fields);
    UnsignedTransaction::new(fields)
}

prop_compose! {
    fn any_fields()(
        nonce in any::<u32>(),
        system_fee_datoshi in 0..=i64::MAX / 2,
        network_fee_datoshi in 0..=i64::MAX / 2,
        valid_until_block in any::<u32>(),
        signers in vec(any_signer(), 1..4),
        mut attributes in vec(any_attribute(), 0..4),
        script in vec(any::<u8>(), 1..400),
    ) -> TransactionFields {
        let mut kept: Vec<Attribute> = Vec::new();
        for attribute in attributes.drain(..) {
            if !kept.iter().any(|earlier| earlier.excludes(&attribute)) {
                kept.push(attribute);
            }
        }
        TransactionFields {
            nonce, system_fee_datoshi, network_fee_datoshi, valid_until_block, signers, attributes: kept, script,
        }
    }
}

prop_compose! {
    /// Half of the witnesses have a script whose hash is the account, half are a contract's.
    fn any_transaction()(mut fields in any_fields(), scripts in vec((vec(any::<u8>(), 0..200), any::<bool>()), 3))
        -> Transaction {
        let mut witnesses = Vec::new();
        for (index, (signer, (script, own))) in fields.signers.iter_mut().zip(scripts).enumerate() {
            let mut verification = if own { script } else { Vec::new() };
            if own {
                verification.push(u8::try_from(index).unwrap());
                signer.account = Hash160::of_script(&verification);
            }
            witnesses.push(Witness { invocation: vec![0x11; index], verification });
        }
        Transaction::new(UnsignedTransaction::new(fields).unwrap(), witnesses).unwrap()
    }
}

#[test]
fn fields_stand_in_the_documented_order() {
    let transaction = UnsignedTransaction::new(fields()).unwrap();
    let expected = [
        "00",                                           // version
        "04030201",                                     // nonce
        "00e1f50500000000",                             // system fee
        "0100000000000000",                             // network fee
        "08070605",                                     // valid until
        "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01", // one signer, called by entry
        "00",                                           // no attributes
        "0111",                                         // script
    ]
    .concat();
    assert_eq!(hex::encode(transaction.to_bytes()), expected);
    let sign_data = transaction.sign_data(0x334F_454E);
    assert_eq!(sign_data[..4], *b"NEO3");
    assert_eq!(sign_data[4..], transaction.hash().as_le_bytes()[..]);
}

#[test]
fn fields_outside_the_limits_are_refused_by_name() {
    let account = |byte| Signer::fee_only(Hash160::from_le_bytes([byte; 20]));
    let fees = |system_datoshi, network_datoshi| Err(Error::Fees { system_datoshi, network_datoshi });
    assert_eq!(changed(|fields| fields.system_fee_datoshi = -1), fees(-1, 1));
    assert_eq!(changed(|fields| fields.network_fee_datoshi = -1), fees(100_000_000, -1));
    assert_eq!(changed(|fields| fields.system_fee_datoshi = i64::MAX), fees(i64::MAX, 1));
    assert_eq!(changed(|fields| fields.signers.clear()), Err(Error::NoSigner));
    assert_eq!(
        changed(|fields| fields.signers = vec![account(1), account(2), account(1)]),
        Err(Error::DuplicateSigner(Hash160::from_le_bytes([1; 20])))
    );
    assert_eq!(
        changed(|fields| fields.signers = (0..17).map(account).collect()),
        Err(Error::TooManySignersAndAttributes(17))
    );
    assert_eq!(
        changed(|fields| fields.attributes = vec![Attribute::HighPriority; 2]),
        Err(Error::DuplicateAttribute)
    );
    assert_eq!(changed(|fields| fields.script.clear()), Err(Error::ScriptLength(0)));
    assert_eq!(changed(|fields| fields.script = vec![0; 65_536]), Err(Error::ScriptLength(65_536)));
    let oversized_result =
        Attribute::OracleResponse { id: 1, code: attribute::OracleCode::Success, result: vec![0; 65_535] };
    let too_large = changed(|fields| {
        fields.attributes = vec![oversized_result];
        fields.script = vec![0; 40_000];
    });
    assert!(matches!(too_large, Err(Error::TooLarge(_))), "{too_large:?}");
}

#[test]
fn witnesses_must_fit_the_signers() {
    let unsigned = UnsignedTransaction::new(fields()).unwrap();
    let account = unsigned.fields().signers[0].account;
    let witness = |invocation: usize, verification: usize| Witness {
        invocation: vec![0; invocation],
        verification: vec![0; verification],
    };
    for (witnesses, error) in [
        (vec![], Error::WitnessCount { signers: 1, witnesses: 0 }),
        (vec![witness(1025, 0)], Error::WitnessScriptLength(1025)),
        (vec![witness(0, 1025)], Error::WitnessScriptLength(1025)),
        (vec![witness(0, 1)], Error::ForeignWitness(account)),
    ] {
        assert_eq!(Transaction::new(unsigned.clone(), witnesses), Err(error));
    }
    assert!(Transaction::new(unsigned, vec![witness(1024, 0)]).is_ok());
}

#[test]
fn bytes_over_the_limit_or_of_another_version_are_refused() {
    assert_eq!(
        Transaction::from_bytes(&vec![0; TRANSACTION_BYTES_LIMIT + 1]),
        Err(Error::TooLarge(TRANSACTION_BYTES_LIMIT + 1))
    );
    let mut bytes = UnsignedTransaction::new(fields()).unwrap().to_bytes();
    bytes[0] = 1;
    assert_eq!(UnsignedTransaction::from_bytes(&bytes), Err(Error::Version(1)));
}

proptest! {
    #[test]
    fn transactions_read_back(transaction in any_transaction()) {
        let bytes = transaction.to_bytes();
        prop_assert_eq!(Transaction::from_bytes(&bytes).unwrap(), transaction.clone());
        let unsigned = transaction.unsigned().clone();
        prop_assert_eq!(UnsignedTransaction::from_bytes(&unsigned.to_bytes()).unwrap(), unsigned);
    }

    #[test]
    fn truncated_and_extended_bytes_are_refused(
        transaction in any_transaction(), at in any::<prop::sample::Index>(),
    ) {
        let mut bytes = transaction.to_bytes();
        prop_assert!(Transaction::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(Transaction::from_bytes(&bytes).is_err());
    }

    #[test]
    fn changed_bytes_are_refused_or_read_as_what_they_say(
        transaction in any_transaction(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = transaction.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Transaction::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Transaction::from_bytes(&bytes);
        let _ = UnsignedTransaction::from_bytes(&bytes);
    }
}
