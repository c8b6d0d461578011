// Where everything of a topology stands, as numbers: nothing here draws. Few machines are boxes with their words; many are
// tiles, grouped by place, so that a thousand of them fit a screen.

export const BOX = { width: 190, height: 74, gap: 12 };
export const TILE = { size: 13, gap: 3 };
const PAD = 14;
const HEAD = 26;
// More machines than these are tiles.
const MANY = 60;

const RANK = { server: 0, both: 0, agent: 1 };
const rank = (machine) => RANK[machine.role] ?? 2;
const byRole = (a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, undefined, { numeric: true });

// Rows of boxes: each role begins a row of its own where there is more than one row.
function rows(machines, across, apart) {
  if (machines.length <= across) return [machines];
  const out = [];
  let last = null;
  for (const machine of machines) {
    const row = out[out.length - 1];
    if (!row || row.length === across || (apart && rank(machine) !== last)) out.push([machine]);
    else row.push(machine);
    last = rank(machine);
  }
  return out;
}

function block(place, across, tiles, wired, wide) {
  const machines = [...place.machines].sort(byRole);
  // Where only one box stands beside another edge, as on a telephone, it takes what there is.
  const unit = tiles ? { width: TILE.size, height: TILE.size, gap: TILE.gap } : across === 1 ? { ...BOX, width: Math.max(120, wide - 2 * PAD) } : BOX;
  const lead = tiles || !wired ? 0 : 22;
  const lines = rows(machines, across, !tiles);
  const most = Math.max(1, ...lines.map((line) => line.length));
  const width = Math.max(most * (unit.width + unit.gap) - unit.gap + 2 * PAD, 7.4 * place.name.length + 2 * PAD, tiles ? 130 : 0);
  const spots = lines.flatMap((line, row) => line.map((machine, i) => ({
    machine, row, x: PAD + i * (unit.width + unit.gap), y: HEAD + lead + row * (unit.height + unit.gap + lead), width: unit.width, height: unit.height,
  })));
  const height = HEAD + lead + Math.max(1, lines.length) * (unit.height + unit.gap + lead) - unit.gap - lead + PAD + (tiles ? 16 : 0);
  return { place, width, height, spots };
}

// The plan of a drawing for a width: {width, height, tiles, frames, places, spots, balancers, wires}.
export function lay(topology, wide) {
  const count = topology.providers.reduce((sum, provider) => sum + provider.places.reduce((n, place) => n + place.machines.length, 0), 0);
  const tiles = count > MANY;
  const wired = topology.balancers.length > 0;
  const gutter = wired ? 16 + 7 * topology.balancers.length : 0;
  const width = Math.max(wide, 320);
  const out = { width, height: 0, tiles, frames: [], places: [], spots: [], balancers: [], wires: [] };
  let y = 0;

  // Load balancers stand above, as what comes first from outside.
  const box = { width: Math.min(200, width - gutter), height: 62 };
  const perRow = Math.max(1, Math.floor((width - gutter + BOX.gap) / (box.width + BOX.gap)));
  topology.balancers.forEach((balancer, i) => {
    out.balancers.push({ balancer, ...box, x: gutter + (i % perRow) * (box.width + BOX.gap), y: y + Math.floor(i / perRow) * (box.height + BOX.gap) });
  });
  if (wired) y += Math.ceil(topology.balancers.length / perRow) * (box.height + BOX.gap) + 8 + 7 * topology.balancers.length;

  for (const provider of topology.providers) {
    const inside = width - gutter - 2 * PAD;
    const frame = { provider, x: gutter, y, width: width - gutter, height: 0 };
    let x = gutter + PAD;
    let top = y + HEAD + 4;
    let tall = 0;
    const most = Math.max(1, Math.floor((inside - 2 * PAD + BOX.gap) / (BOX.width + BOX.gap)));
    for (const place of provider.places) {
      const fits = Math.floor((inside - 2 * PAD) / (TILE.size + TILE.gap));
      // A place that stands alone takes the whole width; several stand side by side.
      const wish = provider.places.length === 1 ? fits : Math.ceil(Math.sqrt(place.machines.length) * 1.35);
      const across = tiles ? Math.max(6, Math.min(wish, fits)) : most;
      const made = block(place, across, tiles, wired, inside);
      if (x > gutter + PAD && x + made.width > gutter + PAD + inside) {
        x = gutter + PAD;
        top += tall + BOX.gap;
        tall = 0;
      }
      out.places.push({ place, x, y: top, width: Math.min(made.width, inside), height: made.height });
      for (const spot of made.spots) out.spots.push({ ...spot, x: x + spot.x, y: top + spot.y, place: place.name, provider: provider.name });
      x += made.width + BOX.gap;
      tall = Math.max(tall, made.height);
    }
    frame.height = top + tall + PAD - y;
    out.frames.push(frame);
    y += frame.height + BOX.gap;
  }
  out.height = Math.max(y - BOX.gap, 40);
  out.wires = wires(out, gutter);
  return out;
}

