//! Real terminals: tmux draws what the program writes, and what stands on its screen is what people see.
//!
//! Simulated worlds last as long in every run, so most screens are held whole against what is kept here; where real time
//! enters, it is masked, or only the shape of the screen is looked at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr as _;

/// The smallest terminal that is promised, the usual one, and a large one.
const SIZES: [(usize, usize); 3] = [(60, 20), (80, 24), (140, 40)];

/// A home, and a pretend data centre in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/id_rsa.pub"), "").unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devboard/cluster.yaml");
        std::fs::copy(example, home.path().join("cluster.yaml")).unwrap();
        Self(home)
    }

    /// A home whose spec says something else in these places.
    fn with(changes: &[(&str, &str)]) -> Self {
        let home = Self::new();
        let spec = home.0.path().join("cluster.yaml");
        let mut text = std::fs::read_to_string(&spec).unwrap();
        for (before, after) in changes {
            assert!(text.contains(before), "{before}");
            text = text.replace(before, after);
        }
        std::fs::write(spec, text).unwrap();
        home
    }

    fn built() -> Self {
        let home = Self::new();
        assert!(home.run(&["apply", "--yes"], &[]).status.success());
        home
    }

    /// What the program says where no terminal is.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command.args(["--simulated", "dc"]).args(arguments).current_dir(self.0.path());
        command.env("HOME", self.0.path()).env_remove("COLUMNS").envs(environment.iter().copied()).output().unwrap()
    }
}

