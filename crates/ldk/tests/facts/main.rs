//! What LDK does, where payonce-ldk relies on it.

#[path = "../net/mod.rs"]
mod net;

use lightning::ln::channelmanager::{PaymentId, Retry};
use lightning::routing::router::RouteParametersConfig;
use net::*;

struct Run {
    net: Net,
    managers: Vec<Vec<u8>>,
    crash_at: usize,
    step: usize,
    names: Vec<String>,
}
impl Run {
    fn stepped(&mut self, name: String) -> bool {
        let bytes = self.net.image(0).manager;
        if self.managers.last() != Some(&bytes) {
            self.managers.push(bytes);
        }
        self.names.push(name);
        self.step += 1;
        self.step > self.crash_at
    }
}

fn pay(net: &Net, id: u8, amount: u64) {
    let invoice = net.invoice(1, Some(amount));
    net.nodes[0]
        .node
        .pay_for_bolt11_invoice(
            &invoice,
            PaymentId([id; 32]),
            None,
            RouteParametersConfig::default(),
            Retry::Attempts(0),
        )
        .unwrap();
}

fn run(crash_at: usize, outcome: Outcome) -> (Run, bool) {
    let mut net = Net::with_channels(2, &[(0, 1, 1_000_000, 0)]);
    pay(&net, 9, 1_000_000);
    net.pump();
    net.take_events(0);
    net.pump();
    net.take_events(0);
    net.pump();
    let mut run = Run { net, managers: vec![], crash_at, step: 0, names: vec![] };
    run.managers.push(run.net.image(0).manager);
    run.net.nodes[0].node.timer_tick_occurred();
    if run.stepped("before".into()) {
        return (run, true);
    }
    let invoice = run.net.invoice(1, Some(50_000_000));
    let hash = lightning::types::payment::PaymentHash(*invoice.payment_hash().as_ref());
    run.net.outcomes.insert(hash, outcome);
    run.net.nodes[0]
        .node
        .pay_for_bolt11_invoice(
            &invoice,
            PaymentId([1; 32]),
            None,
            RouteParametersConfig::default(),
            Retry::Attempts(0),
        )
        .unwrap();
    if run.stepped("sent".into()) {
        return (run, true);
    }
    loop {
        let mut any = false;
        while let Some(letter) = run.net.deliver() {
            any = true;
            if letter.to == 0
                && run.stepped(format!("{:?}", letter.message).chars().take(40).collect())
            {
                return (run, true);
            }
        }
        any |= run.net.others_act();
        if run.net.forward(0) {
            any = true;
            if run.stepped("forward".into()) {
                return (run, true);
            }
        }
        if !any {
            let events = run.net.take_events(0);
            if events.is_empty() {
                return (run, false);
            }
            if run.stepped(format!(
                "events {:?}",
                events
                    .iter()
                    .map(|e| format!("{e:?}").chars().take(20).collect::<String>())
                    .collect::<Vec<_>>()
            )) {
                return (run, true);
            }
        }
    }
}

#[test]
fn loads() {
    for outcome in [Outcome::Claim, Outcome::Fail] {
        let mut crash_at = 0;
        loop {
            let mut more = false;
            for manager_back in [0, 1, 99] {
                for monitors_back in [0, 1] {
                    let started = std::time::Instant::now();
                    let (mut run, crashed) = run(crash_at, outcome);
                    more |= crashed;
                    if !crashed {
                        continue;
                    }
                    let net = &mut run.net;
                    let before = net.balance_msat(0);
                    let image = Image {
                        manager: run.managers[run.managers.len().saturating_sub(1 + manager_back)]
                            .clone(),
                        monitors: net.archives[0].monitors(monitors_back),
                    };
                    net.crash(0);
                    let setup = started.elapsed();
                    let loaded = net.load(0, &image);
                    let list = format!(
                        "{:?}",
                        loaded.is_ok().then(|| net.nodes[0].node.list_recent_payments())
                    );
                    let mut events = Vec::new();
                    let mut end = String::new();
                    if loaded.is_ok() {
                        events = net.take_events(0);
                        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            net.connect_all();
                            let mut all = vec![];
                            for _ in 0..200 {
                                net.pump();
                                let more = net.take_events(0);
                                let quiet = more.is_empty();
                                all.extend(more);
                                if quiet && !net.has_closed_channels(0) {
                                    break;
                                }
                                if quiet {
                                    net.mine(1);
                                }
                            }
                            (all, net.balance_msat(0), net.nodes[0].node.list_recent_payments())
                        }));
                        end = match ended {
                            Ok((all, now, list)) => format!(
                                "{:?} {} claimed {:?} list {list:?}",
                                all.iter()
                                    .map(|e| format!("{e:?}").chars().take(20).collect::<String>())
                                    .collect::<Vec<_>>(),
                                before as i64 - now as i64,
                                net.claimed.len()
                            ),
                            Err(_) => "PANIC".into(),
                        };
                    }
                    eprintln!(
                        "FACT {outcome:?} {crash_at} {:?} man-{manager_back} mon-{monitors_back}: {loaded:?} {list} {:?}\n     END {end} {:?} {:?}",
                        run.names.last(),
                        events
                            .iter()
                            .map(|e| format!("{e:?}").chars().take(30).collect::<String>())
                            .collect::<Vec<_>>(),
                        setup,
                        started.elapsed()
                    );
                }
            }
            if !more {
                break;
            }
            crash_at += 1;
        }
    }
}
