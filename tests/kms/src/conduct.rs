//! What the server does wrong.

/// How it behaves; only the first is KMS'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conduct {
    /// As it must.
    #[default]
    Honest,
    /// Says that it used another key.
    OtherArn,
    /// Tells the key beside the envelope.
    TellsPlaintext,
    /// Answers without an envelope.
    NoEnvelope,
    /// Closes the envelope for a key of its own.
    OtherRecipient,
    /// Alters the envelope's encrypted key.
    ForgedKey,
    /// Alters the envelope's content: what opens is another key.
    ForgedContent,
    /// Puts a key of 16 bytes into the envelope.
    ShortKey,
    /// Cuts the envelope.
    CutEnvelope,
    /// Ends the connection within the body.
    CutBody,
    /// Announces a body of 100 MB.
    HugeBody,
    /// Sends headers without end.
    EndlessHead,
    /// Sends the body in chunks.
    Chunked,
    /// Sends a byte a second.
    Slow,
    /// Answers with what is no JSON.
    Garbage,
}
