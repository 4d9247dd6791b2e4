/// Makes a component of a type: exports its role, and the abilities that are named.
///
/// ```text
/// hostler_sdk::plugin!(backend: Process, abilities: [Logs, Stats, Signals]);
/// hostler_sdk::plugin!(health_check: Http);
/// ```
///
/// Once per crate. An ability is one of `Logs`, `Stats`, `Exec`, `Signals`, `Scale`, `Update`, `Handles`, and the type must
/// implement the trait of that name (`Handles` is there for every backend).
#[macro_export]
macro_rules! plugin {
    (backend: $plugin:ty $(, abilities: [$($ability:ident),* $(,)?])? $(,)?) => {
        #[doc(hidden)]
        type HostlerExport = $crate::export::Export<$plugin>;
        $crate::bindings::backend::export!(HostlerExport with_types_in $crate::bindings::backend);
        $($($crate::export_ability!($ability);)*)?
    };
    (health_check: $plugin:ty $(,)?) => {
        #[doc(hidden)]
        type HostlerExport = $crate::export::Export<$plugin>;
        $crate::bindings::health_check::export!(HostlerExport with_types_in $crate::bindings::health_check);
    };
}

/// One ability of [`plugin!`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_ability {
    (Logs) => { $crate::bindings::logs::export!(HostlerExport with_types_in $crate::bindings::logs); };
    (Stats) => { $crate::bindings::stats::export!(HostlerExport with_types_in $crate::bindings::stats); };
    (Exec) => { $crate::bindings::exec::export!(HostlerExport with_types_in $crate::bindings::exec); };
    (Signals) => { $crate::bindings::signals::export!(HostlerExport with_types_in $crate::bindings::signals); };
    (Scale) => { $crate::bindings::scale::export!(HostlerExport with_types_in $crate::bindings::scale); };
    (Update) => { $crate::bindings::update::export!(HostlerExport with_types_in $crate::bindings::update); };
    (Handles) => { $crate::bindings::handles::export!(HostlerExport with_types_in $crate::bindings::handles); };
    ($other:ident) => {
        compile_error!(concat!("no ability is called ", stringify!($other),
            "; there are Logs, Stats, Exec, Signals, Scale, Update and Handles"));
    };
}
