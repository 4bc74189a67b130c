//! The node as another process reaches it: over TCP, a line a question. Its books stay with the test.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use payonce_core::{Head, PartId};

use crate::node::{Htlc, Node, Order, ShutOut};

/// A node somewhere else.
#[derive(Clone)]
pub(crate) struct Afar(Arc<Mutex<BufReader<TcpStream>>>);

impl Afar {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the node");
        stream.set_nodelay(true).expect("a socket");
        Self(Arc::new(Mutex::new(BufReader::new(stream))))
    }

    fn ask(&self, question: &str) -> String {
        let mut stream = self.0.lock().expect("nobody panics");
        stream.get_mut().write_all(format!("{question}\n").as_bytes()).expect("the node listens");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("the node answers");
        answer.trim_end().into()
    }

    pub(crate) fn attach(&self) -> u64 {
        self.ask("attach").parse().expect("a number")
    }

    pub(crate) fn offer(
        &self,
        token: u64,
        part: PartId,
        order: &Order,
        head: Head,
    ) -> Result<(), ShutOut> {
        let answer = self.ask(&format!("offer {token} {part} {} {head}", order.number()));
        if answer == "offered" { Ok(()) } else { Err(ShutOut) }
    }

    pub(crate) fn htlc(&self, part: &PartId) -> Option<Htlc> {
        match &*self.ask(&format!("htlc {part}")) {
            "settled" => Some(Htlc::Settled),
            "failed" => Some(Htlc::Failed),
            _ => None,
        }
    }

    pub(crate) fn head(&self) -> Option<Head> {
        self.ask("head").parse().ok()
    }
}

/// Lets other processes reach this node; gives the port.
pub(crate) fn listen(node: &Node) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let node = node.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let node = node.clone();
            thread::spawn(move || answer_all(&node, stream));
        }
    });
    port
}

fn answer_all(node: &Node, stream: TcpStream) {
    let mut answers = stream.try_clone().expect("descriptors");
    for question in BufReader::new(stream).lines() {
        // Who asked may be dead by now.
        let Ok(question) = question else { return };
        if answers.write_all(format!("{}\n", answer(node, &question)).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(node: &Node, question: &str) -> String {
    // A head has spaces.
    let words: Vec<_> = question.splitn(5, ' ').collect();
    match words[..] {
        ["attach"] => node.attach().to_string(),
        ["offer", token, part, order, head] => {
            let order = Order::nth(order.parse().expect("a number"));
            let token = token.parse().expect("a number");
            let part = part.parse().expect("a part");
            match node.offer(token, part, &order, head.parse().expect("a head")) {
                Ok(()) => "offered".into(),
                Err(ShutOut) => "shut out".into(),
            }
        }
        ["htlc", part] => match node.htlc(&part.parse().expect("a part")) {
            Some(Htlc::Settled) => "settled".into(),
            Some(Htlc::Failed) => "failed".into(),
            None => "unknown".into(),
        },
        ["head"] => node.head().map_or_else(|| "none".into(), |head| head.to_string()),
        _ => panic!("{question}: not a question"),
    }
}
