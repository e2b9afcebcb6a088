//! The data directory is proved by writing to it, and only when asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hookmirror::config::{check_data_dir, with_writable_data_dir};
use tempfile::TempDir;

use super::{codes, load};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[test]
fn a_missing_directory_is_made_for_its_owner_only_and_left_empty() {
    let parent = TempDir::new().expect("a directory");
    let path = parent.path().join("a/b");
    assert_eq!(check_data_dir(&path), None);
    assert_eq!(check_data_dir(&path), None, "once more");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::read_dir(&path).expect("readable").count(), 0);
}

#[test]
fn what_cannot_be_written_to_is_a_problem() {
    let parent = TempDir::new().expect("a directory");
    let file = parent.path().join("file");
    fs::write(&file, "").expect("a file");
    // Permission bits would not stop root; these stop anybody.
    for path in [
        file.clone(),
        file.join("below"),
        PathBuf::from("/proc"),
        PathBuf::from("/proc/hookmirror"),
    ] {
        let problem = check_data_dir(&path).expect("not writable");
        assert_eq!(problem.code, "data_dir_not_writable");
        assert_eq!(problem.setting, "HOOKMIRROR_DATA_DIR");
        assert!(problem.what.contains(text(&path)), "{problem}");
    }
}

#[test]
fn loading_writes_nothing() {
    let parent = TempDir::new().expect("a directory");
    let path = parent.path().join("data");
    load(&[("HOOKMIRROR_DATA_DIR", text(&path))]).expect("right settings");
    assert!(!path.exists());
}

#[test]
fn an_unwritable_directory_is_reported_with_all_the_rest() {
    let unwritable = ("HOOKMIRROR_DATA_DIR", "/proc/hookmirror");
    let alone = with_writable_data_dir(load(&[unwritable])).expect_err("not writable");
    assert_eq!(
        codes(alone.problems()),
        [("data_dir_not_writable", "HOOKMIRROR_DATA_DIR")]
    );
    let both = with_writable_data_dir(load(&[unwritable, ("HOOKMIRROR_LISTEN", "x")]));
    assert_eq!(
        codes(both.expect_err("two problems").problems()),
        [
            ("invalid_listen_address", "HOOKMIRROR_LISTEN"),
            ("data_dir_not_writable", "HOOKMIRROR_DATA_DIR")
        ]
    );
}

#[test]
fn a_writable_directory_hides_no_problem() {
    let parent = TempDir::new().expect("a directory");
    let path = parent.path().join("data");
    let directory = ("HOOKMIRROR_DATA_DIR", text(&path));
    let config = with_writable_data_dir(load(&[directory])).expect("right settings");
    assert_eq!(config.data_dir, path);
    let wrong = with_writable_data_dir(load(&[directory, ("HOOKMIRROR_LISTEN", "x")]));
    assert_eq!(wrong.expect_err("a problem").problems().len(), 1);
}

#[test]
fn no_directory_is_made_while_it_is_uncertain_which_is_meant() {
    let before = Path::new("hookmirror-data").exists();
    let loaded = load(&[("HOOKMIRROR_CONFIG", "/nowhere/hookmirror.toml")]);
    let problems = with_writable_data_dir(loaded).expect_err("no such file");
    assert_eq!(problems.problems().len(), 1);
    assert_eq!(Path::new("hookmirror-data").exists(), before);
}
