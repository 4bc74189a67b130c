//! A network of real LND nodes on a btcd simnet, on loopback ports, in a temporary directory. It is
//! driven by LND's own command line: what judges shares no code with what it judges.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use payonce_store_postgres::cluster::free_port;
use serde_json::Value;
use tempfile::TempDir;

use crate::fake::Certificate;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// The directory with `lnd`, `lncli`, `btcd` and `btcctl`; without one the test is skipped aloud, or
/// fails where nothing may be skipped.
pub(crate) fn programs() -> Option<PathBuf> {
    let found = env::var_os("PAYONCE_LND").map(PathBuf::from);
    if found.is_none() {
        let asked = env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!asked, "PAYONCE_LND must name the directory that tools/lnd/build prints");
        eprintln!("SKIPPED: set PAYONCE_LND=$(tools/lnd/build) to run against a real lnd");
    }
    found
}

/// Waits until a condition holds: another process is not told to tell us.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let (_never, bell) = mpsc::channel::<()>();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        let _ = bell.recv_timeout(Duration::from_millis(50));
    }
}

/// A process that is killed with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &Path, log: &Path, arguments: &[String]) -> Process {
    let log = fs::File::options().create(true).append(true).open(log).expect("a log");
    let errors = log.try_clone().expect("a log");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log).stderr(errors);
    Process(command.spawn().expect("the program starts"))
}

