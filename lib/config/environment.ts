/**
 * The environment variables of the Go clients (`api` v1.23 of HashiCorp Vault, OpenBao 2.x), without their prefix, and
 * their use here. `docs/reaching-the-server.md` lists the same.
 */
export const ENVIRONMENT = {
  AGENT_ADDR: taken('address'),
  ADDR: taken('address'),
  NAMESPACE: taken('namespace'),
  HEADERS: taken('headers'),
  CLIENT_TIMEOUT: taken('timeout'),
  CACERT: taken('tls.ca'),
  CACERT_BYTES: taken('tls.ca'),
  CAPATH: taken('tls.ca'),
  CLIENT_CERT: taken('tls.cert'),
  CLIENT_CERT_BYTES: taken('tls.cert'),
  CLIENT_KEY: taken('tls.key'),
  CLIENT_KEY_BYTES: taken('tls.key'),
  TLS_SERVER_NAME: taken('tls.serverName'),
  PROXY_ADDR: taken('proxy'),
  HTTP_PROXY: taken('proxy'),

  SKIP_VERIFY: refused(
    'the certificate of the server is always verified: name its authority in VAULT_CACERT',
  ),
  SRV_LOOKUP: refused('DNS SRV records are not looked up: write host and port into VAULT_ADDR'),
  WRAP_TTL: refused(
    'an application cannot use wrapped answers to all requests: wrap single requests (`VaultClient`)',
  ),

  DISABLE_REDIRECTS: ignored('a redirect is only followed to another address of the options'),
  MAX_RETRIES: ignored('the TTL of a credential or `startup.timeout` limits retries, not their number'),
  RATE_LIMIT: ignored('`concurrency` limits the load of the server'),
  MFA: ignored('part of `auth`'),
  TOKEN: ignored('part of `auth`: `token(fromEnv(...))`'),
  TOKEN_PATH: ignored('part of `auth`: `token(fromFile(...))`'),
  FORMAT: ignored('the output of a command line'),
} as const satisfies Record<string, Use>;

export type Variable = keyof typeof ENVIRONMENT;

/** The use of a variable: `taken` into an option, `refused` if it is set (and not false), or `ignored`. */
export type Use =
  | { readonly use: 'taken'; readonly option: string }
  | { readonly use: 'refused' | 'ignored'; readonly why: string };

function taken<T extends string>(option: T) {
  return { use: 'taken', option } as const;
}

function refused(why: string) {
  return { use: 'refused', why } as const;
}

function ignored(why: string) {
  return { use: 'ignored', why } as const;
}
