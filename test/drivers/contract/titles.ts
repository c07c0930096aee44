/** The rules that every rotating pool keeps. */
export const TITLES = {
  follows: 'follows rotations without a failed query',
  drains: 'work that was begun finishes within the drain window',
  closes: 'the drain window closes what is still in use, and counts it',
  refused: 'a login that is refused asks for a new lease; the previous user stays in use',
  late: 'new credentials are used once they can log in',
  dropped: 'a dropped user is replaced by a new lease',
  password: 'another password of the same user interrupts nothing',
  breaks: 'connections that break, idle or in use, are replaced',
  waits: 'the start waits for the first credentials',
  rejects: 'the start fails if the first credentials are refused',
  own: 'credentials of its own are refused',
  finishes: 'the stream completes: work that was begun finishes, and nothing is left',
  ends: 'its end releases its lease, and leaves no connection',
  listed: 'the status of the connection lists it, and forgets it; 0 users left',
  clock: 'the drain window moves with the clock of the connection',
  secret: 'prints no password',
} as const;
export type Title = keyof typeof TITLES;
