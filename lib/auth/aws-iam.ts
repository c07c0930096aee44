import { isObject } from '../client/answer-members.js';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import { missingIn, readSecret, type SecretReader, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { explainAwsRefusal } from './aws-iam-refusals.js';
import { atMount, sourceProblems, textProblems, type MountOptions } from './login-request.js';
import { optionalPackage } from '../errors/optional-package.js';

/** The keys of an IAM principal: of a user, or temporary ones of a role. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: SecretSource;
  /** Of temporary keys. */
  sessionToken?: SecretSource | undefined;
}

/**
 * Options of {@link awsIam}.
 *
 * @publicApi
 */
export interface AwsIamOptions extends MountOptions {
  /** Role of the method. @default the name of the IAM principal, which the server finds out */
  role?: string;
  /**
   * Region of the STS endpoint that the request is signed for. It must be the `sts_region` of the method, if that has
   * one.
   *
   * @default the global endpoint, https://sts.amazonaws.com, in us-east-1
   */
  region?: string;
  /** The method's `iam_server_id_header_value`: the signed request is then of use at this server only. */
  serverId?: string;
  /**
   * The keys, or a function that returns them at each login.
   *
   * @default the chain of the AWS SDK (`fromNodeProviderChain` of `@aws-sdk/credential-providers`): variables, the files
   * of the AWS CLI, web identity (EKS), the container (ECS, EKS Pod Identity), the instance
   */
  credentials?: AwsCredentials | (() => Promise<AwsCredentials>);
  /** Mount of the method, with or without the slash of the server's listing. @default 'aws' */
  mountPath?: string;
}

const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';
const SERVER_ID = 'x-vault-aws-iam-server-id';

/**
 * Logs in with an IAM principal of AWS, with the AWS auth method of HashiCorp Vault (type `iam`). The AWS SDK's own signer
 * signs a request for the caller's identity, which the server sends to STS; the keys do not leave this process.
 *
 * Install the optional peers: `npm install @smithy/signature-v4 @aws-crypto/sha256-js @aws-sdk/credential-providers` (the
 * last one not with `credentials`).
 *
 * At login it throws `VAULT_CONFIG_INVALID` (a package is missing), `VAULT_SOURCE_UNREADABLE` (no keys),
 * `VAULT_LOGIN_INPUT_INVALID`, `VAULT_LOGIN_DENIED`, `VAULT_ROLE_NOT_FOUND`, `VAULT_BACKEND_FAILED` (the server cannot
 * reach STS).
 *
 * @publicApi
 */
export function awsIam(options: AwsIamOptions = {}): AuthMethod {
  const texts = ['role', 'region', 'serverId'] as const;
  const names = { optional: [...texts, 'credentials'] } as const;
  const { given, problems, mount, place } = atMount('awsIam', options, names, 'aws');
  const { role, region, serverId, credentials = sdkChain } = given;
  problems.push(...textProblems('awsIam', given, { optional: texts }));
  if (typeof credentials !== 'function' && !isObject(credentials))
    problems.push('`auth: awsIam` has `credentials` that are neither keys nor a function');
  if (isObject(credentials)) problems.push(...keyProblems(credentials as Partial<AwsCredentials>));
  const keys = keysOf(credentials);
  return {
    name: 'aws',
    problems,
    missing: () => keys.missing(),
    async login(context) {
      const found = JSON.parse((await context.read(keys, { name: 'AWS credentials' })).reveal()) as Keys;
      const request = await signedRequest(found, { region, serverId, now: context.now() });
      const body = { ...(role !== undefined && { role }), ...request };
      return context.logIn(`auth/${mount}/login`, body, { ...place, explain: explainAwsRefusal });
    },
  };
}

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

function keyProblems({ accessKeyId, secretAccessKey, sessionToken }: Partial<AwsCredentials>): string[] {
  return [
    ...sourceProblems('awsIam', 'credentials.accessKeyId', accessKeyId),
    ...sourceProblems('awsIam', 'credentials.secretAccessKey', secretAccessKey),
    ...(sessionToken === undefined ? [] : sourceProblems('awsIam', 'credentials.sessionToken', sessionToken)),
  ];
}

