//! The registers of an NSM, with its rules for extending and locking.

use std::collections::BTreeSet;

use nsl_verify::attestation::{PCR_BYTES, Pcr, pcr_after_extend};

use super::super::Refusal;

/// Registers of a Nitro NSM.
pub(super) const PCR_COUNT: u16 = 32;
/// Registers below this one belong to the hypervisor: locked from the start.
const FIRST_USER_PCR: u16 = 16;
/// Most data in one extension, as in QEMU's NSM; the device's own request has 4 KiB.
const EXTEND_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Register {
    value: Pcr,
    is_locked: bool,
}

/// A bank of 32 registers.
#[derive(Debug)]
pub(super) struct PcrBank {
    registers: Vec<Register>,
}

impl PcrBank {
    /// The bank of a booted enclave: PCR0 to PCR2 as measured, the others zero.
    pub(super) fn measured(measurements: [Pcr; 3]) -> Self {
        let values = measurements.into_iter().chain(std::iter::repeat([0; PCR_BYTES]));
        let registers = (0..PCR_COUNT)
            .zip(values)
            .map(|(index, value)| Register { value, is_locked: index < FIRST_USER_PCR })
            .collect();
        Self { registers }
    }

    /// The value of a register.
    pub(super) fn value(&self, index: u16) -> Result<Pcr, Refusal> {
        let register = self.registers.get(usize::from(index)).ok_or(Refusal::InvalidIndex)?;
        Ok(register.value)
    }

    /// Extends an open register.
    pub(super) fn extend(&mut self, index: u16, data: &[u8]) -> Result<Pcr, Refusal> {
        if data.len() > EXTEND_BYTES_MAX {
            return Err(Refusal::InputTooLarge);
        }
        let register = self.open(index)?;
        register.value = pcr_after_extend(register.value, data);
        Ok(register.value)
    }

    /// Locks an open register.
    pub(super) fn lock(&mut self, index: u16) -> Result<(), Refusal> {
        self.open(index)?.is_locked = true;
        Ok(())
    }

    /// The locked registers.
    pub(super) fn locked(&self) -> BTreeSet<u16> {
        self.indexed().filter(|(_, register)| register.is_locked).map(|(index, _)| u16::from(index)).collect()
    }

    /// The registers that a document carries: those that are locked or were extended.
    pub(super) fn attested(&self) -> impl Iterator<Item = (u8, Pcr)> {
        self.indexed()
            .filter(|(_, register)| register.is_locked || register.value != [0; PCR_BYTES])
            .map(|(index, register)| (index, register.value))
    }

    fn indexed(&self) -> impl Iterator<Item = (u8, &Register)> {
        (0u8..).zip(&self.registers)
    }

    fn open(&mut self, index: u16) -> Result<&mut Register, Refusal> {
        let register = self.registers.get_mut(usize::from(index)).ok_or(Refusal::InvalidIndex)?;
        if register.is_locked { Err(Refusal::ReadOnlyIndex) } else { Ok(register) }
    }
}
