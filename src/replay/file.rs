//! A file of recorded decisions: a header of 128 bytes, and 48 for each request ([`mcrpc_core::admission::record`]).
//!
//! | byte | size | little-endian |
//! |---|---|---|
//! | 0 | 8 | `MCRPCREC` |
//! | 8 | 2 | version, 1 |
//! | 10 | 2 | bytes of a record, 48 |
//! | 12 | 4 | bytes of the header, 128 |
//! | 16 | 52 | the settings of the controller, 13 numbers, in the order of [`super::policy::SETTINGS`] |
//! | 68 | 60 | 0 |

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use mcrpc_core::admission::Config;
use mcrpc_core::admission::record::{DecisionRecord, LEN};

use super::policy::SETTINGS;

const MAGIC: &[u8; 8] = b"MCRPCREC";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 128;
const SETTINGS_AT: usize = 16;

/// What a file holds.
pub(crate) struct Recording {
    pub(crate) config: Config,
    pub(crate) records: Vec<DecisionRecord>,
}

impl Recording {
    /// Writes a file, anew.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(cannot)?);
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&(LEN as u16).to_le_bytes());
        header[12..16].copy_from_slice(&(HEADER_LEN as u32).to_le_bytes());
        for (place, setting) in header[SETTINGS_AT..].as_chunks_mut::<4>().0.iter_mut().zip(&SETTINGS) {
            *place = (setting.get)(&self.config).to_le_bytes();
        }
        file.write_all(&header).with_context(cannot)?;
        for record in &self.records {
            file.write_all(&record.to_bytes()).with_context(cannot)?;
        }
        file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        Ok(())
    }

    /// Reads a file, all of it. Its records are put into the order of their arrival.
    pub(crate) fn read(path: &Path) -> Result<Recording> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Recording::parse(BufReader::new(file))
            .with_context(|| format!("{} is no recording of decisions", path.display()))
    }

    fn parse(mut from: impl BufRead) -> Result<Recording> {
        let mut header = Vec::with_capacity(HEADER_LEN);
        from.by_ref().take(HEADER_LEN as u64).read_to_end(&mut header).context("cannot read it")?;
        if header.len() < HEADER_LEN {
            bail!("it has {} bytes, and the header alone {HEADER_LEN}", header.len());
        }
        let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        if header[..8] != *MAGIC {
            bail!("it does not begin with MCRPCREC: make one with `mcrpc record`");
        }
        if (number(8), usize::from(number(10))) != (VERSION, LEN) {
            bail!("it is of version {}, and this program reads {VERSION}: use one of the same version", number(8));
        }
        let mut config = Config::DEFAULT;
        for (place, setting) in header[SETTINGS_AT..].as_chunks::<4>().0.iter().zip(&SETTINGS) {
            let value = u32::from_le_bytes(*place);
            if !(setting.set)(&mut config, value) {
                bail!("its setting {} is {value}, which it cannot be", setting.name);
            }
        }
        if config.validate().is_err() {
            bail!("its settings do not fit each other");
        }
        let (mut records, mut bytes) = (Vec::new(), [0; LEN]);
        while !from.fill_buf().context("cannot read it")?.is_empty() {
            let number = records.len();
            from.read_exact(&mut bytes).with_context(|| format!("record {number} is cut short"))?;
            let record = DecisionRecord::from_bytes(&bytes);
            records.push(record.with_context(|| format!("record {number} is none of version 1"))?);
        }
        records.sort_by_key(|record| record.arrived);
        Ok(Recording { config, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_refused_and_says_why() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("recording");
        Recording { config: Config::DEFAULT, records: Vec::new() }.write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        assert_eq!(Recording::parse(&good[..]).unwrap().config, Config::DEFAULT);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, why) in [
            (good[..100].to_vec(), "the header alone"),
            (with(0, b'X'), "MCRPCREC"),
            (with(8, 9), "version 9"),
            (with(16, 0), "fit each other"),
            (with(24, 7), "mode is 7"),
            ([&good[..], &[0]].concat(), "cut short"),
            ([&good[..], &[0; LEN]].concat(), "record 0"),
        ] {
            let error = format!("{:#}", Recording::parse(&bytes[..]).err().unwrap());
            assert!(error.contains(why), "{error} instead of {why}");
        }
    }
}
