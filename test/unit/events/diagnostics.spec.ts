import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  VaultAskMessage,
  VaultEventMessage,
  VaultRequestMessage,
  VaultTaskMessage,
} from '../../../lib/events/channels.js';
import { CHANNELS } from '../../../lib/events/channels.js';
import { Diagnostics } from '../../../lib/events/diagnostics.js';
import { World } from '../telemetry/world.js';

type Message = VaultEventMessage & VaultRequestMessage & VaultTaskMessage & VaultAskMessage;
let world: World;
let seen: { channel: string; message: Message; copy: Partial<Message> }[] = [];
const listeners = Object.values(CHANNELS).map(({ name }) => ({
  name: name as string,
  // Messages of tasks and requests get their outcome later: a copy shows them as they were.
  listener: (message: unknown) =>
    void seen.push({ channel: String(name), message: message as Message, copy: { ...(message as Message) } }),
}));

beforeEach(() => {
  world = new World();
  seen = [];
  for (const { name, listener } of listeners) subscribe(name, listener);
});
afterEach(async () => {
  await world.end();
  for (const { name, listener } of listeners) unsubscribe(name, listener);
});

const at = (channel: string) => seen.filter((one) => one.channel === `nestjs-vault:${channel}`);

it('one life as a subscriber sees it', async () => {
  const connection = world.connect();
  await world.clock.until(connection.leases.get('database/creds/app'));
  expect(
    seen.map(({ channel, message: { kind, operation, event } }) =>
      [channel.replace('nestjs-vault:', ''), kind ?? operation ?? event?.type ?? ''].join(' ').trim(),
    ),
  ).toEqual([
    'task:asked',
    'task:start issue',
    'task:asked',
    'task:start login',
    'request:start login',
    'request:end login',
    'event login',
    'task:end login',
    'request:start read',
    'request:end read',
    'event issued',
    'task:end issue',
  ]);
  const [, issue] = seen;
  expect(at('task:asked')[1]?.message.task).toBe(issue?.message);
  expect(at('request:start')[1]?.message.task).toBe(issue?.message);
  expect(new Set(seen.map(({ message }) => message.source)).size).toBe(1);
  expect(issue?.message.source.status().leases).toMatchObject([
    { path: 'database/creds/app', state: 'valid' },
  ]);
});

it('start and end have the same object, which has an outcome at the end', async () => {
  const connection = world.connect();
  world.vault.delay(30, { match: /secret/ });
  await world.clock.until(connection.secrets.read('app'));
  const [, start] = at('request:start');
  const [, end] = at('request:end');
  expect(start?.message).toBe(end?.message);
  expect(start?.copy).toEqual({
    source: start?.message.source,
    operation: 'read',
    method: 'GET',
    path: 'secret/data/{path}',
  });
  expect(end?.message.outcome).toEqual({
    duration: 30,
    status: 200,
    requestId: expect.any(String),
    address: 'simulated:',
    leased: false,
    cached: false,
    resends: [],
  });
});

it('a request that is refused, and one without an answer', async () => {
  const connection = world.connect();
  const read = () => world.clock.until(connection.client.read('secret/data/app').catch(() => undefined));
  await read();
  const outcomeOf = async (fault: () => void) => {
    fault();
    await read();
    return at('request:end').at(-1)?.message.outcome;
  };
  expect(await outcomeOf(() => world.vault.answer(400, { errors: ['an echo'] }, 1))).toMatchObject({
    status: 400,
    error: 'VAULT_REQUEST_INVALID',
  });
  const lost = await outcomeOf(() => world.vault.cut(1));
  expect(lost).toMatchObject({ error: 'VAULT_UNREACHABLE', leased: false });
  expect(lost).not.toHaveProperty('status');
});

it('without a subscriber no message is made', () => {
  for (const { name, listener } of listeners) unsubscribe(name, listener);
  const refuse = () => {
    throw new Error('a message was made');
  };
  const source = { name: 'one', reachable: true, now: refuse, status: refuse };
  const diagnostics = new Diagnostics(source, refuse);
  const request = {
    method: 'GET' as const,
    get path() {
      return refuse();
    },
  };
  expect(diagnostics.request('read', request)).toBeUndefined();
  expect(diagnostics.ask()).toBeUndefined();
  expect(diagnostics.task({ kind: 'login', reason: 'start', asked: undefined })).toBeUndefined();
  for (const { name, listener } of listeners) subscribe(name, listener);
});
