//! Lists in one text: `a,b`, `default,other=3`, `zone=a,pod=b`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ErrorClass, QueueName, retry::Wanted};

use super::fault::all;

/// The largest share that one queue can have of a worker's attention, compared with another's 1.
const HEAVIEST: u32 = 100;

/// The items of a list separated by commas.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Queues with weights, in the order they were given.
pub(super) fn queues(text: &str) -> Result<Vec<(QueueName, u32)>, String> {
    let queues = all(items(text).map(queue))?;
    if queues.is_empty() {
        return Err("name at least one queue".into());
    }
    no_twice(queues.iter().map(|(name, _)| name.as_str()))?;
    Ok(queues)
}

fn queue(item: &str) -> Result<(QueueName, u32), String> {
    let (name, weight) = item.split_once('=').unwrap_or((item, "1"));
    let name = QueueName::new(name.trim()).map_err(|e| e.to_string())?;
    match weight.trim().parse() {
        Ok(weight @ 1..=HEAVIEST) => Ok((name, weight)),
        _ => Err(format!("{item:?} is not valid: a queue's weight is a number from 1 to {HEAVIEST}")),
    }
}

/// Labels of a node.
pub(super) fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    pairs(text, |name, value| {
        if !name.is_empty()
            && (name.len() + value.len() <= 256)
            && (name.chars().chain(value.chars())).all(plain)
        {
            return Ok(value.to_owned());
        }
        Err(format!("label {name:?}={value:?} is not valid: use letters, digits, '.', '_', '-', '/', ':'"))
    })
}

/// What a task type wants for classes of error.
pub(super) fn classes(text: &str) -> Result<BTreeMap<String, Wanted>, String> {
    pairs(text, |class, wanted| {
        class.parse::<ErrorClass>()?;
        match wanted {
            "retry" => Ok(Wanted::Retry),
            "fail" => Ok(Wanted::Fail),
            _ => Err(format!("{wanted:?} is not valid for class {class}: use retry or fail")),
        }
    })
}

/// Exit codes.
pub(super) fn codes(text: &str) -> Result<Vec<i32>, String> {
    let code = |item: &str| match item.parse() {
        Ok(code @ 0..=255) => Ok(code),
        _ => Err(format!("{item:?} is not an exit code: use numbers from 0 to 255")),
    };
    all(items(text).map(code))
}

fn pairs<T>(
    text: &str,
    read: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<BTreeMap<String, T>, String> {
    let pair = |item: &str| match item.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), read(name.trim(), value.trim())?)),
        None => Err(format!("{item:?} is not valid: use name=value,name=value")),
    };
    let pairs = all(items(text).map(pair))?;
    no_twice(pairs.iter().map(|(name, _)| name.as_str()))?;
    Ok(pairs.into_iter().collect())
}

fn no_twice<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = names.filter(|name| !seen.insert(*name)).collect();
    if twice.is_empty() { Ok(()) } else { Err(format!("{} is given twice", twice.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_weights_and_keep_their_order() {
        let read =
            |text| queues(text).map(|q| q.into_iter().map(|(n, w)| format!("{n}:{w}")).collect::<Vec<_>>());
        assert_eq!(read("default, other = 3,"), Ok(vec!["default:1".into(), "other:3".into()]));
        for bad in ["", ",", "a=0", "a=101", "a=x", "a,a=2", "a b", "nodes"] {
            assert!(queues(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn labels_and_classes_are_pairs() {
        assert_eq!(
            labels("zone=eu/1a, pod = b ").unwrap(),
            [("pod", "b"), ("zone", "eu/1a")].map(|(k, v)| (k.into(), v.into())).into()
        );
        assert_eq!(classes("timeout=fail,quota=retry").unwrap()["quota"], Wanted::Retry);
        for bad in ["zone", "=a", "a=ü", "a=1,a=2"] {
            assert!(labels(bad).is_err(), "{bad:?} was accepted");
        }
        for bad in ["timeout=never", "time_out=fail", "timeout"] {
            assert!(classes(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn every_bad_item_is_named() {
        let error = queues("a b,fine,c=0").unwrap_err();
        assert!(error.contains("a b") && error.contains("c=0"), "{error}");
    }

    #[test]
    fn exit_codes_are_small_numbers() {
        assert_eq!(codes("0, 75"), Ok(vec![0, 75]));
        assert_eq!(codes(""), Ok(vec![]));
        assert!(codes("256").is_err() && codes("-1").is_err());
    }
}
