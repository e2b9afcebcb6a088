//! Many events of few files: what is replaced, what is not, and that it is always the same.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use hookmirror::model::event::EventId;
use hookmirror::model::source::{Provider, Source};
use hookmirror::sender::{Delivery, Template, TemplateError, generate};
use proptest::prelude::*;
use serde_json::Value;

use super::{template, templates};

/// A person in Clerk's form. Not as a serialiser would write it: order, spaces and numbers count.
const USER: &str = r#"{
  "type": "user.created", "object": "event",
  "instance_id": "ins_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
  "data": {
    "id": "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S", "z": 1.50, "a": 1e3,
    "primary_email_address_id": "idn_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "email_addresses": [{"id": "idn_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
      "email_address": "Ada.Lovelace@Example.com"}],
    "organization": "org_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "note": "\nuser_2g7np7Hrk0SN6kj5EDMLDaKNL0S wrote to <Ada.Lovelace@Example.com>."
  }
}
"#;

/// A payment of the same person, in Stripe's form.
const CHECKOUT: &str = r#"{
  "id": "evt_1KJrGtJDPojXS6LN15fcthM3", "object": "event", "account": "acct_1KJrGtJDPoj",
  "type": "checkout.session.completed",
  "data": {"object": {
    "id": "cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY",
    "client_reference_id": "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "customer": "cus_IhGfebO16cMIGN", "payment_intent": "pi_1GszsK2eZvKYlo2CfhZyoZLp",
    "client_secret": "pi_1GszsK2eZvKYlo2CfhZyoZLp_secret_Dm43xiq1k0ywrRR",
    "price": "price_1IDQm5JDPojXS6LNM31hxKzp", "product": "prod_Ip4vqwv3EJ7Mi0",
    "customer_details": {"email": "ada.lovelace@example.com"},
    "status": "complete", "transit": "in_transit", "client_id_kind": "user_created",
    "url": "https://checkout.stripe.com/c/pay/cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY#x"
  }}
}"#;

fn story() -> [Template; 2] {
    [
        template(Provider::Clerk, USER),
        template(Provider::Stripe, CHECKOUT),
    ]
}

fn json(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap()
}

#[test]
fn without_a_count_each_file_is_sent_once_as_it_is() {
    let deliveries = generate(&story(), None, 1);
    let bodies: Vec<_> = deliveries.iter().map(|delivery| &delivery.body).collect();
    assert_eq!(bodies, [USER, CHECKOUT]);
    let types: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.event_type.as_str())
        .collect();
    assert_eq!(types, ["user.created", "checkout.session.completed"]);
    assert_eq!(deliveries[1].id.as_str(), "evt_1KJrGtJDPojXS6LN15fcthM3");
    assert_eq!(deliveries[1].source, Source::from(Provider::Stripe));
}

#[test]
fn counts_cut_off_and_go_on_in_turn() {
    assert_eq!(generate(&story(), Some(1), 1).len(), 1);
    assert_eq!(generate(&[], Some(5), 1), []);
    assert_eq!(generate(&story(), Some(0), 1), []);
    let five = generate(&story(), Some(5), 1);
    let providers: Vec<_> = five.iter().map(|d| d.source.provider).collect();
    use Provider::{Clerk, Stripe};
    assert_eq!(providers, [Clerk, Stripe, Clerk, Stripe, Clerk]);
    assert_eq!(&five[..2], &generate(&story(), None, 1)[..]);
}

#[test]
fn a_generation_is_the_same_story_of_somebody_else() {
    let deliveries = generate(&story(), Some(8), 7);
    let mut people = HashSet::new();
    let mut addresses = HashSet::new();
    for pair in deliveries.chunks(2) {
        let (user, checkout) = (json(&pair[0]), json(&pair[1]));
        let id = text(&user, "/data/id");
        people.insert(id.to_owned());
        let object = &checkout["data"]["object"];

        assert_eq!(object["client_reference_id"], id, "both files, one person");
        assert_eq!(
            text(&user, "/data/primary_email_address_id"),
            text(&user, "/data/email_addresses/0/id")
        );
        let address = text(object, "/customer_details/email");
        addresses.insert(address.to_owned());
        let in_clerk = text(&user, "/data/email_addresses/0/email_address");
        assert_eq!(in_clerk.to_lowercase(), address);
        assert_eq!(
            text(&user, "/data/note"),
            format!("\n{id} wrote to <{in_clerk}>.")
        );
        let intent = text(object, "/payment_intent");
        assert_eq!(
            text(object, "/client_secret"),
            format!("{intent}_secret_Dm43xiq1k0ywrRR")
        );
        let session = text(object, "/id");
        assert!(session.starts_with("cs_test_"));
        assert_eq!(
            text(object, "/url"),
            format!("https://checkout.stripe.com/c/pay/{session}#x")
        );
        assert_eq!(text(&checkout, "/id"), pair[1].id.as_str());
    }
    assert_eq!(people.len(), 4);
    assert_eq!(addresses.len(), 4);
}

#[test]
fn what_everybody_shares_keeps_its_bytes() {
    let deliveries = generate(&story(), Some(4), 7);
    for (template, delivery) in story().iter().zip(&deliveries[2..]) {
        let before = str::from_utf8(&template.body).unwrap();
        let mut after = String::from_utf8(delivery.body.to_vec()).unwrap();
        assert_ne!(before, after);
        // Put the old ids and addresses back: the rest has to be the file, byte for byte.
        let (new, old) = (json(delivery), serde_json::from_str(before).unwrap());
        let mut back = BTreeMap::new();
        changed(&old, &new, &mut back);
        for (new, old) in back.iter().rev() {
            after = after.replace(new, old);
        }
        assert_eq!(after, before);
    }
}

