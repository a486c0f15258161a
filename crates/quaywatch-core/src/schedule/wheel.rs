//! Who is due next: a hashed timing wheel (Varghese, Lauck 1987). Every entry hangs in the list of the slice of time
//! in which it is due; lists are links in one array, so taking, putting and moving cost the same for ten entries and
//! for a million, and nothing is allocated once the array is there. 16 bytes an entry.

use super::Millis;

/// Milliseconds a slice, as a power of two: entries of the running slice are looked at once a tick until they are due.
const SLICE_BITS: u32 = 2;
/// Slices in a turn, as a power of two: 65 seconds, so that most intervals need one look a turn at most.
const TURN_BITS: u32 = 14;
const SLICES: usize = 1 << TURN_BITS;
const NONE: u32 = u32::MAX;
/// `due` of a key that is not on the wheel.
const IDLE: Millis = Millis::MIN;

/// The due times of entries with small numbers as keys.
#[derive(Debug)]
pub struct Wheel {
    heads: Box<[u32]>,
    nodes: Vec<Node>,
    /// Everything due until this moment has been taken, or was put since; the latter hangs in this moment's slice.
    now: Millis,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    due: Millis,
    next: u32,
    prev: u32,
}

const FREE: Node = Node { due: IDLE, next: NONE, prev: NONE };

impl Wheel {
    /// An empty wheel that stands at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Self { heads: vec![NONE; SLICES].into_boxed_slice(), nodes: Vec::new(), now, len: 0 }
    }

    /// How many entries are on it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When `key` is due, if it is on the wheel.
    #[must_use]
    pub fn due(&self, key: u32) -> Option<Millis> {
        self.nodes.get(key as usize).map(|node| node.due).filter(|due| *due != IDLE)
    }

    /// Puts `key` on the wheel, or moves it. What is due in the past is taken next.
    pub fn put(&mut self, key: u32, due: Millis) {
        self.remove(key);
        if self.nodes.len() <= key as usize {
            self.nodes.resize(key as usize + 1, FREE);
        }
        let slice = slice(due.max(self.now));
        let next = std::mem::replace(&mut self.heads[slice], key);
        self.nodes[key as usize] = Node { due, next, prev: NONE };
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.prev = key;
        }
        self.len += 1;
    }

    /// Takes `key` off; tells whether it was on.
    pub fn remove(&mut self, key: u32) -> bool {
        let Some(Node { due, next, prev }) = self.nodes.get(key as usize).copied() else { return false };
        if due == IDLE {
            return false;
        }
        // What was put late hangs in the slice that is current until the next take.
        self.unlink(slice(due.max(self.now)), key, next, prev);
        true
    }

    fn unlink(&mut self, slice: usize, key: u32, next: u32, prev: u32) {
        match self.nodes.get_mut(prev as usize) {
            Some(node) => node.next = next,
            None => self.heads[slice] = next,
        }
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.prev = prev;
        }
        self.nodes[key as usize] = FREE;
        self.len -= 1;
    }

    /// Takes everything that is due until `until`, in no particular but always the same order.
    pub fn take(&mut self, until: Millis, mut each: impl FnMut(u32, Millis)) {
        if until < self.now {
            return;
        }
        let first = self.now >> SLICE_BITS;
        let last = until >> SLICE_BITS;
        // After a whole turn every slice has been seen.
        let slices = usize::try_from(last - first).unwrap_or(SLICES).min(SLICES - 1);
        for step in 0..=slices {
            self.take_slice((masked(first) + step) & (SLICES - 1), until, &mut each);
        }
        self.now = until;
    }

    fn take_slice(&mut self, slice: usize, until: Millis, each: &mut impl FnMut(u32, Millis)) {
        let mut key = self.heads[slice];
        while let Some(Node { due, next, prev }) = self.nodes.get(key as usize).copied() {
            if due <= until {
                self.unlink(slice, key, next, prev);
                each(key, due);
            }
            key = next;
        }
    }

    /// Gives every entry a new due time, and the wheel a new `now`: the clock was set.
    pub fn rebuild(&mut self, now: Millis, mut due: impl FnMut(u32, Millis) -> Millis) {
        self.heads.fill(NONE);
        self.now = now;
        self.len = 0;
        for key in 0..self.nodes.len() {
            let old = std::mem::replace(&mut self.nodes[key], FREE).due;
            if old != IDLE {
                let key = u32::try_from(key).expect("keys are 32 bits wide");
                self.put(key, due(key, old));
            }
        }
    }

    /// A moment before which nothing is due, at most `within` from now: how long one may sleep.
    #[must_use]
    pub fn quiet_until(&self, within: Millis) -> Millis {
        let end = self.now + within;
        let first = self.now >> SLICE_BITS;
        let last = end >> SLICE_BITS;
        for step in first..=last.min(first + SLICES as Millis - 1) {
            if self.heads[masked(step)] != NONE {
                return (step << SLICE_BITS).clamp(self.now, end);
            }
        }
        end
    }
}