fn json(mut command: Command) -> Result<Value, String> {
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{error}{}", String::from_utf8_lossy(&output.stdout)));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// The chain.
struct Chain {
    programs: PathBuf,
    dir: PathBuf,
    rpc: u16,
    process: Option<Process>,
}

impl Chain {
    fn new(programs: &Path, dir: &Path) -> Self {
        let dir = dir.join("btcd");
        fs::create_dir(&dir).expect("a directory");
        Self { programs: programs.into(), dir, rpc: free_port(), process: None }
    }

    fn start(&mut self, mining: Option<&str>) {
        self.process = None;
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut arguments = vec![
            "--simnet".into(),
            "--nolisten".into(),
            "--txindex".into(),
            "--rpcuser=payonce".into(),
            "--rpcpass=payonce".into(),
            format!("--datadir={}", path("data")),
            format!("--logdir={}", path("logs")),
            format!("--rpccert={}", path("rpc.cert")),
            format!("--rpckey={}", path("rpc.key")),
            format!("--rpclisten=127.0.0.1:{}", self.rpc),
            "--configfile=/dev/null".into(),
        ];
        arguments.extend(mining.map(|address| format!("--miningaddr={address}")));
        self.process = Some(start(&self.programs.join("btcd"), &self.dir.join("out"), &arguments));
        eventually("btcd answers", || self.control(&["getblockcount"]).ok());
    }

    fn control(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut command = Command::new(self.programs.join("btcctl"));
        command
            .args(["--simnet", "--rpcuser=payonce", "--rpcpass=payonce", "--configfile=/dev/null"])
            .arg(format!("--rpcserver=127.0.0.1:{}", self.rpc))
            .arg(format!("--rpccert={}", self.dir.join("rpc.cert").display()))
            .args(arguments);
        json(command)
    }

    fn mine(&self, blocks: u32) {
        self.control(&["generate", &blocks.to_string()]).expect("mined");
    }
}

/// One LND.
pub(crate) struct Node {
    programs: PathBuf,
    pub(crate) dir: PathBuf,
    arguments: Vec<String>,
    pub(crate) rpc: u16,
    peer: u16,
    process: Option<Process>,
}

impl Node {
    fn new(programs: &Path, dir: &Path, chain: &Chain, name: &str) -> Self {
        let dir = dir.join(name);
        fs::create_dir(&dir).expect("a directory");
        let (rpc, peer) = (free_port(), free_port());
        let arguments = vec![
            format!("--lnddir={}", dir.display()),
            format!("--rpclisten=127.0.0.1:{rpc}"),
            format!("--listen=127.0.0.1:{peer}"),
            "--norest".into(),
            "--noseedbackup".into(),
            "--nobootstrap".into(),
            "--accept-keysend".into(),
            "--trickledelay=50".into(),
            "--gossip.sub-batch-delay=5ms".into(),
            "--bitcoin.simnet".into(),
            "--bitcoin.node=btcd".into(),
            "--bitcoin.defaultchanconfs=1".into(),
            "--btcd.rpcuser=payonce".into(),
            "--btcd.rpcpass=payonce".into(),
            format!("--btcd.rpchost=127.0.0.1:{}", chain.rpc),
            format!("--btcd.rpccert={}", chain.dir.join("rpc.cert").display()),
        ];
        Self { programs: programs.into(), dir, arguments, rpc, peer, process: None }
    }

    /// Starts it; it answers once [`ready`](Self::ready) returns.
    pub(crate) fn start(&mut self) {
        let program = self.programs.join("lnd");
        self.process = Some(start(&program, &self.dir.join("out"), &self.arguments));
    }

    pub(crate) fn ready(&self) {
        eventually("lnd is active", || {
            let state = self.cli(&["state"]).ok()?;
            (state["state"] == "SERVER_ACTIVE").then_some(())
        });
        eventually("lnd has the chain", || {
            let info = self.cli(&["getinfo"]).ok()?;
            (info["synced_to_chain"] == true).then_some(())
        });
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// LND's command line.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut command = Command::new(self.programs.join("lncli"));
        command
            .arg(format!("--lnddir={}", self.dir.display()))
            .arg(format!("--rpcserver=127.0.0.1:{}", self.rpc))
            .arg("--network=simnet")
            .args(arguments);
        json(command)
    }

    fn text(&self, arguments: &[&str], field: &str) -> String {
        let answer = self.cli(arguments).expect("an answer");
        answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
    }

    pub(crate) fn key(&self) -> String {
        self.text(&["getinfo"], "identity_pubkey")
    }

    fn address(&self) -> String {
        self.text(&["newaddress", "p2wkh"], "address")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("tls.cert")
    }

    pub(crate) fn macaroon(&self, name: &str) -> PathBuf {
        self.dir.join("data/chain/bitcoin/simnet").join(name)
    }

    /// An invoice of this node.
    pub(crate) fn invoice(&self, amount_msat: u64) -> String {
        let amount = amount_msat.to_string();
        self.text(&["addinvoice", "--amt_msat", &amount], "payment_request")
    }

    /// An invoice that is expired after so many seconds.
    pub(crate) fn brief_invoice(&self, amount_msat: u64, expiry: u64) -> String {
        let (amount, expiry) = (amount_msat.to_string(), expiry.to_string());
        let asked = ["addinvoice", "--amt_msat", &amount, "--expiry", &expiry];
        self.text(&asked, "payment_request")
    }

    /// An invoice that this node holds until it is settled or cancelled.
    pub(crate) fn hold_invoice(&self, hash: &str, amount_msat: u64) -> String {
        let amount = amount_msat.to_string();
        self.text(&["addholdinvoice", "--amt_msat", &amount, hash], "payment_request")
    }

    /// Waits until a hold invoice has its money.
    pub(crate) fn accepted(&self, hash: &str) {
        eventually("the payee has it", || {
            let invoice = self.cli(&["lookupinvoice", hash]).ok()?;
            assert!(invoice["state"] != "CANCELED", "{invoice}");
            (invoice["state"] == "ACCEPTED").then_some(())
        });
    }

    /// What this node has in its channels, msat.
    pub(crate) fn balance(&self) -> u64 {
        let channels = self.cli(&["channelbalance"]).expect("an answer");
        let text = channels["local_balance"]["msat"].as_str().expect("an amount");
        text.parse().expect("a number")
    }
}

/// Two payers, each with a channel to the payee.
pub(crate) struct Net {
    pub(crate) alice: Node,
    pub(crate) dave: Node,
    pub(crate) bob: Node,
    chain: Chain,
    dir: TempDir,
}

impl Net {
    pub(crate) fn start(programs: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut chain = Chain::new(programs, dir.path());
        chain.start(None);
        let node = |name| Node::new(programs, dir.path(), &chain, name);
        let (mut alice, dave, bob) = (node("alice"), node("dave"), node("bob"));
        alice.start();
        eventually("alice is active", || alice.cli(&["getinfo"]).ok());
        // The reward of every block is alice's; the chain learns of it at its start alone.
        let address = alice.address();
        alice.kill();
        chain.start(Some(&address));
        // Beyond the activation of segwit on a simnet, and the maturity of the first rewards.
        chain.mine(450);
        let mut net = Self { alice, dave, bob, chain, dir };
        for node in [&mut net.alice, &mut net.dave, &mut net.bob] {
            node.start();
        }
        for node in [&net.alice, &net.dave, &net.bob] {
            node.ready();
        }
        net.fund();
        net
    }

    /// A node that runs and has no wallet: it answers that it does not work yet.
    pub(crate) fn without_wallet(&self) -> Node {
        let mut node = Node::new(&self.alice.programs, self.dir.path(), &self.chain, "erin");
        node.arguments.retain(|argument| argument != "--noseedbackup");
        node.start();
        eventually("erin waits for a wallet", || {
            let state = node.cli(&["state"]).ok()?;
            (state["state"] == "NON_EXISTING").then_some(())
        });
        node
    }

    /// A node that shows this certificate, and has no wallet.
    pub(crate) fn with_certificate(&self, certificate: &Certificate) -> Node {
        let mut node = Node::new(&self.alice.programs, self.dir.path(), &self.chain, "frank");
        node.arguments.retain(|argument| argument != "--noseedbackup");
        let key = node.dir.join("tls.key");
        fs::write(node.certificate(), &certificate.pem).expect("written");
        fs::write(&key, &certificate.key).expect("written");
        node.arguments.push(format!("--tlscertpath={}", node.certificate().display()));
        node.arguments.push(format!("--tlskeypath={}", key.display()));
        node.start();
        node
    }

    fn mine(&self, blocks: u32) {
        self.chain.mine(blocks);
    }

    /// Waits until the payee is connected to its payers again.
    pub(crate) fn connected(&self) {
        for payer in [&self.alice, &self.dave] {
            let host = format!("{}@127.0.0.1:{}", self.bob.key(), self.bob.peer);
            eventually("an active channel", || {
                let _ = payer.cli(&["connect", &host]);
                let channels = payer.cli(&["listchannels", "--active_only"]).ok()?;
                (channels["channels"].as_array()?.len() == 1).then_some(())
            });
            self.routed(payer);
        }
    }

    /// Waits until the payer's own map shows the channel: it comes there later than to its list.
    fn routed(&self, payer: &Node) {
        let query = ["queryroutes", "--dest", &self.bob.key(), "--amt", "1000"];
        eventually("a route", || payer.cli(&query).ok());
    }

    fn fund(&self) {
        let Self { alice, dave, bob, .. } = self;
        let to = dave.address();
        eventually("alice has coins", || {
            alice.cli(&["sendcoins", "--force", "--addr", &to, "--amt", "50000000"]).ok()
        });
        self.mine(6);
        for payer in [alice, dave] {
            let host = format!("{}@127.0.0.1:{}", bob.key(), bob.peer);
            eventually("a peer", || payer.cli(&["connect", &host]).ok());
            let open = ["openchannel", "--node_key", &bob.key(), "--local_amt", "10000000"];
            eventually("a channel", || payer.cli(&open).map_err(|why| eprintln!("{why}")).ok());
        }
        self.mine(6);
        for payer in [alice, dave] {
            eventually("an open channel", || {
                let channels = payer.cli(&["listchannels", "--active_only"]).ok()?;
                (channels["channels"].as_array()?.len() == 1).then_some(())
            });
            self.routed(payer);
        }
    }
}
