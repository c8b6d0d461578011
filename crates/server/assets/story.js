// What a journal tells of a run, record by record. Live, replay and history go through here and nowhere else, so that a
// moment looks the same however one came to it.

const OUTCOMES = { done: 'done', alreadyTrue: 'already', cancelled: 'cancelled' };

function fresh({ id, stage, title, part }) {
  return { id, stage, title, part: part ?? '', state: 'waiting', from: null, to: null, waitedFrom: null, waitsFor: null, tells: [], tries: 0, failure: null, because: null };
}

// A run as it stands after the records that were heard. Times are milliseconds since it began.
export class Story {
  // `steps` are those of the plan, in its order.
  constructor(steps) {
    this.steps = new Map(steps.map((step) => [step.id, fresh(step)]));
    this.total = steps.length;
    this.next = 0;
    this.at = 0;
    this.wall = null;
    this.ask = null;
    this.simulated = false;
    this.stops = 0;
    this.retries = 0;
    this.checks = null;
    this.verify = null;
    this.end = null;
    this.counts = { waiting: steps.length, running: 0, done: 0, already: 0, failed: 0, skipped: 0, cancelled: 0, left: 0 };
    this.ended = null;
    this.log = [];
  }

  // Takes in one more record; one that was heard before changes nothing.
  hear(record) {
    if (record.seq < this.next) return;
    this.next = record.seq + 1;
    this.at = Math.max(this.at, record.at);
    const [[name, event]] = Object.entries(record.event);
    const step = event.step === undefined ? null : this.#step(event.step);
    this[`_${name}`]?.(event, step, record.at);
  }

  // How many steps have ended.
  get over() {
    const { done, already, failed, skipped, cancelled, left } = this.counts;
    return done + already + failed + skipped + cancelled + left;
  }

  get running() {
    return [...this.steps.values()].filter((step) => step.state === 'running');
  }

  // Steps that could start and wait for a shared thing.
  get held() {
    return [...this.steps.values()].filter((step) => step.state === 'waiting' && step.waitsFor !== null);
  }

  #step(id) {
    let step = this.steps.get(id);
    if (!step) {
      // A part of a plan may be all that the page knows of it.
      step = fresh({ id, stage: '', title: id });
      this.steps.set(id, step);
      this.total = Math.max(this.total, this.steps.size);
      this.counts.waiting += 1;
    }
    return step;
  }

  #turn(step, state) {
    this.counts[step.state] -= 1;
    this.counts[state] += 1;
    step.state = state;
  }

  #tell(at, step, message, kind = 'tells') {
    const entry = { at, message, kind };
    step?.tells.push(entry);
    this.log.push({ ...entry, step });
  }

  _runStarted(event) {
    this.wall = event.wall;
    this.ask = event.ask;
    this.simulated = event.simulated;
    this.total = Math.max(this.total, event.steps);
  }

  _stepWaits(event, step, at) {
    step.waitedFrom ??= at;
    step.waitsFor = event.lease;
    this.#tell(at, step, `waits for ${event.lease}`, 'waits');
  }

  _stepStarted(event, step, at) {
    Object.assign(step, { stage: event.stage, title: event.title, part: event.part ?? '', from: at });
    this.#turn(step, 'running');
    this.#tell(at, step, 'begins', 'begins');
  }

  _stepTells(event, step, at) {
    this.#tell(at, step, event.message);
  }

  _stepRetries(event, step, at) {
    step.tries = event.attempt;
    this.retries += 1;
    this.#tell(at, step, `try ${event.attempt} failed and is done again in ${Math.round(event.after / 100) / 10} s: ${event.error}`, 'retries');
  }

  _holeFilled(event, step, at) {
    this.#tell(at, step, `knows ${event.hole} now`);
  }

  _stepEnded(event, step, at) {
    const { outcome } = event;
    step.to = at;
    if (typeof outcome === 'string') this.#turn(step, OUTCOMES[outcome] ?? 'done');
    else if (outcome.failed) {
      step.failure = outcome.failed;
      this.#turn(step, 'failed');
    } else {
      step.because = outcome.skipped?.because ?? null;
      this.#turn(step, 'skipped');
    }
    this.#tell(at, step, step.failure ? `failed: ${step.failure.causes.join(': ')}` : `ends: ${step.state}`, step.failure ? 'failed' : 'ends');
  }

  _stopAsked(event, step, at) {
    this.stops = event.times;
    this.#tell(at, null, event.times > 1 ? 'asked to give up what runs' : 'asked to stop: nothing new starts', 'stop');
  }

  _verifyStarted(event, step, at) {
    this.checks = event.checks;
    this.#tell(at, null, `looks whether ${event.checks} checks hold`);
  }

  _verifyEnded(event, step, at) {
    this.verify = event;
    this.#tell(at, null, `${event.held} checks hold${event.wrong.length ? `, ${event.wrong.length} do not` : ''}`);
  }

  _runEnded(event, step, at) {
    this.end = event.end;
    this.ended = event;
    for (const one of this.steps.values()) if (one.state === 'waiting') this.#turn(one, 'left');
    this.#tell(at, null, `the run ends: ${event.end}`, 'end');
  }
}

// A story that goes to any moment of records that are all there.
export class Told {
  constructor(steps, records) {
    this.seed = steps;
    this.records = records;
    this.index = 0;
    this.story = new Story(steps);
  }

  get length() {
    return this.records.length > 0 ? this.records[this.records.length - 1].at : 0;
  }

  // The story as it stood at a moment. Forwards is cheap; backwards begins anew.
  at(ms) {
    if (this.index > 0 && this.records[this.index - 1].at > ms) {
      this.story = new Story(this.seed);
      this.index = 0;
    }
    while (this.index < this.records.length && this.records[this.index].at <= ms) {
      this.story.hear(this.records[this.index]);
      this.index += 1;
    }
    return this.story;
  }
}
