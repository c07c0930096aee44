import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { RotatingIoredis } from 'nestjs-vault/ioredis';
import { BehaviorSubject } from 'rxjs';
import { expect, it } from 'vitest';
import { issueByHand } from '../../support/driver-load.js';

/** A server of RESP2 that answers every command but those that `isLost` names. */
async function startServer(isLost: (command: string) => boolean) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('data', (data) => {
      // Each command begins with the number of its words; a word follows its length.
      for (const text of data
        .toString()
        .split(/^\*\d+\r\n/m)
        .slice(1)) {
        const [, name = ''] = text.split('\r\n');
        const subscribed = '*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n';
        if (!isLost(name)) socket.write(name === 'subscribe' ? subscribed : '+OK\r\n');
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    end: () => (server.close(), sockets.forEach((socket) => socket.destroy())),
  };
}

it.each(['the client', 'the server'])(
  'a subscription is being restored when %s ends the connection: no promise is left without a handler',
  async (which) => {
    let subscriptions = 0;
    const server = await startServer((name) => name === 'subscribe' && ++subscriptions === 2);
    const redis = new RotatingIoredis(new BehaviorSubject(issueByHand().credentials), {
      port: server.port,
      host: '127.0.0.1',
      retryStrategy: (times) => (times > 2 ? null : 1),
    });
    redis.on('error', () => {});
    await redis.subscribe('news');
    server.cut();
    await expect.poll(() => subscriptions).toBe(2);
    const ended = new Promise<void>((resolve) => void redis.once('end', resolve));
    // An unhandled rejection fails the run.
    if (which === 'the server') server.end();
    else redis.disconnect();
    await ended;
    server.end();
  },
);
