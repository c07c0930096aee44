import { VaultError } from '../errors/vault-error.js';
import { classOf } from '../errors/printable.js';
import { Secret } from '../secret/secret.js';
import { missingIn, type SecretReader, type SecretSource } from '../secret/secret-source.js';
import { askProvider, missingAt, PROBE, type ProviderRequest } from './ask-provider.js';
import type { AuthMethod, LoginContext } from './auth-method.js';
import { explainGcpRefusal } from './cloud-refusals.js';
import { checkJwt } from './jwt-claims.js';
import { atMount, sourceProblems, textProblems, type MountOptions } from './login-request.js';
import { optionalPackage } from '../errors/optional-package.js';
import { providerUrl } from './provider-url.js';

/** The members of `GoogleAuth` of google-auth-library that {@link gcp} uses. */
export interface GoogleAuthLike {
  /** The account of the credentials. */
  getCredentials(): Promise<{ client_email?: string | null | undefined }>;
  /** Sends a request of the IAM API, with the token of the credentials. */
  request(options: { url: string; method: 'POST'; data: object }): Promise<{ data: unknown }>;
}

/**
 * Options of {@link gcp}.
 *
 * @publicApi
 */
export interface GcpOptions extends MountOptions {
  /** Role of the method. */
  role: string;
  /**
   * The proof of identity. `gce`: an identity token of the metadata server (Compute Engine, GKE with Workload Identity,
   * Cloud Run), for roles of both types. `iam`: a JWT that the IAM API signs for a service account, for roles of type
   * `iam`; it needs the optional peer google-auth-library, and `iam.serviceAccounts.signJwt` for the account.
   *
   * @default 'gce'
   */
  type?: 'gce' | 'iam';
  /** Service account. @default `gce`: that of the instance or pod; `iam`: that of the credentials */
  serviceAccount?: string;
  /** A token from elsewhere, instead of `type`. */
  jwt?: SecretSource;
  /** Address of the metadata server. @default 'http://metadata.google.internal' */
  metadataAddress?: string;
  /** For `iam`: credentials. @default `new GoogleAuth()`, the Application Default Credentials */
  googleAuth?: GoogleAuthLike;
  /** Mount of the method, with or without the slash of the server's listing. @default 'gcp' */
  mountPath?: string;
}

const PROVIDER = 'the metadata server of Google Cloud';
const IAM = 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts';
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
/** Seconds; roles accept 15 minutes by default. */
const LIFETIME = 600;

/**
 * Logs in with a service account of Google Cloud, with the GCP auth method of HashiCorp Vault. There is no secret to
 * deliver: the metadata server or the IAM API gives a token for the audience `http://vault/<role>`.
 *
 * At login it throws `VAULT_LOGIN_PROVIDER_UNAVAILABLE` (the metadata server or Google does not answer),
 * `VAULT_SOURCE_UNREADABLE` (it refuses), `VAULT_CONFIG_INVALID` (google-auth-library is missing),
 * `VAULT_LOGIN_INPUT_INVALID`, `VAULT_LOGIN_DENIED`, `VAULT_ROLE_NOT_FOUND`, `VAULT_BACKEND_FAILED`.
 *
 * @publicApi
 */
export function gcp(options: GcpOptions): AuthMethod {
  const optional = ['type', 'serviceAccount', 'jwt', 'metadataAddress', 'googleAuth'] as const;
  const names = { required: ['role'], optional } as const;
  const { given, problems, mount, place } = atMount('gcp', options, names, 'gcp');
  const { role = '', type = 'gce', metadataAddress = 'http://metadata.google.internal' } = given;
  problems.push(...textProblems('gcp', given, { required: ['role'], optional: ['serviceAccount'] }));
  if (type !== 'gce' && type !== 'iam')
    problems.push('`auth: gcp` has a `type` that is neither "gce" nor "iam"');
  if (given.jwt !== undefined) problems.push(...sourceProblems('gcp', 'jwt', given.jwt));
  const address = providerUrl('gcp', 'metadataAddress', metadataAddress, problems);
  const made = (context: LoginContext): SecretReader =>
    type === 'iam' ? signedJwt(given, context) : identityToken(given, address, context);
  return {
    name: 'gcp',
    problems,
    missing: (context) => missingIn(given.jwt ?? made(context), 'jwt'),
    async login(context) {
      const jwt = await context.read(given.jwt ?? made(context), { ...place, name: 'jwt' });
      const remedy = 'A token of the metadata server or of the IAM API is made at each login.';
      const claims = checkJwt(jwt, { now: context.now(), remedy });
      return context.logIn(
        `auth/${mount}/login`,
        { role, jwt },
        { ...place, explain: explainGcpRefusal(role, claims) },
      );
    },
  };
}

