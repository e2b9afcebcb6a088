//! Sentences of a story, and the account of which object each stands for.
//!
//! Each happens a day after the one before; after `in the same second, ` at the same time; after
//! `late, ` half a day before the one above it, though it is told after that. Who is not said to be
//! anybody's names ann.

use hookmirror::model::payment::{
    Charge, CheckoutSession, Customer, Dispute, DisputeStatus, Fact, Invoice, InvoiceStatus,
    NamedUser, PaymentStatus, Refund, RefundStatus, SessionStatus, Subscription,
    SubscriptionStatus,
};

use crate::support::given::{
    at, charge, customer, dispute, invoice, refund, session, subscription, user_id,
};

const DAY: i64 = 86_400;

/// What one sentence says.
#[derive(Clone)]
pub(super) enum Deed {
    /// Stripe tells this.
    Told(Fact),
    /// A person gives a checkout or a subscription to a user.
    Given { what: String, user: String },
}

/// Whoever tells one story. Ids end with its tag.
pub(super) struct Teller<'a> {
    tag: &'a str,
    now: i64,
}

/// What may follow the statement of a sentence.
#[derive(Default)]
struct Extras {
    customer: Option<String>,
    named: Option<NamedUser>,
    subscription: Option<String>,
    ends_with_period: bool,
    ends_on: Option<i64>,
    without_payment: bool,
    for_a_change: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(tag: &'a str) -> Self {
        Self { tag, now: 0 }
    }

    pub(super) fn tell_all(mut self, sentences: &[&str]) -> Vec<Deed> {
        let deeds = sentences.iter().map(|sentence| {
            let mut words = Words(sentence);
            if words.eat("late,") {
                self.now -= DAY / 2;
            } else if !words.eat("in the same second,") {
                self.now += DAY;
            }
            let deed = self.deed(&mut words);
            match deed {
                Some(deed) if words.0.is_empty() => deed,
                _ => panic!("not understood: `{sentence}`, from `{}` on", words.0),
            }
        });
        deeds.collect()
    }

    fn deed(&self, words: &mut Words<'_>) -> Option<Deed> {
        let fact = match words.next()? {
            "a" if words.eat("person gives checkout") => return self.gift("cs", words),
            "a" if words.eat("person gives subscription") => return self.gift("sub", words),
            "checkout" => self.checkout(words)?,
            "the" if words.eat("money for checkout") => self.money(words)?,
            "the" if words.eat("charge for checkout") => self.charge(words)?,
            "the" if words.eat("payment of invoice") => self.payment(words)?,
            "refund" => self.refund(words)?,
            "dispute" => self.dispute(words)?,
            "inquiry" => self.inquiry(words)?,
            "subscription" => self.subscription(words)?,
            "invoice" => self.invoice(words)?,
            "customer" => self.customer(words)?,
            _ => return None,
        };
        Some(Deed::Told(fact))
    }

    fn id(&self, prefix: &str, name: &str) -> String {
        format!("{prefix}_{name}{}", self.tag)
    }

    fn named(&self, name: &str) -> NamedUser {
        NamedUser {
            at: at(self.now),
            id: user_id(&self.id("user", name)),
        }
    }

    fn gift(&self, prefix: &str, words: &mut Words<'_>) -> Option<Deed> {
        let what = self.id(prefix, words.next()?);
        words.eat("to").then_some(())?;
        let user = self.id("user", words.next()?);
        Some(Deed::Given { what, user })
    }

    /// `by customer C`, `naming bob`, `naming nobody`, `beginning subscription S`, …
    fn extras(&self, words: &mut Words<'_>) -> Option<Extras> {
        let mut extras = Extras {
            named: Some(self.named("ann")),
            ..Extras::default()
        };
        while !words.0.is_empty() {
            words.eat(",");
            if words.eat("by customer") {
                extras.customer = Some(self.id("cus", words.next()?));
            } else if words.eat("naming nobody") {
                extras.named = None;
            } else if words.eat("naming") {
                extras.named = Some(self.named(words.next()?));
            } else if words.eat("beginning subscription") {
                extras.subscription = Some(self.id("sub", words.next()?));
            } else if words.eat("to end with its period") {
                extras.ends_with_period = true;
            } else if words.eat("to end on day") {
                extras.ends_on = Some(words.next()?.parse().ok()?);
            } else if words.eat("without its payment") {
                extras.without_payment = true;
            } else if words.eat("for a change of plan") {
                extras.for_a_change = true;
            } else {
                return None;
            }
        }
        Some(extras)
    }

