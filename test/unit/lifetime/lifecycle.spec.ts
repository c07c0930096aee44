import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Scheduler, type Job, type Task } from '../../../lib/clock/scheduler.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { Lifecycle, type Step, type Subject } from '../../../lib/lifetime/lifecycle.js';
import type { Phase } from '../../../lib/lifetime/transitions.js';
import { HandClock } from '../../support/virtual-clock.js';

const HOUR = 3_600_000;
const ERROR = new VaultError({ code: 'VAULT_UNREACHABLE', message: 'No answer.', hint: 'Wait.' });

/** Counts the tasks that still have to run. */
class CountingScheduler extends Scheduler {
  pending = 0;

  override at(at: number, job: Job): Task {
    if (at === Infinity) return super.at(at, job);
    this.pending++;
    let waits = true;
    const done = () => {
      if (waits) this.pending--;
      waits = false;
    };
    const run = () => {
      done();
      job.run();
    };
    const task = super.at(at, { run });
    return {
      at,
      cancel: () => {
        done();
        task.cancel();
      },
    };
  }
}

/** Has one step, due at a time, that takes until `finish` is called. Times in milliseconds of the clock. */
class ToySubject implements Subject<Step> {
  dueAt = Infinity;
  endsAt = Infinity;
  observeAt: readonly number[] = [];
  blockedUntil = -Infinity;
  /** How a step ends; without it, the step goes on until `finish`. */
  atOnce: (() => void) | undefined;
  statusChanges = 0;
  readonly began: number[] = [];
  readonly observations: number[] = [];
  readonly phases: Phase[] = [];
  readonly notDue: number[] = [];
  finish: () => void = () => undefined;

  observe() {
    this.observations.push(clock.monotonic() - start);
    if (clock.monotonic() >= this.endsAt) life.signal('ended');
  }

  plan() {
    return this.dueAt === Infinity ? undefined : { action: 'renew', in: this.dueAt - clock.monotonic() };
  }

  run(): Promise<void> {
    this.began.push(clock.monotonic() - start);
    this.dueAt = Infinity;
    if (this.atOnce) return Promise.resolve(this.atOnce());
    return new Promise((resolve) => (this.finish = resolve));
  }

  onNotDue() {
    this.notDue.push(clock.monotonic() - start);
  }

  blockedFor() {
    return this.blockedUntil - clock.monotonic();
  }

  untilObserved() {
    const next = this.observeAt.find((at) => at > clock.monotonic()) ?? Infinity;
    return next - clock.monotonic();
  }

  onStatusChange() {
    this.statusChanges++;
  }

  onPhase(_before: Phase, after: Phase) {
    this.phases.push(after);
  }
}

let clock: HandClock;
let scheduler: CountingScheduler;
let subject: ToySubject;
let life: Lifecycle<Step>;
let start: number;

beforeEach(() => {
  clock = new HandClock();
  scheduler = new CountingScheduler(clock);
  subject = new ToySubject();
  const options = { retry: { initialDelay: 1_000, maxDelay: 60_000, jitter: 0 } };
  const context = { clock, scheduler, options, random: () => 0.5 };
  life = new Lifecycle<Step>(context, subject, 'active');
  start = clock.monotonic();
});

/** Plans the step, in milliseconds from now. */
const due = (delay: number) => (subject.dueAt = clock.monotonic() + delay);

/** A step that fails, and is due again at once. */
const failing = () => {
  life.fail('renewal', ERROR);
  due(0);
};

it('takes a step at its time', () => {
  due(5_000);
  life.wake();
  clock.advance(4_999);
  expect(subject.began).toEqual([]);
  clock.advance(1);
  expect(subject.began).toEqual([5_000]);
});

it('takes at most one step at a time', async () => {
  due(0);
  life.wake();
  due(0);
  life.wake();
  life.reschedule();
  void life.attempt();
  clock.advance(HOUR);
  await turn();
  expect(subject.began).toEqual([0]);
});

it('takes a step that fell due during another one right after it', async () => {
  due(0);
  life.wake();
  due(10_000);
  life.wake();
  clock.advance(20_000);
  expect(subject.began).toEqual([0]);
  subject.finish();
  await turn();
  expect(subject.began).toEqual([0, 20_000]);
});

it('plans the next step when one has ended', async () => {
  due(0);
  life.wake();
  due(10_000);
  subject.finish();
  await turn();
  clock.advance(10_000);
  expect(subject.began).toEqual([0, 10_000]);
});

it('attempt() resolves when the step under way has ended', async () => {
  due(0);
  const done: string[] = [];
  void life.attempt().then(() => done.push('first'));
  void life.attempt().then(() => done.push('second'));
  await turn();
  expect(done).toEqual([]);
  subject.finish();
  await turn();
  expect(done).toEqual(['first', 'second']);
  expect(subject.began).toEqual([0]);
});

