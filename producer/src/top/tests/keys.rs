use super::*;
use crate::top::{
    act::Act,
    state::{Kind, Mode, Page, View},
};
use windlass_shared::store::NodeCommand;

fn under_cursor(state: &State) -> String {
    let place = state.place();
    match place.page {
        Page::List(View::Nodes) => state.node().map(|node| node.view.id.to_string()),
        Page::List(View::Queues) => state.queue().map(|queue| queue.view.queue.to_string()),
        _ => state.running().map(|task| task.reference.clone()),
    }
    .unwrap_or_default()
}

#[test]
fn what_is_in_trouble_comes_first_and_sorting_goes_through_the_columns() {
    let now = Instant::now();
    let mut state = state(now);
    assert_eq!(under_cursor(&state), "n-3", "the lost one");
    type_in(&mut state, "s", now);
    assert_eq!(under_cursor(&state), "n-1", "by id");
    type_in(&mut state, "S", now);
    assert_eq!(under_cursor(&state), "n-4", "the other way round");
    type_in(&mut state, "sss", now);
    assert_eq!(state.place().sort.column, 4);
    assert_eq!(under_cursor(&state), "n-3", "the one that was silent for longest");
    type_in(&mut state, "sss", now);
    assert_eq!(state.place().sort.column, 1, "columns that are not on the screen are left out");
}

#[test]
fn the_cursor_stays_with_what_it_is_on_when_rows_move() {
    let now = Instant::now();
    let mut state = state(now);
    press(&mut state, KeyCode::Down, now);
    assert_eq!(under_cursor(&state), "n-2");
    let mut moved = reading();
    moved.nodes[0].view.state = "lost".into();
    state.take(Update::Fleet(Box::new(moved)), now);
    assert_eq!((under_cursor(&state).as_str(), state.place().at), ("n-2", 2));
    let mut left = reading();
    left.nodes.retain(|node| node.view.id.as_str() != "n-2");
    state.take(Update::Fleet(Box::new(left)), now);
    assert_eq!(state.place().at, 2, "what is gone leaves the cursor where it was");
}

#[test]
fn a_filter_finds_what_has_all_its_words() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "/zone=a DRAIN", now);
    assert_eq!((state.place().rows.len(), under_cursor(&state).as_str()), (1, "n-2"));
    assert_eq!(state.mode, Mode::Filtering);
    press(&mut state, KeyCode::Enter, now);
    assert_eq!((&state.mode, state.place().rows.len()), (&Mode::Looking, 1));
    press(&mut state, KeyCode::Esc, now);
    assert_eq!(state.place().rows.len(), 4);
    type_in(&mut state, "/qqq", now);
    assert_eq!(state.place().rows.len(), 0, "q is a letter of the filter");
    assert!(state.node().is_none());
    press(&mut state, KeyCode::Backspace, now);
    press(&mut state, KeyCode::Esc, now);
    assert_eq!((&state.mode, state.place().rows.len()), (&Mode::Looking, 4));
}

#[test]
fn what_is_pasted_goes_into_a_filter_and_does_nothing_else() {
    let now = Instant::now();
    let mut state = state(now);
    state.paste("sdy");
    assert_eq!((&state.mode, state.place().sort.column), (&Mode::Looking, 0));
    type_in(&mut state, "/", now);
    state.paste("n-4\n");
    assert_eq!(under_cursor(&state), "n-4");
}

#[test]
fn enter_goes_into_a_node_then_into_its_task_and_esc_comes_back() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "s", now);
    press(&mut state, KeyCode::Enter, now);
    assert_eq!(state.place().page, Page::Node(NodeId::new("n-1").unwrap()));
    assert_eq!(
        (state.place().rows.len(), under_cursor(&state).as_str()),
        (2, "default/build"),
        "the longest first"
    );
    assert_eq!(state.wanted().task, None);
    press(&mut state, KeyCode::Enter, now);
    let task = TaskRef::parse("default/build", &QueueName::default_queue()).unwrap();
    assert_eq!(state.place().page, Page::Task(task.clone()));
    assert_eq!(state.wanted().task, Some(task), "the feed is told to read it");
    press(&mut state, KeyCode::Enter, now);
    press(&mut state, KeyCode::Esc, now);
    assert_eq!(state.place().page, Page::Node(NodeId::new("n-1").unwrap()));
    press(&mut state, KeyCode::Esc, now);
    assert_eq!((&state.place().page, under_cursor(&state).as_str()), (&Page::List(View::Nodes), "n-1"));
    assert_eq!(state.wanted().task, None);
}

#[test]
fn digits_and_tab_switch_lists() {
    let now = Instant::now();
    let mut state = state(now);
    for (digit, view) in ['1', '2', '3', '4'].into_iter().zip(View::ALL) {
        press(&mut state, KeyCode::Enter, now);
        press(&mut state, KeyCode::Char(digit), now);
        assert_eq!(state.place().page, Page::List(view));
    }
    press(&mut state, KeyCode::Tab, now);
    assert_eq!(state.view(), View::Nodes);
    press(&mut state, KeyCode::BackTab, now);
    assert_eq!(state.view(), View::Failures);
}

