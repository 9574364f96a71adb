use super::*;
use ratatui::style::Color;

fn shows(screen: &str, all: &[&str]) {
    for says in all {
        assert!(screen.contains(says), "it does not show {says:?}:\n{screen}");
    }
}

#[test]
fn the_nodes_fit_on_eighty_columns_and_the_lost_stand_out() {
    let now = Instant::now();
    let mut state = state(now);
    let buffer = buffer(&mut state, now, 80, 24);
    let screen = lines(&buffer);
    println!("{screen}");
    shows(
        &screen,
        &[
            "redis://127.0.0.1:6379",
            "● live  08:00:00 UTC",
            "1 active  1 quiet  1 draining  1 lost",
            "3/10",
            "1,211 waiting, oldest 4m 05s  15 later  6 failed",
            "1 Nodes 4",
            "4 Failures 6",
            "STATE▾",
            "✗ lost",
            "◐ draining",
            "━━━━──── 2/4",
            "2h 00m",
            "d drain",
            "q quit",
        ],
    );
    let row = (0..24)
        .find(|y| lines(&buffer).lines().nth(usize::from(*y)).is_some_and(|line| line.contains("n-3")));
    let row = row.expect("it is on the screen");
    assert!((2..70).all(|x| buffer[(x, row)].fg == Color::Red), "the whole row");
    assert!(screen.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn the_other_lists_are_drawn() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "2", now);
    let queues = drawn(&mut state, now);
    println!("{queues}");
    shows(&queues, &["WAITING", "1,204", "◌ paused", "4m 05s", "● open"]);
    let mut alone = reading();
    alone.queues[2].nodes = 0;
    state.take(Update::Fleet(Box::new(alone)), now);
    shows(&drawn(&mut state, now), &["✗ no node"]);
    type_in(&mut state, "3", now);
    let running = drawn(&mut state, now);
    println!("{running}");
    shows(&running, &["1h 06m  default/deploy", "3m 20s", "c cancel"]);
    type_in(&mut state, "4", now);
    let failures = drawn(&mut state, now);
    println!("{failures}");
    shows(&failures, &["30.0s  default/t-1", "timeout", "it took longer", "r retry"]);
}

#[test]
fn what_is_opened_is_told_whole() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "s", now);
    press(&mut state, KeyCode::Enter, now);
    let node = drawn(&mut state, now);
    println!("{node}");
    shows(
        &node,
        &["Node n-1  ● active", "host-of-n-1, process 7", "default,gpu=3", "zone=a", "default/build"],
    );
    press(&mut state, KeyCode::Enter, now);
    state.take(Update::Story(Box::new(story("default/build", "running"))), now);
    let task = drawn(&mut state, now);
    println!("{task}");
    shows(
        &task,
        &[
            "Task default/build  ● running",
            "2, retried 1×",
            "it took longer than 30s",
            "1m 00s ago",
            "What happened",
        ],
    );
    press(&mut state, KeyCode::PageDown, now);
    shows(&drawn(&mut state, now), &["\"cargo\""]);
    type_in(&mut state, "2", now);
    press(&mut state, KeyCode::Enter, now);
    let queue = drawn(&mut state, now);
    println!("{queue}");
    shows(
        &queue,
        &["Queue default  ● open", "1 high  1,203 normal", "any number may wait", "1 live node claims"],
    );
}

#[test]
fn a_question_and_the_help_are_drawn_above_the_rest() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "sd", now);
    let question = drawn(&mut state, now);
    println!("{question}");
    shows(&question, &["Drain node n-1?", "finishes what runs, and leaves.", "y yes    n no"]);
    type_in(&mut state, "n?", now);
    let help = drawn(&mut state, now);
    println!("{help}");
    shows(&help, &["filter: all words", "node: quiet, drain, resume, stop", "ctrl-c"]);
}

#[test]
fn a_redis_that_is_away_is_told_of_and_the_last_reading_stays() {
    let now = Instant::now();
    let mut state = state(now);
    state
        .take(Update::Trouble("redis://127.0.0.1:6379: connection refused, and so on and so on".into()), now);
    let screen = drawn(&mut state, now + Duration::from_secs(12));
    println!("{screen}");
    shows(
        &screen,
        &["Redis cannot be reached: redis://127.0.0.1", ", last seen 12 s ago", "✗ no answer", "n-1"],
    );
}

#[test]
fn ten_thousand_nodes_cost_what_is_on_the_screen() {
    let now = Instant::now();
    let mut state = State::new("redis://h".into(), Duration::from_secs(1), now);
    let nodes = (0..10_000).map(|n| node(&format!("n-{n:05}"), "active", 8, &[("t", n)])).collect();
    state.take(Update::Fleet(Box::new(assemble(NOW, nodes, vec![], vec![], &mut Before::default()))), now);
    shows(&drawn(&mut state, now), &["10,000 active", "1 Nodes 10,000", "n-00000", "n-00017"]);
    type_in(&mut state, "G", now);
    shows(&drawn(&mut state, now), &["› ● active    n-09999"]);
    type_in(&mut state, "/n-0123", now);
    shows(&drawn(&mut state, now), &["/n-0123", "n-01234"]);
    press(&mut state, KeyCode::Enter, now);
    shows(&drawn(&mut state, now), &["/n-0123  10 found"]);
}

#[test]
fn what_tasks_say_does_not_steer_the_terminal() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "4", now);
    let buffer = buffer(&mut state, now, 120, 24);
    assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(char::is_control)));
    shows(&lines(&buffer), &["the model[2J refused"]);
}

#[test]
fn without_colours_states_are_told_by_marks_and_words() {
    let now = Instant::now();
    let mut state = state(now);
    let mut buffer = buffer(&mut state, now, 80, 24);
    view::without_colours(&mut buffer);
    assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    shows(&lines(&buffer), &["✗ lost", "● active", "◌ quiet", "› "]);
}

#[test]
fn every_size_of_a_screen_is_drawn() {
    let now = Instant::now();
    for (width, height) in [(1, 1), (39, 24), (40, 10), (60, 12), (80, 24), (132, 43), (250, 80)] {
        for keys in ["", "2", "3", "4", "?", "sd", "/x"] {
            let mut state = state(now);
            type_in(&mut state, keys, now);
            buffer(&mut state, now, width, height);
            press(&mut state, KeyCode::Esc, now);
            press(&mut state, KeyCode::Enter, now);
            buffer(&mut state, now, width, height);
        }
    }
    let mut state = state(now);
    println!("{}", lines(&buffer(&mut state, now, 170, 16)));
}
