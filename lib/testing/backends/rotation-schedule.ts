const MINUTE = 60_000;
const DAY = 86_400_000;
/** Days to search: a schedule without a day in four years never applies. */
const HORIZON = 4 * 366;

/** Bounds of the fields of a schedule: minute, hour, day of the month, month, day of the week. */
const BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

/** A cron expression in UTC, the time zone of servers in containers. */
export class RotationSchedule {
  readonly #fields: readonly ReadonlySet<number>[];
  readonly #anyDate: boolean;
  readonly #anyWeekday: boolean;

  /** @throws Error unless the text has five fields of numbers, ranges, steps and lists */
  constructor(text: string) {
    const fields = text.trim().split(/\s+/);
    if (fields.length !== BOUNDS.length)
      throw new Error(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
    this.#fields = fields.map((field, index) => numbersOf(field, BOUNDS[index] as readonly [number, number]));
    this.#anyDate = fields[2]?.startsWith('*') === true;
    this.#anyWeekday = fields[4]?.startsWith('*') === true;
  }

  /** Milliseconds since 1970 of the first time after `time`. */
  next(time: number): number {
    const [minutes, hours] = this.#fields as [ReadonlySet<number>, ReadonlySet<number>];
    const first = (Math.floor(time / MINUTE) + 1) * MINUTE;
    const today = Math.floor(first / DAY) * DAY;
    for (let day = today; day < today + HORIZON * DAY; day += DAY) {
      if (!this.#isDay(new Date(day))) continue;
      for (let at = Math.max(day, first); at < day + DAY; at += MINUTE) {
        const date = new Date(at);
        if (hours.has(date.getUTCHours()) && minutes.has(date.getUTCMinutes())) return at;
      }
    }
    return Infinity;
  }

  /** If both kinds of days are restricted, one of them has to match. */
  #isDay(date: Date): boolean {
    const [, , dates, months, weekdays] = this.#fields as ReadonlySet<number>[];
    const [ofMonth, ofWeek] = [dates?.has(date.getUTCDate()), weekdays?.has(date.getUTCDay())];
    const either = !this.#anyDate && !this.#anyWeekday;
    return (
      months?.has(date.getUTCMonth() + 1) === true &&
      (either ? ofMonth || ofWeek : ofMonth && ofWeek) === true
    );
  }
}

function numbersOf(field: string, [least, most]: readonly [number, number]): ReadonlySet<number> {
  const numbers = new Set<number>();
  for (const part of field.split(',')) {
    const [, from, to, step] = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part) ?? [undefined, 'x'];
    const start = from === undefined ? least : Number(from);
    const alone = from !== undefined && step === undefined;
    const end = to === undefined ? (alone ? start : most) : Number(to);
    const by = Number(step ?? 1);
    if (!(start >= least && end <= most && start <= end && by > 0))
      throw new Error(`failed to parse field: ${part}`);
    for (let number = start; number <= end; number += by) numbers.add(number);
  }
  return numbers;
}