it('keeps the time of the retry after a failure, whatever wakes it', async () => {
  subject.atOnce = failing;
  due(0);
  await life.attempt();
  for (const passed of [250, 250, 250, 249]) {
    clock.advance(passed);
    life.wake();
    life.reschedule();
    await life.attempt();
  }
  expect(subject.began).toEqual([0]);
  clock.advance(1);
  await turn();
  expect(subject.began).toEqual([0, 1_000]);
  clock.advance(2_000);
  await turn();
  expect(subject.began).toEqual([0, 1_000, 3_000]);
});

it('retries at the time of the plan after a success', async () => {
  subject.atOnce = failing;
  due(0);
  await life.attempt();
  expect(life.failed).toBe('renewal');
  life.succeed();
  expect(life.failed).toBeUndefined();
  due(100);
  life.reschedule();
  clock.advance(100);
  expect(subject.began).toEqual([0, 100]);
});

it('reports that the status may differ after each attempt, and when a failure no longer matters', async () => {
  subject.atOnce = failing;
  due(0);
  await life.attempt();
  expect(subject.statusChanges).toBe(1);
  life.succeed();
  expect(subject.statusChanges).toBe(2);
  life.succeed();
  expect(subject.statusChanges).toBe(2);
});

it('reschedule() takes a step that is due on the next turn, not at once', () => {
  due(-1_000);
  life.reschedule();
  expect(subject.began).toEqual([]);
  clock.advance(0);
  expect(subject.began).toEqual([0]);
});

it('reschedule() follows a plan that changed, in both directions', () => {
  due(5_000);
  life.reschedule();
  due(2_000);
  life.reschedule();
  due(3_000);
  life.reschedule();
  expect(scheduler.pending).toBe(1);
  clock.advance(HOUR);
  expect(subject.began).toEqual([3_000]);
});

it('a step that is blocked waits, although it is due', () => {
  subject.blockedUntil = clock.monotonic() + 7_000;
  due(0);
  life.wake();
  clock.advance(6_999);
  expect(subject.began).toEqual([]);
  clock.advance(1);
  expect(subject.began).toEqual([7_000]);
});

it('reports a step that is no longer due once its retry is', async () => {
  subject.atOnce = failing;
  due(0);
  await life.attempt();
  due(30_000);
  life.reschedule();
  clock.advance(999);
  life.wake();
  expect(subject.notDue).toEqual([]);
  clock.advance(1);
  expect(subject.notDue).toEqual([1_000]);
  clock.advance(29_000);
  expect(subject.began).toEqual([0, 30_000]);
});

it('after closed no timer is left, and nothing runs or is observed', async () => {
  due(1_000);
  life.wake();
  expect(scheduler.pending).toBe(1);
  const { length } = subject.observations;
  life.signal('closed');
  expect(scheduler.pending).toBe(0);
  life.signal('granted');
  due(0);
  life.reschedule();
  expect(scheduler.pending).toBe(0);
  life.wake();
  await life.attempt();
  clock.advance(HOUR);
  expect(subject.began).toEqual([]);
  expect(subject.observations).toHaveLength(length);
  expect(subject.phases).toEqual(['closed']);
});

it('a step that ends after closed is the last one', async () => {
  due(0);
  life.wake();
  life.signal('closed');
  due(0);
  subject.finish();
  await turn();
  clock.advance(HOUR);
  expect(subject.began).toEqual([0]);
  expect(scheduler.pending).toBe(0);
});

it.each(['while a step is under way', 'while no step is planned', 'before the step is due'])(
  'observes the phase at its time %s',
  (circumstances) => {
    if (circumstances === 'while a step is under way') due(0);
    if (circumstances === 'before the step is due') due(HOUR);
    subject.observeAt = [start + 5_000, start + 9_000];
    subject.endsAt = start + 9_000;
    life.wake();
    clock.advance(8_999);
    expect(subject.observations).toEqual([0, 5_000]);
    expect(life.phase).toBe('active');
    clock.advance(1);
    expect(life.phase).toBe('ended');
    expect(subject.phases).toEqual(['ended']);
    expect(life.work !== undefined).toBe(circumstances === 'while a step is under way');
  },
);

it('runs in the background context, and returns to the context of its caller', async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  subject.atOnce = () => void seen.push(requests.getStore());
  await requests.run('a request', async () => {
    due(0);
    life.wake();
    await turn();
    due(0);
    await life.attempt();
    expect(requests.getStore()).toBe('a request');
    due(1_000);
    life.reschedule();
    clock.advance(1_000);
    await turn();
  });
  expect(seen).toEqual([undefined, undefined, undefined]);
});