fn slice(at: Millis) -> usize {
    masked(at >> SLICE_BITS)
}

/// Where on the wheel a slice is found; slices before the epoch too.
fn masked(slice: Millis) -> usize {
    usize::try_from(slice.rem_euclid(SLICES as Millis)).expect("a remainder is not negative")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn taken(wheel: &mut Wheel, until: Millis) -> Vec<(u32, Millis)> {
        let mut out = Vec::new();
        wheel.take(until, |key, due| out.push((key, due)));
        out.sort_unstable();
        out
    }

    #[test]
    fn nothing_is_taken_before_it_is_due_nor_twice() {
        let mut wheel = Wheel::new(1_000);
        wheel.put(3, 1_002);
        wheel.put(4, 1_003);
        wheel.put(5, 900);
        assert_eq!(taken(&mut wheel, 1_002), [(3, 1_002), (5, 900)]);
        assert_eq!(taken(&mut wheel, 1_002), []);
        assert_eq!(taken(&mut wheel, 1_003), [(4, 1_003)]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_jump_over_many_turns_finds_all_and_leaves_the_rest() {
        let mut wheel = Wheel::new(0);
        wheel.put(0, 86_400_000);
        wheel.put(1, 70_000);
        wheel.put(2, 200_000_000);
        assert_eq!(taken(&mut wheel, 90_000_000), [(0, 86_400_000), (1, 70_000)]);
        assert_eq!(wheel.due(2), Some(200_000_000));
        assert_eq!(wheel.quiet_until(5), 90_000_005);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Put(u32, Millis),
        Remove(u32),
        Take(Millis),
        Rebuild(Millis),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => (0_u32..40, -50_000_i64..200_000).prop_map(|(key, at)| Act::Put(key, at)),
            2 => (0_u32..40).prop_map(Act::Remove),
            4 => prop_oneof![0_i64..20, 0_i64..200_000].prop_map(Act::Take),
            1 => (-100_000_i64..100_000).prop_map(Act::Rebuild),
        ];
        prop::collection::vec(act, 1..200)
    }

    proptest! {
        /// The wheel does what a sorted map does.
        #[test]
        fn the_wheel_is_a_map_of_due_times(acts in acts()) {
            let mut wheel = Wheel::new(0);
            let mut model: BTreeMap<u32, Millis> = BTreeMap::new();
            let mut now = 0;
            for act in acts {
                match act {
                    Act::Put(key, ahead) => {
                        wheel.put(key, now + ahead);
                        model.insert(key, now + ahead);
                    }
                    Act::Remove(key) => prop_assert_eq!(wheel.remove(key), model.remove(&key).is_some()),
                    Act::Take(ahead) => {
                        prop_assert!(model.values().all(|due| (*due).max(now) >= wheel.quiet_until(50) || wheel.quiet_until(50) == now + 50));
                        now += ahead;
                        let wanted: Vec<_> =
                            model.iter().filter(|(_, due)| **due <= now).map(|(key, due)| (*key, *due)).collect();
                        model.retain(|_, due| *due > now);
                        prop_assert_eq!(taken(&mut wheel, now), wanted);
                    }
                    Act::Rebuild(by) => {
                        now += by;
                        wheel.rebuild(now, |_, due| due + by + 3);
                        model.values_mut().for_each(|due| *due += by + 3);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
