//! `PROTOCOL.md` is what other programs are written from: it must name every key, in order, and every script.

use windlass_shared::{
    model::{QueueName, State},
    store::all_scripts,
};

use crate::scene::Scene;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/PROTOCOL.md");
    std::fs::read_to_string(path).expect("the page")
}

/// The names in a table of fixed keys, which begins after `heading`.
fn numbered(page: &str, heading: &str) -> Vec<String> {
    let table = page.split(heading).nth(1).expect("the heading");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let mut names = Vec::new();
    for row in rows {
        let mut cells = row.split(" | ");
        let number = cells.next().and_then(|cell| cell.parse::<usize>().ok());
        if number == Some(names.len() + 1) {
            names.push(cells.next().expect("a name").trim_matches('`').to_owned());
        } else if !names.is_empty() {
            break;
        }
    }
    names
}

fn last_parts<const N: usize>(keys: &[String; N]) -> Vec<String> {
    keys.iter().map(|key| key.rsplit(':').next().expect("a part").to_owned()).collect()
}

#[tokio::test]
async fn the_fixed_keys_stand_in_their_order() {
    let (page, t) = (page(), Scene::new().await);
    let keys = t.store.keys();
    let queue = keys.queue(&QueueName::new("q").unwrap());
    assert_eq!(numbered(&page, "### Keys of a queue"), last_parts(&queue.fixed));
    assert_eq!(numbered(&page, "## 17. The gateway to models"), last_parts(&keys.gate()));
    let session =
        page.split("K=$(for key in ").nth(1).expect("the session").split(';').next().expect("names");
    assert_eq!(session.split(' ').collect::<Vec<_>>(), last_parts(&queue.fixed));
    t.done().await;
}

#[test]
fn every_script_state_and_transition_is_told() {
    let page = page();
    for script in all_scripts() {
        assert!(page.contains(&format!("`{}`", script.name)), "{}", script.name);
    }
    for state in State::ALL {
        assert!(page.contains(&format!("`{state}`")), "{state}");
    }
}
