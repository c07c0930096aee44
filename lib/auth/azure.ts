import { isObject } from '../client/answer-members.js';
import { VaultError } from '../errors/vault-error.js';
import {
  fromEnv,
  fromFile,
  missingIn,
  type SecretReader,
  type SecretSource,
} from '../secret/secret-source.js';
import { askForAccessToken, askForJson, missingAt, PROBE, type ProviderRequest } from './ask-provider.js';
import type { AuthMethod, LoginContext } from './auth-method.js';
import { explainAzureRefusal } from './cloud-refusals.js';
import { checkJwt } from './jwt-claims.js';
import { atMount, sourceProblems, textProblems, type MountOptions } from './login-request.js';
import { providerUrl } from './provider-url.js';

/**
 * Options of {@link azure}.
 *
 * @publicApi
 */
export interface AzureOptions extends MountOptions {
  /** Role of the method. */
  role: string;
  /** The `resource` of the configuration of the method: the audience of the token. @default 'https://management.azure.com/' */
  resource?: string;
  /**
   * The identity. `vm`: the managed identity of a virtual machine, from its metadata (IMDS). `app-service`: that of App
   * Service, Functions or Container Apps, from the address in the variables IDENTITY_ENDPOINT and IDENTITY_HEADER.
   * `workload`: Workload Identity (AKS), the token in AZURE_FEDERATED_TOKEN_FILE, exchanged with AZURE_TENANT_ID and
   * AZURE_CLIENT_ID at AZURE_AUTHORITY_HOST.
   *
   * @default 'vm'
   */
  identity?: 'vm' | 'app-service' | 'workload';
  /** Client id of a user-assigned identity. @default the system-assigned identity, or AZURE_CLIENT_ID for `workload` */
  clientId?: string;
  /** A token from elsewhere, instead of `identity`. */
  jwt?: SecretSource;
  /** For roles bound to a subscription. @default from the metadata, for `vm` */
  subscriptionId?: string;
  /** For roles bound to a resource group. @default from the metadata, for `vm` */
  resourceGroupName?: string;
  /** The resource with the identity, for roles bound to a group or subscription, outside of virtual machines. */
  resourceId?: string;
  /** Address of the metadata of a virtual machine. @default 'http://169.254.169.254' */
  metadataAddress?: string;
  /** Mount of the method, with or without the slash of the server's listing. @default 'azure' */
  mountPath?: string;
}

const IMDS = 'the metadata server of Azure';
/** Parameters of all requests for the metadata. */
const INSTANCE = { 'api-version': '2018-02-01' };

/**
 * Logs in with a managed identity or a workload identity of Azure, with the Azure auth method of HashiCorp Vault. There
 * is no secret to deliver: Azure gives a token for `resource`.
 *
 * At login it throws `VAULT_LOGIN_PROVIDER_UNAVAILABLE` (Azure does not answer), `VAULT_SOURCE_UNREADABLE` (no identity
 * is assigned, or a variable is unset), `VAULT_LOGIN_INPUT_INVALID`, `VAULT_LOGIN_DENIED`, `VAULT_ROLE_NOT_FOUND`,
 * `VAULT_BACKEND_FAILED` (the server cannot reach Azure).
 *
 * @publicApi
 */
export function azure(options: AzureOptions): AuthMethod {
  const texts = ['resource', 'clientId', 'subscriptionId', 'resourceGroupName', 'resourceId'] as const;
  const optional = [...texts, 'identity', 'jwt', 'metadataAddress'] as const;
  const names = { required: ['role'], optional } as const;
  const { given, problems, mount, place } = atMount('azure', options, names, 'azure');
  const { role, identity = 'vm', jwt, metadataAddress = 'http://169.254.169.254' } = given;
  problems.push(...textProblems('azure', given, { required: ['role'], optional: texts }));
  if (!Object.hasOwn(TOKENS, identity))
    problems.push('`auth: azure` has an `identity` that is not "vm", "app-service" or "workload"');
  if (jwt !== undefined) problems.push(...sourceProblems('azure', 'jwt', jwt));
  const address = providerUrl('azure', 'metadataAddress', metadataAddress, problems);
  const source = (context: LoginContext) => jwt ?? TOKENS[identity](given, address, context);
  return {
    name: 'azure',
    problems,
    missing: (context) => missingIn(source(context), 'jwt'),
    async login(context) {
      const token = await context.read(source(context), { ...place, name: 'jwt' });
      const remedy = 'A token of Azure is fetched at each login.';
      const explain = explainAzureRefusal(checkJwt(token, { now: context.now(), remedy }));
      const { subscriptionId, resourceGroupName, resourceId } = given;
      const body = {
        role,
        jwt: token,
        ...(identity === 'vm' && jwt === undefined && (await instance(address, context))),
        ...(subscriptionId !== undefined && { subscription_id: subscriptionId }),
        ...(resourceGroupName !== undefined && { resource_group_name: resourceGroupName }),
        ...(resourceId !== undefined && { resource_id: resourceId }),
      };
      return context.logIn(`auth/${mount}/login`, body, { ...place, explain });
    },
  };
}

