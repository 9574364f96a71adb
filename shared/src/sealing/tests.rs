use super::*;

const FIRST: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const SECOND: &str = "k2:202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).expect("a ring")
}

fn place(field: &str) -> Place {
    Place::of_task("wl", "default", "t1", field)
}

#[test]
fn a_value_opens_in_its_place_and_nowhere_else() {
    let ring = ring(FIRST);
    let sealed = ring.seal(&place("result"), b"{\"n\":1}");
    assert_eq!(key_of(&sealed), Some("k1"));
    assert!(is_sealed(&sealed) && !is_sealed(b"{\"n\":1}"));
    assert!(!sealed.windows(3).any(|part| part == b"\"n\""), "nothing of it is in clear");
    assert_eq!(ring.open(&place("result"), &sealed).as_deref(), Ok(&b"{\"n\":1}"[..]));
    for other in [
        place("payload"),
        Place::of_task("wl", "default", "t2", "result"),
        Place::of_task("wl", "other", "t1", "result"),
        Place::of_task("wx", "default", "t1", "result"),
        Place::of_gate("wl", "default", "t1"),
    ] {
        assert_eq!(ring.open(&other, &sealed), Err(Unopened::Damaged), "{other:?}");
    }
}

#[test]
fn no_two_sealed_values_are_alike() {
    let ring = ring(FIRST);
    assert_ne!(ring.seal(&place("result"), b"1"), ring.seal(&place("result"), b"1"));
}

#[test]
fn a_changed_or_cut_value_is_told_from_one_of_another_key() {
    let ring = ring(FIRST);
    let sealed = ring.seal(&place("result"), b"\"a longer text\"");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        let opened = ring.open(&place("result"), &changed);
        assert!(opened.is_err(), "byte {at} was changed");
        assert!(ring.open(&place("result"), &sealed[..at]).is_err(), "cut at {at}");
    }
    let other = self::ring(SECOND);
    assert_eq!(other.open(&place("result"), &sealed), Err(Unopened::NoKey("k1".into())));
    let same_id = self::ring(&SECOND.replace("k2", "k1"));
    assert_eq!(same_id.open(&place("result"), &sealed), Err(Unopened::Damaged));
}

#[test]
fn a_new_key_opens_what_the_old_one_sealed_while_both_are_there() {
    let (old, both) = (ring(FIRST), ring(&format!("{SECOND}\n{FIRST} # until Monday\n")));
    let sealed = old.seal(&place("result"), b"1");
    assert_eq!(both.open(&place("result"), &sealed).as_deref(), Ok(&b"1"[..]));
    assert_eq!((both.seals_with(), both.ids().collect::<Vec<_>>()), ("k2", vec!["k2", "k1"]));
    assert_eq!(both.clone().sealing_with("k1").expect("it is there").seals_with(), "k1");
    assert!(both.sealing_with("k3").unwrap_err().contains("k2, k1"));
}

#[test]
fn a_digest_is_the_same_task_under_each_key_that_is_here() {
    let (old, new) = (ring(FIRST), ring(&format!("{SECOND},{FIRST}")));
    let stored = old.digest("0123456789abcdef");
    assert!(!stored.contains("0123456789abcdef"));
    assert_ne!(stored, new.digest("0123456789abcdef"));
    assert!(new.is_digest_of(&stored, "0123456789abcdef"), "the key was changed since");
    assert!(
        new.is_digest_of("0123456789abcdef", "0123456789abcdef"),
        "it was submitted before there was a key"
    );
    assert!(!new.is_digest_of(&stored, "another"));
    assert!(!ring(SECOND).is_digest_of(&stored, "0123456789abcdef"), "nobody here can tell");
}

#[test]
fn a_key_is_read_in_the_usual_ways_and_never_told() {
    let same = "k1:000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f";
    let sealed = ring(same).seal(&place("result"), b"1");
    assert!(ring(&format!("{FIRST}=")).open(&place("result"), &sealed).is_ok());
    assert_eq!(format!("{:?}", ring(FIRST)), "KeyRing([\"k1\"])");
    let made = new_key("k-2026").expect("a good id");
    assert!(KeyRing::parse(&made).is_ok() && new_key("k-2026").expect("another") != made);
    for (bad, said) in [
        ("", "no key"),
        ("hunter2", "ID:KEY"),
        ("k1:hunter2", "base64"),
        ("k 1:hunter2", "ID:KEY"),
        ("k/1:hunter2", "letters"),
        (&format!("{FIRST},{same}"), "twice"),
    ] {
        let why = KeyRing::parse(bad).unwrap_err();
        assert!(why.contains(said) && !why.contains("hunter2"), "{bad}: {why}");
    }
}
