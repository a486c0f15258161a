//! The locations of one monitor: one inline, because nearly every monitor has one, several in a box.

use super::Policy;
use super::confirm::Place;
use super::moment::Moment;
use crate::id::LocationId;

/// Stands for the location before the judge has seen its policy.
pub(super) const NOWHERE: LocationId = LocationId(u16::MAX);

/// In the order of the policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Places {
    One(Place),
    Many(Box<[Place]>),
}

impl Places {
    pub(super) fn from_vec(mut places: Vec<Place>) -> Self {
        match places.pop() {
            Some(only) if places.is_empty() => Self::One(only),
            Some(last) => {
                places.push(last);
                Self::Many(places.into())
            }
            None => Self::Many(Box::default()),
        }
    }

    pub(super) fn all(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    pub(super) fn all_mut(&mut self) -> &mut [Place] {
        match self {
            Self::One(place) => std::slice::from_mut(place),
            Self::Many(places) => places,
        }
    }

    pub(super) fn at_mut(&mut self, location: LocationId) -> Option<&mut Place> {
        self.all_mut().iter_mut().find(|place| place.location == location)
    }

    /// Whether no policy has been seen yet.
    pub(super) fn are_unnamed(&self) -> bool {
        matches!(self, Self::One(place) if place.location == NOWHERE)
    }

    /// Whether these are the locations of the policy.
    pub(super) fn agree_with(&self, policy: &Policy) -> bool {
        match self {
            Self::One(place) => policy.locations.as_ref() == [place.location],
            Self::Many(places) => {
                policy.locations.len() == places.len()
                    && policy
                        .locations
                        .iter()
                        .zip(places)
                        .all(|(location, place)| *location == place.location)
            }
        }
    }

    /// The same locations as the policy names: known ones keep their counts, new ones start at `now`.
    pub(super) fn following(&self, policy: &Policy, now: Moment) -> Self {
        let unnamed = self.all().iter().find(|place| place.location == NOWHERE);
        let fresh_from = unnamed.map_or(now, |place| place.seen_at);
        let mut following: Vec<Place> = Vec::with_capacity(policy.locations.len());
        for location in &policy.locations {
            if following.iter().any(|place| place.location == *location) {
                continue;
            }
            let known = self.all().iter().find(|place| place.location == *location);
            following.push(known.copied().unwrap_or_else(|| Place::new(*location, fresh_from)));
        }
        Self::from_vec(following)
    }
}
