//! What an engine refuses, at the setting that it is about. Its words stay what they are.

use hostler_sdk::Fault;

/// It would not even be made.
pub(crate) fn at_create(why: String) -> Fault {
    const PLACES: [(&str, &str); 12] = [
        ("reference format", "/image"),
        ("log", "/logging"),
        ("bind", "/volumes"),
        ("mount", "/volumes"),
        ("volume", "/volumes"),
        ("apabilit", "/cap_add"),
        ("ulimit", "/ulimits"),
        ("network", "/networks"),
        ("hostname", "/hostname"),
        ("platform", "/platform"),
        ("port", "/ports"),
        ("security", "/security_opt"),
    ];
    placed(why, &PLACES)
}

/// It was made, and cannot run.
pub(crate) fn at_start(why: String) -> Fault {
    const PLACES: [(&str, &str); 14] = [
        ("unable to find user", "/user"),
        ("unable to find group", "/user"),
        ("no matching entries in passwd", "/user"),
        ("chdir", "/working_dir"),
        ("working directory", "/working_dir"),
        ("Cwd", "/working_dir"),
        ("mount", "/volumes"),
        ("exec:", "/command"),
        ("executable file not found", "/command"),
        ("no such file or directory", "/command"),
        ("permission denied", "/command"),
        ("logging driver", "/logging"),
        ("network", "/networks"),
        ("port", "/ports"),
    ];
    placed(why, &PLACES)
}

fn placed(why: String, places: &[(&str, &str)]) -> Fault {
    let at = places.iter().find(|(word, _)| why.contains(word)).map_or("", |(_, at)| *at);
    Fault::invalid(at, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(fault: Fault) -> String {
        let Fault::Invalid(problems) = fault else { panic!("{fault:?} names no place") };
        problems[0].at.clone()
    }

    #[test]
    fn refusals_are_told_at_their_place() {
        let starts = [
            ("OCI runtime create failed: exec: \"nope\": executable file not found in $PATH: unknown", "/command"),
            ("OCI runtime create failed: chdir to cwd (\"/x\") set in config.json failed: no such file or directory", "/working_dir"),
            ("unable to find user nobody7: no matching entries in passwd file", "/user"),
            ("something else", ""),
        ];
        starts.into_iter().for_each(|(why, place)| assert_eq!(at(at_start(why.into())), place));
        let creates = [
            ("invalid reference format", "/image"),
            ("invalid mount config for type \"bind\": bind source path does not exist: /x", "/volumes"),
            ("logger: no log driver named 'x' is registered", "/logging"),
        ];
        creates.into_iter().for_each(|(why, place)| assert_eq!(at(at_create(why.into())), place));
    }
}
