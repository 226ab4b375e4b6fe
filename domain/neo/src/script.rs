//! NeoVM scripts: opcodes, system calls and a builder that always chooses the shortest push.
//!
//! The same calls give the same bytes, which is what lets an enclave rebuild a client's transaction.

use crate::hash::Hash160;
use crate::public_key::PublicKey;
use crate::signature::Signature;

/// Longest script in a transaction (protocol).
pub const SCRIPT_BYTES_LIMIT: usize = 65_535;

/// Why a script is not built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The script is over the protocol's limit.
    #[error("a script has at most 65535 bytes, this one would have more")]
    TooLong,
}

/// The opcodes in use.
pub(crate) mod opcode {
    pub(crate) const PUSHINT8: u8 = 0x00;
    pub(crate) const PUSHINT16: u8 = 0x01;
    pub(crate) const PUSHINT32: u8 = 0x02;
    pub(crate) const PUSHINT64: u8 = 0x03;
    pub(crate) const PUSHINT128: u8 = 0x04;
    pub(crate) const PUSHT: u8 = 0x08;
    pub(crate) const PUSHF: u8 = 0x09;
    pub(crate) const PUSHNULL: u8 = 0x0B;
    pub(crate) const PUSHDATA1: u8 = 0x0C;
    pub(crate) const PUSHDATA2: u8 = 0x0D;
    pub(crate) const PUSHM1: u8 = 0x0F;
    pub(crate) const PUSH0: u8 = 0x10;
    pub(crate) const ASSERT: u8 = 0x39;
    pub(crate) const SYSCALL: u8 = 0x41;
    pub(crate) const PACK: u8 = 0xC0;
    pub(crate) const NEWARRAY0: u8 = 0xC2;
}

/// A system call: the first four bytes of the SHA-256 of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syscall([u8; 4]);

impl Syscall {
    /// `System.Crypto.CheckSig`
    pub const CHECK_SIG: Self = Self([0x56, 0xE7, 0xB3, 0x27]);
    /// `System.Crypto.CheckMultisig`
    pub const CHECK_MULTISIG: Self = Self([0x9E, 0xD0, 0xDC, 0x3A]);
    /// `System.Contract.Call`
    pub const CONTRACT_CALL: Self = Self([0x62, 0x7D, 0x5B, 0x52]);
}

/// What a called contract may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallFlags(u8);

impl CallFlags {
    /// Read storage and call others.
    pub const READ_ONLY: Self = Self(0b0101);
    /// Everything: read, write, call, notify.
    pub const ALL: Self = Self(0b1111);
}

/// An argument of a contract call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A number.
    Integer(i128),
    /// Bytes or UTF-8 text.
    Bytes(Vec<u8>),
    /// An account or a contract.
    Hash160(Hash160),
    /// A public key.
    PublicKey(PublicKey),
    /// A list.
    Array(Vec<Argument>),
}

/// Builds a script from pushes and calls; `finish` judges its length.
#[derive(Debug, Default)]
pub struct ScriptBuilder {
    bytes: Vec<u8>,
    data_too_long: bool,
}

impl ScriptBuilder {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pushes Null.
    pub fn push_null(&mut self) -> &mut Self {
        self.opcode(opcode::PUSHNULL)
    }

    /// Pushes a truth value.
    pub fn push_boolean(&mut self, value: bool) -> &mut Self {
        self.opcode(if value { opcode::PUSHT } else { opcode::PUSHF })
    }

    /// Pushes a number in its shortest form.
    pub fn push_integer(&mut self, value: i128) -> &mut Self {
        if value == -1 {
            self.opcode(opcode::PUSHM1)
        } else if let Some(small) = u8::try_from(value).ok().filter(|small| *small <= 16) {
            self.opcode(opcode::PUSH0 + small)
        } else if let Ok(narrow) = i8::try_from(value) {
            self.opcode(opcode::PUSHINT8).raw(&narrow.to_le_bytes())
        } else if let Ok(narrow) = i16::try_from(value) {
            self.opcode(opcode::PUSHINT16).raw(&narrow.to_le_bytes())
        } else if let Ok(narrow) = i32::try_from(value) {
            self.opcode(opcode::PUSHINT32).raw(&narrow.to_le_bytes())
        } else if let Ok(narrow) = i64::try_from(value) {
            self.opcode(opcode::PUSHINT64).raw(&narrow.to_le_bytes())
        } else {
            self.opcode(opcode::PUSHINT128).raw(&value.to_le_bytes())
        }
    }

    /// Pushes bytes. PUSHDATA4 does not occur: what needs it does not fit into a script.
    pub fn push_data(&mut self, data: &[u8]) -> &mut Self {
        if let Ok(length) = u8::try_from(data.len()) {
            self.opcode(opcode::PUSHDATA1).opcode(length).raw(data)
        } else if let Ok(length) = u16::try_from(data.len()) {
            self.opcode(opcode::PUSHDATA2).raw(&length.to_le_bytes()).raw(data)
        } else {
            self.data_too_long = true;
            self
        }
    }

    /// Pushes an argument.
    pub fn push(&mut self, argument: &Argument) -> &mut Self {
        match argument {
            Argument::Null => self.push_null(),
            Argument::Boolean(value) => self.push_boolean(*value),
            Argument::Integer(value) => self.push_integer(*value),
            Argument::Bytes(bytes) => self.push_data(bytes),
            Argument::Hash160(hash) => self.push_data(hash.as_le_bytes()),
            Argument::PublicKey(key) => self.push_data(key.as_bytes()),
            Argument::Array(items) => self.push_array(items),
        }
    }

