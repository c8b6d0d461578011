//! Drawings are measured: nothing lies on anything else, and every arrow goes from a thing to a thing.

use pulldown_cmark::html::push_html;

use super::layout::{Rect, Scene};
use super::{Flowchart, Shape, Thing};

fn svg(chart: &Flowchart) -> String {
    let mut html = String::new();
    push_html(&mut html, chart.svg("A title").into_iter());
    html
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

/// People, a gate for the API and one for the web; in each frame a server and some workers.
fn cluster(frames: usize, workers: usize, balancer: bool) -> Flowchart {
    let mut chart = Flowchart::default();
    let people = chart.thing(Shape::Round, &words(&["People"]));
    let mut servers = Vec::new();
    let mut all = Vec::new();
    let mut before = None;
    for frame in 0..frames {
        chart.frame(&format!("host {frame}"), |chart| {
            if balancer && frame == 0 {
                before = Some(chart.thing(Shape::Box, &words(&["haproxy", "10.0.0.1", "load balancer"])));
            }
            servers.push(chart.thing(Shape::Box, &words(&["server", "10.0.0.2", "control plane"])));
            let box_of = |n| words(&[&format!("worker-{n}"), "10.0.0.3", "worker"]);
            all.extend((0..workers).map(|n| chart.thing(Shape::Box, &box_of(n))));
        });
    }
    let api = chart.thing(Shape::Gate, &words(&["API", "10.0.0.1:6443"]));
    let web = chart.thing(Shape::Gate, &words(&["Ingress", ":80 :443"]));
    chart.arrow(people, api, "kubectl");
    chart.arrow(people, before.unwrap_or(web), "HTTP");
    if let Some(before) = before {
        chart.arrow(api, before, "");
        chart.arrow(before, web, "");
    }
    servers.iter().for_each(|server| chart.arrow(before.unwrap_or(api), *server, ""));
    servers.into_iter().chain(all).for_each(|thing| chart.arrow(web, thing, ""));
    chart
}

fn charts() -> Vec<Flowchart> {
    let sizes = [(1, 0), (1, 1), (1, 2), (1, 5), (1, 9), (2, 3), (3, 1), (7, 2), (20, 6)];
    let shapes = sizes.into_iter().flat_map(|(frames, workers)| [(frames, workers, false), (frames, workers, true)]);
    shapes.map(|(frames, workers, balancer)| cluster(frames, workers, balancer)).collect()
}

fn apart(one: Rect, other: Rect) -> bool {
    one.x + one.width <= other.x
        || other.x + other.width <= one.x
        || one.y + one.height <= other.y
        || other.y + other.height <= one.y
}

/// Everything that an arrow can begin or end at.
fn targets(scene: &Scene) -> Vec<Rect> {
    scene.groups.iter().map(|group| group.rect).chain(scene.boxes.iter().map(|thing| thing.rect)).collect()
}

#[test]
fn nothing_lies_on_anything_else() {
    for chart in charts() {
        let scene = Scene::new(&chart);
        let (width, height) = scene.size;
        let all = || scene.frames.iter().chain(&scene.groups).map(|panel| panel.rect).chain(targets(&scene));
        assert!(all().all(|rect| rect.x >= 0 && rect.y >= 0 && rect.x + rect.width <= width));
        assert!(all().all(|rect| rect.y + rect.height <= height));
        for (at, one) in scene.boxes.iter().enumerate() {
            assert!(scene.boxes[at + 1..].iter().all(|other| apart(one.rect, other.rect)), "{}", svg(&chart));
        }
        for (at, one) in scene.frames.iter().enumerate() {
            assert!(scene.frames[at + 1..].iter().all(|other| apart(one.rect, other.rect)), "{}", svg(&chart));
        }
    }
}

#[test]
fn an_arrow_goes_from_a_border_to_a_border() {
    for chart in charts() {
        let scene = Scene::new(&chart);
        for arrow in &scene.arrows {
            let (start, end) = (arrow.points[0], *arrow.points.last().unwrap());
            let on = |(x, y): (i32, i32), rect: &Rect, border: i32| {
                rect.x < x && x < rect.x + rect.width && y == rect.y + border
            };
            assert!(targets(&scene).iter().any(|rect| on(start, rect, rect.height)), "from nothing: {}", svg(&chart));
            assert!(targets(&scene).iter().any(|rect| on(end, rect, 0)), "into nothing: {}", svg(&chart));
        }
    }
}

#[test]
fn no_arrow_runs_through_a_box() {
    for chart in charts() {
        let scene = Scene::new(&chart);
        for pair in scene.arrows.iter().flat_map(|arrow| arrow.points.windows(2)) {
            let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
            assert!(ax == bx || ay == by, "aslant: {}", svg(&chart));
            let line = Rect { x: ax.min(bx), y: ay.min(by), width: (ax - bx).abs(), height: (ay - by).abs() };
            assert!(targets(&scene).iter().all(|rect| apart(line, *rect)), "{pair:?} in {}", svg(&chart));
        }
    }
}

#[test]
fn a_frame_s_like_things_are_one_group_with_one_arrow() {
    let scene = Scene::new(&cluster(1, 9, false));
    assert_eq!(scene.boxes.len(), 3 + 1 + 9);
    assert_eq!(scene.groups.iter().map(|group| group.label.as_str()).collect::<Vec<_>>(), ["worker"]);
    // People to two gates, the API to the server, the web to the server and to the group.
    assert_eq!(scene.arrows.len(), 5);
    let rows: std::collections::BTreeSet<i32> = scene.boxes.iter().rev().take(9).map(|thing| thing.rect.y).collect();
    assert_eq!(rows.len(), 2, "nine workers stand in two rows");
}

#[test]
fn a_name_stays_text() {
    let hostile = "</text></svg><script>alert(1)</script>&amp;\u{1b}\"'";
    let mut chart = Flowchart::default();
    let one = chart.thing(Shape::Round, &words(&[hostile, hostile]));
    let mut two = one;
    chart.frame(hostile, |chart| {
        two = chart.thing(Shape::Box, &words(&["a", hostile]));
        chart.thing(Shape::Box, &words(&["b", hostile]));
    });
    chart.arrow(one, two, hostile);
    let html = svg(&chart);
    assert!(!html.contains("<script") && !html.contains('\u{1b}'), "{html}");
    assert_eq!(html.matches("</svg>").count(), 1);
    assert_eq!(html.matches("&lt;/text&gt;&lt;/svg&gt;&lt;script&gt;").count(), 6, "{html}");
    assert!(html.contains("&amp;amp;"), "{html}");
}

#[test]
fn a_circle_is_drawn_too() {
    let mut chart = Flowchart::default();
    let all: Vec<Thing> = (0..3).map(|n| chart.thing(Shape::Gate, &[format!("gate {n}")])).collect();
    for (at, from) in all.iter().enumerate() {
        chart.arrow(*from, all[(at + 1) % 3], "");
        chart.arrow(*from, *from, "");
    }
    assert_eq!(Scene::new(&chart).arrows.len(), 3);
}

#[test]
fn the_same_chart_is_the_same_picture() {
    for (one, other) in charts().iter().zip(&charts()) {
        assert_eq!(svg(one), svg(other));
    }
}

/// What an arrow covers, piece by piece; each a little wider than it is drawn.
fn pieces(points: &[(i32, i32)]) -> Vec<Rect> {
    let piece = |pair: &[(i32, i32)]| {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        let aside = i32::from(ax == bx) * 3;
        let above = i32::from(ay == by) * 3;
        let (width, height) = ((ax - bx).abs() + 2 * aside, (ay - by).abs() + 2 * above);
        Rect { x: ax.min(bx) - aside, y: ay.min(by) - above, width, height }
    };
    points.windows(2).map(piece).collect()
}

#[test]
fn arrows_of_two_things_never_share_a_line() {
    for chart in charts() {
        let scene = Scene::new(&chart);
        for (at, one) in scene.arrows.iter().enumerate() {
            for other in scene.arrows[at + 1..].iter().filter(|other| other.points[0] != one.points[0]) {
                for (a, b) in
                    pieces(&one.points).into_iter().flat_map(|a| pieces(&other.points).into_iter().map(move |b| (a, b)))
                {
                    let upright = |rect: Rect| rect.width == 6;
                    assert!(upright(a) != upright(b) || apart(a, b), "{a:?} on {b:?} in {}", svg(&chart));
                }
            }
        }
    }
}
