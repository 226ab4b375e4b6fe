//! Which crate uses which, and which features it switches on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::law::{
    DEVELOPMENT_CRATES, DEVELOPMENT_FEATURE, ENCLAVE_CRATES, FORBIDDEN_IN_ENCLAVE, INFRA, LAW, LEAVES,
    TEST_SUPPORT, Uses,
};

/// The part of `cargo metadata --no-deps` that the law is about.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one, else `dev` or `build`.
    kind: Option<String>,
    features: Vec<String>,
}

/// Everything that breaks the law, one line each.
pub(super) fn violations(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            if ours.contains(dependency.name.as_str()) {
                found.extend(edge_violation(package, dependency));
            }
            found.extend(external_violation(package, dependency));
            found.extend(feature_violation(package, dependency));
        }
        if !LAW.iter().any(|rule| rule.package == package.name) {
            found.push(format!("{} has no rule in the law: add one", package.name));
        }
        found.extend(development_violation(package));
    }
    found
}

fn edge_violation(package: &Package, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    let is_dev = dependency.kind.as_deref() == Some("dev");
    if LEAVES.contains(&used) {
        return Some(format!("{} uses {used}, which nothing may use", package.name));
    }
    let rule = LAW.iter().find(|rule| rule.package == package.name)?;
    let is_allowed = match rule.uses {
        Uses::Anything => true,
        Uses::Only { crates, infra } => {
            is_dev || (used != TEST_SUPPORT && (crates.contains(&used) || infra && INFRA.contains(&used)))
        }
    };
    (!is_allowed).then(|| format!("{} must not use {used}", package.name))
}

fn external_violation(package: &Package, dependency: &Dependency) -> Option<String> {
    let is_forbidden = ENCLAVE_CRATES.contains(&package.name.as_str())
        && dependency.kind.is_none()
        && FORBIDDEN_IN_ENCLAVE.contains(&dependency.name.as_str());
    is_forbidden.then(|| {
        format!("{} is compiled into the enclave and must not use {}", package.name, dependency.name)
    })
}

/// A normal dependency that switches the development parts on would carry them into distribution builds.
fn feature_violation(package: &Package, dependency: &Dependency) -> Option<String> {
    let switches_on = dependency.kind.as_deref() != Some("dev")
        && dependency.features.iter().any(|feature| feature == DEVELOPMENT_FEATURE)
        && !LEAVES.contains(&package.name.as_str());
    switches_on
        .then(|| format!("{} switches on feature {DEVELOPMENT_FEATURE} of {}", package.name, dependency.name))
}

fn development_violation(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let is_leaf = LEAVES.contains(&name);
    let mut found = Vec::new();
    for (feature, switched_on) in &package.features {
        if feature == DEVELOPMENT_FEATURE && !is_leaf && !DEVELOPMENT_CRATES.contains(&name) {
            found.push(format!("{name} must not have a feature {DEVELOPMENT_FEATURE}"));
        }
        let names_it = |part: &String| part.rsplit('/').next() == Some(DEVELOPMENT_FEATURE);
        if feature != DEVELOPMENT_FEATURE && !is_leaf && switched_on.iter().any(names_it) {
            found.push(format!("feature {feature} of {name} switches on {DEVELOPMENT_FEATURE}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn package(name: &str, dependencies: &[Value], features: &Value) -> Value {
        json!({ "name": name, "manifest_path": "/x/Cargo.toml", "dependencies": dependencies, "features": features })
    }

    fn uses(name: &str, kind: Option<&str>, features: &[&str]) -> Value {
        json!({ "name": name, "kind": kind, "features": features })
    }

    /// The violations of a workspace with every crate of the law, one of them with these parts.
    fn judge(name: &str, dependencies: &[Value], features: &Value) -> Vec<String> {
        let others = LAW.iter().map(|rule| rule.package).filter(|other| *other != name);
        let mut packages: Vec<Value> = others.map(|other| package(other, &[], &json!({}))).collect();
        packages.push(package(name, dependencies, features));
        violations(&serde_json::from_value(json!({ "packages": packages })).unwrap())
    }

    #[test]
    fn edges_are_judged_by_the_law() {
        for (user, used, kind, is_allowed) in [
            ("nsl-domain", "nsl-verify", None, true),
            ("nsl-domain", "nsl-commands", None, false),
            ("nsl-domain", "nsl-telemetry", None, false),
            ("nsl-commands", "nsl-event-store", None, true),
            ("nsl-commands", "nsl-projections", None, false),
            ("nsl-commands", "nsl-projections", Some("build"), false),
            ("nsl-projections", "nsl-commands", None, false),
            ("nsl-enclave-worker", "nsl-domain", None, false),
            ("nsl-enclave-worker", "nsl-domain", Some("dev"), true),
            ("nsl-bus", "nsl-local-services", Some("dev"), true),
            ("nsl-bus", "nsl-local-services", None, false),
            ("nsl-dev", "nsl-local-services", None, true),
            ("nsl-tests", "nsl-commands", None, true),
            ("nsl-commands", "nsl-dev", Some("dev"), false),
            ("nsl-tests", "nsl-dev", None, false),
            ("nsl-verify", "reqwest", None, false),
            ("nsl-enclave-worker", "async-nats", None, false),
            ("nsl-enclave-worker", "async-nats", Some("dev"), true),
            ("nsl-bus", "async-nats", None, true),
        ] {
            let found = judge(user, &[uses(used, kind, &[])], &json!({}));
            assert_eq!(found.is_empty(), is_allowed, "{user} → {used} ({kind:?}): {found:?}");
        }
    }

    #[test]
    fn development_parts_stay_out_of_distribution_builds() {
        for (user, dependency, features, is_allowed) in [
            ("nsl-enclave-worker", None, json!({"development": ["nsl-verify/development"]}), true),
            ("nsl-enclave-worker", None, json!({"default": ["development"]}), false),
            ("nsl-enclave-worker", None, json!({"fast": ["nsl-verify/development"]}), false),
            ("nsl-projections", None, json!({"development": []}), false),
            ("nsl-tests", Some(uses("nsl-verify", None, &["development"])), json!({}), true),
            ("nsl-client", Some(uses("nsl-verify", None, &["development"])), json!({}), false),
            ("nsl-client", Some(uses("nsl-verify", Some("dev"), &["development"])), json!({}), true),
        ] {
            let found = judge(user, dependency.as_slice(), &features);
            assert_eq!(found.is_empty(), is_allowed, "{user} {dependency:?} {features}: {found:?}");
        }
    }

    #[test]
    fn unknown_crate_needs_a_rule() {
        assert_eq!(judge("nsl-new", &[], &json!({})), ["nsl-new has no rule in the law: add one"]);
    }
}
