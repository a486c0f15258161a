//! Deadlines of everything in flight: a hashed wheel of intrusive lists. Setting and clearing one costs a few writes,
//! and a dial that was answered leaves nothing behind, whatever its timeout was.

use std::time::Duration;

use quaywatch_core::BootTime;

/// A tick is 2^12 µs (4.1 ms); deadlines are rounded up to the next one.
const TICK_SHIFT: u32 = 12;
/// One turn takes 134 s: longer than the longest timeout. A later deadline would stay for another turn.
const SLOTS: usize = 1 << 15;
const NONE: u32 = u32::MAX;

/// Deadlines by key; keys are small and dense (a slab's).
pub(super) struct Wheel {
    heads: Box<[u32]>,
    /// A bit for each slot that holds something, so that the next one is found quickly.
    occupied: Box<[u64]>,
    nodes: Vec<Node>,
    /// Every tick up to this one has been looked at.
    cursor: u64,
    len: usize,
}

#[derive(Clone, Copy)]
struct Node {
    tick: u64,
    next: u32,
    previous: u32,
}

const FREE: u64 = u64::MAX;
const UNUSED: Node = Node { tick: FREE, next: NONE, previous: NONE };

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            heads: vec![NONE; SLOTS].into_boxed_slice(),
            occupied: vec![0; SLOTS / 64].into_boxed_slice(),
            nodes: Vec::new(),
            cursor: 0,
            len: 0,
        }
    }

    /// Sets the deadline of `key`, which has none.
    pub(super) fn set(&mut self, key: usize, at: BootTime, now: BootTime) {
        if self.len == 0 {
            self.cursor = now.0 >> TICK_SHIFT;
        }
        if key >= self.nodes.len() {
            self.nodes.resize(key + 1, UNUSED);
        }
        // Rounded up, and never in the past: a tick that has been looked at is not looked at again soon.
        let tick = ((at.0 >> TICK_SHIFT) + 1).max(self.cursor + 1);
        let slot = slot_of(tick);
        let next = self.heads[slot];
        self.nodes[key] = Node { tick, next, previous: NONE };
        let key = u32::try_from(key).expect("a slab of sockets has fewer than 2^32 keys");
        if next != NONE {
            self.nodes[next as usize].previous = key;
        }
        self.heads[slot] = key;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// Clears the deadline of `key`, if it has one.
    pub(super) fn clear(&mut self, key: usize) {
        let Some(node) = self.nodes.get(key).copied().filter(|node| node.tick != FREE) else { return };
        let slot = slot_of(node.tick);
        if node.previous == NONE {
            self.heads[slot] = node.next;
            if node.next == NONE {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
            }
        } else {
            self.nodes[node.previous as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].previous = node.previous;
        }
        self.nodes[key] = UNUSED;
        self.len -= 1;
    }

    /// Appends to `due` every key whose deadline has passed. They keep it until it is cleared.
    pub(super) fn due(&mut self, now: BootTime, due: &mut Vec<usize>) {
        let now = now.0 >> TICK_SHIFT;
        // After a long absence every slot is looked at, but none twice.
        let last = now.min(self.cursor + SLOTS as u64);
        let mut from = self.cursor + 1;
        while from <= last
            && let Some(tick) = self.next_occupied(from)
            && tick <= last
        {
            let mut key = self.heads[slot_of(tick)];
            while key != NONE {
                let node = self.nodes[key as usize];
                if node.tick <= now {
                    due.push(key as usize);
                }
                key = node.next;
            }
            from = tick + 1;
        }
        self.cursor = self.cursor.max(now);
    }

    /// How long until the next deadline, as far as the wheel can tell: rather too early than too late.
    pub(super) fn next_in(&self, now: BootTime) -> Option<Duration> {
        let tick = self.next_occupied(self.cursor + 1)?;
        Some(BootTime(tick << TICK_SHIFT).since(now))
    }

    /// The first tick from `from` on, within one turn, whose slot holds something.
    fn next_occupied(&self, from: u64) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let start = slot_of(from);
        let words = self.occupied.len();
        let mut word = self.occupied[start / 64] & (!0 << (start % 64));
        for step in 0..=words {
            if word != 0 {
                let slot = ((start / 64 + step) % words) * 64 + word.trailing_zeros() as usize;
                let ahead = (slot + SLOTS - start) % SLOTS;
                return Some(from + ahead as u64);
            }
            word = self.occupied[(start / 64 + step + 1) % words];
        }
        None
    }
}

const fn slot_of(tick: u64) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, now: u64) -> Vec<usize> {
        let mut due = Vec::new();
        wheel.due(BootTime(now), &mut due);
        for key in &due {
            wheel.clear(*key);
        }
        due.sort_unstable();
        due
    }

    #[test]
    fn a_deadline_fires_once_after_its_time_and_within_two_ticks() {
        let mut wheel = Wheel::new();
        let start = 987_654_321_000;
        for (key, after) in [(0, 1), (1, 100_000), (2, 100_000), (3, 120_000_000), (4, 400_000_000)] {
            wheel.set(key, BootTime(start + after), BootTime(start));
        }
        wheel.clear(2);
        let mut fired = Vec::new();
        for now in (start..start + 401_000_000).step_by(1_000) {
            fired.extend(due(&mut wheel, now).into_iter().map(|key| (key, now - start)));
        }
        assert_eq!(fired.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [0, 1, 3, 4]);
        for ((_, at), deadline) in fired.iter().zip([1, 100_000, 120_000_000, 400_000_000]) {
            assert!((deadline..deadline + 9_300).contains(at), "{at} for {deadline}");
        }
        assert_eq!(wheel.len, 0);
    }

    #[test]
    fn a_long_absence_finds_everything_that_fell_due() {
        let mut wheel = Wheel::new();
        for key in 0..1_000 {
            wheel.set(key, BootTime(5_000 * key as u64), BootTime(0));
        }
        assert_eq!(due(&mut wheel, 3_600_000_000), (0..1_000).collect::<Vec<_>>());
        assert_eq!(wheel.next_in(BootTime(3_600_000_000)), None);
    }

    #[test]
    fn the_next_deadline_is_found_across_the_end_of_the_wheel() {
        let mut wheel = Wheel::new();
        let now = BootTime(((SLOTS as u64 - 3) << TICK_SHIFT) + 17);
        wheel.set(7, now + Duration::from_millis(100), now);
        let next = wheel.next_in(now).unwrap();
        assert!((100..109).contains(&next.as_millis()), "{next:?}");
        assert!(due(&mut wheel, now.0 + 99_000).is_empty());
        assert_eq!(due(&mut wheel, now.0 + 109_000), [7]);
    }

    #[test]
    fn clearing_from_the_middle_keeps_the_rest() {
        let mut wheel = Wheel::new();
        for key in 0..5 {
            wheel.set(key, BootTime(50_000), BootTime(0));
        }
        for key in [2, 4, 0] {
            wheel.clear(key);
        }
        wheel.clear(0);
        assert_eq!(due(&mut wheel, 60_000), [1, 3]);
    }
}
