/// Makes a component of a type: exports its role, and the abilities that are named.
///
/// ```text
/// hostler_sdk::plugin!(backend: Process, abilities: [Logs, Stats, Signals]);
/// hostler_sdk::plugin!(health_check: Http);
/// ```
///
/// Once per crate. An ability is one of `Logs`, `Stats`, `Exec`, `Signals`, `Scale`, `Update`, `Handles`, `Discovery`, and the type must
/// implement the trait of that name (`Handles` is there for every backend).
#[macro_export]
macro_rules! plugin {
    (backend: $plugin:ty $(, abilities: [$($ability:ident),* $(,)?])? $(,)?) => {
        #[doc(hidden)]
        #[cfg(target_family = "wasm")]
        type HostlerExport = $crate::export::Export<$plugin>;
        #[cfg(target_family = "wasm")]
        $crate::bindings::backend::export!(HostlerExport with_types_in $crate::bindings::backend);
        // where tests are compiled nothing is exported: a linker has its own mind about names with `@` and `#` in them
        #[cfg(not(target_family = "wasm"))]
        const _: () = $crate::export::checked::Backend::<$plugin>();
        $($($crate::export_ability!($plugin, $ability);)*)?
    };
    (health_check: $plugin:ty $(,)?) => {
        #[doc(hidden)]
        #[cfg(target_family = "wasm")]
        type HostlerExport = $crate::export::Export<$plugin>;
        #[cfg(target_family = "wasm")]
        $crate::bindings::health_check::export!(HostlerExport with_types_in $crate::bindings::health_check);
        #[cfg(not(target_family = "wasm"))]
        const _: () = $crate::export::checked::HealthCheck::<$plugin>();
    };
}

/// One ability of [`plugin!`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_ability {
    ($plugin:ty, Logs) => { $crate::export_ability!($plugin, Logs, logs); };
    ($plugin:ty, Stats) => { $crate::export_ability!($plugin, Stats, stats); };
    ($plugin:ty, Exec) => { $crate::export_ability!($plugin, Exec, exec); };
    ($plugin:ty, Signals) => { $crate::export_ability!($plugin, Signals, signals); };
    ($plugin:ty, Scale) => { $crate::export_ability!($plugin, Scale, scale); };
    ($plugin:ty, Update) => { $crate::export_ability!($plugin, Update, update); };
    ($plugin:ty, Handles) => { $crate::export_ability!($plugin, Handles, handles); };
    ($plugin:ty, Discovery) => { $crate::export_ability!($plugin, Discovery, discovery); };
    ($plugin:ty, $other:ident) => {
        compile_error!(concat!("no ability is called ", stringify!($other),
            "; there are Logs, Stats, Exec, Signals, Scale, Update, Handles and Discovery"));
    };
    ($plugin:ty, $ability:ident, $module:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::$module::export!(HostlerExport with_types_in $crate::bindings::$module);
        #[cfg(not(target_family = "wasm"))]
        const _: () = $crate::export::checked::$ability::<$plugin>();
    };
}
