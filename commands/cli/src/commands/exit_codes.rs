//! `nsl exit-codes` and `nsl help exit-codes`

use std::fmt::Write as _;

use crate::exit_code::ExitCode;
use crate::outcome::{ExitCodeMeaning, Outcome};

pub(crate) fn show() -> Outcome {
    let meaning = |(code, meaning): (ExitCode, _)| ExitCodeMeaning { exit_code: code.number(), meaning };
    Outcome::ExitCodesShown { exit_codes: ExitCode::MEANINGS.map(meaning).into() }
}

/// The help topic.
pub(crate) fn topic() -> String {
    ExitCode::MEANINGS.iter().fold("Exit codes:\n".to_owned(), |mut text, (code, meaning)| {
        let number = code.number();
        writeln!(text, "  {number:>3}  {meaning}").expect("writing to a string cannot fail");
        text
    })
}
