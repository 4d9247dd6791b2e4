//! The operations that are known: which is next, and which are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hostler_api::{Operation, OperationQueue, OperationStatus, OperationsQuery};
use hostler_core::WorkspaceName;

use super::record::Record;

/// Operations that are over and still told. Beyond that the oldest go of the workspace that has the most: whoever does much forgets only his own.
const KEPT: usize = 1_000;
/// Bits of an id that count within a millisecond.
const COUNTED_BITS: u32 = 12;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Everything in memory.
#[derive(Default)]
pub(super) struct Book {
    pub(super) records: BTreeMap<String, Record>,
    /// Those that a worker has.
    pub(super) taken: BTreeSet<String>,
    /// The newest id, as a number.
    pub(super) last: u64,
}

impl Book {
    /// Another id: 13 characters that sort by when they were made.
    pub(super) fn new_id(&mut self, wall_ms: u64) -> String {
        self.last = (wall_ms << COUNTED_BITS).max(self.last + 1);
        written(self.last)
    }

    /// The next one that a worker may take, of each queue that has room. What was under way when a host died goes before all others. Then comes
    /// what has a priority above the usual, which only whoever runs the host gives; then who has the fewest workers, so that no workspace waits for
    /// another one's many; then the highest priority, and the oldest. Where a workspace is not `alone`, the last worker is never its own.
    pub(super) fn next(&self, now: u64, alone: bool) -> Option<String> {
        OperationQueue::ALL.into_iter().find_map(|queue| {
            let of_queue = |record: &&Record| record.kind.queue() == queue;
            let mut workers: BTreeMap<&WorkspaceName, usize> = BTreeMap::new();
            for record in self.taken.iter().filter_map(|id| self.records.get(id)).filter(of_queue) {
                *workers.entry(&record.workspace).or_default() += 1;
            }
            if workers.values().sum::<usize>() >= queue.workers() {
                return None;
            }
            let has = |record: &Record| workers.get(&record.workspace).copied().unwrap_or(0);
            let most = if alone { queue.workers() } else { queue.workers() - 1 };
            let ready = self.open().filter(of_queue).filter(|record| !self.taken.contains(&record.id) && record.next <= now && has(record) < most);
            let rank = |record: &&Record| {
                (record.status != OperationStatus::Running, Reverse(record.priority.max(0)), has(record), Reverse(record.priority), record.id.clone())
            };
            ready.min_by_key(rank).map(|record| record.id.clone())
        })
    }

    /// Those that wait and are out of time.
    pub(super) fn late(&self, now: u64) -> Vec<String> {
        let late = self.open().filter(|record| record.deadline <= now && !self.taken.contains(&record.id));
        late.map(|record| record.id.clone()).collect()
    }

    /// When something is due by itself.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        let waiting = self.open().filter(|record| !self.taken.contains(&record.id));
        waiting.flat_map(|record| [record.next, record.deadline]).filter(|at| *at > now).min()
    }

    /// The unfinished one with this key.
    pub(super) fn with_key(&self, like: &Record) -> Option<&Record> {
        let key = like.unique_key.as_ref()?;
        self.open().find(|record| record.workspace == like.workspace && record.unique_key.as_ref() == Some(key))
    }

    /// Those that are not over.
    pub(super) fn open(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| matches!(record.status, OperationStatus::Queued | OperationStatus::Running))
    }

    /// Those that go when this one ends, because there would be more than are kept. It stays itself: somebody may wait for it.
    pub(super) fn outdated(&self, ending: &str) -> Vec<String> {
        let mut over: BTreeMap<&WorkspaceName, VecDeque<&String>> = BTreeMap::new();
        for record in self.records.values().filter(|record| record.is_finished() && record.id != ending) {
            over.entry(&record.workspace).or_default().push_back(&record.id);
        }
        let beyond = (over.values().map(VecDeque::len).sum::<usize>() + 1).saturating_sub(KEPT);
        let oldest_of_most = |_: usize| over.values_mut().max_by_key(|ids| ids.len())?.pop_front().cloned();
        (0..beyond).filter_map(oldest_of_most).collect()
    }

    /// A page, and where the next one begins.
    pub(super) fn page(&self, asked: &OperationsQuery, may_see: impl Fn(&Record) -> bool) -> (Vec<Operation>, Option<String>) {
        let limit = asked.limit.unwrap_or(100).clamp(1, 1_000);
        let chosen = |record: &&Record| {
            asked.after.as_ref().is_none_or(|after| record.id > *after)
                && asked.status.is_none_or(|status| record.status == status)
                && asked.service.as_ref().is_none_or(|service| record.services.contains(service))
                && may_see(record)
        };
        let mut found: Vec<Operation> = self.records.values().filter(chosen).take(limit + 1).map(Record::told).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.id.clone());
        (found, next)
    }
}

/// A number in 13 characters that sort as it does.
fn written(number: u64) -> String {
    let digit = |place: u32| char::from(ALPHABET[usize::try_from((number >> (5 * place)) & 31).expect("five bits")]);
    (0..13).rev().map(digit).collect()
}

/// The number of an id.
pub(super) fn read(id: &str) -> Option<u64> {
    let value = |number: u64, byte: u8| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        number.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)
    };
    (id.len() == 13).then(|| id.bytes().try_fold(0, value)).flatten()
}

#[cfg(test)]
mod tests {
    use hostler_api::{CheckNowRequest, OperationOptions, StartRequest};
    use hostler_core::WorkspaceName;

