import type { LeasedClient } from './leased-client.js';

type Callback = (error: Error | null, ...results: unknown[]) => void;

/** What pg-cursor has; a stream of pg-query-stream has it as its `cursor`. */
interface Cursor {
  read(rows: number, callback: Callback): void;
  close(callback: Callback): void;
}

/**
 * Has whoever waits for a cursor told that its connection is gone. By itself, pg-cursor leaves two waiting: `close()`,
 * with which a stream ends, however it ends; and the `read()` that gets the last rows.
 *
 * @param query what a client was asked to run
 */
export function settleCursor(query: unknown, client: LeasedClient): void {
  const { submit, cursor = query } = (query ?? {}) as { submit?: unknown; cursor?: unknown };
  if (typeof submit !== 'function' || !isCursor(cursor)) return;
  const read = cursor.read.bind(cursor);
  const close = cursor.close.bind(cursor);
  const gone = new Error('Connection terminated');
  cursor.read = callable((rows, callback) => read(rows as number, settled(client, callback, gone)));
  // With its connection a cursor is closed.
  cursor.close = callable((_, callback) =>
    client.ended ? setImmediate(callback, null) : close(settled(client, callback, null)),
  );
}

/** Not a stream that is read from, as those of pg-copy-streams are. */
function isCursor(cursor: unknown): cursor is Cursor {
  const { read, close } = cursor as Partial<Cursor>;
  return typeof read === 'function' && typeof close === 'function';
}

/** Called back once: by the cursor, or where the client ends before that. */
function settled(client: LeasedClient, callback: Callback, outcome: Error | null): Callback {
  const tell: Callback = (...results) => {
    client.off('end', end);
    callback(...results);
    callback = () => undefined;
  };
  const end = () => tell(outcome);
  client.once('end', end);
  return tell;
}

/** With a callback as its last argument, or with a promise as its answer, as pg-cursor has it. */
function callable(method: (first: unknown, callback: Callback) => unknown) {
  return (...args: unknown[]) => {
    const last = args.at(-1);
    if (typeof last === 'function') return void method(args[0], last as Callback);
    return new Promise((resolve, reject) => {
      method(args[0], (error, result) => (error ? reject(error) : resolve(result)));
    });
  };
}
