//! The table of settings says what the code does.

use std::collections::HashSet;

use hookmirror::config::{DefaultValue, SETTINGS};

use super::{SettingsFile, load, loaded};

#[test]
fn to_write_a_default_out_changes_nothing() {
    let nothing_set = format!("{:?}", loaded(&[]));
    let mut checked = 0;
    for setting in SETTINGS {
        let DefaultValue::Text(default) = setting.default else {
            continue;
        };
        let written = loaded(&[(setting.name, default)]);
        assert_eq!(format!("{written:?}"), nothing_set, "{}", setting.name);
        checked += 1;
    }
    assert_eq!(checked, 20);
}

#[test]
fn every_setting_has_an_effect_in_the_environment_and_in_the_file() {
    let nothing_set = format!("{:?}", loaded(&[]));
    for setting in SETTINGS {
        for name in [Some(setting.name), setting.alias].into_iter().flatten() {
            // Some take it, some refuse it; none may overlook it.
            let odd = "odd/value=trace";
            let file = SettingsFile::new(format!("{name} = '{odd}'\n"));
            for environment in [(name, odd), file.named()] {
                match load(&[environment]) {
                    Ok(config) => assert_ne!(format!("{config:?}"), nothing_set, "{name}"),
                    Err(problems) => {
                        assert_eq!(problems.problems()[0].setting, setting.name);
                        assert_ne!(problems.problems()[0].code, "unknown_setting");
                    }
                }
            }
        }
    }
}

#[test]
fn every_name_is_there_once() {
    let names: Vec<_> = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name), setting.alias])
        .flatten()
        .collect();
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
