//! A plugin under live tasks: from one revision to another and back, and nothing of the tasks may notice.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::yard::Yard;

impl Yard {
    /// What tells each of these services' tasks from any other: pid and time of start; whatever its backend names one by when there is no pid.
    ///
    /// # Panics
    /// When one of them does not run.
    #[track_caller]
    pub fn lives(&self, names: &[String]) -> BTreeMap<String, String> {
        let life = |name: &String| {
            let detail = self.detail(name);
            let (service, replica) = (&detail["service"], &detail["replicas"][0]);
            assert_eq!(service["status"], "running", "{name}: {detail:#}");
            let own = replica["pid"].as_u64().map_or_else(|| replica["attributes"].to_string(), |pid| pid.to_string());
            let times = u32::try_from(replica["pid"].as_u64().unwrap_or(0)).ok().and_then(crate::started);
            (name.clone(), format!("run {} restarts {} {own} {times:?}", replica["run"], service["restart_count"]))
        };
        names.iter().map(life).collect()
    }

    /// The plugin as the host shows it.
    ///
    /// # Panics
    /// When there is none of that name.
    #[track_caller]
    pub fn plugin(&self, name: &str) -> Value {
        self.get(&format!("/plugins/{name}")).unwrap_or_else(|| panic!("there is no plugin {name}"))["plugin"].clone()
    }

    /// Upgrades a plugin to a component, goes through a host restart and an apply with it, and rolls it back: the tasks of these services
    /// stay the very same all the time.
    ///
    /// # Panics
    /// When one of them does not, or when one of the steps fails.
    #[track_caller]
    pub fn upgrades_and_rolls_back(&self, plugin: &str, component: &Path, names: &[String]) {
        let before = self.lives(names);
        let old = self.plugin(plugin)["digest"].clone();
        let text = self.run(&format!("plugin upgrade {plugin} {} --yes --watch 2s", component.display())).ok();
        assert!(text.contains("stood its time") && text.contains(&format!("its {} live tasks go on", names.len())), "{text}");
        let new = self.plugin(plugin);
        assert!(new["digest"] != old && new["upgraded"]["watched"] == false, "{new:#}");
        assert_eq!(self.lives(names), before, "an upgrade is none of the tasks' business");
        self.kill_host();
        self.serve();
        assert_eq!(self.plugin(plugin)["digest"], new["digest"], "what was upgraded survives the host");
        self.run("apply").ok();
        assert_eq!(self.plugin(plugin)["digest"], new["digest"], "and a file that did not change");
        assert_eq!(self.lives(names), before);
        self.run(&format!("plugin rollback {plugin}")).ok();
        assert_eq!(self.plugin(plugin)["digest"], old);
        assert_eq!(self.lives(names), before, "a rollback is none of the tasks' business, either");
    }
}
