//! Changes to bytes, as chance, a broken disk or a host makes them.

use fastrand::Rng;

/// Bytes that one change inserts, removes or repeats, at most.
const CHANGED_BYTES_MAX: usize = 64;

/// Changes something anywhere.
pub fn mutate(random: &mut Rng, input: &mut Vec<u8>) {
    if input.is_empty() {
        return input.push(random.u8(..));
    }
    let at = random.usize(..input.len());
    let end = (at + random.usize(1..=CHANGED_BYTES_MAX)).min(input.len());
    match random.u8(..8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => input.extend_from_within(at..end),
        3 => {
            let repeated = input[at..end].to_vec();
            drop(input.splice(at..at, repeated));
        }
        4 => input.insert(at, random.u8(..)),
        5 => input[at..end].fill(if random.bool() { 0 } else { 0xff }),
        6 => input[at] = random.u8(..),
        _ => input[at] ^= 1 << random.u8(..8),
    }
}
