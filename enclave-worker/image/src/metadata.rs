//! What an image says of itself in AWS' form. It is mandatory and not measured: nothing may be believed from it.

use serde::{Deserialize, Serialize};

/// The metadata section; its members stand in the order in which AWS' builder writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// What the image is called.
    pub image_name: String,
    /// Its version.
    pub image_version: String,
    /// How it was built.
    pub build_metadata: BuildMetadata,
    /// Of images made from containers; ours are not.
    #[serde(default)]
    pub docker_info: serde_json::Value,
    /// Of the builder's choice.
    #[serde(default)]
    pub custom_metadata: serde_json::Value,
}

/// How an image was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BuildMetadata {
    /// When, in RFC 3339: of the sources, so that a later build gives the same bytes.
    pub build_time: String,
    /// The builder.
    pub build_tool: String,
    /// Its version.
    pub build_tool_version: String,
    /// What the image runs on.
    pub operating_system: String,
    /// The kernel's version.
    pub kernel_version: String,
}