    use super::super::record::Task;
    use super::*;

    fn add(book: &mut Book, task: &Task, priority: i32) -> String {
        add_in(book, WorkspaceName::DEFAULT, task, priority)
    }

    fn add_in(book: &mut Book, workspace: &str, task: &Task, priority: i32) -> String {
        let id = book.new_id(1_000);
        let options = OperationOptions { priority: Some(priority), ..OperationOptions::default() };
        let workspace = WorkspaceName::new(workspace).expect("a name");
        let mut record = Record::new(id.clone(), workspace, "me", task, String::new(), &options).expect("it makes sense");
        (record.next, record.deadline) = (10, 1_000);
        book.records.insert(id.clone(), record);
        id
    }

    fn start() -> Task {
        Task::Start(StartRequest::default())
    }

    #[test]
    fn ids_sort_by_when_they_were_made_also_when_the_clock_goes_back() {
        let mut book = Book::default();
        let ids: Vec<String> = [5, 5, 9, 3, 1_761_105_600_250, 7].into_iter().map(|ms| book.new_id(ms)).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 13));
        assert_eq!(read(ids.last().expect("there are some")), Some(book.last));
        assert_eq!((read("u"), read("zzzzzzzzzzzzz"), read("000000000000u")), (None, None, None));
    }

    #[test]
    fn the_highest_goes_first_and_what_a_host_died_with_before_all() {
        let mut book = Book::default();
        let [first, second, third] = [0, 0, 5].map(|priority| add(&mut book, &start(), priority));
        assert_eq!(book.next(9, true), None, "nothing goes before its time");
        assert_eq!(book.next(10, true), Some(third.clone()));
        book.records.get_mut(&second).expect("it is there").status = OperationStatus::Running;
        assert_eq!(book.next(10, true), Some(second.clone()));
        book.taken.extend([second, third]);
        assert_eq!(book.next(10, true), Some(first));
    }

    #[test]
    fn five_of_one_queue_hold_up_nobody_of_another() {
        let mut book = Book::default();
        let started: Vec<String> = (0..6).map(|_| add(&mut book, &start(), 0)).collect();
        book.taken.extend(started[..5].iter().cloned());
        assert_eq!(book.next(10, true), None);
        let check = add(&mut book, &Task::Check(CheckNowRequest::default()), -100);
        assert_eq!(book.next(10, true), Some(check));
        book.taken.remove(&started[0]);
        book.records.get_mut(&started[0]).expect("it is there").status = OperationStatus::Succeeded;
        assert_eq!(book.next(10, true), Some(started[5].clone()));
    }

    #[test]
    fn whoever_has_the_fewest_workers_is_next_and_nobody_has_the_last_one_too() {
        let mut book = Book::default();
        let many: Vec<String> = (0..6).map(|_| add_in(&mut book, "many", &start(), 0)).collect();
        book.taken.extend(many[..4].iter().cloned());
        assert_eq!((book.next(10, true), book.next(10, false)), (Some(many[4].clone()), None), "somebody else may come");
        let few = add_in(&mut book, "few", &start(), -100);
        for alone in [true, false] {
            assert_eq!(book.next(10, alone), Some(few.clone()));
        }
        let high = add_in(&mut book, "third", &start(), 1);
        assert_eq!(book.next(10, false), Some(high), "what the host is in a hurry with goes before");
    }

    #[test]
    fn who_does_much_forgets_only_his_own_and_never_what_ends_just_now() {
        let mut book = Book::default();
        let ending = add_in(&mut book, "many", &start(), 0);
        let few: Vec<String> = (0..3).map(|_| add_in(&mut book, "few", &start(), 0)).collect();
        let many: Vec<String> = (0..KEPT - 3).map(|_| add_in(&mut book, "many", &start(), 0)).collect();
        book.records.values_mut().for_each(|record| record.status = OperationStatus::Succeeded);
        book.records.get_mut(&ending).expect("it is there").status = OperationStatus::Running;
        assert_eq!(book.outdated(&ending), many[..1], "with it there is one too many");
        assert!(few.iter().all(|id| book.records.contains_key(id)));
    }

    #[test]
    fn what_waits_is_due_when_it_may_begin_and_when_it_is_given_up() {
        let mut book = Book::default();
        let id = add(&mut book, &start(), 0);
        assert_eq!((book.due(0), book.due(10), book.due(1_000)), (Some(10), Some(1_000), None));
        assert_eq!((book.late(999), book.late(1_000)), (vec![], vec![id]));
    }

    #[test]
    fn only_the_newest_of_those_that_are_over_are_kept() {
        let mut book = Book::default();
        let ids: Vec<String> = (0..KEPT + 3).map(|_| add(&mut book, &start(), 0)).collect();
        assert_eq!(book.outdated(&ids[0]), Vec::<String>::new());
        book.records.values_mut().for_each(|record| record.status = OperationStatus::Succeeded);
        book.records.get_mut(&ids[0]).expect("it is there").status = OperationStatus::Queued;
        assert_eq!(book.outdated(&ids[KEPT + 2]), ids[1..3]);
        let (page, next) = book.page(&OperationsQuery { limit: Some(2), after: Some(ids[0].clone()), ..OperationsQuery::default() }, |_| true);
        assert_eq!((page.len(), &page[0].id, next.as_ref()), (2, &ids[1], Some(&ids[2])));
    }
}