/** Reads all parts of the keys as one secret. */
function keysOf(
  credentials: NonNullable<AwsIamOptions['credentials']>,
): SecretReader & Required<Pick<SecretReader, 'missing'>> {
  const given = async () => {
    if (typeof credentials !== 'function') return credentials;
    const provide = async (): Promise<unknown> => credentials();
    const found = await provide().catch(explained);
    if (isObject(found) && keyProblems(found).length === 0) return found as unknown as AwsCredentials;
    throw new VaultError({
      code: 'VAULT_SOURCE_UNREADABLE',
      message: 'The login has no AWS credentials: their provider returned no keys.',
      hint: 'The function `credentials` of awsIam has to return `accessKeyId` and `secretAccessKey`.',
    });
  };
  return {
    description: typeof credentials === 'function' ? 'the provider of AWS credentials' : 'AWS credentials',
    async missing() {
      try {
        return await missingIn((await given()).secretAccessKey, 'secretAccessKey');
      } catch (error) {
        if ((error as VaultError).code !== 'VAULT_SOURCE_UNREADABLE') throw error;
        return 'no AWS credentials were found';
      }
    },
    async read(context) {
      const { accessKeyId, secretAccessKey, sessionToken } = await given();
      const text = async (source: SecretSource, name: string) =>
        (await readSecret(source, context, name)).reveal();
      return new Secret(
        JSON.stringify({
          accessKeyId: await text(accessKeyId, 'accessKeyId'),
          secretAccessKey: await text(secretAccessKey, 'secretAccessKey'),
          ...(sessionToken !== undefined && { sessionToken: await text(sessionToken, 'sessionToken') }),
        }),
      );
    },
  };
}

/** The credential chain of the AWS SDK. */
async function sdkChain(): Promise<AwsCredentials> {
  const name = '@aws-sdk/credential-providers';
  const { fromNodeProviderChain } = await optionalPackage(
    '`auth: awsIam`',
    name,
    () => import('@aws-sdk/credential-providers'),
  );
  return fromNodeProviderChain()();
}

/** The SDK's text may show paths and account numbers: only the class of its error is shown. */
function explained(error: unknown): never {
  if (error instanceof VaultError) throw error;
  const nothing = error instanceof Error && error.name === 'CredentialsProviderError';
  throw new VaultError({
    code: nothing ? 'VAULT_SOURCE_UNREADABLE' : 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
    message: `The login has no AWS credentials: their provider failed with ${nothing ? 'CredentialsProviderError' : classOf(error)}.`,
    hint:
      'The chain of the AWS SDK looks at variables, the files of the AWS CLI, web identity, the container and the ' +
      'instance: assign an IAM role to this workload, or give `credentials`.',
  });
}

/** The members of the login: a request to STS, signed by the signer of the AWS SDK. */
async function signedRequest(
  keys: Keys,
  { region, serverId, now }: { region: string | undefined; serverId: string | undefined; now: number },
): Promise<Record<string, string>> {
  const { SignatureV4, Sha256 } = await optionalPackage(
    '`auth: awsIam`',
    '@smithy/signature-v4 @aws-crypto/sha256-js',
    async () => ({
      ...(await import('@smithy/signature-v4')),
      ...(await import('@aws-crypto/sha256-js')),
    }),
  );
  const host =
    region === undefined
      ? 'sts.amazonaws.com'
      : `sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const signer = new SignatureV4({
    credentials: keys,
    region: region ?? 'us-east-1',
    service: 'sts',
    sha256: Sha256,
    // The server sends the body itself, and does not know that header of older versions.
    applyChecksum: false,
  });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol: 'https:',
      hostname: host,
      path: '/',
      headers: {
        host,
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        'content-length': String(BODY.length),
        ...(serverId !== undefined && { [SERVER_ID]: serverId }),
      },
      body: BODY,
    },
    { signingDate: new Date(now) },
  );
  return {
    iam_http_request_method: 'POST',
    iam_request_url: base64(`https://${host}/`),
    iam_request_body: base64(BODY),
    iam_request_headers: base64(JSON.stringify(headers)),
  };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
