//! One replica alone: down, up again, or gone for good. The others of its service go on as they are.

use std::collections::BTreeSet;

use hostler_api::Failure;
use hostler_core::{Desired, Event, ServiceName, Wanted};

use crate::clock;
use crate::drive::Driver;
use crate::message::Wish;
use crate::speak;

impl Driver {
    pub(crate) async fn request_replica(&mut self, name: ServiceName, replica: u32, wish: Wish, force: bool) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        if self.desk.core.wanted(name.as_str()).is_none() {
            return Err(speak::not_found(&self.desk, name.as_str()));
        }
        let names = vec![name];
        match wish {
            Wish::Up => {
                let all: BTreeSet<u32> = self.desk.core.replicas(names[0].as_str()).iter().map(|part| part.replica).collect();
                self.want(&names, |_, _, wanted| *wanted = up(wanted, replica, &all)).await?;
            }
            Wish::Down => self.want(&names, |_, _, wanted| *wanted = wanted.holding(replica)).await?,
            Wish::Gone => {
                // Held first, so that it is this one that goes, and no other.
                self.want(&names, |_, _, wanted| *wanted = wanted.holding(replica)).await?;
                self.want(&names, |_, _, wanted| *wanted = wanted.without(replica)).await?;
            }
        }
        if force && wish != Wish::Up {
            self.desk.core.handle(clock::now(), Event::Force(names.clone()));
        }
        Ok(names)
    }
}

/// One replica is to be up; of a service that was stopped as a whole, it alone.
fn up(wanted: &Wanted, replica: u32, all: &BTreeSet<u32>) -> Wanted {
    let stopped = wanted.desired == Desired::Stopped;
    let freed = if stopped { Wanted { held: all.clone(), ..wanted.clone() } } else { wanted.clone() }.freeing(replica);
    // A request begins a new count of restarts for what has failed, and leaves alone what runs.
    Wanted { desired: Desired::Running, starts: freed.starts + 1, ..freed }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hostler_core::Spec;

    use super::*;

    #[test]
    fn of_a_stopped_service_one_replica_comes_up_and_the_others_stay() {
        let spec = Arc::new(Spec::new(ServiceName::new("web").expect("a name"), "docker", "{}"));
        let wanted = Wanted { spec, generation: 1, desired: Desired::Stopped, starts: 1, restarts: 0, scaled: Some(3), held: BTreeSet::new() };
        let all = BTreeSet::from([0, 1, 2]);
        let one = up(&wanted, 1, &all);
        assert_eq!((one.desired, one.held.clone(), one.count(), one.number()), (Desired::Running, BTreeSet::from([0, 2]), 1, 3));
        let two = up(&one, 2, &all);
        assert_eq!((two.held, two.starts), (BTreeSet::from([0]), 3));
    }
}
