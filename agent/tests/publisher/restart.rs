//! What an earlier publisher left in good order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mcrpc_agent::directory::{Directory, Error, SharedMode};
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_agent::started::Origin;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::State;
use mcrpc_core::host::log::{self, Level, Log};
use mcrpc_core::host::seat::COMMON;
use mcrpc_core::host::stat::{CounterKey, Counters, Kind, Stat};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::table::Table;

use super::{ALL_NAMES, SMALL, adopted, all, directory, endpoint, entry, file, names, publish, read};

#[test]
fn the_first_one_makes_everything_and_says_so() {
    let parent = directory();
    let path = parent.path().join("new");
    let (publisher, started) = Publisher::open(&path, SMALL).unwrap();
    assert_eq!(started.to_string(), "made a table of strategies; made: control, fail, stat, trace");
    assert_eq!(names(&path), ALL_NAMES);
    let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(""), 0o755);
    let modes = ALL_NAMES.map(|name| (name, mode(name)));
    let expected = [0o600, 0o644, 0o660, 0o660, 0o660, 0o640, 0o644, 0o660, 0o600];
    assert_eq!(modes.map(|(_, mode)| mode), expected, "{modes:?}");
    assert!(publisher.is_empty());
    assert_eq!(read(&path, 10), Some(vec![]));
}

#[test]
fn after_a_crash_the_next_one_goes_on_and_readers_notice_nothing() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 50);
    let reader = publisher.directory().map(Segment::Strategy).unwrap();
    let table = Table::attach(reader.view(), reader.len()).unwrap();
    drop(publisher);

    let (mut publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!(adopted(&started), Some(50));
    assert!(started.to_string().ends_with("; kept: control, fail, stat, trace"), "{started}");
    let counts: Vec<_> = publisher.entries().map(|(record, entry)| (record.counts.requests, entry)).collect();
    assert!(counts.len() == 50 && counts.iter().all(|(requests, found)| *found == entry(*requests)), "{counts:?}");

    let beat = table.refresh_seq();
    publisher.set(&endpoint(3), &entry(7_777), Counts::default()).unwrap();
    publisher.remove(&endpoint(4));
    publisher.refresh().unwrap();
    assert_eq!((table.state(), table.refresh_seq()), (Some(State::Ready), beat + 1));
    assert_eq!(table.lookup(&endpoint(3)), Some(entry(7_777)));
    assert_eq!(table.lookup(&endpoint(4)), None);
    assert_eq!(table.lookup(&endpoint(5)), Some(entry(5)));
}

#[test]
fn after_an_orderly_end_readers_let_all_pass_until_the_next_one_puts_the_entries_in_force_again() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 50);
    publisher.close();
    assert_eq!(read(directory.path(), 50), None, "the table is closed");

    let (publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!(adopted(&started), Some(50));
    assert_eq!(read(directory.path(), 50), all(50));
    assert_eq!(publisher.len(), 50);
}

#[test]
fn whoever_is_killed_between_the_two_renames_of_a_replacement_loses_nothing() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 50);
    let table = file(&directory, Segment::Strategy);
    let old_table = directory.path().join("old");
    fs::hard_link(&table, &old_table).unwrap();
    publisher.resize(SMALL.capacity).unwrap();
    drop(publisher);
    // As it was before the second rename.
    fs::rename(&table, directory.path().join(".strategy.v1.new")).unwrap();
    fs::rename(&old_table, &table).unwrap();
    let superseded = Directory::open(directory.path(), None).unwrap().map_writable(Segment::Strategy).unwrap();
    mcrpc_core::host::header::set_state(superseded.shared(), State::Ready);
    let reader = Table::attach(superseded.shared().view(), superseded.len()).unwrap();
    assert_eq!(read(directory.path(), 50), all(50), "until then the old table is in force");

    let (_publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    let Origin::Adopted { adoption, .. } = &started.table else { panic!("{started}") };
    assert!(adoption.finished_replacement && adoption.adopted.entries == 50, "{started}");
    assert_eq!(reader.state(), Some(State::Superseded), "readers are told to attach the new one");
    assert_eq!(read(directory.path(), 50), all(50));
    assert_eq!(names(directory.path()), ALL_NAMES);
}

#[test]
fn two_segments_of_different_tables_are_not_taken_for_a_pair() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 50);
    let (cold, old_cold) = (file(&directory, Segment::Cold), directory.path().join("old"));
    fs::copy(&cold, &old_cold).unwrap();
    publisher.resize(SMALL.capacity).unwrap();
    drop(publisher);
    fs::rename(&old_cold, &cold).unwrap();

    let (_publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    let Origin::Made { because } = &started.table else { panic!("{started}") };
    assert!(matches!(because, Error::NotAPair { path } if *path == cold), "{because}");
    assert_eq!(read(directory.path(), 50), Some(vec![]), "rather nothing than something wrong");
}

