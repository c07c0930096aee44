import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A proxy on a port of its own that changes the words of the server behind it. */
export interface RewordingProxy {
  readonly port: number;
  close: () => Promise<void>;
}

/**
 * Starts a proxy in front of a server of this machine.
 *
 * @param reword gets the bytes that the server sends; undefined closes the connection in place of an answer
 */
export async function startRewordingProxy(
  target: number,
  reword: (answer: Buffer) => Buffer | undefined,
): Promise<RewordingProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const drop = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', drop);
      socket.on('close', () => {
        sockets.delete(socket);
        drop();
      });
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => {
      const answer = reword(chunk);
      if (answer) client.write(answer);
      else drop();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Replaces bytes by others of the same length. */
export function replaceBytes(answer: Buffer, before: Buffer, after: Buffer): Buffer {
  const at = answer.indexOf(before);
  if (at >= 0) after.copy(answer, at);
  return answer;
}
