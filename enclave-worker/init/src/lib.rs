//! What the first process of an enclave and the parent that boots it must agree on: the files that a parent delivers and
//! how. They are input like everything from the parent: the manifest is what PCR16 commits the worker to.

pub mod boot;
