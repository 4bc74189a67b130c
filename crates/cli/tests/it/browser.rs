//! A real browser, driven over the WebDriver protocol: Debian's chromium and its driver, headless.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::skipped;

/// A browser with one page.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// What the driver says and keeps, as long as it runs.
    _own: (BufReader<ChildStdout>, tempfile::TempDir),
}

/// The port that the driver says it listens on.
fn port(said: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    while said.read_line(&mut line).expect("it says its port") > 0 {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return port.trim().trim_end_matches('.').parse().expect("a port");
        }
        line.clear();
    }
    panic!("the driver ended")
}

impl Browser {
    /// Starts one; `None`, said aloud, where there is none. Where everything must run that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let profile = tempfile::tempdir().expect("a directory for its profile");
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = started else {
            let required = std::env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
            assert!(!required, "chromedriver is missing: apt-get install chromium chromium-driver");
            skipped("the report in a browser: there is no chromedriver (Debian: chromium-driver)");
            return None;
        };
        let mut said = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = port(&mut said);
        let data = profile.path().to_str().expect("plain").to_owned();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1200,900",
            &format!("--user-data-dir={data}"),
        ];
        let options = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut browser = Self { driver, port, session: String::new(), _own: (said, profile) };
        let capabilities = json!({ "capabilities": { "alwaysMatch": options } });
        let made = browser.call("POST", "/session", &capabilities);
        made["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        Some(browser)
    }

    /// Opens a file.
    pub(crate) fn open(&self, file: &Path) {
        let url = format!("file://{}", file.display());
        self.of_session("/url", &json!({ "url": url }));
        let ready = "const done = arguments[0]; const wait = () => document.body.dataset.ready \
                     ? done(document.body.dataset.ready) : requestAnimationFrame(wait); wait();";
        let ready = self.of_session("/execute/async", &json!({ "script": ready, "args": [] }));
        assert_eq!(ready, json!("yes"), "the page is ready");
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.of_session("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of the element with this id.
    pub(crate) fn text(&self, id: &str) -> String {
        let script = format!("return document.getElementById({id:?}).textContent");
        self.run(&script).as_str().expect("a text").to_owned()
    }

    /// Types keys into what has the focus.
    pub(crate) fn type_keys(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let presses: Vec<_> = presses.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": presses }] });
        self.of_session("/actions", &actions);
    }

    /// What the console has said at all.
    pub(crate) fn console(&self) -> Vec<String> {
        let said = self.of_session("/se/log", &json!({ "type": "browser" }));
        let said = said.as_array().cloned().unwrap_or_default();
        said.into_iter().map(|line| line.to_string()).collect()
    }

    /// Writes a picture of the page.
    pub(crate) fn picture(&self, file: &Path) {
        use base64::{Engine, engine::general_purpose::STANDARD};

        let picture =
            self.call("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let bytes = STANDARD.decode(picture.as_str().expect("base64")).expect("base64");
        std::fs::write(file, bytes).expect("writable");
    }

    fn of_session(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// One request of the protocol.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n",
            self.port
        );
        stream.write_all((head + &body).as_bytes()).expect("the driver reads");
        let mut answer = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while answer.read_line(&mut line).expect("an answer") > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text).expect("a body");
        let answer: Value = serde_json::from_slice(&text).expect("JSON");
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path} {body}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