/** The server requires the end. */
const audienceOf = (role: string) => `http://vault/${role}`;

/** The identity token of the instance or pod, for the audience of the role. */
function identityToken(
  { role = '', serviceAccount = 'default' }: Partial<GcpOptions>,
  address: URL,
  { signal }: LoginContext,
): SecretReader {
  const account = `computeMetadata/v1/instance/service-accounts/${encodeURIComponent(serviceAccount)}`;
  const ask = (path: string): ProviderRequest => ({
    provider: PROVIDER,
    url: new URL(`${account}/${path}`, address),
    headers: { 'Metadata-Flavor': 'Google' },
    proof: ['metadata-flavor', 'Google'],
    signal,
  });
  return {
    description: `${PROVIDER} at ${address.origin}`,
    missing: () => missingAt(askProvider({ ...ask('email'), limit: PROBE })),
    async read() {
      const query = new URLSearchParams({ audience: audienceOf(role), format: 'full' });
      return new Secret((await askProvider(ask(`identity?${query.toString()}`))).trim());
    },
  };
}

/** A JWT that the IAM API signs. */
function signedJwt(
  { role = '', serviceAccount, googleAuth }: Partial<GcpOptions>,
  context: LoginContext,
): SecretReader {
  const authOf = async (): Promise<GoogleAuthLike> => {
    if (googleAuth) return googleAuth;
    const { GoogleAuth } = await optionalPackage(
      '`auth: gcp`',
      'google-auth-library',
      () => import('google-auth-library'),
    );
    return new GoogleAuth({ scopes: [SCOPE] });
  };
  const accountOf = async (auth: GoogleAuthLike) => {
    const account =
      serviceAccount ??
      (await auth.getCredentials().catch(failed('the credentials of Google Cloud'))).client_email;
    if (!account)
      throw new VaultError({
        code: 'VAULT_SOURCE_UNREADABLE',
        message: 'The credentials of Google Cloud are not those of a service account.',
        hint: 'Give `serviceAccount` of gcp: its e-mail address.',
      });
    return account;
  };
  return {
    description: 'the IAM API of Google Cloud',
    missing: async () => {
      const auth = await authOf();
      return accountOf(auth).then(
        () => undefined,
        () => 'there are no credentials of Google Cloud',
      );
    },
    async read() {
      const auth = await authOf();
      const account = await accountOf(auth);
      const exp = Math.floor(context.now() / 1_000) + LIFETIME;
      const payload = JSON.stringify({ sub: account, aud: audienceOf(role), exp });
      const url = `${IAM}/${encodeURIComponent(account)}:signJwt`;
      const { data } = await auth
        .request({ url, method: 'POST', data: { payload } })
        .catch(failed('the IAM API of Google Cloud'));
      const { signedJwt: jwt } = (data ?? {}) as { signedJwt?: unknown };
      return new Secret(typeof jwt === 'string' ? jwt : '');
    },
  };
}

/** The text of Google's errors may show tokens: only class and status are shown. */
function failed(provider: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof VaultError) throw error;
    const { status } = error as { status?: unknown };
    const refused = typeof status === 'number' && status < 500 && status !== 429;
    throw new VaultError({
      code: refused ? 'VAULT_SOURCE_UNREADABLE' : 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
      message: `The login has no identity: ${provider} failed with ${typeof status === 'number' ? `status ${status}` : classOf(error)}.`,
      hint:
        'Check the Application Default Credentials, that the IAM Service Account Credentials API is enabled, and that the ' +
        'caller has iam.serviceAccounts.signJwt for the service account.',
    });
  };
}