#[test]
fn nothing_is_done_before_a_yes() {
    let now = Instant::now();
    let mut state = state(now);
    type_in(&mut state, "s", now);
    let drain = Act::Tell(NodeId::new("n-1").unwrap(), NodeCommand::Drain);
    assert_eq!(type_in(&mut state, "d", now), Effect::None);
    assert_eq!(state.mode, Mode::Asking(drain.clone()));
    for key in [KeyCode::Enter, KeyCode::Char('d'), KeyCode::Char(' ')] {
        assert_eq!(press(&mut state, key, now), Effect::None);
        assert_eq!(state.mode, Mode::Asking(drain.clone()), "{key:?} is no answer");
    }
    assert_eq!(type_in(&mut state, "n", now), Effect::None);
    assert_eq!(state.mode, Mode::Looking);
    // What was asked about is what is done, wherever rows go meanwhile.
    type_in(&mut state, "d", now);
    state.take(Update::Fleet(Box::new(Reading { nodes: Vec::new(), ..reading() })), now);
    assert_eq!(type_in(&mut state, "y", now), Effect::Do(drain));
    assert_eq!(state.told(now).map(|told| told.kind), Some(Kind::Going));
    state.acted(Err("no".into()), now);
    assert_eq!(state.told(now).map(|told| (told.kind, told.text.as_str())), Some((Kind::Bad, "no")));
    assert!(state.told(now + Duration::from_secs(60)).is_none(), "it is old news");
    assert_eq!(state.wanted().asked, 1, "what became of it is wanted at once");
}

#[test]
fn each_thing_has_its_keys() {
    let now = Instant::now();
    for (keys, name, on) in [
        ("su", "node quiet", "n-1"),
        ("sr", "node resume", "n-1"),
        ("sx", "node stop", "n-1"),
        ("2p", "pause", "default"),
        ("2jr", "resume", "gpu"),
        ("3c", "cancel", "default/deploy"),
        ("4r", "retry", "default/t-1"),
    ] {
        let mut state = state(now);
        type_in(&mut state, keys, now);
        let Mode::Asking(act) = &state.mode else { panic!("{keys} does not ask") };
        assert_eq!((act.name().as_str(), act.on().as_str()), (name, on), "{keys}");
    }
    for (keys, says) in
        [("d", "n-3 is lost"), ("2jp", "gpu is paused already"), ("2r", "default is not paused")]
    {
        let mut state = state(now);
        type_in(&mut state, keys, now);
        let told = state.told(now).expect("it says why not");
        assert!(told.kind == Kind::Bad && told.text.contains(says), "{keys}: {}", told.text);
        assert_eq!(state.mode, Mode::Looking);
    }
}

#[test]
fn a_task_that_is_open_is_retried_or_cancelled_as_its_state_allows() {
    let now = Instant::now();
    for (is, key, asks) in
        [("failed", "r", true), ("running", "c", true), ("failed", "c", false), ("running", "r", false)]
    {
        let mut state = state(now);
        type_in(&mut state, "4", now);
        press(&mut state, KeyCode::Enter, now);
        type_in(&mut state, key, now);
        assert_eq!(state.mode, Mode::Looking, "nothing is known of it yet");
        state.take(Update::Story(Box::new(story("default/t-1", is))), now);
        type_in(&mut state, key, now);
        assert_eq!(matches!(state.mode, Mode::Asking(_)), asks, "{is} {key}");
    }
}

#[test]
fn a_pause_stops_reading_and_no_answer_is_told_of() {
    let now = Instant::now();
    let mut state = state(now);
    assert_eq!(state.trouble(now + Duration::from_secs(2)), None);
    let late = now + Duration::from_secs(12);
    assert_eq!(state.trouble(late), Some(("it is slow to answer", Duration::from_secs(12))));
    type_in(&mut state, " ", now);
    assert!(state.wanted().paused);
    assert_eq!(state.trouble(late), None, "nobody asked it");
    type_in(&mut state, " ", now);
    state.take(Update::Trouble("connection refused".into()), late);
    assert_eq!(state.trouble(late), Some(("connection refused", Duration::from_secs(12))));
    state.take(Update::Fleet(Box::new(reading())), late);
    assert_eq!(state.trouble(late), None);
}

#[test]
fn q_and_ctrl_c_end_it_wherever_the_person_is() {
    let now = Instant::now();
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "?", "/abc", "sd", "4"] {
        let mut state = state(now);
        type_in(&mut state, keys, now);
        assert_eq!(state.key(ctrl_c, now), Effect::Interrupt, "{keys}");
    }
    assert_eq!(type_in(&mut state(now), "q", now), Effect::Quit);
    let mut state = state(now);
    press(&mut state, KeyCode::Enter, now);
    assert_eq!(type_in(&mut state, "q", now), Effect::Quit);
}

#[test]
fn rates_are_what_was_done_between_two_readings() {
    let mut before = Before::default();
    let first = assemble(NOW, vec![], vec![queue("default", 1, false)], vec![], &mut before);
    assert_eq!(first.fleet.done_per_second, None);
    let mut more = queue("default", 1, false);
    more.totals.insert("completed".into(), 41_020);
    let later = Micros(NOW.0 + 2_000_000);
    let second = assemble(later, vec![], vec![more, queue("new", 1, false)], vec![], &mut before);
    assert_eq!(second.fleet.done_per_second, Some(10.0), "a queue that is new has no rate yet");
}
