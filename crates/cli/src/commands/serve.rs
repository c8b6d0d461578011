//! `kubewright serve`: the dashboard.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kubewright_model::secret::Secret;
use kubewright_server::{Address, Fleet, ServeError, Tokens, new_token, openapi, serve};

use super::change::{Signals, deaf};
use super::print_json;
use crate::arguments::Arguments;
use crate::arguments::serve::Serve;
use crate::problem::{Done, Problem};
use crate::screen::{BAD, CARE, DIM, GOOD, PRETEND, counted, paint, quoted, remark};
use crate::world::place;

/// How often runs are looked at that are waited for.
const LOOKS: Duration = Duration::from_millis(200);
/// A token that is shorter can be guessed.
const SHORTEST: usize = 16;

pub(super) fn run(arguments: &Arguments, wish: &Serve) -> Result<Done, Problem> {
    if wish.openapi {
        print_json(&openapi())?;
        return Ok(Done::Well);
    }
    let places = wish.files.iter().map(|file| place(arguments, file)).collect();
    let fleet = Fleet::new(places, wish.pace).map(Arc::new).map_err(|faults| {
        let problem = Problem::new(Done::Invalid, "nothing is served").because(faults.join("\n  "));
        problem.hint(format!("`kubewright validate {}` shows each in its place", quoted(&wish.files[0])))
    })?;
    let (tokens, made) = tokens(wish)?;
    let kept = place(arguments, &wish.files[0]).kept();
    let written = std::cell::OnceCell::new();
    let address = Address {
        socket: wish.listen,
        tls: wish.tls_certificate.clone().zip(wish.tls_key.clone()),
        hosts: wish.host.clone(),
    };
    let ready = |at: SocketAddr| {
        if let Some(folder) = &arguments.simulated {
            let words = format!("simulated data centre in {}: nothing real is touched", folder.display());
            remark!("{}", paint(PRETEND, words));
        }
        let file = made.as_ref().map(|token| (token, keep(&kept, at.port(), token)));
        told(wish, at, file.as_ref());
        let _ = written.set(file.and_then(|(_, file)| file.ok()));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::new(Done::Unfinished, format!("cannot start: {error}")))?;
    let served = runtime.block_on(async {
        let every = wish.look_every.duration();
        // Before anybody is told that it is there.
        let signals = Signals::listen().map_err(deaf)?;
        Ok::<_, Problem>(serve(fleet.clone(), tokens, &address, every, ready, until_stopped(&fleet, signals)).await)
    });
    // A run that was given up at once has a thread that nobody waits for.
    runtime.shutdown_background();
    if let Some(file) = written.into_inner().flatten() {
        let _ = std::fs::remove_file(file);
    }
    match served? {
        Ok(()) if fleet.running().is_empty() => Ok(Done::Well),
        Ok(()) => Err(Problem::new(Done::Interrupted, "ended at once")
            .hint("the journal says what was begun; the next run looks what became of it and goes on")),
        Err(error @ ServeError::Open(_)) => Err(Problem::new(Done::Usage, error.to_string())
            .hint("`--tls-certificate FILE --tls-key FILE`; or listen on 127.0.0.1 and go there by `ssh -L`")),
        Err(ServeError::Listen { socket, source }) => {
            let problem =
                Problem::new(Done::Unfinished, format!("cannot listen at {socket}")).because(source.to_string());
            Err(problem.hint("`--listen 127.0.0.1:0` takes a port that is free"))
        }
        Err(error) => Err(Problem::new(Done::Usage, error.to_string())),
    }
}

/// Says where it is, and how one gets in. The token is shown to a person alone: what is not a terminal may be a log.
fn told(wish: &Serve, at: SocketAddr, made: Option<&(&Secret, Result<PathBuf, String>)>) {
    let scheme = if wish.tls_certificate.is_some() { "https" } else { "http" };
    let name = wish.host.first().map_or_else(|| at.ip().to_string(), Clone::clone);
    let name = if name.contains(':') { format!("[{name}]") } else { name };
    let url = format!("{scheme}://{name}:{}/", at.port());
    remark!("{} dashboard of {} at {url}", paint(GOOD, "✓"), counted(wish.files.len(), "cluster"));
    match made {
        Some((token, _)) if std::io::stderr().is_terminal() => remark!("→ log in: {url}#token={}", token.expose()),
        Some((_, Ok(file))) => remark!("→ the token that logs in is in {}", file.display()),
        Some((_, Err(why))) => remark!("{} nobody can log in: {why}", paint(BAD, "✗")),
        None => {}
    }
    remark!("{}", paint(DIM, "Ctrl-C ends it"));
}

/// Tokens as files have them, and the one that is made where there is none for operators.
fn tokens(wish: &Serve) -> Result<(Tokens, Option<Secret>), Problem> {
    let viewers = wish.viewer_token_file.as_deref().map_or(Ok(Vec::new()), lines)?;
    if let Some(file) = &wish.operator_token_file {
        return Ok((Tokens::new(&lines(file)?, &viewers), None));
    }
    let token = new_token().map_err(|why| Problem::new(Done::Unfinished, "no token can be made").because(why))?;
    Ok((Tokens::new(std::slice::from_ref(&token), &viewers), Some(token)))
}

/// Writes the token that was made to a file that only its owner reads. Each port has its own: nobody else listens there.
fn keep(folder: &Path, port: u16, token: &Secret) -> Result<PathBuf, String> {
    let file = folder.join(format!("serve-{port}.token"));
    let written = kubewright_engine::store::folder::kept(folder).and_then(|()| {
        // One that lies there from a start that was killed may belong to anybody.
        let _ = std::fs::remove_file(&file);
        let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        made.write_all(format!("{}\n", token.expose()).as_bytes())
    });
    written.map(|()| file.clone()).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn lines(file: &Path) -> Result<Vec<Secret>, Problem> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problem::new(Done::Usage, format!("cannot read {}", file.display())).because(error.to_string())
    })?;
    let tokens: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if tokens.is_empty() || tokens.iter().any(|token| token.len() < SHORTEST) {
        let problem = Problem::new(Done::Usage, format!("{} has no tokens that nobody can guess", file.display()));
        return Err(
            problem.hint(format!("each line is one of {SHORTEST} characters at least: `openssl rand -base64 32`"))
        );
    }
    Ok(tokens.into_iter().map(|token| Secret::new(token.to_string())).collect())
}

/// Waits until it is to end: at once where no run goes on; else that is waited for while no other begins, then asked to
/// stop, then given up.
async fn until_stopped(fleet: &Fleet, mut signals: Signals) {
    signals.asked().await;
    fleet.close();
    let running = fleet.running().join(", ");
    let mut asked = 1;
    while !fleet.running().is_empty() {
        match asked {
            1 => remark!("{} a run of {running} is waited for; once more asks it to stop", paint(CARE, "→")),
            2 => {
                fleet.stop();
                remark!("{} {running} starts nothing new; once more ends at once", paint(CARE, "→"));
            }
            _ => return,
        }
        let ended = async {
            while !fleet.running().is_empty() {
                tokio::time::sleep(LOOKS).await;
            }
        };
        tokio::select! {
            () = ended => return,
            () = signals.asked() => asked += 1,
        }
    }
}
