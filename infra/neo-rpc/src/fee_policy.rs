//! The network's prices, read from its Policy contract.

use nsl_neo::FeePolicy;
use nsl_neo::fee::PICO_PER_DATOSHI;
use nsl_neo::native;
use nsl_neo::script::{CallFlags, ScriptBuilder};

use crate::client::Client;
use crate::error::Error;
use crate::invocation::VmState;

const METHOD: &str = "invokescript";

impl Client {
    /// Reads what a network fee is made of.
    pub async fn fee_policy(&self) -> Result<FeePolicy, Error> {
        let fee_per_byte = self.policy_value("getFeePerByte").await?;
        // Networks before the Faun hard fork give the factor in whole datoshi, under another name.
        let exec_fee_factor_pico = match self.policy_value("getExecPicoFeeFactor").await? {
            Some(pico) => Some(pico),
            None => self
                .policy_value("getExecFeeFactor")
                .await?
                .and_then(|factor| factor.checked_mul(PICO_PER_DATOSHI.into())),
        };
        let known = |value: Option<i128>| value.and_then(|value| u32::try_from(value).ok());
        known(fee_per_byte)
            .zip(known(exec_fee_factor_pico))
            .map(|(fee_per_byte_datoshi, exec_fee_factor_pico)| FeePolicy {
                fee_per_byte_datoshi,
                exec_fee_factor_pico,
            })
            .ok_or_else(|| Error::malformed(METHOD, "the policy contract gives no fee in range"))
    }

    /// `None` when the contract has no such method.
    async fn policy_value(&self, getter: &str) -> Result<Option<i128>, Error> {
        let mut script = ScriptBuilder::new();
        script.call_contract(native::POLICY, getter, CallFlags::READ_ONLY, &[]);
        let script = script.finish().expect("one call without arguments is far below the script limit");
        let invocation = self.invoke_script(&script, &[]).await?;
        match (invocation.state, invocation.stack.as_slice()) {
            (VmState::Halt, [value]) => Ok(value.as_integer()),
            (VmState::Fault, _) => Ok(None),
            (VmState::Halt, _) => Err(Error::malformed(METHOD, "a getter leaves one value")),
        }
    }
}
