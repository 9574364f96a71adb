//! How requirements are read and rankings written.

use std::time::Duration;

use super::*;

#[test]
fn requirements_are_read_strictly() {
    let json = r#"{"category": "unit_test", "complexity": "complex", "quality": 0.8, "max_latency": "3000ms", "json": true}"#;
    let need: Requirements = serde_json::from_str(json).unwrap();
    assert_eq!((need.complexity, need.max_latency), (Complexity::Complex, Some(Duration::from_secs(3))));
    assert_eq!(serde_json::from_value::<Requirements>(serde_json::to_value(&need).unwrap()).unwrap(), need);
    assert!(serde_json::from_str::<Requirements>(r#"{"qualty": 1}"#).is_err());
    let error = serde_json::from_str::<Requirements>(r#"{"complexity": "modrate"}"#).unwrap_err();
    assert!(error.to_string().contains("did you mean \"moderate\"?"), "{error}");
    assert!(need.check().is_ok());
    let bad = Requirements {
        quality: Some(80.0),
        max_cost_usd: Some(f64::NAN),
        category: Some(String::new()),
        specialisation: Some("x".repeat(1_000)),
        ..need
    };
    assert_eq!(bad.check().unwrap_err().len(), 4);
}

#[test]
fn a_ranking_is_written_as_json_with_ids() {
    let catalog = catalog(FOUR);
    let ranking = ranked(&catalog, &Requirements { quality: Some(0.85), ..Requirements::default() });
    let json = serde_json::to_value(&ranking).unwrap();
    assert!(json["ranked"][0]["model"].as_str().unwrap().starts_with("p/"));
    assert_eq!(json["ranked"][0]["parts"].as_array().unwrap().len(), 5);
    assert_eq!(json["left_out"][0]["model"], "p/mistral-small");
    assert_eq!(json["left_out"][0]["lacks"][0]["reason"], "quality");
}
