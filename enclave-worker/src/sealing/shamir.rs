//! Shamir's sharing of a sealing key's secret over GF(256), byte by byte, in constant time.
//!
//! The field is that of the polynomial 0x11d, and a share is its number followed by its bytes, as the crate `blahaj` has
//! them, so that a quorum can use the shares without us.

use nsl_schemas::sealing::SHARE_BYTES;
use zeroize::Zeroizing;

use crate::seal::SEALING_SECRET_BYTES;

/// x⁸ without its own term: what a carry out of a byte stands for.
const REDUCTION: u8 = 0x1d;

/// A secret, or one coefficient for each of its bytes.
pub(super) type Secret = Zeroizing<[u8; SEALING_SECRET_BYTES]>;
/// A number from 1 and the polynomials' values there.
pub(super) type Share = Zeroizing<[u8; SHARE_BYTES]>;

/// The share with `number`, which is not 0, of polynomials with these uniformly random coefficients, lowest first; one
/// share more than there are coefficients brings the secret back, and fewer tell nothing.
pub(super) fn share(secret: &Secret, coefficients: &[Secret], number: u8) -> Share {
    let mut share = Zeroizing::new([number; SHARE_BYTES]);
    for (index, byte) in share.iter_mut().skip(1).enumerate() {
        let terms = std::iter::once(secret).chain(coefficients).filter_map(|term| term.get(index));
        *byte = terms.rev().fold(0, |value, term| multiply(value, number) ^ term);
    }
    share
}

/// The secret of as many shares as bring it back, of different numbers; of others, nothing that is known.
pub(super) fn combine(shares: &[&Share]) -> Secret {
    let mut secret = Zeroizing::new([0; SEALING_SECRET_BYTES]);
    for (place, share) in shares.iter().enumerate() {
        let others =
            shares.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other[0]);
        // Lagrange's weight at zero: the product of x ∕ (x − own), where minus is plus.
        let weight = others.fold(1, |weight, x| multiply(weight, multiply(x, inverse(x ^ share[0]))));
        for (byte, value) in secret.iter_mut().zip(share.iter().skip(1)) {
            *byte ^= multiply(weight, *value);
        }
    }
    secret
}

/// The product, by masks: neither branches nor addresses depend on what is multiplied.
fn multiply(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..u8::BITS {
        product ^= a & (b >> bit & 1).wrapping_neg();
        a = (a << 1) ^ (REDUCTION & (a >> 7).wrapping_neg());
    }
    product
}

/// The inverse, x²⁵⁴; 0 for 0.
fn inverse(x: u8) -> u8 {
    // 254 is 11111110 in binary: seven squarings, each but the first multiplied in.
    (0..7)
        .fold((x, 1), |(power, product), _| {
            let square = multiply(power, power);
            (square, multiply(product, square))
        })
        .1
}

#[cfg(test)]
mod tests {
    use blahaj::{Share as Reference, Sharks};
    use proptest::prelude::*;

    use super::*;

    fn shares(secret: [u8; 32], coefficients: &[[u8; 32]], count: u8) -> Vec<Share> {
        let coefficients: Vec<_> = coefficients.iter().copied().map(Zeroizing::new).collect();
        (1..=count).map(|number| share(&Zeroizing::new(secret), &coefficients, number)).collect()
    }

    #[test]
    fn every_number_but_zero_has_an_inverse() {
        for x in 1..=u8::MAX {
            assert_eq!(multiply(x, inverse(x)), 1, "{x}");
        }
        // The generator's cycle has the field's full length, so the polynomial is the primitive one.
        let cycle = std::iter::successors(Some(2_u8), |x| Some(multiply(*x, 2))).take(255);
        assert_eq!(cycle.collect::<std::collections::BTreeSet<_>>().len(), 255);
        assert_eq!(multiply(0x80, 2), REDUCTION);
    }

    proptest! {
        #[test]
        fn any_quorum_brings_the_secret_back_and_blahaj_agrees(
            secret: [u8; 32],
            coefficients in prop::collection::vec(any::<[u8; 32]>(), 0..15),
            seed: u64,
        ) {
            let threshold = coefficients.len() + 1;
            let mut all = shares(secret, &coefficients, 16);
            // Another quorum each time.
            let turn = usize::try_from(seed % 16).unwrap();
            all.rotate_left(turn);
            let quorum: Vec<&Share> = all.iter().take(threshold).collect();
            prop_assert_eq!(*combine(&quorum), secret);
            let reference: Vec<Reference> =
                quorum.iter().map(|share| Reference::try_from(share.as_slice()).unwrap()).collect();
            let sharks = Sharks(u8::try_from(threshold).unwrap());
            prop_assert_eq!(sharks.recover(&reference).unwrap(), secret);
            if threshold > 1 {
                let fewer: Vec<&Share> = all.iter().take(threshold - 1).collect();
                // The top coefficient alone decides, unless it is zero.
                let is_lower = coefficients[threshold - 2] == [0; 32];
                prop_assert_eq!(*combine(&fewer) == secret, is_lower);
            }
        }

        #[test]
        fn shares_that_blahaj_dealt_are_combined(secret: [u8; 32], threshold in 1_u8..8) {
            let dealt: Vec<Share> = Sharks(threshold)
                .dealer(&secret)
                .take(usize::from(threshold))
                .map(|share| Zeroizing::new(Vec::from(&share).try_into().unwrap()))
                .collect();
            prop_assert_eq!(*combine(&dealt.iter().collect::<Vec<_>>()), secret);
        }
    }
}