/// A terminal, and a server of tmux that is nobody else's.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs a line of the shell in which `kw` is the program in its pretend world; the terminal stays when it has ended.
    fn new(home: &Home, name: &str, (columns, rows): (usize, usize), line: &str) -> Self {
        let terminal = Self { socket: home.0.path().join(format!("{name}.tmux")) };
        let program = format!("kw() {{ '{}' --simulated dc \"$@\"; }}", env!("CARGO_BIN_EXE_kubewright"));
        let line = format!(
            "trap : INT; {program}; {line}; echo \"ended with $?\"; stty -a | grep -o -- '-*icanon'; exec sleep 600"
        );
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let home = home.0.path();
        let mut tmux = terminal.tmux();
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, "sh", "-c", &line]);
        let begun = tmux.current_dir(home).env("HOME", home).env_remove("NO_COLOR").status().unwrap();
        assert!(begun.success());
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // Its characters are those that the program draws.
        tmux.arg("-u").arg("-S").arg(&self.socket).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        tmux
    }

    fn asked(&self, arguments: &[&str]) -> String {
        let told = self.tmux().args(arguments).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    /// What stands on the screen now.
    fn screen(&self) -> String {
        self.asked(&["capture-pane", "-p"]).trim_end().to_string()
    }

    /// The screen as soon as this is true of it.
    fn once(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if holds(&screen) {
                // What is written in several pieces is there as a whole a moment later.
                std::thread::sleep(Duration::from_millis(300));
                return self.screen();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "never {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn with(&self, words: &str) -> String {
        self.once(words, |screen| screen.contains(words))
    }

    fn press(&self, key: &str) {
        self.asked(&["send-keys", key]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").output();
    }
}

/// The screen without what is another one each time: names of runs, and how long ago something was.
fn masked(screen: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in screen.lines() {
        let of_now = |word: &str| {
            let digits = word
                .trim_end_matches(':')
                .split('-')
                .all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
            digits && word.trim_end_matches(':').len() == 19 && word.matches('-').count() == 2
        };
        let line = line
            .split(' ')
            .map(|word| if of_now(word) { word.replace(|c: char| c.is_ascii_digit(), "0") } else { word.into() });
        let line = line.collect::<Vec<_>>().join(" ");
        words.push(match line.find("looked ") {
            Some(at) => format!("{}looked …", line[..at].trim_end().to_string() + " "),
            None => line,
        });
    }
    words.join("\n")
}

#[test]
fn a_run_is_a_tree_while_it_moves_and_a_few_lines_when_it_has_ended() {
    let ended = SIZES.map(|size| {
        let (home, (columns, rows)) = (Home::new(), size);
        let terminal = Terminal::new(&home, "run", size, "kw apply --yes --pace 60");
        let moving = terminal.once("a tree", |screen| screen.contains("/24 ") && screen.contains(" running"));
        let tree: Vec<&str> = moving.lines().skip_while(|line| !line.contains("/24 ")).collect();
        assert!(tree[0].starts_with('━') && tree.len() < rows, "{moving}");
        assert!(tree.iter().any(|line| line.starts_with("  ") && line.contains(" s")), "{moving}");
        assert!(tree.iter().all(|line| line.chars().count() <= columns), "{moving}");
        let ended = terminal.with("ended with 0");
        assert!(!ended.contains('━') && !ended.contains(" running"), "{ended}");
        let ended: Vec<&str> = ended
            .lines()
            .skip_while(|line| !line.starts_with("run "))
            .take_while(|line| !line.starts_with("ended with"))
            .collect();
        masked(&ended.join("\n"))
    });
    insta::assert_snapshot!(ended.join("\n════════\n"));
}

#[test]
fn whoever_stops_a_run_that_is_watched_need_not_wait() {
    let home = Home::new();
    let terminal = Terminal::new(&home, "stop", (80, 24), "kw apply --yes --pace 1");
    terminal.once("a tree", |screen| screen.contains("/24 ") && screen.contains(" running"));
    terminal.press("C-c");
    terminal.with("stopping:");
    terminal.press("C-c");
    terminal.with("ended with 130");
}

#[test]
fn tables_fold_where_the_terminal_is_narrow() {
    let home = Home::built();
    let shown = SIZES.map(|(columns, _)| {
        let terminal = Terminal::new(&home, &format!("table{columns}"), (columns, 60), "kw status; kw history");
        let shown = terminal.with("ended with 0");
        assert!(shown.contains("192.168.1.42") && shown.contains("3 of 3 nodes Ready"), "{shown}");
        // What began is another moment each time.
        let shown = shown.lines().take_while(|line| !line.contains(" certificates, ")).collect::<Vec<_>>().join("\n");
        masked(&shown)
    });
    insta::assert_snapshot!(shown.join("\n════════\n"));
}

#[test]
fn top_shows_a_cluster_on_each_terminal() {
    let home = Home::built();
    let shown = SIZES.map(|size| {
        let terminal = Terminal::new(&home, &format!("top{}", size.0), size, "kw top");
        let overview =
            terminal.once("a look", |screen| screen.contains("3 of 3 nodes Ready") && screen.contains("looked "));
        terminal.press("2");
        let machines = terminal.with("k3s-agent-2");
        terminal.press("3");
        let topology = terminal.with(" place ");
        terminal.press("/");
        terminal.press("agent-1");
        terminal.press("Enter");
        let filtered = terminal.once("filtered", |screen| !screen.contains("k3s-agent-2"));
        terminal.press("q");
        let ended = terminal.with("icanon");
        assert!(ended.contains("ended with 0") && !ended.contains("-icanon"), "{ended}");
        [overview, machines, topology, filtered].map(|screen| masked(&screen)).join("\n────────\n")
    });
    insta::assert_snapshot!(shown.join("\n════════\n"));
}

#[test]
fn top_follows_a_run_of_another_program() {
    let home = Home::new();
    // Of a world that nobody has begun nothing is known yet.
    let run = Terminal::new(&home, "follow-run", (80, 24), "kw apply --yes --pace 20");
    run.once("a tree", |screen| screen.contains("/24 ") && screen.contains(" running"));
    let top = Terminal::new(&home, "follow-top", (80, 24), "kw top --every 2s");
    top.press("8");
    let shown = top.once("the run", |screen| screen.contains("goes on") && screen.contains(" running"));
    assert!(shown.contains("of 24 steps") && shown.contains("machines"), "{shown}");
    run.with("ended with 0");
    top.once("its end", |screen| screen.contains("complete") && screen.contains("24 of 24 steps"));
}

#[test]
fn the_terminal_is_as_before_when_top_is_ended_by_a_signal() {
    let home = Home::built();
    let line = format!("sh -c 'echo $$ > pid; exec \"{}\" --simulated dc top'", env!("CARGO_BIN_EXE_kubewright"));
    let terminal = Terminal::new(&home, "term", (80, 24), &line);
    terminal.with("3 of 3 nodes Ready");
    assert_eq!(terminal.asked(&["display-message", "-p", "#{alternate_on}"]).trim(), "1");
    let process = std::fs::read_to_string(home.0.path().join("pid")).unwrap();
    assert!(Command::new("kill").args(["-TERM", process.trim()]).status().unwrap().success());
    let ended = terminal.with("icanon");
    assert!(ended.contains("ended with 130") && !ended.contains("-icanon"), "{ended}");
    assert_eq!(terminal.asked(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
}

/// Whether a process is there. One that has ended and whose end nobody has asked for is not.
fn runs(process: &str) -> bool {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    told.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn top_ends_with_its_terminal_also_where_no_signal_says_so() {
    let home = Home::built();
    let program = format!("sh -c 'echo $$ > pid; exec \"{}\" --simulated dc top'", env!("CARGO_BIN_EXE_kubewright"));
    for (name, line) in [("hangup", program.clone()), ("silent", format!("setsid -w {program}"))] {
        let terminal = Terminal::new(&home, name, (80, 24), &line);
        terminal.with("3 of 3 nodes Ready");
        let process = std::fs::read_to_string(home.0.path().join("pid")).unwrap();
        assert!(runs(process.trim()));
        let _ = terminal.tmux().arg("kill-pane").output();
        let ended = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            !runs(process.trim())
        });
        assert!(ended, "{name}: it goes on without a terminal");
    }
}

#[test]
fn top_says_when_it_cannot_be_drawn() {
    let home = Home::built();
    let terminal = Terminal::new(&home, "small", (50, 10), "kw top");
    terminal.with("top needs");
    terminal.press("q");
    terminal.with("ended with 0");
    let told = home.run(&["top"], &[]);
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("top wants a terminal"));
}

#[test]
fn who_wants_no_drawings_gets_none() {
    let drawn = ['━', '⠋', '├', '└', '│', '✓', '✗', '→', '·', '…'];
    for (name, line) in [
        ("plain", "kw --plain apply --yes --pace 600"),
        ("env", "KUBEWRIGHT_PLAIN=1; export KUBEWRIGHT_PLAIN; kw apply --yes"),
    ] {
        let home = Home::new();
        let terminal = Terminal::new(&home, name, (80, 60), line);
        let screen = terminal.with("ended with 0");
        assert!(!screen.contains(drawn), "{screen}");
        assert!(screen.contains("well: everything is as the spec says: 24 done"), "{screen}");
    }
    let home = Home::new();
    let dumb = Terminal::new(&home, "dumb", (100, 60), "TERM=dumb kw apply --yes --pace 600");
    let screen = dumb.with("ended with 0");
    assert!(!screen.contains('━') && screen.matches("✓ machines").count() > 1, "{screen}");
}

#[test]
fn colour_goes_by_what_programs_agree_on() {
    let home = Home::built();
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let told = home.run(arguments, environment);
        assert!(told.status.success());
        told.stdout.contains(&0x1b)
    };
    assert!(!coloured(&["status"], &[]));
    assert!(coloured(&["status"], &[("CLICOLOR_FORCE", "1")]));
    assert!(coloured(&["--color", "always", "status"], &[]));
    assert!(!coloured(&["--plain", "status"], &[("CLICOLOR_FORCE", "1")]));
    for (name, line, colour) in [("colour", "kw status", true), ("none", "NO_COLOR=1 kw status", false)] {
        let terminal = Terminal::new(&home, name, (100, 40), line);
        terminal.with("ended with 0");
        let screen = terminal.asked(&["capture-pane", "-p", "-e"]);
        assert_eq!(screen.contains("\u{1b}[1m") || screen.contains("\u{1b}[32m"), colour, "{screen}");
    }
}

#[test]
fn what_is_wrong_is_said_in_words_too() {
    let home = Home::with(&[("cores: 4", "cors: 4"), ("namespaces: ", "namespace: ")]);
    let drawn = ['─', '│', '╭', '╰', '·', '×', '⚠', '→', '\u{1b}'];
    for (arguments, environment) in [
        (&["--plain", "validate"][..], &[][..]),
        (&["validate"], &[("KUBEWRIGHT_PLAIN", "1"), ("CLICOLOR_FORCE", "1")]),
    ] {
        let told = home.run(arguments, environment);
        assert_eq!(told.status.code(), Some(3));
        let told = String::from_utf8(told.stderr).unwrap();
        assert!(!told.contains(drawn), "{told}");
        assert!(told.contains("\n  place: cluster.yaml:") && told.contains("\n  line: "), "{told}");
        assert!(told.contains("cors") && told.contains("\n  next: "), "{told}");
    }
    // What is wrong with the command line is told before it is known what it asks for.
    for (name, line) in [
        ("first", "kw --plain statos"),
        ("last", "kw statos --plain"),
        ("environment", "KUBEWRIGHT_PLAIN=yes kw statos"),
    ] {
        let terminal = Terminal::new(&home, name, (80, 24), line);
        terminal.with("ended with 2");
        let screen = terminal.asked(&["capture-pane", "-p", "-e"]);
        assert!(screen.contains("status") && !screen.contains('\u{1b}'), "{screen}");
    }
}

#[test]
fn whoever_reads_elsewhere_says_how_much_room_there_is() {
    let home = Home::built();
    let text = |columns: &str| {
        let told = home.run(&["status"], &[("COLUMNS", columns)]);
        assert!(told.status.success());
        String::from_utf8(told.stdout).unwrap()
    };
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest(&text("")) > 80, "nobody said anything");
    assert_eq!(text("many"), text(""));
    for columns in [60, 80, 120] {
        let told = text(&columns.to_string());
        assert!(widest(&told) <= columns && told.contains("192.168.1.42"), "{told}");
    }
    let terminal = Terminal::new(&home, "columns", (120, 40), "COLUMNS=60 kw status");
    let screen = terminal.with("ended with 0");
    assert!(widest(&screen) > 80, "a terminal knows better:\n{screen}");
}