/// Collects the strings that are one id or address and differ, new to old.
fn changed(old: &Value, new: &Value, into: &mut BTreeMap<String, String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            assert!(old.keys().eq(new.keys()));
            for (key, old) in old {
                changed(old, &new[key], into);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (old, new) in old.iter().zip(new) {
                changed(old, new, into);
            }
        }
        (Value::String(old), Value::String(new)) => {
            if old != new && !old.contains(['/', ' ']) {
                into.insert(new.clone(), old.clone());
            }
        }
        _ => assert_eq!(old, new),
    }
}

#[test]
fn ids_made_up_by_hand_are_found_in_all_files_if_one_says_what_they_are() {
    let bodies = [
        r#"{"type":"user.created","data":{"id":"user_ada","status":"user_new"}}"#,
        r#"{"id":"evt_paid","type":"x","who":"user_ada","status":"user_new","user_ada":1}"#,
    ];
    let templates = [
        template(Provider::Clerk, bodies[0]),
        template(Provider::Stripe, bodies[1]),
    ];
    let second = &generate(&templates, Some(4), 7)[2..];
    let (user, event) = (json(&second[0]), json(&second[1]));
    let id = text(&user, "/data/id");
    assert_ne!(id, "user_ada");
    assert_eq!(event["who"], id);
    assert_eq!(event[id], 1, "keys are part of everywhere");
    assert_eq!(event["status"], "user_new");
    assert_ne!(second[1].id.as_str(), "evt_paid");
}

#[test]
fn nothing_that_only_looks_like_an_id_or_address_is_touched() {
    let body = r#"{"type":"x","data":{},"user_id":0,"sub_status":"in_person","a":"svix@1.2.3",
        "b":"@ada","c":"ins_2g7np7H","d":"price_1IDQ","e":"xuser_2g7np7","f":"re_","g":"a@b",
        "h":"org_2g7np7H acct_1KJr prod_Ip4v","i":"\user_2g7np7"}"#;
    // The escape is no JSON; with its source named, a file need not be any.
    let deliveries = generate(&[template(Provider::Clerk, body)], Some(2), 7);
    assert_eq!(deliveries[1].body, body);
    assert_ne!(deliveries[1].id, deliveries[0].id);
}

#[test]
fn the_seed_decides_the_ids_and_nothing_else_does() {
    let once = generate(&story(), Some(6), 7);
    assert_eq!(once, generate(&story(), Some(6), 7));
    let mut renamed = story();
    renamed[0].name = "/elsewhere/user.json".to_owned();
    assert_eq!(once, generate(&renamed, Some(6), 7));
    assert_eq!(once[..3], generate(&story(), Some(3), 7));

    let other = generate(&story(), Some(6), 8);
    assert_eq!(once[0].body, other[0].body);
    assert_ne!(once[0].id, other[0].id);
    assert_ne!(once[2].body, other[2].body);
    // Pinned: scripts keep the ids of a run to look for them in the ledger of another.
    assert_eq!(once[0].id.as_str(), "msg_6DG7DnaCJ3e7pOjw8xiM2Nc8");
}

#[test]
fn a_body_of_stripe_without_an_id_is_named_by_its_bytes() {
    let deliveries = generate(&[template(Provider::Stripe, "not json")], None, 7);
    assert_eq!(deliveries[0].id, EventId::of_body(b"not json"));
    assert_eq!(deliveries[0].event_type.as_str(), "unknown");
}

#[test]
fn the_provider_is_told_from_the_form() {
    let detect = |body: &'static str| Template::detect("f.json".to_owned(), body.into());
    assert_eq!(detect(USER).unwrap().source, Provider::Clerk.into());
    assert_eq!(detect(CHECKOUT).unwrap().source, Provider::Stripe.into());
    for body in [
        r#"{"id":"cus_1","object":"customer"}"#,
        r#"{"type":"user.created"}"#,
        r#"[{"type":"user.created","data":{}}]"#,
        "",
        "not json",
    ] {
        let error = detect(body).unwrap_err();
        let name = "f.json".to_owned();
        assert_eq!(error, TemplateError::UnknownForm { name });
        assert!(error.to_string().contains("--source"));
    }
}

#[test]
fn a_line_for_scripts_holds_all_there_is() {
    let delivery = &generate(&story(), None, 7)[1];
    let line = delivery.to_json_line();
    assert!(!line.contains('\n'));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["source"], "stripe");
    assert_eq!(line["id"], "evt_1KJrGtJDPojXS6LN15fcthM3");
    assert_eq!(line["type"], "checkout.session.completed");
    assert_eq!(line["body"], CHECKOUT);
    assert!(!format!("{delivery:?}").contains("ada.lovelace"));
}

proptest! {
    #[test]
    fn every_event_is_another_one(count in 0..200_usize, files in 1..7_usize, seed: u64) {
        let deliveries = generate(&templates(files), Some(count), seed);
        let keys: HashSet<_> = deliveries.iter().map(Delivery::key).collect();
        prop_assert_eq!(keys.len(), count);
        let bodies: HashSet<_> = deliveries.iter().map(|d| &d.body).collect();
        prop_assert_eq!(bodies.len(), count);
    }

    #[test]
    fn any_bytes_can_be_sent(body: Vec<u8>, seed: u64) {
        let mut garbage = template(Provider::Clerk, "");
        garbage.body = Bytes::from(body.clone());
        let deliveries = generate(&[garbage], Some(3), seed);
        prop_assert_eq!(&deliveries[0].body, &body);
        prop_assert_eq!(deliveries.len(), 3);
    }
}
