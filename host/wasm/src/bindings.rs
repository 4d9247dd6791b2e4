//! What wasmtime generates from the contract in `wit/`. Nobody edits this; the other modules give its words better names.
//!
//! One world with every capability and every role: which of them a component has is read from its type, not from here.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
#![allow(unsafe_code, reason = "the generated conversions implement wasmtime's unsafe traits")]

wasmtime::component::bindgen!({
    path: ["../../wit/host", "../../wit/plugin"],
    inline: "
        package hostler:room;
        world room {
            import hostler:host/log@0.1.0;
            import hostler:host/context@0.1.0;
            import hostler:host/processes@0.1.0;
            import hostler:host/commands@0.1.0;
            import hostler:host/task-exec@0.1.0;
            import hostler:host/state@0.1.0;
            import hostler:host/secrets@0.1.0;
            import hostler:host/secrets-reveal@0.1.0;
            import hostler:host/containers@0.1.0;
            export hostler:plugin/backend@0.1.0;
            export hostler:plugin/health-check@0.1.0;
            export hostler:plugin/logs@0.1.0;
            export hostler:plugin/stats@0.1.0;
            export hostler:plugin/exec@0.1.0;
            export hostler:plugin/signals@0.1.0;
            export hostler:plugin/scale@0.1.0;
            export hostler:plugin/update@0.1.0;
            export hostler:plugin/handles@0.1.0;
            export hostler:plugin/discovery@0.1.0;
        }
    ",
    imports: { default: async },
    exports: { default: async },
    additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
});
