//! What an operator says to the whole host, in one write that every process sees with its next call: no daemon is asked.
//!
//! | part | |
//! |---|---|
//! | words 9 to 15 | kill switch, changes so far, salt, rotation, and how many shields, skips and dyes there are |
//! | words 16 to 31 | a word per mechanism: 0 = the program's own setting stands, else mode + 1 and share << 8 |
//! | words 32 to 63 | two words each for the kill switch and the mechanisms: when it was last set, and by whom |
//! | three lists | 64 buckets each ([`super::bucket`]): shields, skips, dyes |
//! | three times 512 notes | 64 bytes for each slot of a list: key, when, by whom; for tools |
//!
//! Written by the command line or the agent, one at a time (they lock a file), read by all. An entry is one word and is
//! never moved, so each store is a whole change.

use super::bucket::{Buckets, Fingerprint, TOMBSTONE, VALUE_BITS, VALUE_MASK};
use super::header::{self, Format, Header, Mismatch, State, layout_hash};
use super::region::{LINE, Shared, View};
use crate::admission::Mode;
use crate::id::{Per10k, Salt, Uin};
use crate::shield::skip::Skip;
use crate::status::Status;
use crate::strategy::endpoint::{Endpoint, hash};
use crate::time::{NANOS_PER_SECOND, Nanos};

const KILL: usize = 9;
const CHANGES: usize = 10;
const SALT: usize = 11;
const ROTATION: usize = 12;
const COUNTS: usize = 13;
const MECHANISMS: usize = 16;
const AUTHORS: usize = 32;
const LISTS: usize = header::PAGE / 8;
const BUCKETS: u64 = 64;
/// Entries of a list.
pub const LIST_LEN: usize = BUCKETS as usize * LINE;
const NOTES: usize = LISTS + 3 * LIST_LEN;
const SHARE_SHIFT: u32 = 8;
/// Values of a shield or dye are seconds of `CLOCK_MONOTONIC`; 0 has no end.
const NO_END: u32 = 0;
/// Marks the keys of skips and dyes: an endpoint's address is never that.
const SKIP_TAG: u64 = u64::MAX;
const DYE_TAG: u64 = u64::MAX - 1;

/// Bytes of the segment.
pub const SEGMENT_LEN: usize = header::total_len(NOTES, 3 * LIST_LEN, LINE);

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.CT",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        KILL as u64,
        COUNTS as u64,
        MECHANISMS as u64,
        AUTHORS as u64,
        LISTS as u64,
        BUCKETS,
        NOTES as u64,
        LINE as u64,
        SHARE_SHIFT as u64,
        VALUE_BITS as u64,
        1,
    ]),
};

/// What can be switched for the whole host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mechanism {
    /// Admission at the server.
    Admission = 0,
    /// Shielding of endpoints by leaky buckets.
    Shield = 1,
    /// Pass rates from the strategy table.
    PassRate = 2,
    /// Percentage skips.
    Skip = 3,
    /// Withholding what a server's cursor would refuse.
    FastReject = 4,
    /// The budget of retries.
    RetryBudget = 5,
}

impl Mechanism {
    /// All of them, in the order of their numbers.
    pub const ALL: [Mechanism; 6] = [
        Mechanism::Admission,
        Mechanism::Shield,
        Mechanism::PassRate,
        Mechanism::Skip,
        Mechanism::FastReject,
        Mechanism::RetryBudget,
    ];

    /// The mechanism with this number.
    pub fn from_number(number: u32) -> Option<Mechanism> {
        Mechanism::ALL.get(number as usize).copied()
    }

    /// Its name, for people and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Admission => "admission",
            Mechanism::Shield => "shield",
            Mechanism::PassRate => "pass-rate",
            Mechanism::Skip => "skip",
            Mechanism::FastReject => "fast-reject",
            Mechanism::RetryBudget => "retry-budget",
        }
    }
}

