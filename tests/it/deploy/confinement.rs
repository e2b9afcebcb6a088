//! Whatever runs the program takes away what it does not need.

use super::{files, read};

#[test]
fn the_image_runs_as_nobody_and_has_no_shell() {
    let image = read("Dockerfile");
    let (_, last) = image.rsplit_once("\nFROM ").unwrap();
    assert!(last.starts_with("gcr.io/distroless/"), "{last}");
    let user = last.find("USER nonroot").unwrap();
    assert!(user < last.find("ENTRYPOINT").unwrap());
    assert!(!last.contains("USER root") && !last.contains("\nRUN "));
}

#[test]
fn compose_confines_every_service_of_ours() {
    let compose = read("compose.yaml");
    let (_, shared) = compose.split_once("x-hookmirror: &hookmirror\n").unwrap();
    let (shared, services) = shared.split_once("\nservices:\n").unwrap();
    for line in [
        "read_only: true",
        "cap_drop: [ALL]",
        "security_opt: [\"no-new-privileges:true\"]",
    ] {
        assert!(shared.contains(&format!("\n  {line}\n")), "{line}");
    }
    let ours = services.matches("<<: *hookmirror").count();
    assert_eq!(ours, 4, "serve twice, work, dispatch");
    for loosened in [
        "privileged",
        "cap_add",
        "read_only: false",
        "user: root",
        "user: 0",
    ] {
        assert!(!compose.contains(loosened), "{loosened}");
    }
    for line in services.lines().filter(|line| line.contains("ports:")) {
        assert!(line.contains("127.0.0.1:"), "open to the network: {line}");
    }
}

#[test]
fn every_pod_is_confined() {
    let manifests = read("kubernetes/hookmirror.yaml");
    let pods: Vec<&str> = manifests
        .split("\n---\n")
        .filter(|manifest| manifest.contains("\n      containers:\n"))
        .collect();
    assert_eq!(pods.len(), 3);
    for pod in pods {
        for line in [
            "automountServiceAccountToken: false",
            "runAsNonRoot: true",
            "runAsUser: 65532",
            "type: RuntimeDefault",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "drop: [\"ALL\"]",
            "memory: ",
        ] {
            assert!(pod.contains(line), "{line} is missing: {pod}");
        }
        for loosened in ["hostNetwork", "hostPID", "hostPath", "privileged", "add:"] {
            assert!(!pod.contains(loosened), "{loosened}");
        }
    }
}

#[test]
fn every_unit_is_confined() {
    let units = files().into_iter();
    let units: Vec<_> = units
        .filter(|(name, _)| name.ends_with(".service"))
        .collect();
    assert_eq!(units.len(), 4);
    for (name, unit) in units {
        for line in [
            "DynamicUser=yes",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes",
            "ProtectControlGroups=yes",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
            "RestrictNamespaces=yes",
            "RestrictSUIDSGID=yes",
            "LockPersonality=yes",
            "MemoryDenyWriteExecute=yes",
            "SystemCallFilter=@system-service",
            "CapabilityBoundingSet=",
            "UMask=0077",
        ] {
            assert!(unit.lines().any(|found| found == line), "{name}: {line}");
        }
    }
}
