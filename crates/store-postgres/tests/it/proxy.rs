//! A network that can be cut: a TCP proxy that lets so many bytes through and no more.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What happens once no more may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides see the connection end.
    Closed,
    /// Neither sees anything any more.
    Silent,
}

#[derive(Default)]
struct Wire {
    passed: [usize; 2],
    /// Which way the last bytes went, and how often something was sent after an answer.
    last: Option<Way>,
    round_trips: usize,
    cut: Option<(Way, usize, End)>,
    /// Nothing goes through any more.
    is_cut: bool,
    /// Who waits for the cut.
    waiting: Option<mpsc::Sender<()>>,
    /// What was silenced is neither read nor closed, until it is mended.
    silenced: Vec<TcpStream>,
    /// How often it was mended.
    mended: usize,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    wire: Arc<Mutex<Wire>>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let proxy = Self { port, wire: Arc::default() };
        let own = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                own.clone().join(&client, &server, Way::ToServer);
                own.clone().join(&server, &client, Way::ToClient);
            }
        });
        proxy
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes went each way so far: to the server, to the client.
    pub(crate) fn passed(&self) -> [usize; 2] {
        self.lock().passed
    }

    /// How often a client has sent something and waited for the answer.
    pub(crate) fn round_trips(&self) -> usize {
        self.lock().round_trips
    }

    /// Lets so many more bytes through this way, on all connections together.
    pub(crate) fn cut_after(&self, way: Way, bytes: usize, end: End) {
        self.lock().cut = Some((way, bytes, end));
    }

    /// Tells when the last of them went through.
    pub(crate) fn tell_of_cut(&self, waiting: mpsc::Sender<()>) {
        self.lock().waiting = Some(waiting);
    }

    pub(crate) fn mend(&self) {
        let mut wire = self.lock();
        wire.cut = None;
        wire.is_cut = false;
        wire.waiting = None;
        wire.mended += 1;
        for stream in wire.silenced.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn join(self, from: &TcpStream, to: &TcpStream, way: Way) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("descriptors");
        let (mut from, mut to) = (clone(from), clone(to));
        to.set_nodelay(true).expect("a socket");
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                let (allowed, end, mended) = self.allow(way, read);
                if to.write_all(&bytes[..allowed]).is_err() {
                    break;
                }
                match end {
                    None => {}
                    Some(End::Closed) => break,
                    Some(End::Silent) => {
                        let mut wire = self.lock();
                        // Mended since: nobody would ever close it, and the server kept its locks.
                        if wire.mended > mended {
                            break;
                        }
                        wire.silenced.extend([from, to]);
                        return;
                    }
                }
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    /// How many of so many bytes may pass, what happens then, if it is the end, and how often it was mended
    /// before.
    fn allow(&self, way: Way, bytes: usize) -> (usize, Option<End>, usize) {
        let mut guard = self.lock();
        let wire = &mut *guard;
        let former = wire.last.replace(way);
        wire.round_trips += usize::from(way == Way::ToServer && former != Some(way));
        let (allowed, end) = match &mut wire.cut {
            Some((cut, left, end)) if *cut == way => {
                let allowed = bytes.min(*left);
                *left -= allowed;
                // Cut where it is asked for, and not at the next byte.
                let end = (*left == 0).then_some(*end);
                wire.is_cut |= end.is_some();
                if let Some(waiting) = wire.waiting.take_if(|_| end.is_some()) {
                    // Who no longer listens need not be told.
                    let _ = waiting.send(());
                }
                (allowed, end)
            }
            // What goes the other way has nobody to go to.
            Some((_, _, end)) if wire.is_cut => (0, Some(*end)),
            _ => (bytes, None),
        };
        wire.passed[way as usize] += allowed;
        (allowed, end, wire.mended)
    }
}
