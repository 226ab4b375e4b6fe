//! NEP-17 token transfers as scripts, and back.
//!
//! The script calls `transfer(from, to, amount, null)` and asserts its answer, so that a refused transfer
//! ends the transaction in FAULT. The reader takes exactly what the writer makes and nothing else: what it
//! shows is all that the script does.

use crate::binary::{self, Reader};
use crate::hash::Hash160;
use crate::script::{self, Argument, CallFlags, ScriptBuilder, opcode};

const METHOD: &str = "transfer";

/// Why a transfer is not built or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The amount is over what a script pushes as a 128-bit number.
    #[error("a transfer's amount is at most 2^127 - 1, not {0}")]
    AmountTooLarge(u128),
    /// The script cannot be built.
    #[error("transfer script")]
    Script(#[source] script::Error),
    /// The script ends too early or has bytes left.
    #[error("transfer script: {0}")]
    Binary(#[from] binary::Error),
    /// The script does something else than one asserted transfer.
    #[error("the script is not exactly one asserted token transfer")]
    NotATransfer,
}

/// One transfer of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nep17Transfer {
    /// The token's contract.
    pub asset: Hash160,
    /// The account that pays; its witness is needed.
    pub from: Hash160,
    /// The account that receives.
    pub to: Hash160,
    /// Smallest units of the token.
    pub amount: u128,
}

impl Nep17Transfer {
    /// The script of the transfer.
    pub fn script(&self) -> Result<Vec<u8>, Error> {
        let amount = i128::try_from(self.amount).map_err(|_| Error::AmountTooLarge(self.amount))?;
        let arguments = [
            Argument::Hash160(self.from),
            Argument::Hash160(self.to),
            Argument::Integer(amount),
            Argument::Null,
        ];
        let mut script = ScriptBuilder::new();
        script.call_contract(self.asset, METHOD, CallFlags::ALL, &arguments).assert();
        script.finish().map_err(Error::Script)
    }

    /// Reads a script that `script` made.
    pub fn parse_script(script: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(script);
        if reader.byte("data")? != opcode::PUSHNULL {
            return Err(Error::NotATransfer);
        }
        let amount = read_amount(&mut reader)?;
        let to = read_hash160(&mut reader)?;
        let from = read_hash160(&mut reader)?;
        // Argument count, PACK, call flags, and the method with its push.
        reader.slice("method", 3 + 2 + METHOD.len())?;
        let asset = read_hash160(&mut reader)?;
        let transfer = Self { asset, from, to, amount };
        // Building it again judges all that was skipped and every form that is not the shortest.
        if transfer.script()? == script { Ok(transfer) } else { Err(Error::NotATransfer) }
    }
}

fn read_amount(reader: &mut Reader<'_>) -> Result<u128, Error> {
    let what = "amount";
    let value = match reader.byte(what)? {
        opcode::PUSHINT8 => i128::from(i8::from_le_bytes(reader.array(what)?)),
        opcode::PUSHINT16 => i128::from(i16::from_le_bytes(reader.array(what)?)),
        opcode::PUSHINT32 => i128::from(i32::from_le_bytes(reader.array(what)?)),
        opcode::PUSHINT64 => i128::from(i64::from_le_bytes(reader.array(what)?)),
        opcode::PUSHINT128 => i128::from_le_bytes(reader.array(what)?),
        small => match small.checked_sub(opcode::PUSH0) {
            Some(value) if value <= 16 => i128::from(value),
            _ => return Err(Error::NotATransfer),
        },
    };
    u128::try_from(value).map_err(|_| Error::NotATransfer)
}

fn read_hash160(reader: &mut Reader<'_>) -> Result<Hash160, Error> {
    if reader.array("account")? != [opcode::PUSHDATA1, 20] {
        return Err(Error::NotATransfer);
    }
    Ok(Hash160::from_le_bytes(reader.array("account")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native;
    use crate::witness_condition::tests::any_hash160;
    use proptest::prelude::*;

    fn transfer(amount: u128) -> Nep17Transfer {
        Nep17Transfer {
            asset: native::GAS,
            from: Hash160::from_le_bytes([1; 20]),
            to: Hash160::from_le_bytes([2; 20]),
            amount,
        }
    }

    #[test]
    fn the_script_is_the_documented_call_and_an_assert() {
        let script = transfer(100_000_000).script().unwrap();
        assert_eq!(
            hex::encode(script),
            format!(
                "0b0200e1f5050c14{}0c14{}14c01f0c087472616e736665720c14cf76e28bd0062c4a478ee35561011319f3cfa4d2\
                 41627d5b5239",
                "02".repeat(20),
                "01".repeat(20)
            )
        );
    }

    #[test]
    fn an_amount_over_127_bits_is_refused() {
        let amount = i128::MAX.unsigned_abs();
        assert!(transfer(amount).script().is_ok());
        assert_eq!(transfer(amount + 1).script(), Err(Error::AmountTooLarge(amount + 1)));
    }

    #[test]
    fn scripts_of_another_shape_are_refused() {
        let script = transfer(5).script().unwrap();
        let mut with_data = script.clone();
        with_data[0] = 0x11;
        let without_assert = script[..script.len() - 1].to_vec();
        let mut twice = script.clone();
        twice.extend(&script);
        let wide_amount = [&[0x0B, 0x00, 0x05], &script[2..]].concat();
        let negative_amount = [&[0x0B, 0x00, 0xFF], &script[2..]].concat();
        let text = String::from_utf8_lossy(METHOD.as_bytes()).into_owned();
        let at = script.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        let mut other_method = script.clone();
        other_method[at] = b'T';
        for script in [with_data, without_assert, twice, wide_amount, negative_amount, other_method] {
            assert!(Nep17Transfer::parse_script(&script).is_err(), "{}", hex::encode(&script));
        }
    }

    proptest! {
        #[test]
        fn transfers_read_back(
            asset in any_hash160(), from in any_hash160(), to in any_hash160(), amount in 0..i128::MAX,
            narrow in 0_u32..128,
        ) {
            let transfer = Nep17Transfer { asset, from, to, amount: amount.unsigned_abs() >> narrow };
            prop_assert_eq!(Nep17Transfer::parse_script(&transfer.script().unwrap()), Ok(transfer));
        }

        #[test]
        fn every_changed_byte_is_refused_or_shown(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut script = transfer(1_000_000).script().unwrap();
            let at = at.index(script.len());
            script[at] = byte;
            if let Ok(read) = Nep17Transfer::parse_script(&script) {
                prop_assert_eq!(read.script().unwrap(), script);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Nep17Transfer::parse_script(&bytes);
        }
    }
}
