type Callback = (error: Error | null, ...results: unknown[]) => void;

/** The interface of pg-cursor; a stream of pg-query-stream has one as its `cursor`. */
interface Cursor {
  read(rows: number, callback: Callback): void;
  close(callback: Callback): void;
}

/** The client that a cursor runs on. */
interface CursorClient extends NodeJS.EventEmitter {
  readonly ended: boolean;
}

/**
 * Settles `read()` and `close()` of a cursor when its connection ends. pg-cursor leaves two of them pending: `close()`,
 * which every stream calls at its end, and the `read()` of the last rows.
 *
 * @param query the first argument of `client.query()`
 */
export function settleCursor(query: unknown, client: CursorClient): void {
  const { submit, cursor = query } = (query ?? {}) as { submit?: unknown; cursor?: unknown };
  if (typeof submit !== 'function' || !isCursor(cursor)) return;
  const read = cursor.read.bind(cursor);
  const close = cursor.close.bind(cursor);
  const terminated = new Error('Connection terminated');
  cursor.read = callable((rows, callback) =>
    read(rows as number, settledAtEnd(client, callback, terminated)),
  );
  // The end of the connection closes the cursor, so that close() succeeds.
  cursor.close = callable((_, callback) =>
    client.ended ? setImmediate(callback, null) : close(settledAtEnd(client, callback, null)),
  );
}

/** False for a stream to read from, such as those of pg-copy-streams. */
function isCursor(cursor: unknown): cursor is Cursor {
  const { read, close } = cursor as Partial<Cursor>;
  return typeof read === 'function' && typeof close === 'function';
}

/** A callback that is called once: by the cursor, or with `outcome` if the client ends before that. */
function settledAtEnd(client: CursorClient, callback: Callback, outcome: Error | null): Callback {
  const settle: Callback = (...results) => {
    client.off('end', onEnd);
    callback(...results);
    callback = () => undefined;
  };
  const onEnd = () => settle(outcome);
  client.once('end', onEnd);
  return settle;
}

/** Accepts a callback as the last argument, or returns a promise, as the methods of pg-cursor do. */
function callable(method: (first: unknown, callback: Callback) => unknown) {
  return (...args: unknown[]) => {
    const last = args.at(-1);
    if (typeof last === 'function') return void method(args[0], last as Callback);
    return new Promise((resolve, reject) => {
      method(args[0], (error, result) => (error ? reject(error) : resolve(result)));
    });
  };
}