#[test]
fn wide_characters_take_two_columns() {
    let home = Home::with(&[("      grafana: {", "      \"数据库平台 🚀\": {")]);
    assert!(home.run(&["apply", "--yes"], &[]).status.success());
    let checks = |columns: &str| {
        let told = home.run(&["verify"], &[("COLUMNS", columns)]);
        String::from_utf8(told.stdout).unwrap()
    };
    let narrow = checks("60");
    assert!(narrow.contains("数据库平台 🚀") && narrow.lines().all(|line| line.width() <= 60), "{narrow}");
    // Where there is room, what was seen begins in the same column in every row.
    let rows = checks("140");
    let seen = |name: &str, seen: &str| {
        let row = rows.lines().find(|line| line.contains(name)).unwrap();
        row[..row.find(seen).unwrap()].width()
    };
    assert_eq!(seen("数据库平台 🚀", "200"), seen("release vault", "the pods"), "{rows}");
}

#[test]
fn a_real_zsh_completes() {
    let home = Home::new();
    let built = Path::new(env!("CARGO_BIN_EXE_kubewright")).parent().unwrap();
    let line = format!("PATH='{}':$PATH; export PATH; PS1='%% ' zsh -f", built.display());
    let terminal = Terminal::new(&home, "zsh", (100, 40), &line);
    terminal.once("a prompt", |screen| screen.starts_with('%'));
    let types = |words: &str| terminal.asked(&["send-keys", "-l", "--", words]);
    types("autoload -U compinit && compinit -D -u && source <(kubewright completions zsh) && echo re''ady\n");
    terminal.with("\nready");
    types("kubewright ssh k3s-s\t");
    terminal.once("a node", |screen| screen.ends_with("% kubewright ssh k3s-server"));
    terminal.press("C-u");
    types("kubewright plan --only contr\t");
    terminal.once("a stage", |screen| screen.ends_with("--only control-plane"));
    terminal.press("C-u");
    types("kubewright history \t");
    types("--ru\t");
    terminal.with("history --run");
    terminal.press("C-u");
    terminal.press("C-l");
    types("kubewright ssh k3s-\t");
    let both = terminal.with("k3s-agent-2");
    assert!(both.contains("k3s-agent-1") && both.contains("k3s-server"), "{both}");
    terminal.press("C-c");
    terminal.press("C-d");
    terminal.with("ended with");
}

