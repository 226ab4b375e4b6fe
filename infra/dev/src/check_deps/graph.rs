//! Which crate uses which, and which features it switches on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::law::{
    ENCLAVE_CRATES, FORBIDDEN_IN_ENCLAVE, INFRA, KEPT_OUT, KeptOut, LAW, LEAVES, TEST_SUPPORT, Uses,
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
        found.extend(KEPT_OUT.iter().flat_map(|kept_out| kept_out_violation(package, kept_out)));
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
            is_dev
                || (!TEST_SUPPORT.contains(&used)
                    && (crates.contains(&used) || infra && INFRA.contains(&used)))
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

/// A normal dependency that switches on what is kept out would carry it into distribution builds.
fn feature_violation(package: &Package, dependency: &Dependency) -> Option<String> {
    let is_ours = LAW.iter().any(|rule| rule.package == dependency.name);
    if !is_ours || dependency.kind.as_deref() == Some("dev") || LEAVES.contains(&package.name.as_str()) {
        return None;
    }
    let is_kept_out = |feature: &&String| KEPT_OUT.iter().any(|one| one.feature == *feature);
    let feature = dependency.features.iter().find(is_kept_out)?;
    Some(format!("{} switches on feature {feature} of {}", package.name, dependency.name))
}

fn kept_out_violation(package: &Package, KeptOut { feature: kept_out, crates }: &KeptOut) -> Vec<String> {
    let name = package.name.as_str();
    let is_leaf = LEAVES.contains(&name);
    let mut found = Vec::new();
    for (feature, switched_on) in &package.features {
        if feature == kept_out && !is_leaf && !crates.contains(&name) {
            found.push(format!("{name} must not have a feature {kept_out}"));
        }
        let names_it = |part: &String| part.rsplit('/').next() == Some(kept_out);
        if feature != kept_out && !is_leaf && switched_on.iter().any(names_it) {
            found.push(format!("feature {feature} of {name} switches on {kept_out}"));
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
            ("nsl-enclave-worker", "nsl-test-site", Some("dev"), true),
            ("nsl-enclave-worker", "nsl-test-site", None, false),
            ("nsl-load", "nsl-test-site", None, true),
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
    fn parts_for_development_and_tests_stay_out_of_distribution_builds() {
        for (user, dependency, features, is_allowed) in [
            ("nsl-enclave-worker", None, json!({"development": ["nsl-verify/development"]}), true),
            ("nsl-enclave-worker", None, json!({"default": ["development"]}), false),
            ("nsl-enclave-worker", None, json!({"fast": ["nsl-verify/development"]}), false),
            ("nsl-projections", None, json!({"development": []}), false),
            ("nsl-projections", None, json!({"failpoints": ["nsl-telemetry/failpoints"]}), true),
            ("nsl-projections", None, json!({"default": ["failpoints"]}), false),
            ("nsl-cli", None, json!({"failpoints": []}), false),
            ("nsl-telemetry", Some(uses("fail", None, &["failpoints"])), json!({}), true),
            ("nsl-projections", Some(uses("nsl-telemetry", None, &["failpoints"])), json!({}), false),
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
