import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between the statements of a transaction, and between the batches of a cursor. */
const STEP = 200;
export const BATCH = 100;

/** For the variants that take SQL, with the placeholders of PostgreSQL. */
export const SQL = {
  read: 'select quantity from orders where id = $1',
  write: 'update orders set quantity = quantity + 1 where id = $1 returning quantity',
  insert: 'insert into orders (item) values ($1)',
  sum: 'select sum(quantity) from orders where id between 501 and 1000',
  rows: 'select id from orders where id <= $1 order by id',
};

let turns = 0;

/** Every fourth short query writes, to rows of its own, so that none waits for the lock of a transaction. */
export function nextTurn(): { id: number; write: boolean } {
  const id = (++turns % 500) + 1;
  return { id, write: id % 4 === 0 };
}

/** Checks that a short query found its row. */
export function expectOneRow(count: number | null | undefined): void {
  if (count !== 1) throw new Error('a row is missing');
}

/** The statements of a transaction, in order, for about so many milliseconds. */
export async function repeat(milliseconds: number, statement: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + milliseconds; performance.now() < end;) {
    await rest(end);
    await statement();
  }
}

/** The number of rows that a slow cursor reads in so many milliseconds. */
export function rowsIn(milliseconds: number): number {
  return Math.ceil(milliseconds / STEP) * BATCH;
}

/** Reads rows with ids from 1 on, for about so many milliseconds; checks that none is missing. */
export async function readSlowly(
  rows: AsyncIterable<{ id: number | bigint | string }>,
  milliseconds: number,
): Promise<void> {
  const end = performance.now() + milliseconds;
  let last = 0;
  for await (const { id } of rows) {
    if (Number(id) !== ++last) break;
    if (last % BATCH === 0) await rest(end);
  }
  if (last !== rowsIn(milliseconds)) throw new Error('a row of the cursor is missing');
}

/** The length of a step, or the rest of the time. */
function rest(end: number): Promise<void> {
  return sleep(Math.min(STEP, Math.max(end - performance.now(), 0)));
}
