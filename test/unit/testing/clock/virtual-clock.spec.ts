import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const DAY = 86_400_000;

describe('VirtualClock', () => {
  let clock: VirtualClock;
  const fired: string[] = [];
  const note = (name: string) => () => void fired.push(`${name}@${clock.monotonic()}`);

  beforeEach(() => {
    clock = new VirtualClock();
    fired.length = 0;
  });

  it('does not move by itself, and starts at the given time', async () => {
    const start = new VirtualClock({ wall: new Date('2030-05-05') }).wall();
    expect(new Date(start).toISOString()).toBe('2030-05-05T00:00:00.000Z');
    clock.setTimer(1, note('a'));
    await clock.settle();
    expect([clock.monotonic(), fired]).toEqual([0, []]);
  });

  it('starts at the present time, so that it agrees with a real database', () => {
    expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(2_000);
  });

  describe('with fake timers', () => {
    const EVERYTHING: Parameters<typeof vi.useFakeTimers>[0] = {
      toFake: [
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
        'Date',
        'performance',
        'hrtime',
      ],
    };
    afterEach(() => vi.useRealTimers());

    it.each([
      ['the usual ones', undefined],
      ['all there are', EVERYTHING],
    ])('%s: moves, waits and times out as without them', async (_which, config) => {
      vi.useFakeTimers(config);
      clock.setTimer(DAY, note('a'));
      await clock.advance(DAY);
      expect(fired).toEqual([`a@${DAY}`]);
      expect(await clock.until(new Promise((resolve) => clock.setTimer(5, () => resolve('b'))))).toBe('b');
      // No timer of the clock settles this promise.
      const read = readFile(import.meta.filename, 'utf8');
      expect(await clock.until(read)).toContain('VirtualClock');
      clock.setTimer(60, () => undefined);
      await expect(clock.until(new Promise(() => {}), 50)).rejects.toThrow('Not settled 50 ms later');
    });

    it('also if they were installed before it was loaded', async () => {
      vi.useFakeTimers(EVERYTHING);
      const again: string = '../../../../lib/testing/clock/virtual-clock.js?loaded-again';
      const { VirtualClock: Late } = (await import(again)) as { VirtualClock: typeof VirtualClock };
      const late = new Late({ wall: 0 });
      late.setTimer(DAY, note('a'));
      await late.advance(DAY);
      expect([late.wall(), fired.length]).toEqual([DAY, 1]);
    });
  });

  it('fires timers in order of time, then of creation, each at its own time', async () => {
    clock.setTimer(30, note('c'));
    clock.setTimer(10, note('a'));
    clock.setTimer(30, note('d'));
    clock.setTimer(20, note('b'));
    clock.setTimer(31, note('late'));
    await clock.advance(30);
    expect(fired).toEqual(['a@10', 'b@20', 'c@30', 'd@30']);
    expect([clock.monotonic(), clock.pending]).toEqual([30, 1]);
  });

  it('fires timers that are set while it advances', async () => {
    clock.setTimer(10, () => {
      note('a')();
      void Promise.resolve().then(async () => {
        for (let depth = 0; depth < 50; depth++) await Promise.resolve();
        clock.setTimer(5, note('b'));
      });
    });
    await clock.advance(15);
    expect(fired).toEqual(['a@10', 'b@15']);
  });

  it('counts pending timers, without fired and cancelled ones', async () => {
    const cancel = clock.setTimer(10, note('a'));
    clock.setTimer(5, note('b'));
    expect(clock.pending).toBe(2);
    cancel();
    cancel();
    expect(clock.pending).toBe(1);
    await clock.advance(20);
    expect([clock.pending, fired]).toEqual([0, ['b@5']]);
    cancel();
    expect(clock.pending).toBe(0);
  });

  it('has the limits of Node: too long a delay fires at once, fractions are cut off, the minimum is 1 ms', async () => {
    clock.setTimer(2 ** 31, note('long'));
    clock.setTimer(Infinity, note('endless'));
    clock.setTimer(2.9, note('fraction'));
    clock.setTimer(-5, note('past'));
    clock.setTimer(2 ** 31 - 1, note('longest'));
    await clock.advance(1);
    expect(fired).toEqual(['long@1', 'endless@1', 'past@1']);
    await clock.advance(1);
    expect(fired).toContain('fraction@2');
    await clock.advance(30 * DAY);
    expect(fired.at(-1)).toBe(`longest@${2 ** 31 - 1}`);
  });

  it('steps the wall clock alone', () => {
    const { wall, elapsed } = { wall: clock.wall(), elapsed: clock.elapsed };
    clock.stepWall(-5_000);
    expect([clock.wall() - wall, clock.monotonic(), clock.elapsed - elapsed]).toEqual([-5_000, 0, 0]);
  });

  it('suspended: wall and true time pass, timers are late by this time', async () => {
    const wall = clock.wall();
    clock.setTimer(100, note('a'));
    await clock.suspend(DAY);
    expect([clock.wall() - wall, clock.monotonic(), clock.elapsed, fired]).toEqual([DAY, 0, DAY, []]);
    await clock.advance(100);
    expect(fired).toEqual(['a@100']);
    expect(clock.elapsed).toBe(DAY + 100);
  });

  it('stalled: all clocks move on, and overdue timers fire at the end', async () => {
    const wall = clock.wall();
    clock.setTimer(100, note('a'));
    clock.setTimer(200, note('b'));
    clock.setTimer(6_000, note('c'));
    await clock.stall(5_000);
    expect(fired).toEqual(['a@5000', 'b@5000']);
    expect([clock.wall() - wall, clock.elapsed]).toEqual([5_000, 5_000]);
  });

  it('waits for reads of files without passing time', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'virtual-clock-'));
    writeFileSync(join(dir, 'file'), 'x'.repeat(300_000));
    clock.setTimer(10, () => {
      void readFile(join(dir, 'file'), 'utf8').then(() => note('read')());
    });
    await clock.advance(1_000);
    rmSync(dir, { recursive: true });
    expect(fired).toEqual(['read@10']);
  });

  it('waits for work under hold', async () => {
    clock.setTimer(10, () => {
      const work = new Promise((resolve) => setTimeout(resolve, 20)).then(note('done'));
      clock.hold(work);
    });
    await clock.advance(1_000);
    expect(fired).toEqual(['done@10']);
  });

  it('advances until a promise settles', async () => {
    const later = new Promise((resolve) => {
      clock.setTimer(1_000, () => clock.setTimer(2_000, () => resolve('value')));
    });
    clock.setTimer(3_001, note('too far'));
    expect(await clock.until(later)).toBe('value');
    expect([clock.monotonic(), fired]).toEqual([3_000, []]);
    await expect(clock.until(Promise.reject(new Error('its own')))).rejects.toThrow('its own');
    const repeat = () => void clock.setTimer(1_000, repeat);
    repeat();
    await expect(clock.until(new Promise(() => {}), 10_000)).rejects.toThrow(/Not settled 10000 ms later/);
  });

  it('refuses two moves at a time, and rejects with the error of a timer', async () => {
    const first = clock.advance(10);
    await expect(clock.advance(10)).rejects.toThrow(/already moving/);
    await first;
    clock.setTimer(1, () => {
      throw new Error('thrown in a timer');
    });
    await expect(clock.advance(10)).rejects.toThrow('thrown in a timer');
    await clock.advance(10);
  });

  it('until() lets another move come first, as one of a test that has timed out', async () => {
    const later = new Promise((resolve) => clock.setTimer(5_000, () => resolve('value')));
    const moves = clock.advance(10);
    expect(await Promise.all([clock.until(later), clock.until(later)])).toEqual(['value', 'value']);
    await moves;
    expect(clock.monotonic()).toBe(5_000);
  });

  it('passes 30 days with 86,400 timers in seconds', async () => {
    let count = 0;
    const tick = () => {
      count++;
      clock.setTimer(30_000, tick);
    };
    clock.setTimer(30_000, tick);
    const start = performance.now();
    await clock.advance(30 * DAY);
    const took = performance.now() - start;
    expect(count).toBe(86_400);
    expect(took).toBeLessThan(5_000);
    process.stderr.write(`30 days, 86,400 timers: ${Math.round(took)} ms\n`);
  });
});
