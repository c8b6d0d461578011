//! Flowcharts as values: where everything of the picture is, in pixels from its upper left corner.

use serde_json::{Value, json};

use super::layout::{Panel, Rect, Scene};
use super::{Flowchart, SLANT, STEP, Shape};

impl Flowchart {
    /// `{"width", "height", "slant", "step", "frames", "groups", "boxes", "arrows"}`: what [`Flowchart::svg`] draws, for
    /// those who draw it otherwise, in the order in which it is drawn.
    pub(crate) fn scene(&self) -> Value {
        let scene = Scene::new(self);
        let boxes = scene.boxes.iter().map(|thing| {
            let shape = match thing.shape {
                Shape::Box => "box",
                Shape::Round => "round",
                Shape::Gate => "gate",
            };
            json!({"at": place(thing.rect), "shape": shape, "lines": thing.lines})
        });
        let arrows = scene
            .arrows
            .iter()
            .map(|arrow| json!({"points": arrow.points, "label": arrow.label, "at": place(arrow.at)}));
        json!({
            "width": scene.size.0,
            "height": scene.size.1,
            "slant": SLANT,
            "step": STEP,
            "frames": scene.frames.iter().map(panel).collect::<Value>(),
            "groups": scene.groups.iter().map(panel).collect::<Value>(),
            "boxes": boxes.collect::<Value>(),
            "arrows": arrows.collect::<Value>(),
        })
    }
}

fn place(rect: Rect) -> Value {
    json!({"x": rect.x, "y": rect.y, "width": rect.width, "height": rect.height})
}

fn panel(panel: &Panel) -> Value {
    json!({"at": place(panel.rect), "label": panel.label})
}