    fn checkout(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        let price = words.eat("of").then(|| words.money()).flatten();
        let (status, payment, mode) = if words.eat("is paid") {
            (SessionStatus::Complete, PaymentStatus::Paid, "payment")
        } else if words.eat("is complete but unpaid") {
            (SessionStatus::Complete, PaymentStatus::Unpaid, "payment")
        } else if words.eat("is complete with nothing due") {
            let payment = PaymentStatus::NoPaymentRequired;
            (SessionStatus::Complete, payment, "payment")
        } else if words.eat("saves a card") {
            let payment = PaymentStatus::NoPaymentRequired;
            (SessionStatus::Complete, payment, "setup")
        } else if words.eat("expires") {
            (SessionStatus::Expired, PaymentStatus::Unpaid, "payment")
        } else {
            return None;
        };
        let extras = self.extras(words)?;
        // Stripe names the payment of a checkout where there is one, and it begins nothing.
        let has_payment = mode == "payment" && extras.subscription.is_none();
        let has_payment = has_payment && payment != PaymentStatus::NoPaymentRequired;
        let mode = if extras.subscription.is_some() {
            "subscription"
        } else {
            mode
        };
        let (amount_total, currency) = price.unzip();
        Some(Fact::CheckoutSession(CheckoutSession {
            named_user: extras.named,
            customer: extras.customer,
            payment_intent: has_payment.then(|| self.id("pi", name)),
            subscription: extras.subscription,
            mode: Some(mode.to_owned()),
            status,
            payment,
            amount_total,
            currency,
            created_at: at(self.now),
            updated_at: at(self.now),
            ..session(&self.id("cs", name))
        }))
    }

    fn money(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        let payment = if words.eat("arrives") {
            PaymentStatus::Paid
        } else {
            words.eat("does not arrive").then_some(())?;
            PaymentStatus::Failed
        };
        let extras = self.extras(words)?;
        Some(Fact::CheckoutSession(CheckoutSession {
            named_user: extras.named,
            mode: None,
            payment,
            amount_total: None,
            currency: None,
            created_at: at(self.now),
            updated_at: at(self.now),
            ..session(&self.id("cs", name))
        }))
    }

    fn charge(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        words.eat("shows").then_some(())?;
        let amount_refunded = words.amount()?;
        words.eat("of").then_some(())?;
        let (amount, currency) = words.money()?;
        words.eat("refunded").then_some(())?;
        Some(Fact::Charge(Charge {
            amount,
            amount_refunded,
            currency: Some(currency),
            created_at: at(self.now),
            updated_at: at(self.now),
            ..charge(&self.id("ch", name), &self.id("pi", name))
        }))
    }

    /// Which payment is meant: `checkout A` or `invoice I`.
    fn intent(&self, words: &mut Words<'_>) -> Option<String> {
        if words.eat("checkout") {
            return Some(self.id("pi", words.next()?));
        }
        words.eat("invoice").then_some(())?;
        Some(self.id("pi_of_invoice", words.next()?))
    }

    fn refund(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        words.eat("of").then_some(())?;
        let (amount, currency) = words.money()?;
        words.eat("for").then_some(())?;
        let intent = self.intent(words)?;
        let status = words.one_of(&[
            ("is pending", RefundStatus::Pending),
            ("requires action", RefundStatus::RequiresAction),
            ("succeeds", RefundStatus::Succeeded),
            ("is canceled", RefundStatus::Canceled),
            ("fails", RefundStatus::Failed),
        ])?;
        Some(Fact::Refund(Refund {
            amount,
            currency: Some(currency),
            status,
            created_at: at(self.now),
            updated_at: at(self.now),
            ..refund(&self.id("re", name), &intent)
        }))
    }

    fn disputed(&self, words: &mut Words<'_>, statuses: &[(&str, DisputeStatus)]) -> Option<Fact> {
        let name = words.next()?;
        words.eat("about").then_some(())?;
        let intent = self.intent(words)?;
        Some(Fact::Dispute(Dispute {
            status: words.one_of(statuses)?,
            created_at: at(self.now),
            updated_at: at(self.now),
            ..dispute(&self.id("dp", name), &intent)
        }))
    }