    /// Pushes a list: the last item first, so that the first lies on top when they are packed.
    pub fn push_array(&mut self, items: &[Argument]) -> &mut Self {
        if items.is_empty() {
            return self.opcode(opcode::NEWARRAY0);
        }
        for item in items.iter().rev() {
            self.push(item);
        }
        self.push_count(items.len()).opcode(opcode::PACK)
    }

    /// Calls a system function.
    pub fn syscall(&mut self, call: Syscall) -> &mut Self {
        self.opcode(opcode::SYSCALL).raw(&call.0)
    }

    /// Calls a method of a contract.
    pub fn call_contract(
        &mut self,
        contract: Hash160,
        method: &str,
        flags: CallFlags,
        arguments: &[Argument],
    ) -> &mut Self {
        self.push_array(arguments)
            .push_integer(i128::from(flags.0))
            .push_data(method.as_bytes())
            .push_data(contract.as_le_bytes())
            .syscall(Syscall::CONTRACT_CALL)
    }

    /// Ends the transaction in FAULT unless the topmost value is true.
    pub fn assert(&mut self) -> &mut Self {
        self.opcode(opcode::ASSERT)
    }

    /// The finished script.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        if self.data_too_long || self.bytes.len() > SCRIPT_BYTES_LIMIT {
            return Err(Error::TooLong);
        }
        Ok(self.bytes)
    }

    fn push_count(&mut self, count: usize) -> &mut Self {
        // A count over i128 cannot exist; the saturated value keeps this total.
        self.push_integer(i128::try_from(count).unwrap_or(i128::MAX))
    }

    fn opcode(&mut self, opcode: u8) -> &mut Self {
        self.bytes.push(opcode);
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// The script that passes when `key` signed: what an address hashes.
pub(crate) fn single_signature_verification(key: &PublicKey) -> Vec<u8> {
    let mut script = ScriptBuilder::new();
    script.push_data(key.as_bytes()).syscall(Syscall::CHECK_SIG);
    script.bytes
}

/// The script that passes when `threshold` of `keys` signed.
pub(crate) fn multisig_verification(threshold: usize, keys: &[PublicKey]) -> Vec<u8> {
    let mut script = ScriptBuilder::new();
    script.push_count(threshold);
    for key in keys {
        script.push_data(key.as_bytes());
    }
    script.push_count(keys.len()).syscall(Syscall::CHECK_MULTISIG);
    script.bytes
}

/// The script that pushes signatures for a verification script.
pub(crate) fn signatures_invocation<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> Vec<u8> {
    let mut script = ScriptBuilder::new();
    for signature in signatures {
        script.push_data(signature.as_bytes());
    }
    script.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    fn built(build: impl FnOnce(&mut ScriptBuilder)) -> String {
        let mut script = ScriptBuilder::new();
        build(&mut script);
        hex::encode(script.finish().unwrap())
    }

    #[test]
    fn syscalls_are_the_hashes_of_their_names() {
        for (call, name) in [
            (Syscall::CHECK_SIG, "System.Crypto.CheckSig"),
            (Syscall::CHECK_MULTISIG, "System.Crypto.CheckMultisig"),
            (Syscall::CONTRACT_CALL, "System.Contract.Call"),
        ] {
            assert_eq!(call.0, sha256(name.as_bytes())[..4], "{name}");
        }
    }

    #[test]
    fn integers_take_the_shortest_push() {
        for (value, script) in [
            (-1, "0f"),
            (0, "10"),
            (16, "20"),
            (17, "0011"),
            (127, "007f"),
            (-128, "0080"),
            (128, "018000"),
            (-32_768, "010080"),
            (32_768, "0200800000"),
            (1 << 31, "030000008000000000"),
            (i128::from(i64::MAX), "03ffffffffffffff7f"),
            (i128::from(i64::MAX) + 1, "0400000000000000800000000000000000"),
            (i128::MAX, "04ffffffffffffffffffffffffffffff7f"),
        ] {
            assert_eq!(
                built(|builder| {
                    builder.push_integer(value);
                }),
                script,
                "{value}"
            );
        }
    }

    #[test]
    fn data_takes_the_shortest_length() {
        let script = built(|builder| {
            builder.push_data(&[7; 255]);
        });
        assert!(script.starts_with("0cff07"));
        let script = built(|builder| {
            builder.push_data(&[7; 256]);
        });
        assert!(script.starts_with("0d000107"));
    }

    #[test]
    fn a_call_pushes_its_arguments_last_to_first() {
        let script = built(|builder| {
            let arguments =
                [Argument::Boolean(true), Argument::Null, Argument::Array(vec![]), Argument::Integer(-1)];
            builder.call_contract(Hash160::from_le_bytes([9; 20]), "m", CallFlags::READ_ONLY, &arguments);
        });
        assert_eq!(script, format!("0fc20b0814c0150c016d0c14{}41627d5b52", "09".repeat(20)));
    }

    #[test]
    fn a_script_over_the_limit_is_refused() {
        let mut fits = ScriptBuilder::new();
        fits.push_data(&vec![0; SCRIPT_BYTES_LIMIT - 3]);
        assert_eq!(fits.finish().map(|script| script.len()), Ok(SCRIPT_BYTES_LIMIT));
        for length in [SCRIPT_BYTES_LIMIT - 2, SCRIPT_BYTES_LIMIT + 1] {
            let mut script = ScriptBuilder::new();
            script.push_data(&vec![0; length]);
            assert_eq!(script.finish(), Err(Error::TooLong), "{length}");
        }
    }
}
