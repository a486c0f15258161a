//! What the engine stores beside a judge's own state: the facts that a restart would lose and that no decision rests
//! on. A version number first, so that a later release can read it; a length before the judge's bytes, so that the two
//! can grow apart.

use quaywatch_core::judge::Judge;
use quaywatch_core::{ChannelId, Timestamp};

const VERSION: u8 = 1;

/// The engine's own part of a stored state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extras {
    /// The revision of the spec that was judged by.
    pub(crate) revision: u32,
    /// The fingerprint of what is watched and how.
    pub(crate) identity: u64,
    /// The number of the last incident.
    pub(crate) ordinal: u32,
    /// When it last answered well; zero: never, or before the last restart.
    pub(crate) last_ok_at: Timestamp,
    /// How fast.
    pub(crate) last_ok_us: u32,
    /// Who was told of the open incident, and so must be told of its end.
    pub(crate) told: Vec<ChannelId>,
}

pub(crate) fn seal(judge: &Judge, extras: &Extras) -> Vec<u8> {
    let inner = judge.encode();
    let mut out = Vec::with_capacity(inner.len() + 35 + 8 * extras.told.len());
    out.push(VERSION);
    out.extend_from_slice(&(inner.len() as u32).to_le_bytes());
    out.extend_from_slice(&inner);
    out.extend_from_slice(&extras.revision.to_le_bytes());
    out.extend_from_slice(&extras.identity.to_le_bytes());
    out.extend_from_slice(&extras.ordinal.to_le_bytes());
    out.extend_from_slice(&extras.last_ok_at.0.to_le_bytes());
    out.extend_from_slice(&extras.last_ok_us.to_le_bytes());
    out.extend_from_slice(&(extras.told.len() as u16).to_le_bytes());
    for channel in &extras.told {
        out.extend_from_slice(&channel.0.to_le_bytes());
    }
    out
}

/// The judge and the extras, each as far as it can be read: a judge that cannot be read is started anew by the caller,
/// which still wants to know who was told.
pub(crate) fn open(bytes: &[u8]) -> (Result<Judge, String>, Option<Extras>) {
    let mut reader = Reader(bytes);
    let Some(inner) = reader.array().filter(|v: &[u8; 1]| v[0] == VERSION).and_then(|_| {
        let length = u32::from_le_bytes(reader.array()?) as usize;
        reader.take(length)
    }) else {
        return (Err("the stored state has another form".to_owned()), None);
    };
    (Judge::decode(inner).map_err(|error| error.to_string()), extras(&mut reader))
}

fn extras(reader: &mut Reader<'_>) -> Option<Extras> {
    let mut extras = Extras {
        revision: u32::from_le_bytes(reader.array()?),
        identity: u64::from_le_bytes(reader.array()?),
        ordinal: u32::from_le_bytes(reader.array()?),
        last_ok_at: Timestamp(i64::from_le_bytes(reader.array()?)),
        last_ok_us: u32::from_le_bytes(reader.array()?),
        told: Vec::new(),
    };
    for _ in 0..u16::from_le_bytes(reader.array()?) {
        extras.told.push(ChannelId(i64::from_le_bytes(reader.array()?)));
    }
    Some(extras)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_opened_and_nothing_else() {
        let judge = Judge::new(Timestamp::from_secs(5));
        let extras = Extras {
            revision: 3,
            identity: u64::MAX,
            ordinal: 9,
            last_ok_at: Timestamp(-1),
            last_ok_us: 7,
            told: vec![ChannelId(4), ChannelId(1 << 40)],
        };
        let bytes = seal(&judge, &extras);
        let (again, other) = open(&bytes);
        assert_eq!(again.expect("our own bytes").encode(), judge.encode());
        assert_eq!(other, Some(extras));
        for cut in 0..bytes.len() {
            let (judge, extras) = open(&bytes[..cut]);
            assert!(judge.is_err() || extras.is_none(), "cut at {cut}");
        }
        assert!(open(b"\x02whatever").0.is_err());
    }
}