/// The mode of a mechanism, for a share of the users. The others' calls are decided and counted, not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its mode.
    pub mode: Mode,
    /// For whom.
    pub share: Per10k,
}

/// What a skip applies to: all calls to a method of a service, or to the whole service with method 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The service.
    pub service_id: u32,
    /// The method.
    pub method_id: u32,
}

impl Target {
    const fn to_words(self) -> [u64; 3] {
        [SKIP_TAG, self.service_id as u64, self.method_id as u64]
    }
}

const fn dye_words(uin: Uin) -> [u64; 3] {
    [DYE_TAG, uin.0, 0]
}

#[derive(Clone, Copy)]
enum List {
    Shields = 0,
    Skips = 1,
    Dyes = 2,
}

impl List {
    const fn buckets(self) -> Buckets {
        Buckets { count: BUCKETS, base: LISTS + self as usize * LIST_LEN }
    }

    const fn count_word(self) -> usize {
        COUNTS + self as usize
    }

    const fn note_word(self, slot: usize) -> usize {
        NOTES + (self as usize * LIST_LEN + slot) * LINE
    }
}

/// Lays out a new segment in zeroed memory, ready: nothing is killed, shielded, skipped or dyed.
///
/// # Errors
///
/// [`Status::TOO_SMALL`].
pub fn create(words: Shared<'_>, seed: u64, instance: u64, salt: Salt) -> Result<(), Status> {
    if words.view().len() * 8 < SEGMENT_LEN {
        return Err(Status::TOO_SMALL);
    }
    header::write(words, &FORMAT, &Header { total_len: SEGMENT_LEN as u64, geometry: BUCKETS, seed, instance });
    words.set(SALT, salt.0);
    header::set_state(words, State::Ready);
    Ok(())
}

/// What the operator said, as every process sees it. All questions are hot, wait-free and only load.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    words: View<'a>,
    seed: u64,
}

