# The steps of .ci/run that are more than one command. Sourced, never run.

times=()
# The one dependency that takes a minute to optimise; where little is hashed it is built as it comes.
plain_hashes=bitcoin_hashes.opt-level=0
# Crates for a release candidate of somebody else's: `.ci/long previews` builds and tests them.
previews=(--exclude payonce-ldk-03 --exclude payonce-store-kv-03)
others_features=(--no-default-features --features payonce-cli/kv,payonce-cli/postgres)
# Pinned, so that nothing but a change here changes what it finds.
cargo_deny=0.20.2

# Runs a command under a heading and notes how long it took.
step() {
  local start=$SECONDS took
  current=$1
  shift
  printf '\n=== %s\n' "$current"
  "$@"
  took=$((SECONDS - start))
  printf -- '--- %s: %d s\n' "$current" "$took"
  times+=("$(printf '%4d s  %s' "$took" "$current")")
}

summary() {
  printf '\n=== all passed in %d s\n' "$SECONDS"
  printf '%s\n' "${times[@]}"
}

# Fails before an hour is spent where the disk is too small for the target directories: target (all
# that agrees in its flags), target/orders, target/later, target/faults, target/outside, and those of the
# crates outside.
enough_room() {
  local free
  free=$(df --output=avail -BG . | tail -n 1 | tr -dc '0-9')
  printf '%s GB free\n' "$free"
  [ "$free" -ge 25 ]
}

