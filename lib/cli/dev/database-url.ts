/** A kind of database, as its plugin of the server and its driver know it. */
export interface DatabaseKind {
  readonly title: string;
  readonly plugin: string;
  readonly driver: 'pg' | 'mysql2';
  readonly port: string;
}

const POSTGRESQL: DatabaseKind = {
  title: 'PostgreSQL',
  plugin: 'postgresql-database-plugin',
  driver: 'pg',
  port: '5432',
};
const MYSQL: DatabaseKind = {
  title: 'MySQL or MariaDB',
  plugin: 'mysql-database-plugin',
  driver: 'mysql2',
  port: '3306',
};

const KINDS: Readonly<Record<string, DatabaseKind>> = {
  'postgresql:': POSTGRESQL,
  'postgres:': POSTGRESQL,
  'mysql:': MYSQL,
  'mariadb:': MYSQL,
};

/** A database with its administrator, from a URL. */
export interface DatabaseAddress {
  readonly kind: DatabaseKind;
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  /** The parameters of the URL, such as `sslmode=require`. */
  readonly parameters: string;
}

/** Reads the URL of a database; undefined if it is none, or names no user. */
export function databaseOf(url: string): DatabaseAddress | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname, port, pathname, username, password, search } = new URL(url);
  const kind = KINDS[protocol];
  if (!kind || hostname === '' || username === '') return undefined;
  try {
    return {
      kind,
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port || kind.port,
      database: decodeURIComponent(pathname.slice(1)),
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
      parameters: search.slice(1),
    };
  } catch {
    return undefined;
  }
}

/** The address for people, without its login: `PostgreSQL at 127.0.0.1:5432/shop`. */
export function titleOf({ kind, host, port, database }: DatabaseAddress): string {
  return `${kind.title} at ${host}:${port}/${database}`;
}

/** The `connection_url` of the server's plugin, which fills in the login. */
export function connectionUrl(address: DatabaseAddress, onServer?: string): string {
  const { kind, host, port, database, parameters } = address;
  const at = onServer ?? `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return kind === MYSQL
    ? `{{username}}:{{password}}@tcp(${at})/`
    : `postgresql://{{username}}:{{password}}@${at}/${encodeURIComponent(database)}?${parameters || 'sslmode=disable'}`;
}
