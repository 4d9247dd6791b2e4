//! Which properties of a unit a service may set.

/// Limits, sandboxing and scheduling. What starts, stops, restarts or names a unit, or leads its output elsewhere, is not among them: that is
/// the backend's own.
const ALLOWED: &[&str] = &[
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "AmbientCapabilities",
    "BindPaths",
    "BindReadOnlyPaths",
    "CPUQuotaPeriodSec",
    "CPUSchedulingPolicy",
    "CPUSchedulingPriority",
    "CPUWeight",
    "CacheDirectory",
    "CacheDirectoryMode",
    "CapabilityBoundingSet",
    "ConfigurationDirectory",
    "ConfigurationDirectoryMode",
    "CoredumpFilter",
    "DeviceAllow",
    "DevicePolicy",
    "DynamicUser",
    "EnvironmentFile",
    "IODeviceLatencyTargetSec",
    "IODeviceWeight",
    "IOReadBandwidthMax",
    "IOReadIOPSMax",
    "IOSchedulingClass",
    "IOSchedulingPriority",
    "IOWeight",
    "IOWriteBandwidthMax",
    "IOWriteIOPSMax",
    "IPAddressAllow",
    "IPAddressDeny",
    "InaccessiblePaths",
    "KeyringMode",
    "LimitAS",
    "LimitCORE",
    "LimitCPU",
    "LimitDATA",
    "LimitFSIZE",
    "LimitLOCKS",
    "LimitMEMLOCK",
    "LimitMSGQUEUE",
    "LimitNICE",
    "LimitNOFILE",
    "LimitNPROC",
    "LimitRSS",
    "LimitRTPRIO",
    "LimitRTTIME",
    "LimitSIGPENDING",
    "LimitSTACK",
    "LoadCredential",
    "LoadCredentialEncrypted",
    "LockPersonality",
    "LogRateLimitBurst",
    "LogRateLimitIntervalSec",
    "LogsDirectory",
    "LogsDirectoryMode",
    "MemoryDenyWriteExecute",
    "MemoryHigh",
    "MemoryLow",
    "MemoryMin",
    "MemorySwapMax",
    "Nice",
    "NoExecPaths",
    "NoNewPrivileges",
    "OOMPolicy",
    "OOMScoreAdjust",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateNetwork",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "RestrictFileSystems",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "RootDirectory",
    "RuntimeDirectory",
    "RuntimeDirectoryMode",
    "RuntimeMaxSec",
    "SecureBits",
    "Slice",
    "StateDirectory",
    "StateDirectoryMode",
    "SupplementaryGroups",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "TasksMax",
    "TemporaryFileSystem",
    "TimeoutStopSec",
    "UMask",
];

/// Those that are set in another way, and how.
const ELSEWHERE: &[(&str, &str)] = &[
    ("CPUQuota", "it is `resources.cpu` of the service"),
    ("MemoryMax", "it is `resources.memory` of the service"),
    ("MemoryLimit", "it is `resources.memory` of the service"),
    ("User", "it is the setting `user`"),
    ("Group", "it is the setting `user`, as `user:group`"),
    ("WorkingDirectory", "it is the setting `working_dir`"),
    ("Environment", "it is the setting `env`"),
    ("Restart", "the host restarts, by the service's `restart`"),
];

/// Why a property cannot be set; nothing when it can.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    if ALLOWED.binary_search(&name).is_ok() {
        return None;
    }
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name).map(|(_, hint)| *hint);
    Some(elsewhere.unwrap_or("limits, sandboxing and scheduling can be set; docs/backends/systemd.md lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(ALLOWED.is_sorted());
    }

    #[test]
    fn what_the_backend_lives_by_cannot_be_set() {
        for name in [
            "ExecStart",
            "ExecStartPre",
            "ExecStopPost",
            "Type",
            "Restart",
            "KillMode",
            "Description",
            "StandardOutput",
            "RemainAfterExit",
            "cpuweight",
            "",
        ] {
            assert!(refused(name).is_some(), "{name}");
        }
        assert!(refused("ProtectSystem").is_none() && refused("LimitNOFILE").is_none());
        assert!(refused("MemoryMax").is_some_and(|hint| hint.contains("resources.memory")));
    }
}
