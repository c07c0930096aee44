/**
 * Sends requests in a thread of its own. A string that uses only Node built-ins: bundlers move the files that a thread
 * would load, and rewrite functions. `workerData`: `requests` (see `WrittenRequest` and `Route`), `statuses` (for each
 * request, shifted by one, the status of its answer, or 0), and `share` (milliseconds after which the next address is
 * tried, too). The first of `statuses` becomes 1 when all requests have ended.
 */
export const BLOCKING_WORKER = `
'use strict';
const { workerData } = require('node:worker_threads');
const { requests, statuses, share } = workerData;
const MODULES = { 'http:': require('node:http'), 'https:': require('node:https') };
const { isIP } = require('node:net');
const { checkServerIdentity } = require('node:tls');
const agents = {
  'http:': new Map(),
  'https:': new Map(),
  'http:proxy': new Map(),
  'https:proxy': new Map(),
};

/** Lets an agent open its sockets through the proxy of a route. */
function tunnelled(agent, { url, headers }) {
  const open = agent.createConnection.bind(agent);
  agent.createConnection = (options, done) => {
    const { protocol } = new URL(url);
    const { host, port } = options;
    const target = (isIP(host) === 6 ? '[' + host + ']' : host) + ':' + (port || agent.defaultPort);
    const asked = { method: 'CONNECT', path: target, headers: { host: target, ...headers }, agent: false };
    MODULES[protocol]
      .request(url, { ...asked, rejectUnauthorized: true })
      .on('connect', ({ statusCode }, socket) => {
        if (statusCode < 200 || statusCode > 299) return done(socket.destroy(new Error('refused')));
        done(null, agent.protocol === 'https:' ? open({ ...options, socket }) : socket);
      })
      .on('error', done)
      .end();
  };
  return agent;
}

/** By route, protocol, and whether the proxy is used. */
function agentFor(route, protocol, proxy) {
  const known = agents[protocol + (proxy ? 'proxy' : '')];
  if (!known.has(route)) {
    const { Agent } = MODULES[protocol];
    const { serverName, ...tls } = route.tls ?? {};
    const named = serverName !== undefined && !isIP(serverName) && { servername: serverName };
    const agent = new Agent({
      ...tls,
      ...named,
      checkServerIdentity: (host, peer) => checkServerIdentity(serverName ?? host, peer),
      rejectUnauthorized: true,
      keepAlive: true,
      maxSockets: 64,
    });
    known.set(route, proxy ? tunnelled(agent, route.proxy) : agent);
  }
  return known.get(route);
}

function ask(address, { route, method, path, headers, body }) {
  return new Promise((resolve) => {
    const socketPath = address.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
    const url = new URL((socketPath === undefined ? address : 'http://localhost') + path);
    const proxy = route.proxy?.addresses.includes(address) === true;
    const options = { agent: agentFor(route, url.protocol, proxy), method, headers, socketPath };
    const request = MODULES[url.protocol].request(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', () => resolve(0));
    request.end(body);
  });
}

/** 4xx that any server of the cluster would answer; after other statuses the next address is tried. */
const isFinal = (status) => (status >= 200 && status < 300) || [400, 403, 404].includes(status);

/** Tries the addresses in turn: the next one after a failure, or when one takes too long. */
function send(request) {
  return new Promise((resolve) => {
    const waiting = [...request.route.addresses];
    let asked = 0;
    const askNext = () => {
      const address = waiting.shift();
      if (address === undefined) return;
      asked++;
      const timer = setTimeout(askNext, share);
      void ask(address, request).then((status) => {
        clearTimeout(timer);
        asked--;
        if (isFinal(status) || (asked === 0 && waiting.length === 0)) resolve(status);
        else askNext();
      });
    };
    askNext();
  });
}

void Promise.all(
  requests.map(async (request, index) => Atomics.store(statuses, index + 1, await send(request).catch(() => 0))),
).then(() => {
  Atomics.store(statuses, 0, 1);
  Atomics.notify(statuses, 0);
});
`;
