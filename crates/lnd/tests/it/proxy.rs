//! A wire between a service and its node: what is on its way can be held up, and arrives though its sender
//! is dead by then.

use std::{
    io::{self, Read as _, Write as _},
    mem,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
};

/// Whether what comes from the service is let through, and how much of it was held up.
#[derive(Debug, Default)]
struct Gate {
    holds: Mutex<(bool, u64)>,
    bell: Condvar,
}

/// The wire. It ends with the process.
pub(crate) struct Proxy {
    pub(crate) address: String,
    gate: Arc<Gate>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                let Ok(to) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (from_back, to_back) = (from.try_clone(), to.try_clone());
                let gate = Arc::clone(&shared);
                thread::spawn(move || pass(from, to, Some(&gate)));
                if let (Ok(from), Ok(to)) = (from_back, to_back) {
                    thread::spawn(move || pass(to, from, None));
                }
            }
        });
        Self { address, gate }
    }

    /// From now on nothing of the service arrives, until it is let in.
    pub(crate) fn hold(&self) {
        *self.gate.holds.lock().expect("no panic") = (true, 0);
    }

    pub(crate) fn let_in(&self) {
        *self.gate.holds.lock().expect("no panic") = (false, 0);
        self.gate.bell.notify_all();
    }

    /// Waits until so many bytes are held up.
    pub(crate) fn holds(&self, bytes: u64) {
        let holds = self.gate.holds.lock().expect("no panic");
        drop(self.gate.bell.wait_while(holds, |(_, held)| *held < bytes).expect("no panic"));
    }
}

/// Passes on what comes, in its order, to the end. What is held up goes on being read: how much there is of
/// it tells what it can be.
fn pass(mut from: TcpStream, mut to: TcpStream, gate: Option<&Arc<Gate>>) {
    let Some(gate) = gate else {
        let _ = io::copy(&mut from, &mut to);
        drop(to.shutdown(Shutdown::Both));
        return;
    };
    let (read, written) = mpsc::channel::<Vec<u8>>();
    let shared = Arc::clone(gate);
    thread::spawn(move || {
        for chunk in written {
            let holds = shared.holds.lock().expect("no panic");
            drop(shared.bell.wait_while(holds, |(hold, _)| *hold).expect("no panic"));
            if to.write_all(&chunk).is_err() {
                break;
            }
        }
        // That the service is gone the node does not learn: its connection is the proxy's.
        mem::forget(to);
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        gate.holds.lock().expect("no panic").1 += length as u64;
        gate.bell.notify_all();
        if read.send(buffer[..length].to_vec()).is_err() {
            break;
        }
    }
}