#[test]
fn a_table_without_room_is_replaced_at_the_next_refresh_and_nobody_is_left_out() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 100);
    let reader = publisher.directory().map(Segment::Strategy).unwrap();
    let old = Table::attach(reader.view(), reader.len()).unwrap();
    let mut refused = 0;
    for number in 100..1_000 {
        match publisher.set(&endpoint(number), &entry(number), Counts::default()) {
            Err(Status::TABLE_FULL) => refused += 1,
            result => panic!("{number}: {result:?}"),
        }
    }
    assert_eq!((refused, old.state()), (900, Some(State::Ready)));

    let refreshed = publisher.refresh().unwrap();
    assert_eq!((refreshed.expired, refreshed.replaced), (0, Some(1_000)));
    assert_eq!(old.state(), Some(State::Superseded));
    assert_eq!((0..100).filter(|&number| old.lookup(&endpoint(number)) == Some(entry(number))).count(), 100);
    assert_eq!(read(directory.path(), 1_000), all(1_000));
    assert_eq!(publisher.refresh().unwrap().replaced, None);
    drop(publisher);

    // It stays as large as it has to be.
    let (mut publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!((adopted(&started), publisher.capacity()), (Some(1_000), 1_000));
    for number in 60..1_000 {
        publisher.remove(&endpoint(number));
    }
    drop(publisher);
    let (publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!((adopted(&started), publisher.capacity()), (Some(60), 100), "{started}");
    assert_eq!(read(directory.path(), 1_000), all(60));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_changes() {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 50);
    for capacity in [0, 49, u32::MAX] {
        assert!(publisher.resize(capacity).is_err());
        assert_eq!(read(directory.path(), 50), all(50));
    }
    assert_eq!(names(directory.path()), ALL_NAMES);
}

#[test]
fn segments_that_processes_use_are_kept_also_if_other_sizes_are_asked_for() {
    let directory = directory();
    let (publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    let mapping = publisher.directory().map_writable(Segment::Stat).unwrap();
    let stat = Stat::attach(mapping.shared(), mapping.len()).unwrap();
    let column = stat.column(CounterKey { id: 1, key: 2, kind: Kind::Sum }).unwrap();
    stat.add(1, column, 5);
    drop(publisher);

    let larger = Settings { seats: 9, shared_mode: SharedMode::WORLD, ..SMALL };
    let (publisher, started) = Publisher::open(directory.path(), larger).unwrap();
    assert!(started.to_string().contains("kept in another size than asked for: stat"), "{started}");
    stat.add(1, column, 5);
    let mapping = publisher.directory().map(Segment::Stat).unwrap();
    assert_eq!(Counters::attach(mapping.view(), mapping.len()).unwrap().sum(column), 10);
    let mode = fs::metadata(file(&directory, Segment::Stat)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o666, "who may write them follows the settings");
}

#[test]
fn two_in_one_directory_are_one_too_many() {
    let directory = directory();
    let (_first, _) = Publisher::open(directory.path(), SMALL).unwrap();
    let second = Publisher::open(directory.path(), SMALL).map(|_| ()).unwrap_err();
    let own_pid = std::process::id();
    assert!(matches!(second, Error::Locked { pid: Some(pid), .. } if pid == own_pid), "{second}");
    let path = directory.path().join("writer.lock");
    let text = format!("{} is locked: process {own_pid} publishes strategies there; stop it first", path.display());
    assert_eq!(second.to_string(), text);
}

#[test]
fn who_still_has_the_rings_of_logs_that_nobody_keeps_any_more_is_told_that_a_line_is_dropped() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("mcrpc");
    let keeping = Settings { capacity: 10, seats: 2, log_cells: Some(64), ..Settings::DEFAULT };
    drop(Publisher::open(&path, keeping).unwrap());
    let old = Directory::open(&path, None).unwrap().map_writable(Segment::Log).unwrap();
    let rings = Log::attach(old.shared(), old.len()).unwrap();
    let write = |seat| rings.ring(seat).write(Level::Info, &log::Origin::default(), b"a line");
    assert_eq!([write(COMMON), write(1)], [Ok(()); 2]);
    drop(Publisher::open(&path, Settings { log_cells: None, ..keeping }).unwrap());
    assert_eq!([write(COMMON), write(1), write(2)], [Err(Status::LINE_DROPPED); 3]);
}
