// Run as `node untouched.mjs <esm|cjs>`: imports each entry point of the package after its peers, and compares the
// state of the process before and after. An application's own `fetch` must keep its dispatcher. The package is resolved
// from the working directory.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import dns from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import net from 'node:net';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import util from 'node:util';
// Replaces process.chdir when Node first needs it.
import 'node:worker_threads';

const require = createRequire(join(process.cwd(), 'package.json'));
const esm = process.argv[2] === 'esm';

/** Resolves from the working directory, in either format. */
const load = (name) => (esm ? import(pathToFileURL(resolve(name)).href) : Promise.resolve(require(name)));

/** `require.resolve` would find the CommonJS copy of this package. */
function resolve(name) {
  const path = require.resolve(name);
  return name.startsWith('nestjs-vault') ? path.replace(`${join('dist', 'cjs')}`, join('dist', 'esm')) : path;
}

/** Entry points with their peer packages, whose own effects on the process do not count. */
const ENTRIES = {
  '': [],
  '/core': [],
  '/dashboard': [],
  '/testing': [],
  '/pg': ['pg'],
  '/typeorm': ['pg', 'typeorm'],
  '/sequelize': ['pg', 'sequelize'],
  '/knex': ['pg', 'knex'],
  '/mikro-orm': ['pg', '@mikro-orm/postgresql'],
  '/mysql2': ['mysql2', 'mysql2/promise', 'typeorm', 'knex'],
  '/redis': ['redis'],
  '/ioredis': ['ioredis'],
  '/rabbitmq': ['amqplib', 'amqp-connection-manager'],
  '/mongodb': ['mongodb'],
  '/aws': [],
  '/terminus': ['@nestjs/terminus'],
  '/opentelemetry': ['@opentelemetry/api'],
};
const { exports } = require('nestjs-vault/package.json');
const entries = Object.keys(exports).filter((name) => name !== './package.json');
assert.deepEqual(
  entries.toSorted(),
  Object.keys(ENTRIES)
    .map((name) => `.${name}`)
    .toSorted(),
);

const SHARED = {
  globalThis, Object, Function, Array, Promise, Map, Set, WeakMap, String, Number, RegExp, Date, Error, Symbol, JSON,
  Math, Reflect, Buffer, URL, AbortSignal, EventTarget, EventEmitter, Readable, Writable, console, process, util, dns,
  net, http, https, 'http.globalAgent': http.globalAgent, 'https.globalAgent': https.globalAgent, 'process.env': process.env,
}; // prettier-ignore

/** Properties with a getter, which Node replaces by the value at the first read. */
const LAZY = Symbol('lazy');

/** Every own property, those of prototypes too, with its value: shows additions, removals and replacements. */
function picture() {
  const seen = new Map();
  const note = (name, object) => {
    for (const key of Reflect.ownKeys(object)) {
      const property = Object.getOwnPropertyDescriptor(object, key);
      seen.set(`${name}.${String(key)}`, [property.get ? LAZY : property.value]);
    }
  };
  for (const [name, object] of Object.entries(SHARED)) {
    note(name, object);
    if (typeof object === 'function') note(`${name}.prototype`, object.prototype);
  }
  for (const emitter of [process, process.stdout, process.stderr]) {
    for (const event of emitter.eventNames())
      seen.set(`${emitter.fd ?? 'process'} on ${String(event)}`, [emitter.listenerCount(event)]);
  }
  seen.set('maximum of listeners', [EventEmitter.defaultMaxListeners, process.getMaxListeners()]);
  seen.set('order of addresses', [dns.getDefaultResultOrder(), net.getDefaultAutoSelectFamily()]);
  seen.set('active handles of the process', [process.getActiveResourcesInfo().toSorted().join()]);
  return seen;
}

function changes(before, after) {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    // Node replaces a getter when it loads the module behind it.
    if (old?.[0] === LAZY && now) return false;
    return !old || !now || old.some((value, index) => !Object.is(value, now[index]));
  });
}

const origin = await new Promise((done) => {
  const server = http.createServer((request, response) => response.end(request.headers['user-agent']));
  server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`));
  server.unref();
});
const available = (name) => {
  try {
    return Boolean(require.resolve(name));
  } catch {
    return false;
  }
};

// A dependency that reads one of these makes Node load its own undici, which would hide that another copy came first:
// so these globals are empty here.
for (const name of ['FormData', 'Headers', 'Request', 'Response', 'WebSocket', 'CloseEvent', 'MessageEvent'])
  Object.defineProperty(globalThis, name, { value: class {}, configurable: true });
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

for (const name of ['@nestjs/common', '@nestjs/core', 'rxjs', 'reflect-metadata']) await load(name);
const found = [];
let imported = 0;
for (const [entry, peers] of Object.entries(ENTRIES)) {
  if (!peers.every(available)) continue;
  for (const peer of peers) await load(peer);
  const before = picture();
  await load(`nestjs-vault${entry}`);
  found.push(...changes(before, picture()).map((name) => `nestjs-vault${entry}: ${name}`));
  imported++;
}
assert.deepEqual(found, []);
assert.equal(globalThis[DISPATCHER], undefined);
assert.match(await (await fetch(origin)).text(), /^node$/);
assert.ok(globalThis[DISPATCHER], 'fetch uses no dispatcher that can be seen any more');
console.log(`ok ${process.argv[2]}: ${imported} entry points`);
process.exit(0);
