//! Names of things: small numbers for what is configured, UUIDv7 for what happens.
//!
//! Configured things (account, monitor, channel, location) are numbers that are never reused; in text they carry a
//! letter for their kind (`m42`, `ch4`), so that a number pasted into the wrong place is noticed. Things that happen
//! (incidents) are UUIDv7 in 26 characters of Crockford base32 behind `inc_`: sortable by time, unguessable enough,
//! safe in a URL and in a header.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct IdError {
    /// The text as given.
    pub text: String,
    /// What was wanted, with an example.
    pub wanted: &'static str,
}

/// No number is larger: those of monitors share a block key with other things, and the rest never come so far.
const LARGEST: i64 = u32::MAX as i64;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|digits| digits.parse().ok())
                    .filter(|id| (1..=LARGEST).contains(id))
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), wanted: $wanted })
            }
        }
    };
}

number_id!(
    /// The tenant that owns monitors. A self-hosted server starts with account 1, `default`.
    AccountId, "a", "an account id such as `a1`"
);
number_id!(
    /// A monitor. Below 2³², so that block keys and schedules can be packed.
    MonitorId, "m", "a monitor id such as `m42`"
);
number_id!(
    /// A place that notices go to.
    ChannelId, "ch", "a channel id such as `ch4`"
);

number_id!(
    /// A person who may sign in. People are the server's: one may be a member of several accounts.
    UserId, "u", "a user id such as `u3`"
);
number_id!(
    /// An API token, of one account.
    TokenId, "tok", "a token id such as `tok5`"
);

impl AccountId {
    /// The account of a self-hosted server.
    pub const DEFAULT: Self = Self(1);
}

impl MonitorId {
    /// The shard that judges this monitor: `id mod 64`, for ever.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId((self.0 & 63) as u8)
    }

    /// The position of this monitor within its shard: `id div 64`.
    #[must_use]
    pub fn within_shard(self) -> u32 {
        (self.0 >> 6) as u32
    }
}

impl ChannelId {
    /// The shard that delivers to this channel: `id mod 64`.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId((self.0 & 63) as u8)
    }
}

/// One of the 64 parts into which work is cut by monitor id. One task owns a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u8);

impl ShardId {
    /// How many shards there are, for ever.
    pub const COUNT: usize = 64;

    /// All shards in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }
}

/// A place from which checks run: 0 is `local`, the server itself; agents get 1 to 2047 (11 bits of a block key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocationId(pub u16);

impl LocationId {
    /// The server itself.
    pub const LOCAL: Self = Self(0);
    /// The largest location number that a block key can hold.
    pub const MAX: Self = Self(2047);
}

/// An incident: UUIDv7 made from the time it was opened and injected randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub Uuid);

const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl IncidentId {
    /// Makes an id from the milliseconds since the epoch and ten random bytes (RFC 9562 section 5.7).
    #[must_use]
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        let mut text = *b"inc_00000000000000000000000000";
        for (i, c) in text[4..].iter_mut().enumerate() {
            *c = BASE32[((bits >> (125 - 5 * i)) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for IncidentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error =
            || IdError { text: text.to_owned(), wanted: "an incident id such as `inc_` and 26 characters" };
        let digits = text.strip_prefix("inc_").filter(|d| d.len() == 26).ok_or_else(error)?;
        let mut bits: u128 = 0;
        for (i, c) in digits.bytes().enumerate() {
            let value = BASE32.iter().position(|b| *b == c.to_ascii_lowercase()).ok_or_else(error)?;
            // 26 characters carry 130 bits: the first may only use three of its five.
            if i == 0 && value > 7 {
                return Err(error());
            }
            bits = (bits << 5) | value as u128;
        }
        Ok(Self(Uuid::from_u128(bits)))
    }
}

impl Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `{incident}-{sequence}-{channel}`: one notice, the same on every attempt, carried to the receiver
/// (`webhook-id`), so that a receiver can drop what it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The incident whose event this tells.
    pub incident: IncidentId,
    /// The number of the event in its incident, from 0.
    pub sequence: u32,
    /// The channel it goes to.
    pub channel: ChannelId,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.incident, self.sequence, self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_their_kind() {
        assert_eq!(MonitorId(42).to_string(), "m42");
        assert_eq!("m42".parse(), Ok(MonitorId(42)));
        assert!("ch42".parse::<MonitorId>().is_err());
        assert!("m-1".parse::<MonitorId>().is_err());
        assert!("m0".parse::<MonitorId>().is_err());
    }

    #[test]
    fn incident_ids_survive_text_and_sort_by_time() {
        let early = IncidentId::new(1_700_000_000_000, [7; 10]);
        let late = IncidentId::new(1_700_000_000_001, [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(early.to_string().len(), 30);
        assert!("inc_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<IncidentId>().is_err());
        assert!("inc_".parse::<IncidentId>().is_err());
    }

    #[test]
    fn a_delivery_key_names_incident_event_and_channel() {
        let incident = IncidentId::new(0, [0; 10]);
        let key = DeliveryKey { incident, sequence: 3, channel: ChannelId(4) };
        assert_eq!(key.to_string(), format!("{incident}-3-ch4"));
        assert!(key.to_string().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }
}