    fn dispute(&self, words: &mut Words<'_>) -> Option<Fact> {
        let statuses = [
            ("needs a response", DisputeStatus::NeedsResponse),
            ("is under review", DisputeStatus::UnderReview),
            ("is won", DisputeStatus::Won),
            ("is lost", DisputeStatus::Lost),
        ];
        self.disputed(words, &statuses)
    }

    fn inquiry(&self, words: &mut Words<'_>) -> Option<Fact> {
        let statuses = [
            ("needs a response", DisputeStatus::WarningNeedsResponse),
            ("comes to nothing", DisputeStatus::WarningClosed),
        ];
        self.disputed(words, &statuses)
    }

    fn subscription(&self, words: &mut Words<'_>) -> Option<Fact> {
        let id = self.id("sub", words.next()?);
        words.eat("is").then_some(())?;
        let status = SubscriptionStatus::parse(words.next()?)?;
        let extras = self.extras(words)?;
        let period_end = at(self.now + 30 * DAY);
        Some(Fact::Subscription(Subscription {
            named_user: extras.named,
            customer: extras.customer,
            status,
            cancel_at_period_end: extras.ends_with_period,
            cancel_at: extras.ends_on.map(|day| at(day * DAY)),
            current_period_end: Some(period_end),
            created_at: at(self.now),
            updated_at: at(self.now),
            ..subscription(&id)
        }))
    }

    fn invoice(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        words.eat("of subscription").then_some(())?;
        let subscription = self.id("sub", words.next()?);
        words.eat("for").then_some(())?;
        let (amount, currency) = words.money()?;
        let status = words.one_of(&[
            ("is open", InvoiceStatus::Open),
            ("is paid", InvoiceStatus::Paid),
        ])?;
        let extras = self.extras(words)?;
        let reason = if extras.for_a_change {
            "subscription_update"
        } else {
            "subscription_cycle"
        };
        let intent = self.id("pi_of_invoice", name);
        let is_paid = status == InvoiceStatus::Paid;
        Some(Fact::Invoice(Invoice {
            subscription: Some(subscription),
            payment_intent: (!extras.without_payment).then_some(intent),
            billing_reason: Some(reason.to_owned()),
            status,
            amount_paid: Some(if is_paid { amount } else { 0 }),
            currency: Some(currency),
            created_at: at(self.now),
            updated_at: at(self.now),
            ..invoice(&self.id("in", name))
        }))
    }

    /// What `invoice_payment.paid` says.
    fn payment(&self, words: &mut Words<'_>) -> Option<Fact> {
        let name = words.next()?;
        words.eat("is told").then_some(())?;
        Some(Fact::Invoice(Invoice {
            payment_intent: Some(self.id("pi_of_invoice", name)),
            status: InvoiceStatus::Paid,
            created_at: at(self.now),
            updated_at: at(self.now),
            ..invoice(&self.id("in", name))
        }))
    }

    fn customer(&self, words: &mut Words<'_>) -> Option<Fact> {
        let id = self.id("cus", words.next()?);
        words.eat("turns out to be").then_some(())?;
        Some(Fact::Customer(Customer {
            named_user: self.named(words.next()?),
            ..customer(&id, "nobody", 0)
        }))
    }
}

/// What is left of a sentence.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Takes these words off, if they are next.
    fn eat(&mut self, words: &str) -> bool {
        let rest = self.0.strip_prefix(words);
        let rest =
            rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', ',']) || words == ",");
        if let Some(rest) = rest {
            self.0 = rest.trim_start();
        }
        rest.is_some()
    }

    fn next(&mut self) -> Option<&'a str> {
        let end = self.0.find([' ', ',']).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }

    fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        let mut choices = choices.iter();
        choices
            .find(|(words, _)| self.eat(words))
            .map(|(_, meaning)| *meaning)
    }

    /// `49.00`, in cents.
    fn amount(&mut self) -> Option<i64> {
        let (whole, cents) = self.next()?.split_once('.')?;
        Some(whole.parse::<i64>().ok()? * 100 + cents.parse::<i64>().ok()?)
    }

    /// `49.00 EUR`.
    fn money(&mut self) -> Option<(i64, String)> {
        Some((self.amount()?, self.next()?.to_lowercase()))
    }
}
