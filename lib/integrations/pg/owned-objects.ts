import type { Client } from 'pg';

const QUERY = `
  select count(*)::int as owned from pg_shdepend
  where refclassid = 'pg_authid'::regclass and deptype = 'o'
    and refobjid = (select oid from pg_roles where rolname = $1)`;

/** A warning if the user owns objects: PostgreSQL does not drop such a user before they have another owner. */
export async function ownedObjects(client: Client, username: string): Promise<string | undefined> {
  const { rows } = await client.query<{ owned: number }>(QUERY, [username]);
  const owned = rows[0]?.owned ?? 0;
  if (owned === 0) return undefined;
  return (
    `The user of this lease owns ${owned} database object${owned === 1 ? '' : 's'}, so DROP ROLE alone fails. ` +
    'Let a role without login own them: GRANT it in creation_statements, and SET ROLE before DDL.'
  );
}
