import { config } from 'rxjs';
import { afterEach, expect, it } from 'vitest';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';

const event = (message: string): VaultEvent => ({
  type: 'warning',
  code: 'server-warning',
  connection: 'default',
  at: new Date(),
  message,
});
const messages = (events: readonly VaultEvent[]) => events.map((one) => 'message' in one && one.message);

afterEach(() => {
  config.onUnhandledError = null;
});

it('is hot: a late subscriber gets later events, and recent ones are kept separately', () => {
  const bus = new EventBus();
  bus.emit(event('before'));
  const seen: VaultEvent[] = [];
  bus.events$.subscribe((one) => seen.push(one));
  bus.emit(event('after'));
  expect(messages(seen)).toEqual(['after']);
  expect(messages(bus.recent)).toEqual(['before', 'after']);
});

it('keeps the last hundred', () => {
  const bus = new EventBus();
  for (let index = 0; index < 250; index++) bus.emit(event(String(index)));
  expect(messages(bus.recent)).toEqual(Array.from({ length: 100 }, (_, index) => String(index + 150)));
});

it('kept events cannot be changed from outside', () => {
  const bus = new EventBus();
  bus.emit(event('kept'));
  (bus.recent as VaultEvent[]).length = 0;
  expect(bus.recent).toHaveLength(1);
});

it('a subscriber that throws affects neither the others nor the emitter', async () => {
  const unhandled: unknown[] = [];
  config.onUnhandledError = (error) => unhandled.push(error);
  const bus = new EventBus();
  const seen: VaultEvent[] = [];
  bus.events$.subscribe(() => {
    throw new Error('mine');
  });
  bus.events$.subscribe((one) => seen.push(one));
  bus.emit(event('one'));
  bus.emit(event('two'));
  expect(messages(seen)).toEqual(['one', 'two']);
  await expect.poll(() => unhandled).toEqual([new Error('mine'), new Error('mine')]);
});

it('completes', () => {
  const bus = new EventBus();
  let completed = false;
  bus.events$.subscribe({ complete: () => (completed = true) });
  bus.close();
  expect(completed).toBe(true);
});
