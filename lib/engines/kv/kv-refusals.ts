import { isObject } from '../../client/answer-members.js';
import { isVersion } from '../../client/answer.js';
import type { PathExplanation, RefusalWithData } from '../../client/failed-response.js';
import { refusesRequest } from '../../client/response-error.js';

/** Refusals of KV, by the words of both servers. */
export function explainKv(refusal: RefusalWithData): PathExplanation | undefined {
  const { status, path, data, said } = refusal;
  if (status === 404) return deletedVersion(path, data) ?? otherVersion(path, said);
  if (status !== 400) return undefined;
  if (said(/check-and-set parameter (did|does) not match/)) {
    return {
      code: 'VAULT_CAS_CONFLICT',
      message: `The data at ${path} was changed meanwhile: the version in the request is not the current one. Nothing was written.`,
      hint: 'Read it again, apply the change to the current value, and write that with its version (0: no value yet).',
    };
  }
  const hint = PARAMETERS.find(([words]) => said(words))?.[1];
  return hint === undefined
    ? undefined
    : { code: 'VAULT_REQUEST_INVALID', message: refusesRequest(refusal), hint };
}

/** Hints on the invalid parameter. */
const PARAMETERS: readonly (readonly [words: RegExp, hint: string])[] = [
  [
    /metadata check-and-set parameter required/,
    'This metadata can be written only with its version (metadata_cas_required is set), which `KvService` does not send: ' +
      'write it with VaultClient, and give `metadata_cas`.',
  ],
  [
    /check-and-set parameter required/,
    'This secret can be written only with its version: give `cas` (with VaultClient `options: { cas }`), the version that was read, or 0 for a new ' +
      'secret (cas_required is set for it or its mount).',
  ],
  [/error parsing check-and-set parameter/, 'Give `cas` as a number: the version that was read.'],
];

/** KV v2 answers with the metadata of a version that is deleted or destroyed; to a PATCH with nothing else. */
function deletedVersion(path: string, data: unknown): PathExplanation | undefined {
  const { metadata = data } = isObject(data) ? data : {};
  if (!isObject(metadata) || !('destroyed' in metadata)) return undefined;
  const { version, destroyed } = metadata;
  const known = isVersion(version) ? { version } : {};
  const which = isVersion(version) ? `Version ${version} at ${path}` : `The secret at ${path}`;
  return destroyed === true
    ? {
        code: 'VAULT_SECRET_DESTROYED',
        message: `${which} was destroyed.`,
        hint: 'Its data cannot be restored: write a new version, and pin that one.',
        ...known,
      }
    : {
        code: 'VAULT_SECRET_DELETED',
        message: `${which} is deleted.`,
        hint: 'Undelete it (vault kv undelete -versions=…), or pin another version.',
        ...known,
      };
}

function otherVersion(path: string, said: RefusalWithData['said']): PathExplanation | undefined {
  if (!said(/versioned K\/V/i)) return undefined;
  return {
    code: 'VAULT_CONFIG_INVALID',
    message: `The mount of ${path} is KV version 2, but was used as version 1.`,
    hint:
      'Set `kvVersion: 2`, which is the default, or use a mount of version 1. With VaultClient, add `data/` (to list, ' +
      '`metadata/`) to the path after the mount.',
  };
}
