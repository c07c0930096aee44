import { list, text } from '../server/fields.js';
import { audiencesOf } from '../server/jwt.js';
import { Refusal } from '../server/refusal.js';
import type { CloudKind } from './cloud-auth.js';
import { renewalRefused } from './login-tokens.js';

/** Nearly all refusals of this method have the status 500. */
const refuse = (reason: string) => new Refusal(500, reason);

/** Managed identities of Azure. */
export const AZURE: CloudKind = {
  type: 'azure',
  unknownRole: (name) => new Refusal(400, `invalid role name "${name}"`),
  notAJwt: () => refuse('oidc: malformed jwt: oidc: malformed jwt, expected 3 parts got 1'),
  down: () =>
    refuse(
      'Get "https://login.microsoftonline.com/<tenant>/.well-known/openid-configuration": dial tcp: ' +
        'lookup login.microsoftonline.com: no such host',
    ),
  wrongSignature: () => refuse('failed to verify signature: failed to verify id token signature'),
  check({ role, config, claims, body, now }) {
    const resource = text(config['resource']);
    if (!audiencesOf(claims).includes(resource))
      throw refuse(`oidc: expected audience "${resource}" got [${audiencesOf(claims).join(' ')}]`);
    if (typeof claims['exp'] !== 'number' || claims['exp'] * 1_000 < now)
      throw refuse('oidc: token is expired (Token Expiry: …)');
    const principals = list(role['bound_service_principal_ids']);
    const identity = text(claims['oid']);
    if (principals.length > 0 && !principals.includes('*') && !principals.includes(identity))
      throw refuse(`service principal not authorized: ${identity}`);
    const subscriptions = list(role['bound_subscription_ids']);
    const groups = list(role['bound_resource_groups']);
    if (subscriptions.length === 0 && groups.length === 0) return;
    const subscription = text(body['subscription_id']);
    const group = text(body['resource_group_name']);
    if (!subscription || !group) throw refuse('subscription_id and resource_group_name are required');
    const machine = text(body['vmss_name']) || text(body['vm_name']) || text(body['resource_id']);
    if (machine === '') throw refuse('resource_id is required');
    if (subscriptions.length > 0 && !subscriptions.includes(subscription))
      throw refuse('subscription not authorized');
    if (groups.length > 0 && !groups.includes(group)) throw refuse('resource group not authorized');
  },
  identify({ name, claims, body }) {
    const named = ['vm_name', 'vmss_name', 'resource_id'].filter((field) => text(body[field]) !== '');
    return {
      displayName: `azure-${text(claims['oid'])}`,
      meta: {
        role: name,
        resource_group_name: text(body['resource_group_name']),
        subscription_id: text(body['subscription_id']),
        ...Object.fromEntries(named.map((field) => [field, text(body[field])])),
      },
    };
  },
  checkRenewal(name, _, present) {
    if (!present) throw renewalRefused(`role ${name} does not exist during renewal`);
  },
};
