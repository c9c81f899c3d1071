# Sourced by ./demo and ./test: the Debian packages a build needs, and the build itself with one progress line.

build_packages=(g++ cmake ninja-build ccache pkg-config git ca-certificates
  libboost-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libfmt-dev libspdlog-dev
  libssl-dev libsqlite3-dev libre2-dev libutf8proc-dev libcurl4-openssl-dev zlib1g-dev)
test_packages=(libgtest-dev libgmock-dev python3 zip unzip)

# Installs what is missing of the given packages; silent when nothing is.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing and there is no sudo to install them: ${missing[*]}" >&2; exit 7; }
    sudo=sudo
  fi
  echo "== installing ${#missing[@]} packages: ${missing[*]}"
  local log; log=$(mktemp)
  { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 || { tail -20 "$log" >&2; echo "could not install; the full log is $log" >&2; exit 7; }
  rm -f "$log"
}

# build PRESET TARGET...: configures once, builds, shows one progress line; compiler output only when it fails.
build() {
  local preset=$1 folder=build; shift
  [ "$preset" = release ] || folder=build-$preset
  mkdir -p "$folder"
  local log=$folder/log.txt
  # Each time: a package that was installed since changes what can be built.
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  echo "== building $* ($preset)"
  local start=$SECONDS
  if [ -t 1 ]; then
    NINJA_STATUS='[%f/%t] ' ninja -C "$folder" "$@" 2>&1 | tee "$log" | sed -un 's/^\(\[[0-9]*\/[0-9]*\]\).*/\r\1 /p' | tr -d '\n' || true
    echo
  fi
  # The state of the build is the tool's, not the pipe's.
  ninja -C "$folder" "$@" >"$log" 2>&1 || { tail -60 "$log" >&2; echo "the build failed; the full log is $log" >&2; exit 1; }
  echo "   built in $((SECONDS - start)) s"
}