impl<'a> Control<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Control<'a>, Mismatch> {
        let header = header::read_ready(words, len, &FORMAT)?;
        header.check_room(words, (header.geometry == BUCKETS).then_some(SEGMENT_LEN))?;
        Ok(Control { words, seed: header.seed })
    }

    /// Whether every mechanism is off.
    #[inline]
    pub fn is_killed(&self) -> bool {
        self.words.load(KILL) == 1
    }

    /// How a mechanism works for the calls of `uin`; `None` if the program's own setting stands.
    #[inline]
    pub fn mode_for(&self, mechanism: Mechanism, uin: Uin) -> Option<Mode> {
        if self.is_killed() {
            return Some(Mode::Off);
        }
        let setting = self.setting(mechanism)?;
        let covered = setting.share == Per10k::ALL || setting.share.covers(self.user_salt().hash(uin.0));
        Some(if setting.mode == Mode::Enforce && !covered { Mode::Observe } else { setting.mode })
    }

    /// Whether the operator lets a mechanism take effect for the calls of `uin`: it is neither killed, nor off, nor only
    /// observed. He does if he has said nothing.
    #[inline]
    pub fn is_enforced(&self, mechanism: Mechanism, uin: Uin) -> bool {
        self.mode_for(mechanism, uin).is_none_or(|mode| mode == Mode::Enforce)
    }

    /// What was said of a mechanism; `None` if nothing.
    #[inline]
    pub fn setting(&self, mechanism: Mechanism) -> Option<Setting> {
        let word = self.words.load(MECHANISMS + mechanism as usize);
        let mode = Mode::from_number((word as u32 & 0xFF).checked_sub(1)?)?;
        Some(Setting { mode, share: Per10k::new((word >> SHARE_SHIFT) as u16)? })
    }

    /// Who last turned the kill switch; `None` if nobody has.
    pub fn kill_author(&self) -> Option<Author> {
        self.author_at(AUTHORS)
    }

    /// Who last set a mechanism; `None` if nobody has.
    pub fn setting_author(&self, mechanism: Mechanism) -> Option<Author> {
        self.author_at(author_word(mechanism))
    }

    fn author_at(&self, word: usize) -> Option<Author> {
        let at_s = self.words.load(word);
        (at_s != 0).then(|| Author { at_s, uid: self.words.load(word + 1) as u32 })
    }

    /// Whether an operator has shielded any endpoint. Hot: one load.
    #[inline]
    pub fn has_shields(&self) -> bool {
        self.words.load(List::Shields.count_word()) != 0
    }

    /// Whether an operator has shielded the endpoint.
    #[inline]
    pub fn is_shielded(&self, endpoint: &Endpoint, now: Nanos) -> bool {
        self.find(List::Shields, || endpoint.to_words()).is_some_and(|until_s| is_before_end(until_s, now))
    }

    /// Whether the calls of `uin` to the target are not to be made. Always the same users, until the rotation changes;
    /// a larger ratio only adds users.
    #[inline]
    pub fn is_skipped(&self, target: Target, uin: Uin) -> bool {
        Skip { ratio: self.skip_ratio(target), salt: self.user_salt() }.covers(uin)
    }

    /// The share of the users whose calls to the target are not made.
    #[inline]
    pub fn skip_ratio(&self, target: Target) -> Per10k {
        if self.words.load(List::Skips.count_word()) == 0 {
            return Per10k::NONE;
        }
        let ratio = |target: Target| Per10k::new(self.find(List::Skips, || target.to_words())? as u16);
        ratio(target).or_else(|| ratio(Target { method_id: 0, ..target })).unwrap_or(Per10k::NONE)
    }

    /// Whether any user is dyed. Hot: one load.
    #[inline]
    pub fn has_dyes(&self) -> bool {
        self.words.load(List::Dyes.count_word()) != 0
    }

    /// Whether the call graph of this user is to be recorded.
    #[inline]
    pub fn is_dyed(&self, uin: Uin, now: Nanos) -> bool {
        self.find(List::Dyes, || dye_words(uin)).is_some_and(|until_s| is_before_end(until_s, now))
    }

    /// The key of the hashes over users on this host.
    pub fn salt(&self) -> Salt {
        Salt(self.words.load(SALT))
    }

    /// Which users are hit by shares and skips: another number, other users.
    pub fn rotation(&self) -> u32 {
        self.words.load(ROTATION) as u32
    }

    /// How often something was changed.
    pub fn changes(&self) -> u64 {
        self.words.load(CHANGES)
    }

    #[inline]
    fn user_salt(&self) -> Salt {
        self.salt().at_epoch(self.rotation())
    }

    #[inline]
    fn find(&self, list: List, key: impl FnOnce() -> [u64; 3]) -> Option<u32> {
        if self.words.load(list.count_word()) == 0 { None } else { self.find_in(list, hash(key(), self.seed)) }
    }

    #[inline(never)]
    fn find_in(&self, list: List, hash: u64) -> Option<u32> {
        list.buckets().find(self.words, hash)
    }

    /// The shields in force and past.
    pub fn shields(&self) -> impl Iterator<Item = (Endpoint, Note)> + use<'a> {
        self.notes(List::Shields).map(|(key, note)| (Endpoint::from_words(key), note))
    }

    /// The skips.
    pub fn skips(&self) -> impl Iterator<Item = (Target, Per10k, Note)> + use<'a> {
        self.notes(List::Skips).filter_map(|([_, service, method], note)| {
            let target = Target { service_id: service as u32, method_id: method as u32 };
            Some((target, Per10k::new(note.value as u16)?, note))
        })
    }

    /// The users whose call graph is recorded.
    pub fn dyes(&self) -> impl Iterator<Item = (Uin, Note)> + use<'a> {
        self.notes(List::Dyes).map(|([_, uin, _], note)| (Uin(uin), note))
    }

    /// The entries of a list with their notes: those whose note fits the entry.
    fn notes(&self, list: List) -> impl Iterator<Item = ([u64; 3], Note)> + use<'a> {
        let control = *self;
        (0..LIST_LEN).filter_map(move |slot| {
            let entry = control.words.load(list.buckets().base + slot);
            let note: [u64; LINE] = control.words.load_line(list.note_word(slot));
            let key = [note[0], note[1], note[2]];
            let fits = entry > TOMBSTONE && Fingerprint::of(hash(key, control.seed)).owns(entry);
            let value = (entry & VALUE_MASK) as u32;
            fits.then_some((key, Note { value, author: Author { at_s: note[3], uid: note[4] as u32 } }))
        })
    }
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Until when, in seconds of `CLOCK_MONOTONIC` (0: without end), or the ratio of a skip.
    pub value: u32,
    /// Who set it, and when.
    pub author: Author,
}

