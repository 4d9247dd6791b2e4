//! What `wit-bindgen` makes of the contract; nobody edits it, and plugins use the words around it instead.
//!
//! One world per exported interface, so that a component exports what [`plugin!`](crate::plugin) names and nothing else, and
//! one world for everything a plugin may import: what is never called does not reach the component.

/// Every capability, and the words that all interfaces share.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the contract in wit/ documents it")]
pub mod imports {
    wit_bindgen::generate!({
        path: ["../../wit/host", "../../wit/plugin"],
        inline: "package hostler:sdk;
            world imports {
                import hostler:plugin/types@0.1.0;
                import hostler:host/log@0.1.0;
                import hostler:host/context@0.1.0;
                import hostler:host/processes@0.1.0;
                import hostler:host/commands@0.1.0;
                import hostler:host/task-exec@0.1.0;
                import hostler:host/state@0.1.0;
                import hostler:host/secrets@0.1.0;
                import hostler:host/secrets-reveal@0.1.0;
                import hostler:host/containers@0.1.0;
            }",
        world: "hostler:sdk/imports",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
    });
}

/// One exported interface: a module with its traits, its types and its export macro.
macro_rules! exported {
    ($module:ident, $world:tt) => {
        #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the contract in wit/ documents it")]
        #[doc(hidden)]
        pub mod $module {
            wit_bindgen::generate!({
                path: ["../../wit/host", "../../wit/plugin"],
                inline: $world,
                with: { "hostler:plugin/types@0.1.0": crate::bindings::imports::hostler::plugin::types },
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
            });
        }
    };
}

exported!(backend, "package hostler:sdk; world exports-backend { export hostler:plugin/backend@0.1.0; }");
exported!(health_check, "package hostler:sdk; world exports-health-check { export hostler:plugin/health-check@0.1.0; }");
exported!(logs, "package hostler:sdk; world exports-logs { export hostler:plugin/logs@0.1.0; }");
exported!(stats, "package hostler:sdk; world exports-stats { export hostler:plugin/stats@0.1.0; }");
exported!(exec, "package hostler:sdk; world exports-exec { export hostler:plugin/exec@0.1.0; }");
exported!(signals, "package hostler:sdk; world exports-signals { export hostler:plugin/signals@0.1.0; }");
exported!(scale, "package hostler:sdk; world exports-scale { export hostler:plugin/scale@0.1.0; }");
exported!(update, "package hostler:sdk; world exports-update { export hostler:plugin/update@0.1.0; }");
exported!(handles, "package hostler:sdk; world exports-handles { export hostler:plugin/handles@0.1.0; }");
exported!(discovery, "package hostler:sdk; world exports-discovery { export hostler:plugin/discovery@0.1.0; }");
