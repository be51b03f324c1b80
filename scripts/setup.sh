# What `serve` and `test` share: installs what is missing, once, into a cache that every clone uses.
# Sourced, not run. Each step prints its name and elapsed time; a failure prints one line that says what to do.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${BROKERLAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/brokerlab}
STARTED=$(date +%s)
WASM=wasm32-unknown-unknown

# Versions that work together; a newer one of any of them was seen to break another.
WASM_BINDGEN=0.2.130
TRUNK=0.21.14
WASM_PACK=0.15.1
BINARYEN=132
ESBUILD=0.25.12

mkdir -p "$CACHE/log"
export PATH="$CACHE/bin:$CACHE/npm/node_modules/.bin:$HOME/.cargo/bin:$PATH"
# Trunk reads NO_COLOR as a flag of its own and stops at any value but true or false.
unset NO_COLOR

say() { printf '[%4ds] %s\n' "$(($(date +%s) - STARTED))" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# step NAME COMMAND...: runs the command quietly; on failure shows the end of its output and the advice in $ADVICE.
step() {
  local name=$1 log="$CACHE/log/${1//[^a-zA-Z0-9]/-}.log" from; shift
  from=$(date +%s)
  say "$name ..."
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    die "$name failed. ${ADVICE:-Read $log, mend what it names, and run this again: finished steps are kept.}"
  fi
  say "$name: done in $(($(date +%s) - from)) s"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# debian PACKAGE...: installs Debian packages; where that cannot be done it says which to install by hand.
debian() {
  local by_hand="Install these by hand and run this again: $*"
  command -v apt-get >/dev/null || die "this machine has no apt-get. $by_hand"
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || die "no right to install packages. Run as root: apt-get install $*"
  if [ -z "${APT_FRESH:-}" ]; then
    ADVICE="Is the network there? $by_hand" step "apt-get update" as_root apt-get update
    APT_FRESH=1
  fi
  ADVICE="Is the network there? $by_hand" step "apt-get install $*" \
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# The compiler, and the one that builds for wasm32: the same where rustup can add the target and the standard library's source, Debian's
# where it cannot.
setup_rust() {
  command -v cc >/dev/null || debian gcc libc6-dev
  if ! command -v cargo >/dev/null; then
    command -v apt-get >/dev/null || die "Rust is missing. Install it with rustup (rustup.rs) and run this again."
    debian rustc-web cargo-web rust-web-clippy rustfmt-web
  fi
  has_target rustc && has_source rustc && return
  if command -v rustup >/dev/null; then
    if (rustup target add "$WASM" && rustup component add rust-src) >"$CACHE/log/rustup.log" 2>&1; then
      say "wasm32 target: added by rustup"
      return
    fi
    export WASM_TOOLCHAIN=debian
  fi
  if [ -x /usr/bin/rustc ] && has_target /usr/bin/rustc && has_source /usr/bin/rustc; then
    link_debian
    return
  fi
  say "wasm32 target: rustup cannot add it here, so Debian's own Rust builds the page"
  debian rustc-web cargo-web rust-web-src rust-web-clippy lld-19
  step "standard library for wasm32" build_wasm_std
  link_debian
}

has_target() {
  local libdir
  libdir=$("$1" --print target-libdir --target "$WASM" 2>/dev/null) && ls "$libdir"/libcore-*.rlib >/dev/null 2>&1
}

# The standard library's source, which the page builds anew for its size.
has_source() { [ -f "$("$1" --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]; }

link_debian() {
  command -v rustup >/dev/null || return 0
  rustup toolchain list | grep -q '^debian' || rustup toolchain link debian /usr
}

# Debian ships std's source beside the compiler it belongs to; building it takes under a minute.
build_wasm_std() (
  set -e
  local work sysroot
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/src"
  printf '[package]\nname = "only_std"\nversion = "0.0.0"\nedition = "2021"\n' >"$work/Cargo.toml"
  : >"$work/src/lib.rs"
  cd "$work"
  # Without embedded bitcode `lto = true` finds no section to link.
  env -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes RUSTC=/usr/bin/rustc CARGO_TARGET_DIR="$work/target" \
    /usr/bin/cargo build --release --target "$WASM" -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test
  rm -f "target/$WASM"/release/deps/libonly_std-*
  sysroot=$(/usr/bin/rustc --print sysroot)
  as_root mkdir -p "$sysroot/lib/rustlib/$WASM/lib" "$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/bin"
  as_root cp "target/$WASM"/release/deps/*.rlib "$sysroot/lib/rustlib/$WASM/lib/"
  as_root ln -sf "$(command -v wasm-ld-19)" "$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
)

# with_wasm COMMAND...: runs it with the toolchain that can build for wasm32.
with_wasm() { env ${WASM_TOOLCHAIN:+RUSTUP_TOOLCHAIN=$WASM_TOOLCHAIN} "$@"; }

# cargo_tool NAME VERSION CARGO-INSTALL-ARGUMENTS...
cargo_tool() {
  local name=$1 version=$2; shift 2
  if [ -x "$CACHE/bin/$name" ] && "$CACHE/bin/$name" --version 2>/dev/null | grep -qF "$version"; then return; fi
  ADVICE="Is the network there? Try: cargo install $*" step "$name $version" \
    cargo install --force --root "$CACHE" --target-dir "$CACHE/target" "$@"
}

setup_node() {
  local major
  major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
  if [ "${major:-0}" -lt 18 ] || ! command -v npm >/dev/null; then debian nodejs npm; fi
}

setup_page_tools() {
  setup_rust
  setup_node
  # Its own lock file names a crate version that has been withdrawn, hence no --locked.
  cargo_tool wasm-bindgen "$WASM_BINDGEN" wasm-bindgen-cli --version "$WASM_BINDGEN" --debug
  cargo_tool trunk "$TRUNK" "trunk@$TRUNK" --locked --no-default-features --debug
  command -v xz >/dev/null || debian xz-utils
  if ! wasm-opt --version 2>/dev/null | grep -q "version $BINARYEN" || [ "$(esbuild --version 2>/dev/null)" != "$ESBUILD" ]; then
    ADVICE="Is the network there? Try: npm install binaryen@$BINARYEN esbuild@$ESBUILD" step "wasm-opt $BINARYEN and esbuild $ESBUILD" \
      npm install --prefix "$CACHE/npm" --no-audit --no-fund "binaryen@$BINARYEN" "esbuild@$ESBUILD"
  fi
}

setup_browser() {
  [ -x /usr/bin/chromium ] && [ -x /usr/bin/chromedriver ] || debian chromium chromium-driver fonts-dejavu-core
}

setup_test_tools() {
  setup_page_tools
  cargo_tool wasm-pack "$WASM_PACK" "wasm-pack@$WASM_PACK" --locked --debug
  setup_browser
}

# with_page COMMAND...: runs it so that cargo builds for the page. Its standard library is built for size, a panic stops the program at once,
# without a message, and nothing is formatted for debugging: together a tenth of the download. What is unstable is how to ask for them, hence RUSTC_BOOTSTRAP.
with_page() {
  with_wasm env RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort CARGO_UNSTABLE_BUILD_STD_FEATURES=optimize_for_size \
    RUSTFLAGS="-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none" "$@"
}

# Whether dist/ is newer than everything it is made of.
page_is_fresh() {
  [ -f "$ROOT/dist/index.html" ] || return 1
  [ -z "$(cd "$ROOT" && find src www Cargo.toml Cargo.lock Trunk.toml scripts/setup.sh scripts/pack.mjs scripts/packed.mjs -newer dist/index.html -print -quit)" ]
}

build_page() {
  # Trunk works offline: what is missing is fetched first.
  (cd "$ROOT" && with_page cargo fetch --quiet --target "$WASM") || return
  (cd "$ROOT" && with_page trunk build --offline "$@")
}
