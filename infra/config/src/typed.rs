//! From the merged tree to the service's own struct, with errors that name key and origin.

use serde::de::DeserializeOwned;
use toml::Value;

use crate::layers::Layers;
use crate::{Error, redact};

/// Deserialises; text given for a key without a default is read again as TOML where a string does not fit.
pub(crate) fn deserialize<T: DeserializeOwned>(layers: &mut Layers) -> Result<T, Error> {
    loop {
        let tree = Value::Table(layers.root().clone());
        let error = match serde_path_to_error::deserialize(tree) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let key = error.path().to_string();
        // Each round turns one string into another type for good, so the loop ends.
        if !layers.reread_text(&key) {
            return Err(key_error(layers, key, error.inner()));
        }
    }
}

fn key_error(layers: &Layers, key: String, error: &toml::de::Error) -> Error {
    let expected = if redact::is_secret(&key) && !is_shape_error(error.message()) {
        "the value has the wrong type or form (hidden, the key is secret)".to_owned()
    } else {
        error.message().to_owned()
    };
    Error::Key { origin: layers.origin(&key).cloned(), key, expected }
}

/// Messages about names of fields repeat no value.
fn is_shape_error(message: &str) -> bool {
    message.starts_with("unknown field") || message.starts_with("missing field")
}
