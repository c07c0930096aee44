import type { ClientBase } from 'pg';

/** PostgreSQL's own answers to a user that is gone, or to a wrong password. */
const REFUSED = new Set(['28P01', '28000']);
/**
 * What else a user who is gone would explain: its privileges went with it (42501), or its name has no meaning any
 * more (42704). A statement that was never allowed is answered the same.
 */
const DOUBTFUL = new Set([...REFUSED, '42501', '42704']);
/** Errors that came in place of an answer to the password. */
const answers = new WeakSet<object>();

/** pg's own connection, which its types leave out. */
type Protocol = NodeJS.EventEmitter;

/**
 * Whether an error says that this user is not let in: by PostgreSQL's codes, or by the moment of an exchange that
 * {@link watchLogin} has watched, as poolers in between have codes of their own.
 */
export function refuses(error: unknown): boolean {
  return REFUSED.has(codeOf(error)) || answers.has(error as object);
}

/** Whether the error of a statement is a reason to check the credentials. */
export function isDoubtful(error: unknown): boolean {
  return DOUBTFUL.has(codeOf(error));
}

/**
 * Notes which error is the answer to the password. The SASL exchange (SCRAM) consists of nothing but the password: it
 * begins when the database is there and has looked the user up, and it is done before a pooler connects to anything. The older
 * exchanges have no such end.
 */
export function watchLogin(client: ClientBase): void {
  const { connection } = client as unknown as { connection: Protocol };
  let asked = false;
  connection.on('authenticationSASL', () => (asked = true));
  connection.on('authenticationSASLFinal', () => (asked = false));
  connection.on('errorMessage', (error: object) => {
    if (asked) answers.add(error);
  });
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}