# Debian's way to install what is missing, as root or through sudo.
apt_install() {
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

install_tools() {
  local missing=()
  command -v python3 >/dev/null || missing+=(python3)
  command -v git >/dev/null || missing+=(git)
  # LDK's test utilities and libFuzzer are C++.
  command -v c++ >/dev/null || missing+=(g++)
  # The disk that refuses a write, of store-fs's test `medium`: a FUSE program and an ext4.
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  pkg-config --exists fuse3 2>/dev/null || missing+=(libfuse3-dev)
  command -v fusermount3 >/dev/null || missing+=(fuse3)
  command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
  # The servers of payonce-store-postgres's tests, which start their own.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
  [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || missing+=(pgbouncer)
  # The browser in which the report of payonce-cli is looked at, and what drives it.
  command -v chromium >/dev/null || missing+=(chromium)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
  # Builds the lnd of payonce-lnd's tests; fetches a newer one of itself if it is too old for that.
  command -v go >/dev/null || [ -x /usr/local/go/bin/go ] || missing+=(golang-go)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
  cargo fmt --version || rustup component add rustfmt
  cargo clippy --version || rustup component add clippy
  rustc --version
  python3 --version
}

# Crates outside the workspace: each has a lock file and a target directory of its own.
outsiders() {
  local crate
  for crate in nostd fuzz tools/proto; do
    [ ! -f "$crate/Cargo.toml" ] || echo "$crate"
  done
}

format_check() {
  cargo fmt --all --check
  local crate
  for crate in $(outsiders); do
    cargo fmt --manifest-path "$crate/Cargo.toml" --check
  done
  # What it depends on is packaged later.
  rustfmt --edition 2024 --check --config-path . tools/outside/src/main.rs
}

# The same program with a made-up version 2 of the format, for the test `upgrade` of store-fs, which runs
# both on one log.
build_later_version() {
  local built
  built=$(RUSTFLAGS="--cfg payonce_format_2" cargo test --target-dir target/later --config "profile.dev.package.$plain_hashes" \
    -p payonce-store-fs --test upgrade --no-run --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "upgrade":
        print(message["executable"])')
  test -x "$built"
  export PAYONCE_FORMAT_2=$built
}

# The commands as a newcomer copies them: the lines of the README's `sh` blocks that call cargo.
readme_commands() {
  local command commands
  commands=$(awk '/^```sh$/ {inside=1; next} /^```$/ {inside=0} inside' README.md | grep '^cargo ')
  grep -qx 'cargo test' <<<"$commands"
  while read -r command; do
    printf '$ %s\n' "$command"
    bash -euo pipefail -c "$command"
  done <<<"$commands"
}

test_other_members() {
  local packages
  packages=$(.ci/members.py others)
  if [ -z "$packages" ]; then
    echo "every member is a default member"
    return
  fi
  # Word splitting is meant: one -p per member.
  # A real lnd is built meanwhile, and has a step of its own.
  # shellcheck disable=SC2086
  # The one member with default features is the benchmark, whose rivals take longer to build than all else
  # that is tested here: clippy looks at them, `.ci/long bench` tests them.
  cargo test $packages "${others_features[@]}" -- --skip a_real_lnd
}

# What is not needed before the end is built in what the other steps leave of the processors. `timeout` ends
# all that it started when it is ended itself, and is no session of its own: to those Linux gives a fair
# share, however low their priority.
in_spare_time() {
  exec nice -n 19 timeout 3600 "$@"
}

start_late_builds() {
  mkdir -p target
  deny_build=
  if ! command -v cargo-deny >/dev/null; then
    CARGO_PROFILE_DEV_DEBUG=0 in_spare_time cargo install cargo-deny --version "$cargo_deny" --locked --debug \
      >target/deny.log 2>&1 &
    deny_build=$!
  fi
  in_spare_time tools/lnd/build >target/lnd.path 2>target/lnd.log &
  lnd_build=$!
  trap 'kill $deny_build $lnd_build 2>/dev/null || true' EXIT
}

check_dependencies() {
  [ -z "$deny_build" ] || wait "$deny_build" || { cat target/deny.log; return 1; }
  cargo deny --offline check bans licenses sources
}

# Until this second of the run a real lnd is waited for: its tests take a minute and a half, and the run has
# an hour.
lnd_latest=3400

# payonce-lnd against a real lnd. Last, to give its build all the time there is.
test_real_lnd() {
  local left=$((lnd_latest - SECONDS))
  [ "$left" -le 0 ] || timeout "$left" tail --pid="$lnd_build" -f /dev/null || true
  if kill -0 "$lnd_build" 2>/dev/null; then
    printf 'lnd was not built within %d s; what was compiled is kept for the next run\n' "$lnd_latest" >&2
    return 1
  fi
  if ! wait "$lnd_build"; then
    cat target/lnd.log
    return 1
  fi
  local packages
  packages=$(.ci/members.py others)
  # The same members as before, so that nothing is built again.
  # shellcheck disable=SC2086
  PAYONCE_LND=$(<target/lnd.path) cargo test $packages "${others_features[@]}" --test it -- a_real_lnd --nocapture
}

# The runtime's hand-overs in thousands of orders; its primitives are shuttle's then, so it is built
# apart.
test_orders() {
  # Optimised across crates it would take longer to build than to run.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    RUSTFLAGS="--cfg payonce_shuttle" cargo test --release --target-dir target/orders \
    --config "profile.release.package.$plain_hashes" -p payonce-runtime --test orders
}

# What store-fs is worth, with faults planted in it: the tests must notice each.
test_planted_faults() {
  local faults=(--target-dir target/faults -p payonce-store-fs)
  export RUSTFLAGS="--cfg payonce_faults"
  cargo test "${faults[@]}" --test medium
  expect_failure 1 "${faults[@]}" --test it scenario_47
  expect_failure 2 "${faults[@]}" --test it writers::
  expect_failure 3 "${faults[@]}" --test it a_listing_that_is_of_two_moments
  unset RUSTFLAGS
}

# Fails if the tests pass although a fault is planted.
expect_failure() {
  local fault=$1
  shift
  if PAYONCE_FAULT=$fault cargo test "$@" >target/faults/output 2>&1; then
    printf 'fault %s is planted and nothing fails\n' "$fault"
    return 1
  fi
  # A build that fails is not what is meant.
  grep -q '^test result: FAILED' target/faults/output
  printf 'fault %s is noticed\n' "$fault"
}

# Where no log can be kept the crate still builds, and says so.
check_other_systems() {
  if ! rustup target add x86_64-pc-windows-gnu; then
    echo "SKIPPED: that system's standard library is not to be had here"
    return
  fi
  cargo check --target x86_64-pc-windows-gnu -p payonce-store-fs --features model-disk
}

build_no_std() {
  cargo build --manifest-path nostd/Cargo.toml
}

build_fuzz_targets() {
  if [ ! -f fuzz/Cargo.toml ]; then
    echo "there are no fuzz targets"
    return
  fi
  # As cargo-fuzz would, without the sanitizer, which needs a nightly compiler.
  RUSTFLAGS="--cfg fuzzing" cargo build --manifest-path fuzz/Cargo.toml --bins
}
