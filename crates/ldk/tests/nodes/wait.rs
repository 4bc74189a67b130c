//! Waiting for an outcome.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use payonce_core::{PaymentId, PaymentView, Status};
use payonce_ldk::{OutcomeError, Terms};

use crate::{
    net::Outcome,
    shop::{id, two},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn many_wait_and_all_are_told() {
    let mut shop = two();
    let order = shop.invoice(1);
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &Terms::default());
    shop.net.pump();
    let ledger = shop.payer().ledger().clone();
    let waiting: Vec<_> = (0..8)
        .map(|number| {
            let ledger = ledger.clone();
            thread::spawn(move || -> Result<PaymentView, OutcomeError> {
                if number % 2 == 0 {
                    ledger.outcome(id(1))
                } else {
                    block_on(ledger.outcome_async(id(1)))
                }
            })
        })
        .collect();
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    for waiter in waiting {
        let view = waiter.join().expect("no panic").expect("it is decided");
        assert_eq!(view.status, Status::Fulfilled);
    }
    // One that comes late waits for nothing.
    assert_eq!(shop.payer().outcome(id(1)).expect("known"), shop.payment_view(1));
    assert_eq!(block_on(shop.payer().outcome_async(id(1))).expect("known"), shop.payment_view(1));
    let unknown = PaymentId::from_bytes([9; 32]);
    assert!(matches!(shop.payer().outcome(unknown), Err(OutcomeError::UnknownPayment { .. })));
}