#[test]
fn warnings_are_read_once_and_counted_later() {
    let home = Home::with(&[(
        "spec:\n",
        "# A comment that is so long that no narrow terminal has room for all of its many words, and more.\nspec:\n",
    )]);
    std::fs::remove_file(home.0.path().join(".ssh/id_rsa.pub")).unwrap();
    let spec = home.0.path().join("cluster.yaml");
    let text = std::fs::read_to_string(&spec).unwrap();
    let server = "role: both\n      name: k3s-server\n      addresses: [192.168.1.40]";
    assert!(text.contains(server));
    let three = text
        .replace(server, "role: both\n      name: k3s-server-{n}\n      addresses: [192.168.1.40, 192.168.1.43-44]");
    std::fs::write(
        &spec,
        three
            .replace("vmids: [400]", "vmids: [400, 403, 404]")
            .replace("version: v1.31.4+k3s1", "version: v1.31.4+k3s1, endpoint: { host: 192.168.1.40 }"),
    )
    .unwrap();
    let said = |arguments: &[&str]| String::from_utf8(home.run(arguments, &[("COLUMNS", "60")]).stderr).unwrap();
    let validated = said(&["validate"]);
    assert!(validated.contains("KW0410") && validated.contains("╭─["), "{validated}");
    // No line of the excerpt is folded: the arrow stands below what it points at.
    assert!(validated.lines().all(|line| line.width() <= 60), "{validated}");
    let planned = said(&["plan"]);
    assert!(planned.contains("KW0410"), "{planned}");
    let looked = said(&["status"]);
    assert!(!looked.contains("KW0410") && looked.contains("cluster.yaml: 1 warning;"), "{looked}");
    assert!(looked.contains("`kubewright --simulated dc validate`"), "{looked}");
}