// Lines from each load balancer to its targets: down to a lane of its own at the left, and along the gap above each row.
// So no line crosses a box, and no two lie on each other. Where machines are tiles, a line goes to their place.
function wires(out, gutter) {
  const lanes = out.balancers.length;
  const first = Math.min(...out.frames.map((frame) => frame.y));
  const placeOf = new Map(out.places.flatMap((frame) => frame.place.machines.map((machine) => [machine.name, frame])));
  const spotOf = out.tiles ? placeOf : new Map(out.spots.map((spot) => [spot.machine.name, spot]));
  return out.balancers.map((from, lane) => {
    const x = gutter - 8 - (lanes - 1 - lane) * 7 - 4;
    const start = first - 8 - lane * 7;
    const trunk = from.x + 22;
    // Below one another, they are left at their tips, so that no line goes behind the next of them.
    const leave = out.balancers.length > 1 && out.balancers[1].y > out.balancers[0].y
      ? `M${from.x} ${from.y + from.height / 2}H${x}` : `M${trunk} ${from.y + from.height}V${start}H${x}`;
    const rowsHit = new Map();
    for (const spot of new Set(from.balancer.targets.map((name) => spotOf.get(name)))) {
      if (!spot) continue;
      const row = rowsHit.get(spot.y) ?? [];
      row.push(spot);
      rowsHit.set(spot.y, row);
    }
    let path = '';
    for (const [top, row] of rowsHit) {
      // There is room for so many lines between two rows; more than those lie on one another.
      const along = top - 7 - (lane % (out.tiles ? 2 : 5)) * 5;
      const reach = row.map((spot) => spot.x + 26 + (lane % 8) * 14);
      path += `${leave}V${along}H${Math.max(...reach)}`;
      for (const end of reach) path += `M${end} ${along}V${top - 1}`;
    }
    const heads = [...rowsHit].flatMap(([top, row]) => row.map((spot) => [spot.x + 26 + (lane % 8) * 14, top]));
    return { name: from.balancer.name, state: from.balancer.state, path, heads };
  });
}

// The spot nearest in a direction, for the arrow keys: one in the same line before one that is nearer and aside.
export function neighbour(spots, from, dx, dy) {
  const middle = (spot) => [spot.x + spot.width / 2, spot.y + spot.height / 2];
  const [fx, fy] = middle(from);
  let best = null;
  let least = Infinity;
  for (const spot of spots) {
    const [x, y] = middle(spot);
    const ahead = (x - fx) * dx + (y - fy) * dy;
    if (spot === from || ahead <= 1) continue;
    const aside = Math.abs((x - fx) * dy) + Math.abs((y - fy) * dx);
    const score = ahead + (aside <= from.width / 2 ? aside : 1e5 + aside * 4);
    if (score < least) [best, least] = [spot, score];
  }
  return best;
}