type TokenOf = (options: Partial<AzureOptions>, address: URL, context: LoginContext) => SecretReader;

const resourceOf = ({ resource = 'https://management.azure.com/' }: Partial<AzureOptions>) => resource;

/** The parameters of a request for a token of a managed identity. */
const identityOf = (options: Partial<AzureOptions>) => ({
  resource: resourceOf(options),
  ...(options.clientId !== undefined && { client_id: options.clientId }),
});

/** Where a token comes from, by `identity`. */
const TOKENS: Readonly<Record<NonNullable<AzureOptions['identity']>, TokenOf>> = {
  vm(options, address, { signal }) {
    const ask = metadata(address, signal);
    return {
      description: `${IMDS} at ${address.origin}`,
      missing: () => missingAt(askForJson({ ...ask('instance', INSTANCE), limit: PROBE })),
      read: () => askForAccessToken(ask('identity/oauth2/token', { ...INSTANCE, ...identityOf(options) })),
    };
  },

  'app-service'(options, _, context) {
    const endpoint = fromEnv('IDENTITY_ENDPOINT');
    return {
      description: 'the identity endpoint of App Service',
      missing: () => missingIn(endpoint, 'IDENTITY_ENDPOINT'),
      async read() {
        const url = await urlIn(context, 'IDENTITY_ENDPOINT');
        const secret = await context.read(fromEnv('IDENTITY_HEADER'), { name: 'IDENTITY_HEADER' });
        const query = { 'api-version': '2019-08-01', ...identityOf(options) };
        url.search = new URLSearchParams(query).toString();
        const headers = { 'X-IDENTITY-HEADER': secret.reveal() };
        return askForAccessToken({ provider: this.description, url, headers, signal: context.signal });
      },
    };
  },

  workload(options, _, context) {
    const file = fromEnv('AZURE_FEDERATED_TOKEN_FILE');
    return {
      description: 'the token endpoint of Microsoft Entra ID',
      missing: () => missingIn(file, 'AZURE_FEDERATED_TOKEN_FILE'),
      async read() {
        const variable = (name: string) => context.read(fromEnv(name), { name });
        const path = (await variable('AZURE_FEDERATED_TOKEN_FILE')).reveal();
        const assertion = await context.read(fromFile(path), { name: 'federated token' });
        const tenant = (await variable('AZURE_TENANT_ID')).reveal();
        const clientId = options.clientId ?? (await variable('AZURE_CLIENT_ID')).reveal();
        const authority = await urlIn(context, 'AZURE_AUTHORITY_HOST');
        const form = new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion.reveal(),
          scope: `${resourceOf(options)}/.default`,
        });
        const url = new URL(`${encodeURIComponent(tenant)}/oauth2/v2.0/token`, authority);
        return askForAccessToken({ provider: this.description, url, form, signal: context.signal });
      },
    };
  },
};

const metadata =
  (address: URL, signal: AbortSignal) =>
  (path: string, query: Record<string, string>): ProviderRequest => ({
    provider: IMDS,
    url: new URL(`metadata/${path}?${new URLSearchParams(query).toString()}`, address),
    headers: { Metadata: 'true' },
    signal,
  });

/** The names of the virtual machine, which the server looks up for a role that is bound to them. */
async function instance(address: URL, { signal }: LoginContext): Promise<Record<string, unknown>> {
  const { compute } = await askForJson(metadata(address, signal)('instance', INSTANCE));
  const { name, vmScaleSetName, subscriptionId, resourceGroupName } = isObject(compute) ? compute : {};
  return {
    vm_name: name,
    vmss_name: vmScaleSetName,
    subscription_id: subscriptionId,
    resource_group_name: resourceGroupName,
  };
}

/** The address in a variable. */
async function urlIn(context: LoginContext, name: string): Promise<URL> {
  const address = (await context.read(fromEnv(name), { name })).reveal();
  if (URL.canParse(address)) return new URL(address);
  throw new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `The environment variable ${name} has no address.`,
    hint: 'Azure sets it where an identity is assigned: do not set it by hand.',
  });
}
