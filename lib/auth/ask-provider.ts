import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { isObject } from '../client/answer-members.js';
import { phraseOf, VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';

/** Milliseconds for one answer of a provider: each is in the same machine or cloud. */
const LIMIT = 5_000;
/** Milliseconds to find out whether a provider is there. */
export const PROBE = 1_000;
/** Bytes; the largest tokens of clouds have some 4 KiB. */
const LARGEST = 65_536;
/** Answers that providers give while they start, or are busy; all other refusals need an operator. */
const LATER = new Set([404, 408, 410, 425, 429]);

/** One request to the provider of an identity. */
export interface ProviderRequest {
  /** Names the provider in errors: `the metadata server of Azure`. */
  readonly provider: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** A header that each answer of the provider has, in lower case: without it another server answered. */
  readonly proof?: readonly [name: string, value: string];
  /** Sent as a form by POST; otherwise the request is a GET. */
  readonly form?: URLSearchParams;
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly limit?: number;
}

/**
 * Asks the provider of an identity, directly: proxies of the environment or of the connection are not used, and
 * redirects are not followed. Errors name the provider and its address, and nothing of its answer.
 *
 * @returns the body of an answer with status 200
 * @throws VaultError `VAULT_LOGIN_PROVIDER_UNAVAILABLE`, or `VAULT_SOURCE_UNREADABLE` for another status, an
 * answer of another server, and an address or header that cannot be sent
 */
export async function askProvider(asked: ProviderRequest): Promise<string> {
  const { url, headers = {}, form, proof, signal, limit = LIMIT } = asked;
  const inTime = AbortSignal.timeout(limit);
  const options = {
    method: form ? 'POST' : 'GET',
    headers: { ...headers, ...(form && { 'content-type': 'application/x-www-form-urlencoded' }) },
    signal: signal ? AbortSignal.any([signal, inTime]) : inTime,
  };
  let answer: { status: number; body: string; proven: boolean };
  try {
    answer = await new Promise((resolve, reject) => {
      const onAnswer = (message: IncomingMessage) => {
        const proven = proof === undefined || message.headers[proof[0]] === proof[1];
        const status = message.statusCode ?? 0;
        bodyOf(message).then((body) => resolve({ status, body, proven }), reject);
      };
      // Loaded here, because most applications do not use it.
      const https = process.getBuiltinModule('node:https');
      // An agent of its own, because an application may have given the global one a proxy.
      const sent =
        url.protocol === 'https:'
          ? https.request(url, { ...options, agent: new https.Agent({ rejectUnauthorized: true }) }, onAnswer)
          : httpRequest(url, { ...options, agent: new HttpAgent() }, onAnswer);
      sent.once('error', reject);
      sent.end(form?.toString());
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('ERR_INVALID_')) throw unusable(asked, `cannot be asked (${code})`);
    const late = inTime.aborted ? `has not answered within ${limit / 1_000} s` : undefined;
    throw unavailable(asked, late ?? `does not answer (${code ?? 'connection closed'})`);
  }
  const { status, body, proven } = answer;
  if (status === 200 && proven) return body;
  if (status === 200)
    throw unusable(asked, `did not answer, but another server without ${proof?.join(': ')}`);
  const problem = `answered with status ${status}`;
  throw LATER.has(status) || status >= 500 ? unavailable(asked, problem) : unusable(asked, problem);
}

/**
 * Asks for a JSON object.
 *
 * @throws VaultError also `VAULT_SOURCE_UNREADABLE` for something else
 */
export async function askForJson(asked: ProviderRequest): Promise<Readonly<Record<string, unknown>>> {
  const body = await askProvider(asked);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  if (!isObject(parsed)) throw unusable(asked, 'answered with something else than a JSON object');
  return parsed;
}

/**
 * The access token of an OAuth answer.
 *
 * @throws VaultError `VAULT_SOURCE_UNREADABLE`
 */
export async function askForAccessToken(asked: ProviderRequest): Promise<Secret> {
  const { access_token: token } = await askForJson(asked);
  if (typeof token !== 'string' || token === '') throw unusable(asked, 'answered without an `access_token`');
  return new Secret(token);
}

/**
 * What an answer of a provider means for `missing` of a method: a refusal is a reason.
 *
 * @throws VaultError `VAULT_LOGIN_PROVIDER_UNAVAILABLE`, as the provider may answer later
 */
export async function missingAt(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (!(error instanceof VaultError && error.code === 'VAULT_SOURCE_UNREADABLE')) throw error;
    return phraseOf(error);
  }
}

/** The provider has no usable answer now, and may have one later. */
function unavailable(
  { provider, url }: Pick<ProviderRequest, 'provider' | 'url'>,
  problem: string,
): VaultError {
  return new VaultError({
    code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
    message: `The login has no identity yet: ${provider} at ${placeOf(url)} ${problem}.`,
    hint: `Check that this process runs where ${provider} answers, and may reach it. The login is tried again.`,
  });
}

/** The provider refuses, or the address is that of another server. */
function unusable({ provider, url }: Pick<ProviderRequest, 'provider' | 'url'>, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `The login has no identity: ${provider} at ${placeOf(url)} ${problem}.`,
    hint: 'Check that address, and that an identity is assigned to this machine or workload; it is asked again at each login.',
  });
}

/** Without the query. */
const placeOf = ({ origin, pathname }: URL) => origin + pathname;

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += (chunk as Buffer).length;
    if (size > LARGEST) throw Object.assign(new Error('too large'), { code: 'answer too large' });
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
