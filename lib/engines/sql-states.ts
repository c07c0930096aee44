/** The meaning of a state of PostgreSQL, and what helps. */
interface SqlState {
  readonly meaning: string;
  readonly remedy: string;
}

/** The SQLSTATEs that mistakes in the statements of a role cause. */
const STATES: Readonly<Record<string, SqlState>> = {
  '2BP01': {
    meaning: 'rights or objects depend on the user',
    remedy:
      'The user has rights of its own, or owns something: in the revocation statements, put `REASSIGN OWNED BY "{{name}}" ' +
      'TO` the group role and `DROP OWNED BY "{{name}}"` before DROP ROLE, or give the rights to the group role.',
  },
  '42704': {
    meaning: 'a role or a type of the statement does not exist',
    remedy: 'Create the group role before, or use IF EXISTS.',
  },
  '42P01': { meaning: 'the table does not exist', remedy: 'Create the table before, or correct its name.' },
  '42501': {
    meaning: 'a right is missing',
    remedy: 'The user that runs the statement needs CREATEROLE, and the group role WITH ADMIN OPTION.',
  },
  '42601': { meaning: 'a mistake in the syntax', remedy: 'Correct the statement.' },
  '42710': { meaning: 'the role exists already', remedy: 'The name must contain {{name}}.' },
};

/** The state of an error: `42704: a role or a type of the statement does not exist`. */
export function withMeaning(code: string): string {
  const known = sqlState(code);
  return known ? `${code}: ${known.meaning}` : code;
}

export function sqlState(code: string): SqlState | undefined {
  return Object.hasOwn(STATES, code) ? STATES[code] : undefined;
}

/** The known state in a text of the server, which the pattern is tested on. */
export function stateIn(said: (pattern: RegExp) => boolean): string | undefined {
  return Object.keys(STATES).find((code) => said(new RegExp(`\\(SQLSTATE ${code}\\)`)));
}