impl Note {
    /// Whether a shield or a dye is in force.
    pub const fn is_in_force(&self, now: Nanos) -> bool {
        is_before_end(self.value, now)
    }
}

/// Who changes something, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The user.
    pub uid: u32,
    /// Seconds since 1970.
    pub at_s: u64,
}

/// The side of the command line and the agent: one at a time.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    words: Shared<'a>,
    control: Control<'a>,
}

impl<'a> Operator<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: Shared<'a>, len: u64) -> Result<Operator<'a>, Mismatch> {
        Ok(Operator { words, control: Control::attach(words.view(), len)? })
    }

    /// What is in force.
    pub fn control(&self) -> Control<'a> {
        self.control
    }

    /// Turns every mechanism off, or back to what it was. Whether that was a change.
    pub fn set_killed(&self, killed: bool, author: Author) -> bool {
        let changes = self.control.is_killed() != killed;
        self.note(AUTHORS, author);
        self.words.publish(KILL, killed.into());
        self.changed();
        changes
    }

    /// Sets a mechanism for the whole host; `None` lets the programs' own settings stand.
    pub fn set_mechanism(&self, mechanism: Mechanism, setting: Option<Setting>, author: Author) {
        self.note(author_word(mechanism), author);
        let word = setting
            .map_or(0, |setting| u64::from(setting.share.get()) << SHARE_SHIFT | u64::from(setting.mode as u32 + 1));
        self.words.publish(MECHANISMS + mechanism as usize, word);
        self.changed();
    }

    /// Shields an endpoint for everyone, until a time or without end.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`] if there are too many shields, [`Status::KEY_COLLISION`] if it cannot be told from another.
    pub fn shield(&self, endpoint: &Endpoint, until: Option<Nanos>, now: Nanos, author: Author) -> Result<(), Status> {
        self.put(List::Shields, endpoint.to_words(), end(until), now, author)
    }

    /// Ends a shield. Whether there was one.
    pub fn unshield(&self, endpoint: &Endpoint) -> bool {
        self.take(List::Shields, endpoint.to_words())
    }

    /// Skips a share of the users' calls to a target; [`Per10k::NONE`] ends it.
    ///
    /// # Errors
    ///
    /// As for [`shield`](Self::shield).
    pub fn skip(&self, target: Target, ratio: Per10k, now: Nanos, author: Author) -> Result<(), Status> {
        if ratio == Per10k::NONE {
            self.take(List::Skips, target.to_words());
            return Ok(());
        }
        self.put(List::Skips, target.to_words(), ratio.get().into(), now, author)
    }

    /// Records a user's call graph, until a time or without end.
    ///
    /// # Errors
    ///
    /// As for [`shield`](Self::shield).
    pub fn dye(&self, uin: Uin, until: Option<Nanos>, now: Nanos, author: Author) -> Result<(), Status> {
        self.put(List::Dyes, dye_words(uin), end(until), now, author)
    }

    /// Ends it. Whether it was on.
    pub fn undye(&self, uin: Uin) -> bool {
        self.take(List::Dyes, dye_words(uin))
    }

    /// Hits other users from now on.
    pub fn set_rotation(&self, rotation: u32) {
        self.words.publish(ROTATION, rotation.into());
        self.changed();
    }

    /// Changes the key of the hashes over users.
    pub fn set_salt(&self, salt: Salt) {
        self.words.publish(SALT, salt.0);
        self.changed();
    }

    fn put(&self, list: List, key: [u64; 3], value: u32, now: Nanos, author: Author) -> Result<(), Status> {
        let hash = hash(key, self.control.seed);
        let (words, buckets, fingerprint) = (self.words.view(), list.buckets(), Fingerprint::of(hash));
        let first = buckets.first(hash);
        let pair = [first, buckets.second(fingerprint, first)];
        let held = pair.into_iter().find_map(|bucket| buckets.slot_of(words, bucket, fingerprint));
        if held.is_some_and(|slot| self.key_at(list, slot - buckets.base) != key) {
            return Err(Status::KEY_COLLISION);
        }
        let free = || pair.into_iter().find_map(|bucket| self.free_slot(list, bucket, now));
        let slot = held.or_else(free).ok_or(Status::TABLE_FULL)?;
        if held.is_none() {
            // An entry that has come to its end: its key goes before its note is overwritten.
            self.words.publish(slot, TOMBSTONE);
        }
        let note = list.note_word(slot - buckets.base);
        for (offset, word) in key.into_iter().chain([author.at_s, author.uid.into()]).enumerate() {
            self.words.set(note + offset, word);
        }
        self.words.publish(slot, fingerprint.with(value.into()));
        self.recount(list);
        Ok(())
    }

    /// A free slot, or one whose entry has come to its end.
    fn free_slot(&self, list: List, bucket: u64, now: Nanos) -> Option<usize> {
        let buckets = list.buckets();
        buckets.free_slot(self.words.view(), bucket).or_else(|| {
            let expires = !matches!(list, List::Skips);
            let word = buckets.word(bucket);
            let past = |slot: &usize| !is_before_end((self.words.load(*slot) & VALUE_MASK) as u32, now);
            (word..word + LINE).find(past).filter(|_| expires)
        })
    }

    fn take(&self, list: List, key: [u64; 3]) -> bool {
        let hash = hash(key, self.control.seed);
        let (buckets, fingerprint) = (list.buckets(), Fingerprint::of(hash));
        let first = buckets.first(hash);
        let held = [first, buckets.second(fingerprint, first)]
            .into_iter()
            .find_map(|bucket| buckets.slot_of(self.words.view(), bucket, fingerprint))
            .filter(|slot| self.key_at(list, slot - buckets.base) == key);
        if let Some(slot) = held {
            self.words.publish(slot, TOMBSTONE);
            self.recount(list);
        }
        held.is_some()
    }

    fn key_at(&self, list: List, slot: usize) -> [u64; 3] {
        core::array::from_fn(|offset| self.words.load(list.note_word(slot) + offset))
    }

    /// Counted anew each time: a writer that died between entry and count is mended by the next.
    fn recount(&self, list: List) {
        let base = list.buckets().base;
        let count = (base..base + LIST_LEN).filter(|&slot| self.words.load(slot) > TOMBSTONE).count();
        self.words.publish(list.count_word(), count as u64);
        self.changed();
    }

    fn note(&self, word: usize, author: Author) {
        self.words.set(word, author.at_s);
        self.words.set(word + 1, author.uid.into());
    }

    fn changed(&self) {
        self.words.add(CHANGES, 1);
    }
}

const fn author_word(mechanism: Mechanism) -> usize {
    AUTHORS + 2 * (1 + mechanism as usize)
}

#[inline]
const fn is_before_end(until_s: u32, now: Nanos) -> bool {
    until_s == NO_END || now.0 / NANOS_PER_SECOND < until_s as u64
}

/// The value for an end: the second in which it falls, rounded up.
fn end(until: Option<Nanos>) -> u32 {
    until.map_or(NO_END, |until| until.0.div_ceil(NANOS_PER_SECOND).clamp(1, VALUE_MASK) as u32)
}
